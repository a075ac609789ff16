"""What the rollups answer is what the rows say, whatever changed and whoever added up."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from alembic import command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, delete, func, select

from afterword.config import load
from afterword.ids import uuid7
from afterword.lifespan import close_state, open_state
from afterword.service import projects
from afterword.service.access import ADMINISTRATOR_ACTOR
from afterword.service.context import Context
from afterword.service.feedback import feedback, metrics
from afterword.service.interactions import preparation, recording
from afterword.store import calls
from afterword.store.background import rollups
from afterword.store.background.rollups import HOUR_MS, Overtaken, RollupWorker, _replace, dirty_hour, merge_marks
from afterword.store.engine import Store
from afterword.store.migrations import alembic_config
from afterword.store.query import rollup_statistics, statistics
from afterword.store.query.matches import Matches
from afterword.store.query.statistics import TrendParts, ValueSelection
from afterword.store.schema import rollup_marks, rollup_values
from afterword.store.schema import rollups as stored
from afterword.types import (
    FeedbackChange,
    Filter,
    InlineFeedback,
    Match,
    NewFeedback,
    NewInteraction,
    NewMetric,
    NewProject,
    TimeRange,
)
from afterword.types.queries import InteractionQuery

START = 472_222 * HOUR_MS
# Around the ends of hours, and far apart.
TIMES = [
    START + offset
    for offset in (0, 1, HOUR_MS - 1, HOUR_MS, HOUR_MS + 5, 3 * HOUR_MS - 1, 4 * HOUR_MS, 30 * HOUR_MS, 5000 * HOUR_MS)
]
MODELS = [None, "m1", "m2"]
NUMBERS = [0, 1, 7, 1_000_000]
METRICS = ["CSAT", "good"]
few = st.sampled_from([0.0, 1.0, 2.5, 5.0, -3.0])
value = st.one_of(
    few,
    few,
    st.floats(-1e9, 1e9).filter(lambda one: abs(one) > 1e-6),
    st.sampled_from([1e9, 1e9 + 0.001]),
    # Neither can be squared.
    st.sampled_from([1e120, 1e-120]),
)
time = st.sampled_from(TIMES)
model = st.sampled_from(MODELS)
which = st.integers(0, 1_000)

change = st.one_of(
    st.tuples(st.just("log"), time, model, st.lists(value, max_size=3), st.lists(st.sampled_from(NUMBERS), max_size=3)),
    st.tuples(st.just("log"), time, model, st.lists(value, max_size=3), st.lists(st.sampled_from(NUMBERS), max_size=3)),
    st.tuples(st.just("open"), time, model),
    st.tuples(st.just("finish"), which, model, st.sampled_from(NUMBERS)),
    st.tuples(st.just("rate"), which, value),
    st.tuples(st.just("rate much"), which, st.integers(15, 30)),
    st.tuples(st.just("change"), which, value),
    st.tuples(st.just("take back"), which),
    st.tuples(st.just("delete"), which),
    st.tuples(st.just("mark range"), time, time),
)
background = st.sampled_from([("roll",), ("roll",), ("look",), ("write",), ("gather",)])
steps = st.lists(st.one_of(change, change, background), max_size=25)


class Bench:
    """A store with a project for each example, and changes to it by name."""

    def __init__(self, directory: Path, database_url: str | None) -> None:
        self.home = open_state(load({"data": str(directory), "database_url": database_url}, {}))
        self.store = self.home.store
        self.context = Context(self.home, ADMINISTRATOR_ACTOR)
        self.number = 0

    async def open_project(self) -> None:
        self.number += 1
        self.project = f"p{self.number}"
        await projects.create_project(self.context, body=NewProject(key=self.project))
        for key in METRICS:
            await metrics.register(self.context, body=NewMetric(key=key, kind="scalar", project=self.project))
        self.names = self.context.names(self.context.project(self.project))
        self.logged: list[UUID] = []
        self.given: list[UUID] = []
        self.opened: list[tuple[UUID, Any]] = []
        # Two servers that do the same, each by what it saw when.
        self.rollers = [RollupWorker(self.store), RollupWorker(self.store)]
        self.seen: list[Any] = []

    async def do(self, name: str, *given: Any) -> None:
        with contextlib.suppress(LookupError):
            await getattr(self, f"_{name.replace(' ', '_')}")(*given)

    async def _log(self, at: int, model: str | None, values: list[float], numbers: list[int]) -> None:
        body = NewInteraction(
            project=self.project,
            messages=[{"role": "user", "content": "Hello"}],
            completion="Hi",
            model=model,
            created_at=at,
            feedbacks=[InlineFeedback(metric=METRICS[place % 2], value=one) for place, one in enumerate(values)],
            timings=dict(zip(calls.SYSTEM_METRICS, numbers, strict=False)) or None,
        )
        recorded = await recording.record(self.context, body=body)
        self.logged.append(recorded.completion_id)
        self.given += recorded.feedback_ids or []

    async def _open(self, at: int, model: str | None) -> None:
        question = preparation.new_prompt(
            self.context,
            project=self.context.project(self.project),
            source="LIVE",
            created_at=at,
            messages=[{"role": "user", "content": "Hello"}],
            labels={},
            texts={"user": None, "environment": None, "step": None},
        )
        one = uuid7()
        call = calls.call_row(one, calls.OPEN, numbers={})
        written = preparation.new_rows(
            self.context,
            question,
            preparation.PreparedCompletion(),
            one,
            session=(None, None),
            model=None,
            call=call,
            searchable=False,
        )
        await self.store.write(written.rows)
        self.logged.append(one)
        self.opened.append((one, question))

    async def _finish(self, place: int, model: str | None, number: int) -> None:
        one, question = self.opened.pop(place % len(self.opened) if self.opened else 0)
        row = None if model is None else await recording.model_number(self.context, model)
        call = calls.call_row(one, calls.COMPLETE, numbers={"latency": number, "tokens_per_second": number / 3})
        said = preparation.new_completion(self.context, "Hi")
        written = preparation.finishing_rows(self.context, question, said, one, session_id=None, model=row, call=call)
        await self.store.write(written.rows)

    async def _rate(self, place: int, value: float) -> None:
        body = NewFeedback(completion_id=str(self.one_of(self.logged, place)), metric="CSAT", value=value)
        self.given.append((await feedback.record(self.context, body=body)).feedback_id)

    async def _rate_much(self, place: int, number: int) -> None:
        one = str(self.one_of(self.logged, place))
        units = [
            feedback.feedback_unit(self.context, NewFeedback(completion_id=one, metric="good", value=float(value)))
            for value in range(number)
        ]
        self.given += [answer.feedback_id for answer in await self.store.write_many(units)]

    async def _change(self, place: int, value: float) -> None:
        one = self.one_of(self.given, place)
        await feedback.update_feedback(self.context, str(one), body=FeedbackChange(value=value))

    async def _take_back(self, place: int) -> None:
        one = self.one_of(self.given, place)
        self.given.remove(one)
        await feedback.delete_feedback(self.context, str(one))

    async def _delete(self, place: int) -> None:
        one = self.one_of(self.logged, place)
        for its in (await recording.get_interaction(self.context, str(one), query=InteractionQuery())).feedback or []:
            self.given.remove(its.feedback_id)
        self.logged.remove(one)
        await recording.delete_interaction(self.context, str(one))

    async def _mark_range(self, start: int, end: int) -> None:
        number = self.names.project
        await self.store.write(
            lambda transaction: rollups.mark_hours_dirty(transaction, number, min(start, end), max(start, end))
        )

    async def _roll(self) -> None:
        await asyncio.to_thread(self.rollers[0].catch_up, 0)

    async def _look(self) -> None:
        self.seen.append(self.store.read_now(self.rollers[1]._sum_due_hours, 0)[0])

    async def _write(self) -> None:
        with contextlib.suppress(Overtaken):
            await self.store.write(partial(_replace, self.seen.pop(0)))

    async def _gather(self) -> None:
        def wide(connection: Any) -> Any:
            return merge_marks(connection.execute(select(*rollup_marks.c)).all())

        for one in self.store.read_now(wide):
            await self.store.write(self.rollers[1]._single_mark(one))

    @staticmethod
    def one_of(ids: list[UUID], place: int) -> UUID:
        return ids[place % len(ids) if ids else 0]

    def catch_up(self) -> None:
        while self.rollers[0].catch_up(0):
            pass

    # -------------------------------------------------------------------------------------------- the comparison

    def compare(self, filter: Filter | None, metric: str | None, split_by: str | None) -> None:
        """Ask of rollups and of rows."""
        of_metric = self.names.metric(metric) if metric in METRICS else metric

        def compare_with_rows(connection: Any) -> None:
            values = ValueSelection(Matches(connection, self.names, filter), of_metric, split_by)
            for quantum in (HOUR_MS, 24 * HOUR_MS):
                found, wanted = (of.over_time(values, quantum) for of in (rollup_statistics, statistics))
                assert sums_of(found) == approximately(wanted)
                # What lies far from the others is all that a deviation of so large values tells of.
                scale = max([1.0, *(abs(part.mean) for part in wanted.values())])
                for key, part in wanted.items():
                    expected = part.stddev and pytest.approx(part.stddev, rel=1e-6, abs=1e-6 * scale)
                    assert found[key].stddev == expected
            assert rollup_statistics.span(values) == statistics.span(values)
            if metric is None:
                return
            found, wanted = (of.summarize(values) for of in (rollup_statistics, statistics))
            assert [(one.key, one.count, one.min, one.max) for one in found] == [
                (one.key, one.count, one.min, one.max) for one in wanted
            ]
            scale = max([1.0, *(abs(end) for one in wanted for end in (one.min, one.max))])
            for one, other in zip(found, wanted, strict=True):
                assert one.mean == pytest.approx(other.mean, rel=1e-9, abs=1e-12 * scale)
                assert one.stddev == (other.stddev and pytest.approx(other.stddev, rel=1e-9, abs=1e-7 * scale))
            if wanted and split_by is None:
                [one] = wanted
                found, wanted = (of.distribution(values, one.min, one.max) for of in (rollup_statistics, statistics))
                assert found == wanted

        self.store.read_now(compare_with_rows)


def sums_of(parts: TrendParts) -> dict[Any, tuple[int, float]]:
    return {key: (part.count, part.mean * part.count) for key, part in parts.items()}


def approximately(parts: TrendParts) -> dict[Any, Any]:
    return {key: (part.count, pytest.approx(part.mean * part.count, rel=1e-9, abs=1e-4)) for key, part in parts.items()}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, database: Callable[[], str | None]) -> Iterator[Bench]:
    bench = Bench(tmp_path_factory.mktemp("rollups"), database())
    yield bench
    close_state(bench.home)


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups, "STEP_ROWS", 3)
    monkeypatch.setattr(rollups, "MERGE_MARK_COUNT", 3)


bound = st.one_of(st.none(), time, time.map(lambda at: at + 1_234_567))
FILTERS = st.one_of(
    st.none(),
    st.builds(
        lambda start, end, parts: Filter(and_=[Filter(timerange=TimeRange(from_=start, to=end)), *parts]),
        bound,
        bound,
        st.lists(
            st.sampled_from(
                [
                    Filter(model=Match(eq="m1")),
                    Filter(model=Match(neq="m1")),
                    Filter(model=Match(in_=["m2", "never seen"])),
                    Filter(model=Match(in_=["m1", "m2"])),
                    Filter(timerange=TimeRange(from_=START + 1)),
                ]
            ),
            max_size=2,
        ),
    ),
)


ASKED = st.tuples(
    FILTERS, st.sampled_from([None, "latency", "tokens_per_second", *METRICS]), st.sampled_from([None, "model"])
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=steps, asked=st.lists(ASKED, min_size=2, max_size=4))
def test_rollups_answer_what_the_rows_say(bench: Bench, changes: list[Any], asked: list[Any]):
    async def run() -> None:
        await bench.open_project()
        for place, one in enumerate(changes):
            await bench.do(*one)
            if place % 8 == 7:
                bench.compare(*asked[0])

    asyncio.run(run())
    for one in asked:
        bench.compare(*one)
    bench.catch_up()
    for one in asked:
        bench.compare(*one)


# ------------------------------------------------------------------------------------------------ one by one


@pytest.fixture
def fresh(bench: Bench) -> Bench:
    asyncio.run(bench.open_project())
    bench.catch_up()
    return bench


def log(bench: Bench, at: int = START, model: str | None = "m1", *values: float) -> UUID:
    asyncio.run(bench.do("log", at, model, list(values), []))
    return bench.logged[-1]


def number_of(bench: Bench, table: Any) -> int:
    return bench.store.read_now(
        lambda connection: connection.execute(
            select(func.count()).select_from(table).where(table.c.project == bench.names.project)
        ).scalar_one()
    )


def counts(bench: Bench) -> list[int]:
    """Return how many interactions each hour has by the rollups alone."""
    query = select(stored.c.count).where(
        stored.c.project == bench.names.project, stored.c.measure == rollups.INTERACTIONS_MEASURE_ID
    )
    return list(bench.store.read_now(lambda connection: connection.execute(query.order_by(stored.c.hour)).scalars()))


def test_a_commit_puts_one_mark_on_an_hour_whatever_it_writes_there(fresh: Bench):
    project = fresh.names.project
    units = [dirty_hour(project, START + place) for place in range(100)] + [dirty_hour(project, START + HOUR_MS)]
    asyncio.run(fresh.store.write_many(units))
    assert number_of(fresh, rollup_marks) == 2


def test_an_hour_is_added_up_once_it_is_quiet(fresh: Bench):
    log(fresh)
    fresh.rollers[0].catch_up(quiet_seconds=3600)
    assert counts(fresh) == []
    fresh.catch_up()
    assert counts(fresh) == [1]
    assert number_of(fresh, rollup_marks) == 0


def test_many_marks_on_an_hour_that_is_not_quiet_become_one(fresh: Bench):
    for _ in range(5):
        log(fresh)
    assert number_of(fresh, rollup_marks) == 5
    fresh.rollers[0].catch_up(quiet_seconds=3600)
    assert number_of(fresh, rollup_marks) == 1


def test_the_older_of_two_sums_of_an_hour_never_comes_last(fresh: Bench):
    log(fresh)
    older = fresh.store.read_now(fresh.rollers[1]._sum_due_hours, 0)[0]
    log(fresh)
    fresh.catch_up()
    assert counts(fresh) == [2]
    with pytest.raises(Overtaken):
        asyncio.run(fresh.store.write(partial(_replace, older)))
    assert counts(fresh) == [2]


def test_a_mark_that_was_not_seen_stays(fresh: Bench):
    log(fresh)
    seen = fresh.store.read_now(fresh.rollers[1]._sum_due_hours, 0)[0]
    log(fresh)
    asyncio.run(fresh.store.write(partial(_replace, seen)))
    assert counts(fresh) == [1]
    assert number_of(fresh, rollup_marks) == 1
    fresh.compare(None, None, None)


def test_all_hours_of_a_store_are_added_up_in_steps_the_newest_first(fresh: Bench):
    for at in TIMES:
        log(fresh, at)
    fresh.catch_up()

    def as_after_an_upgrade(transaction: Any) -> None:
        transaction.connection.execute(delete(stored).where(stored.c.project == fresh.names.project))
        rollups.mark_hours_dirty(transaction, fresh.names.project, TIMES[0], TIMES[-1])

    asyncio.run(fresh.store.write(as_after_an_upgrade))
    assert fresh.rollers[0].catch_up(0)
    assert 0 < len(counts(fresh)) < 6
    fresh.compare(None, None, "model")
    # A new process goes on where this one stopped.
    fresh.rollers[0] = RollupWorker(fresh.store)
    fresh.catch_up()
    assert sum(counts(fresh)) == len(TIMES)
    assert number_of(fresh, rollup_marks) == 0


def test_hours_with_values_that_cannot_be_summed_stay_with_the_rows(fresh: Bench):
    log(fresh, START, "m1", 1e120)
    log(fresh, START + HOUR_MS, "m1", 1.0)
    fresh.catch_up()
    assert counts(fresh) == [1]
    assert not fresh.rollers[0].catch_up(0)
    fresh.compare(None, "CSAT", None)


def test_hour_with_unsummable_system_metric_is_read_from_rows(fresh: Bench):
    question = preparation.new_prompt(
        fresh.context,
        project=fresh.context.project(fresh.project),
        source="LIVE",
        created_at=START,
        messages=[{"role": "user", "content": "Hello"}],
        labels={},
        texts={"user": None, "environment": None, "step": None},
    )
    one = uuid7()
    call = calls.call_row(one, calls.COMPLETE, numbers={"latency": 3, "tokens_per_second": 1e-120})
    written = preparation.new_rows(
        fresh.context, question, preparation.PreparedCompletion(), one, session=(None, None), model=None, call=call
    )
    asyncio.run(fresh.store.write(written.rows))
    fresh.catch_up()
    assert counts(fresh) == []
    for metric in ("latency", "tokens_per_second"):
        fresh.compare(None, metric, None)


def test_values_that_are_many_are_not_kept_one_by_one(fresh: Bench):
    log(fresh)
    asyncio.run(fresh.do("rate much", 0, 30))
    fresh.catch_up()
    assert number_of(fresh, rollup_values) == 0
    fresh.compare(None, "good", None)
    log(fresh, START + HOUR_MS, "m1", 1.0, 2.0)
    fresh.catch_up()
    assert number_of(fresh, rollup_values) == 2
    fresh.compare(None, "good", None)


def test_a_store_of_before_is_marked_by_its_migration(tmp_path: Path):
    engine = create_engine(f"sqlite:///{tmp_path / 'afterword.db'}")
    config = alembic_config()
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
    engine.dispose()
    with contextlib.closing(sqlite3.connect(tmp_path / "afterword.db")) as raw, raw:
        for number in (1, 2):
            row = (number, uuid7().bytes, f"p{number}", "", "", 0, 0, None)
            raw.execute(f"INSERT INTO projects VALUES ({', '.join('?' * 8)})", row)
        for at in TIMES:
            row = (uuid7().bytes, 2, at, None, 0, None, None, None, 5, 6, 7, 8, None, None)
            raw.execute(f"INSERT INTO interactions VALUES ({', '.join('?' * 14)})", row)
    store = Store(tmp_path)
    try:
        found = store.read_now(lambda connection: connection.execute(select(*rollup_marks.c)).all())
        assert [(one.project, one.first, one.last) for one in found] == [(2, TIMES[0] // HOUR_MS, TIMES[-1] // HOUR_MS)]
        roller = RollupWorker(store)
        while roller.catch_up(0):
            pass
        total = store.read_now(lambda connection: connection.execute(select(func.sum(stored.c.count))).scalar())
        assert total == len(TIMES)
        assert store.read_now(RollupWorker.waiting) == 0
    finally:
        store.close()
