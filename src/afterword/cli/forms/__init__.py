"""The forms in which the field keeps chats, answers, ratings and preferences, and what they are in Afterword's own.

A line is read by the first form that fits. What is of no form stays as it is, for the own forms (cli/shapes.py); what
is recognised and does not hold a prompt with its answer is refused in words.
"""

from __future__ import annotations

from typing import Any

from afterword.cli.forms.logs import log_of_call, refuse_batch, refuse_known
from afterword.cli.forms.training import answered, comparison, rated, refuse_spoken

__all__ = ["in_own_form", "refuse_spoken"]


def in_own_form(line: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a line of another form says, as lines of Afterword's own. Raises `LineError`."""
    refuse_batch(line)
    for form in (comparison, log_of_call, answered):
        made = form(line)
        if made is not None:
            return made
    refuse_known(line)
    return [rated(line)]
