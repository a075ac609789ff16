"""What a list costs by GraphQL: a few SQL statements, however long it is. The store is opened here, to count them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from afterword import compat
from afterword.api.graphql import interactions
from afterword.api.graphql.execution import Executor
from afterword.api.graphql.http_endpoint import Query
from afterword.config import load
from afterword.errors import Invalid
from afterword.lifespan import open_state
from afterword.service import projects
from afterword.service.access import ADMINISTRATOR_ACTOR
from afterword.service.context import Context
from afterword.service.feedback import feedback, metrics
from afterword.service.interactions import recording
from afterword.types import InlineFeedback, NewInteraction, NewMetric, NewPreference, NewProject

NODE = """fragment Node on Completion {
  id completion source createdAt chatMessages { role content } labels { key value } model { id key name }
  directScores { id value details metric { id key hasDirectScores hasComparisonScores } }
  comparisonScores { id metric { key } preferedCompletion { id completion model { key } }
    otherCompletion { id completion model { key } } }
  metadata { parameters usage { totalTokens } }
}
"""
LISTED = (
    NODE
    + """query($page: CursorPageInput!) {
  completions(filter: {project: "default"}, page: $page) { totalCount nodes { ...Node } pageInfo { endCursor } }
}"""
)
GROUPED = (
    NODE
    + """query($page: CursorPageInput!) {
  completionsGrouped(filter: {project: "default"}, groupBy: PROMPT, page: $page) { totalCount nodes {
    key count directScoresStats { average metric { key } } completions(page: $page) { nodes { ...Node } } } }
}"""
)

Statements = Callable[..., int]


@pytest.fixture(scope="module")
def statements(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Statements]:
    """Ask a store of 60 interactions, each rated and compared with the one before; return the number of statements."""
    home = open_state(load({"data": str(tmp_path_factory.mktemp("cost"))}, {}))
    context = Context(home, ADMINISTRATOR_ACTOR)

    async def fill() -> None:
        await projects.create_project(context, body=NewProject(key="default"))
        await metrics.register(context, body=NewMetric(key="good", project="default"))
        before = None
        for number in range(60):
            made = await recording.record(
                context,
                body=NewInteraction(
                    project="default", messages=[{"role": "user", "content": f"Q {number}"}], completion="A",
                    model=f"m{number % 3}", labels={"n": str(number)},
                    feedbacks=[InlineFeedback(metric="good", value=number, details="d")],
                ),
            )  # fmt: skip
            one = str(made.completion_id)
            if before:
                body = NewPreference(metric="good", preferred_completion=one, other_completion=before)
                await feedback.prefer(context, body=body)
            before = one

    asyncio.run(fill())
    executor = Executor(home, compat, lambda error: {"message": str(error)})
    seen: list[str] = []
    event.listen(home.store.database.reader, "before_cursor_execute", lambda *given: seen.append(given[2]))

    def ask(query: str, first: int) -> int:
        seen.clear()
        variables: dict[str, Any] = {"page": {"first": first}}
        answer = asyncio.run(executor.execute(ADMINISTRATOR_ACTOR, Query(query, variables=variables), b"1"))
        assert "errors" not in answer, answer
        [connection] = answer["data"].values()
        nodes = connection["nodes"]
        assert len(nodes) == first
        whole = nodes if "completion" in nodes[0] else [node for one in nodes for node in one["completions"]["nodes"]]
        assert all(one["directScores"] and one["comparisonScores"] for one in whole)
        return len(seen)

    yield ask
    home.store.close()


def test_a_list_of_fifty_costs_as_many_statements_as_one_of_two(statements: Statements):
    assert statements(LISTED, 50) == statements(LISTED, 2) < 26


def test_a_group_costs_the_look_into_its_list_and_no_more(statements: Statements):
    # To find the list of a group takes three; what is in all the lists is read together.
    assert statements(GROUPED, 50) - statements(GROUPED, 2) == 48 * 3


def test_a_selection_is_bounded_on_its_last_page_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(interactions, "MAX_SELECTED_ROWS", 1)
    state = open_state(load({"data": str(tmp_path)}, {}))
    context = Context(state, ADMINISTRATOR_ACTOR)

    async def select_two() -> None:
        await projects.create_project(context, body=NewProject(key="default"))
        for completion in ("A", "B"):
            body = NewInteraction(project="default", messages=[{"role": "user", "content": "Q"}], completion=completion)
            await recording.record(context, body=body)
        await interactions.selected_ids(context, "default", {"fromFilters": {"filters": {"project": "default"}}})

    with pytest.raises(Invalid, match="At most 1 at once"):
        asyncio.run(select_two())
    state.store.close()
