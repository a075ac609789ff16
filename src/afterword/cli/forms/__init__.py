"""The forms in which the field keeps chats, answers, ratings and preferences, and what they are in Afterword's own.

A line is read by the first form that fits. What is of no form stays as it is, for the own forms (cli/import_lines.py);
what is recognised and does not hold a prompt with its answer is refused in words.
"""

from __future__ import annotations

from typing import Any

from afterword.cli.forms.logs import log_of_call, refuse_batch, refuse_known
from afterword.cli.forms.training import answered, comparison, refuse_leftover_answers, with_rating_feedback

__all__ = ["own_form_lines", "refuse_leftover_answers"]


def own_form_lines(line: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a line of another form says, as lines of Afterword's own. Raises `LineError`."""
    refuse_batch(line)
    for form in (comparison, log_of_call, answered):
        lines = form(line)
        if lines is not None:
            return lines
    refuse_known(line)
    return [with_rating_feedback(line)]
