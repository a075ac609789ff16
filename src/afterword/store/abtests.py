"""A/B tests: held in memory beside the catalog; what was thought of their models, counted from the rows."""

from __future__ import annotations

import math
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Connection, func, select

from afterword.errors import Conflict
from afterword.store.engine import Insert, Transaction
from afterword.store.float_sums import summable
from afterword.store.schema import ab_interactions, ab_test_models, ab_tests, feedback, preferences
from afterword.types import FeedbackType

ACTIVE, DONE, CANCELLED = "active", "done", "cancelled"

INSERT_INTERACTION = Insert(ab_interactions)


class ABTestRow(msgspec.Struct, frozen=True):
    """A row of `ab_tests`, with the numbers of its models in their order."""

    number: int
    id: UUID
    key: str
    name: str
    project: int
    metric: int
    feedback_type: FeedbackType
    traffic_split: float
    auto_deploy: bool
    alpha: float
    status: str
    created_at: int
    models: tuple[int, ...]
    ended_at: int | None = None
    winner: int | None = None


class Values(NamedTuple):
    """The values that a model of a test was given: how many, their mean, the sum of their squared distances from it."""

    model: int
    n: int
    mean: float
    squares: float


class Compared(NamedTuple):
    """How often one model was preferred to another, or tied with it so."""

    preferred: int
    other: int
    tied: str | None
    n: int


class Tests:
    """What is in the tables of A/B tests, by number, key and id."""

    def __init__(self) -> None:
        self.all: dict[int, ABTestRow] = {}
        self.active: dict[int, ABTestRow] = {}
        """The test under way of each project that has one."""
        self._named: dict[str, ABTestRow] = {}
        self.changes = 0
        """How many rows were kept."""

    @classmethod
    def load(cls, connection: Connection) -> Tests:
        """Read the tables."""
        tests = cls()
        models: dict[int, list[int]] = {}
        for row in connection.execute(select(ab_test_models).order_by(ab_test_models.c.place)):
            models.setdefault(row.test, []).append(row.model)
        for row in connection.execute(select(ab_tests).order_by(ab_tests.c.number)):
            tests.keep(ABTestRow(**row._mapping, models=tuple(models[row.number])))
        return tests

    def keep(self, row: ABTestRow) -> None:
        """Hold a test as it now stands in the store."""
        self.changes += 1
        self.all[row.number] = self._named[row.key] = self._named[str(row.id)] = row
        if row.status == ACTIVE:
            self.active[row.project] = row
        elif (held := self.active.get(row.project)) and held.number == row.number:
            del self.active[row.project]

    def find(self, id_or_key: str) -> ABTestRow | None:
        """Return the test of that key or id."""
        return self._named.get(id_or_key)


# ------------------------------------------------------------------------------------------------ units of work


def add_test(transaction: Transaction, row: ABTestRow) -> ABTestRow:
    """Insert a test. Raises `Conflict` when its key is taken, or another is under way in its project."""
    transaction.alone()
    connection = transaction.connection
    if connection.execute(select(ab_tests.c.number).where(ab_tests.c.key == row.key)).first():
        raise Conflict(
            f"An A/B test with the key {row.key!r} exists already; keys of tests are unique over all projects.",
            code="ab_test_exists",
            param="key",
            hint="Choose another key.",
        )
    under_way = (ab_tests.c.project == row.project, ab_tests.c.status == ACTIVE)
    if other := connection.execute(select(ab_tests.c.key).where(*under_way)).scalar():
        raise Conflict(
            f"The A/B test {other!r} is under way in this project, and there can be one at a time.",
            code="ab_test_under_way",
            param="project",
            hint=f"Wait for its end, or cancel it: POST /api/v1/ab-tests/{other}/cancel.",
        )
    values = {name: getattr(row, name) for name in row.__struct_fields__ if name not in ("number", "models")}
    number: int = connection.execute(ab_tests.insert().values(**values)).inserted_primary_key[0]  # pyright: ignore
    for place, model in enumerate(row.models):
        connection.execute(ab_test_models.insert().values(test=number, model=model, place=place))
    return msgspec.structs.replace(row, number=number)


def end_test(transaction: Transaction, row: ABTestRow) -> ABTestRow | None:
    """Write how a test ended; None where it had ended before."""
    under_way = (ab_tests.c.number == row.number, ab_tests.c.status == ACTIVE)
    ending = ab_tests.update().where(*under_way)
    ended = ending.values(status=row.status, ended_at=row.ended_at, winner=row.winner)
    return row if transaction.connection.execute(ended).rowcount else None


# ------------------------------------------------------------------------------------------------ counting


def values_of(connection: Connection, row: ABTestRow) -> list[Values]:
    """Return the values under a test's metric, for each of its models that has some."""
    its = (
        select(ab_interactions.c.model, summable(feedback.c.value).label("value"))
        .join(feedback, feedback.c.interaction_id == ab_interactions.c.interaction_id)
        .where(ab_interactions.c.test == row.number, feedback.c.metric == row.metric)
        .subquery()
    )
    means = (
        select(
            its.c.model,
            func.count().label("n"),
            func.count(its.c.value).label("summable"),
            func.avg(its.c.value).label("mean"),
        )
        .group_by(its.c.model)
        .subquery()
    )
    # By distances from the mean: the difference of sums of squares would lose what is small beside the mean.
    away = its.c.value - means.c.mean
    query = (
        select(means.c.model, means.c.n, means.c.summable, means.c.mean, func.sum(away * away))
        .join(its, its.c.model == means.c.model)
        .group_by(means.c.model, means.c.n, means.c.summable, means.c.mean)
    )
    # Where some value is beyond what can be summed there is no mean.
    return [
        Values(model, n, mean, squares) if summed == n else Values(model, n, math.nan, math.nan)
        for model, n, summed, mean, squares in connection.execute(query)
    ]


def preferences_of(connection: Connection, row: ABTestRow) -> list[Compared]:
    """Return the preferences under a test's metric between interactions of different models of it."""
    one, other = ab_interactions.alias("one"), ab_interactions.alias("other")
    query: Any = (
        select(one.c.model, other.c.model, preferences.c.tied, func.count())
        .select_from(one)
        .join(preferences, preferences.c.interaction_id == one.c.interaction_id)
        .join(other, other.c.interaction_id == preferences.c.other_id)
        .where(
            one.c.test == row.number,
            other.c.test == row.number,
            one.c.model != other.c.model,
            preferences.c.metric == row.metric,
            # Each preference once, as the one that was preferred has it.
            preferences.c.side == 1,
        )
        .group_by(one.c.model, other.c.model, preferences.c.tied)
    )
    return [Compared(*found) for found in connection.execute(query)]
