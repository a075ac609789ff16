"""Converts common file formats of chats, answers, ratings and preferences to Afterword's own form.

The first form that fits reads the line. A line of no known form stays unchanged, and cli/import_lines.py reads it. A
line of a known form without a prompt and its answer is refused with an explanation.
"""

from __future__ import annotations

from typing import Any

from afterword.cli.forms.logs import log_of_call, refuse_batch, refuse_known
from afterword.cli.forms.training import answered, comparison, refuse_leftover_answers, with_rating_feedback

__all__ = ["own_form_lines", "refuse_leftover_answers"]


def own_form_lines(line: dict[str, Any]) -> list[dict[str, Any]]:
    """Convert a line of another form to lines of Afterword's own form. Raises `LineError`."""
    refuse_batch(line)
    for form in (comparison, log_of_call, answered):
        lines = form(line)
        if lines is not None:
            return lines
    refuse_known(line)
    return [with_rating_feedback(line)]
