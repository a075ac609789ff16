"""Facets on a store: what they read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import event

from afterword.service import projects
from afterword.service.interactions import recording
from afterword.store.query import facets
from afterword.store.query.matches import Matches
from afterword.types import NewInteraction, NewProject


def outcome_reads(shelf: Any, project: str) -> tuple[int, set[str]]:
    """Count the facets of a project; return how many statements read outcomes, and the kinds of the facets."""
    statements: list[str] = []

    def read(connection: Any) -> facets.FacetCounts:
        event.listen(connection, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
        return facets.count(Matches(connection, shelf.context.names(shelf.context.project(project)), None))

    kinds = {kind for kind, _ in shelf.store.read_now(read).totals}
    return sum("FROM outcomes" in statement for statement in statements), kinds


def test_facets_of_a_project_without_outcomes_look_once(shelf: Any, monkeypatch: pytest.MonkeyPatch):
    async def fill() -> None:
        await projects.create_project(shelf.context, body=NewProject(key="quiet"))
        for number in range(7):
            body = NewInteraction(project="quiet", messages=[{"role": "user", "content": "Why?"}], completion="So.")
            body.session_id = f"session {number}"
            await recording.record(shelf.context, body=body)

    asyncio.run(fill())
    monkeypatch.setattr(facets, "MAX_STATEMENT_IDS", 2)
    quiet_reads, quiet_kinds = outcome_reads(shelf, "quiet")
    assert (quiet_reads, "outcome" in quiet_kinds) == (1, False)
    reads, kinds = outcome_reads(shelf, "shelf")
    assert reads > 2
    assert "outcome" in kinds
