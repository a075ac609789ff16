"""A store filled at random, and what it was filled with."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from afterword.config import load
from afterword.ids import uuid7
from afterword.lifespan import open_state
from afterword.service import projects
from afterword.service.access import ADMINISTRATOR_ACTOR
from afterword.service.context import Context
from afterword.service.feedback import feedback, metrics, outcomes
from afterword.service.interactions import content, recording
from afterword.store import calls
from afterword.store.background.search_index import SearchIndexWorker
from afterword.store.query.conditions import SOURCES
from afterword.types import (
    InlineFeedback,
    LabelChange,
    NewInteraction,
    NewMetric,
    NewOutcome,
    NewPreference,
    NewProject,
)
from afterword.types.queries import ProjectQuery

# All that the fields of these interactions may hold.
WORDS = SimpleNamespace(
    times=[1_700_000_000_000 + n * 1000 for n in range(6)],
    models=["m1", "m2", "m3"],
    users=["ann", "bob"],
    keys={"env": ["prod", "test", ""], "lang": ["en", "de"], "rare": ["1"]},
    metrics=["CSAT", "good"],
    values=[0.0, 1.0, 2.5, 5.0],
    reasons=["Style", "Toxicity"],
    texts=["red", "green", "blue", "redder"],
    measured=[0, 1, 5, 100],
    states=["complete", "failed", "cancelled"],
    finish_reasons=["stop", "length"],
    sessions=[UUID(int=n) for n in (1, 2)],
)


@dataclass
class Logged:
    """An interaction as its log call told it."""

    id: UUID
    created_at: int
    model: str | None
    source: str
    session: UUID
    user: str | None
    labels: dict[str, str]
    feedback: list[tuple[str, float, str | None, str | None]]
    messages: list[dict[str, Any]]
    completion: str
    measured: dict[str, float]
    state: str
    finish_reason: str | None
    preferences: set[str] = field(default_factory=set)
    outcomes: list[tuple[str, float, str | None]] = field(default_factory=list)

    @property
    def prompt(self) -> str:
        return self.messages[-1]["content"]

    @property
    def prompt_hash(self) -> str:
        return format(content.prompt_hash(self.messages), "016x")

    @property
    def prompt_words(self) -> list[str]:
        return " ".join(message["content"] for message in self.messages).split()


class Shelf:
    """A store in which a project is filled at random, and another with the same words."""

    words = WORDS

    def __init__(self, directory: Path, database_url: str | None, seed: int) -> None:
        self.random = Random(seed)
        home = open_state(load({"data": str(directory), "database_url": database_url}, {}))
        self.store = home.store
        # There is no other server.
        self.store.in_charge_until = math.inf
        self.context = Context(home, ADMINISTRATOR_ACTOR)
        asyncio.run(self._fill("noise", 20))
        self.logged = asyncio.run(self._fill("shelf", 70))
        home.search_index_worker.start()
        while self.store.read_now(SearchIndexWorker.waiting):
            pass
        home.search_index_worker.close()
        self.names = self.context.names(self.context.project("shelf"))

    async def _fill(self, project: str, number: int) -> list[Logged]:
        context = self.context
        await projects.create_project(context, body=NewProject(key=project))
        for key in (*WORDS.metrics, "deleted"):
            kind = "bool" if key == "good" else "scalar"
            await metrics.register(context, body=NewMetric(key=key, kind=kind, project=project))
        made = [await self._log(project) for _ in range(number)]
        for _ in range(number // 6):
            one, two = self.random.sample(made, 2)
            metric = self.random.choice(WORDS.metrics)
            body = NewPreference(metric=metric, preferred_completion=str(one.id), other_completion=str(two.id))
            await feedback.prefer(context, body=body)
            one.preferences.add(metric)
            two.preferences.add(metric)
        for gone in made[:: number // 4]:
            await recording.delete_interaction(context, str(gone.id))
            made.remove(gone)
        for one in made[:: number // 10]:
            change = LabelChange(set={"env": "test"}, remove=["lang"])
            one.labels = (await recording.update_labels(context, str(one.id), body=change)).labels
        await self._conclude(project, made)
        await metrics.delete_metric(context, "deleted", query=ProjectQuery(project=project))
        return made

    async def _conclude(self, project: str, made: list[Logged]) -> None:
        """Give outcomes to the two sessions with several turns and to some single interactions."""
        choice = self.random.choice
        for session in [*WORDS.sessions, *(one.session for one in made[::5] if one.session == one.id)] * 2:
            metric, user = choice(WORDS.metrics), choice([None, *WORDS.users])
            value = choice(WORDS.values[:2] if metric == "good" else WORDS.values)
            body = NewOutcome(project=project, session_id=str(session), metric=metric, value=value, user=user)
            await outcomes.record(self.context, body=body)
            for one in made:
                if one.session == session:
                    one.outcomes.append((metric, value, user))

    async def _log(self, project: str) -> Logged:
        chance, choice = self.random.random, self.random.choice
        labels = {
            key: choice(values) for key, values in WORDS.keys.items() if chance() < (0.1 if key == "rare" else 0.6)
        }
        given_values = [
            (
                choice([*WORDS.metrics, "deleted"]),
                choice(WORDS.values),
                choice([None, *WORDS.reasons]),
                choice([None, *WORDS.users]),
            )
            for _ in range(choice([0, 0, 1, 2, 4]))
        ]
        given_values = [(m, min(v, 1.0) // 1 if m == "good" else v, *rest) for m, v, *rest in given_values]
        # A phrase that goes on from a repeated message into a new one is not found.
        contents = [("", "then ")[number] + self._text() for number in range(choice([1, 1, 2]))]
        messages = [{"role": "user", "content": content} for content in contents]
        session = choice([None, None, *WORDS.sessions])
        new = NewInteraction(
            project=project,
            messages=messages,
            completion=self._text(),
            model=choice([None, *WORDS.models]),
            labels=labels,
            user=choice([None, *WORDS.users]),
            session_id=session and str(session),
            created_at=choice(WORDS.times),
            completion_id=UUID(int=self.random.getrandbits(128)) if chance() < 0.5 else uuid7(),
            feedbacks=[InlineFeedback(metric=m, value=v, reason=r, user=u) for m, v, r, u in given_values],
        )
        if chance() < 0.6:
            names = self.random.sample(calls.SYSTEM_METRICS, self.random.randint(1, 4))
            new.timings = {name: choice(WORDS.measured) for name in names}
        source = new.source = choice(SOURCES)
        draft = await recording.prepare_interaction(self.context, new)
        await self.store.write(draft.rows)
        assert new.completion_id
        state, reason = "complete", None
        if new.timings:
            state, reason = choice(WORDS.states), choice([None, *WORDS.finish_reasons])
            row = calls.call_row(
                new.completion_id, calls.STATES.index(state), finish_reason=reason, numbers=new.timings
            )
            await self.store.write([(calls.FINISH_CALL, [row])])
        assert isinstance(new.created_at, int)
        assert isinstance(new.completion, str)
        return Logged(
            new.completion_id, new.created_at, new.model, source, session or new.completion_id, new.user, labels,
            given_values, messages, new.completion, dict(new.timings or {}), state, reason,
        )  # fmt: skip

    def _text(self) -> str:
        return " ".join(self.random.choices(WORDS.texts, k=self.random.choice([0, 1, 2, 3])))


@pytest.fixture(scope="module", params=[1, 2], ids=["one store", "another"])
def shelf(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    database: Callable[[], str | None],
) -> Iterator[Shelf]:
    shelf = Shelf(tmp_path_factory.mktemp("shelf"), database(), request.param)
    yield shelf
    shelf.store.close()
