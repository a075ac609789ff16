"""A/B tests, held in memory beside the catalog, and the feedback on their models, counted from the rows."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Connection, and_, case, func, select

from afterword.errors import Conflict
from afterword.store.engine import Insert, Transaction
from afterword.store.query.float_sums import summable
from afterword.store.schema import (
    ab_interactions,
    ab_test_models,
    ab_tests,
    feedback,
    interactions,
    outcomes,
    preferences,
)
from afterword.types import FeedbackType, Level

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
    level: Level = "interaction"


class ModelValues(NamedTuple):
    """The values of a test's model: their count, their mean, the sum of their squared deviations from it."""

    model: int
    n: int
    mean: float
    squares: float


class ModelPreferences(NamedTuple):
    """How often one model was preferred to another, or tied with it; `tied` is the kind of tie."""

    preferred: int
    other: int
    tied: str | None
    n: int


class Tests:
    """The rows of the tables of A/B tests, by number, key and id."""

    def __init__(self) -> None:
        self.all: dict[int, ABTestRow] = {}
        self.active: dict[int, ABTestRow] = {}
        """The active test of each project that has one, by the project's number."""
        self._by_name: dict[str, ABTestRow] = {}
        self.changes = 0
        """The number of rows that `keep` has stored."""

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
        """Keep a committed test in memory."""
        self.changes += 1
        self.all[row.number] = self._by_name[row.key] = self._by_name[str(row.id)] = row
        if row.status == ACTIVE:
            self.active[row.project] = row
        elif (active := self.active.get(row.project)) and active.number == row.number:
            del self.active[row.project]

    def find(self, id_or_key: str) -> ABTestRow | None:
        """Return the test of that key or id."""
        return self._by_name.get(id_or_key)


# ------------------------------------------------------------------------------------------------ units of work


def add_test(transaction: Transaction, row: ABTestRow) -> ABTestRow:
    """Insert a test. Raises `Conflict` if its key exists, or if another test is under way in its project."""
    transaction.lock_catalog()
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
    for position, model in enumerate(row.models):
        connection.execute(ab_test_models.insert().values(test=number, model=model, place=position))
    return msgspec.structs.replace(row, number=number)


def end_test(transaction: Transaction, row: ABTestRow) -> ABTestRow | None:
    """Write the end of a test; return its row, or None if it had ended before."""
    under_way = (ab_tests.c.number == row.number, ab_tests.c.status == ACTIVE)
    ending = ab_tests.update().where(*under_way)
    ended = ending.values(status=row.status, ended_at=row.ended_at, winner=row.winner)
    return row if transaction.connection.execute(ended).rowcount else None


# ------------------------------------------------------------------------------------------------ counting


def values_of(connection: Connection, row: ABTestRow) -> list[ModelValues]:
    """Return the feedback values under a test's metric, for each of its models that has values."""
    values = (
        select(ab_interactions.c.model, summable(feedback.c.value).label("value"))
        .join(feedback, feedback.c.interaction_id == ab_interactions.c.interaction_id)
        .where(ab_interactions.c.test == row.number, feedback.c.metric == row.metric)
        .subquery()
    )
    means = (
        select(
            values.c.model,
            func.count().label("n"),
            func.count(values.c.value).label("summable"),
            func.avg(values.c.value).label("mean"),
        )
        .group_by(values.c.model)
        .subquery()
    )
    # Sum squared deviations from the mean: a difference of sums of squares loses deviations small beside the mean.
    deviation = values.c.value - means.c.mean
    query = (
        select(means.c.model, means.c.n, means.c.summable, means.c.mean, func.sum(deviation * deviation))
        .join(values, values.c.model == means.c.model)
        .group_by(means.c.model, means.c.n, means.c.summable, means.c.mean)
    )
    # If a value is too large to be summed, there is no mean.
    return [
        ModelValues(model, n, mean, squares) if summed == n else ModelValues(model, n, math.nan, math.nan)
        for model, n, summed, mean, squares in connection.execute(query)
    ]


def session_values_of(connection: Connection, row: ABTestRow) -> tuple[list[ModelValues], int]:
    """Return the values of sessions with an outcome under a test's metric, for each of its models that has values, and
    the number of those sessions whose turns in the test were not all of one model. These are left out of the values.

    A session has one value, the mean of its outcomes: several outcomes of a session are not independent.
    """
    value = summable(outcomes.c.value)
    rated = (
        # A sum that leaves out a value is no mean.
        select(outcomes.c.session_id, case((func.count() == func.count(value), func.avg(value))).label("value"))
        .where(outcomes.c.project == row.project, outcomes.c.metric == row.metric)
        .group_by(outcomes.c.session_id)
        .subquery()
    )
    id, session_id = interactions.c.id, interactions.c.session_id
    members, openers = (
        select(rated.c.session_id, rated.c.value, ab_interactions.c.model)
        .select_from(rated.join(interactions, which).join(ab_interactions, ab_interactions.c.interaction_id == id))
        .where(ab_interactions.c.test == row.number)
        # An interaction whose session_id is null is in a session of its own, named by its completion_id.
        for which in (session_id == rated.c.session_id, and_(id == rated.c.session_id, session_id.is_(None)))
    )
    turns = members.union_all(openers).subquery()
    first, last = func.min(turns.c.model), func.max(turns.c.model)
    # A session that several models answered has no model.
    model = case((first == last, first)).label("model")
    sessions = select(model, turns.c.value).group_by(turns.c.session_id, turns.c.value).subquery()
    query = select(sessions.c.model, sessions.c.value, func.count()).group_by(sessions.c.model, sessions.c.value)
    session_counts: dict[int | None, list[tuple[float | None, int]]] = defaultdict(list)
    for number, session_value, session_count in connection.execute(query):
        session_counts[number].append((session_value, session_count))
    mixed_session_count = sum(session_count for _, session_count in session_counts[None])
    summaries = [_summary(number, counts) for number, counts in session_counts.items() if number is not None]
    return summaries, mixed_session_count


def _summary(model: int, counts: list[tuple[float | None, int]]) -> ModelValues:
    """Return the statistics of a model's values, given how often it has each; one that is too large is null."""
    n = sum(count for _, count in counts)
    values = [(value, count) for value, count in counts if value is not None]
    if len(values) < len(counts):
        return ModelValues(model, n, math.nan, math.nan)
    mean = math.fsum(value * count for value, count in values) / n
    return ModelValues(model, n, mean, math.fsum(count * (value - mean) ** 2 for value, count in values))


def preferences_of(connection: Connection, row: ABTestRow) -> list[ModelPreferences]:
    """Return the preferences under a test's metric between interactions of different models of the test."""
    preferred, other = ab_interactions.alias("one"), ab_interactions.alias("other")
    query: Any = (
        select(preferred.c.model, other.c.model, preferences.c.tied, func.count())
        .select_from(preferred)
        .join(preferences, preferences.c.interaction_id == preferred.c.interaction_id)
        .join(other, other.c.interaction_id == preferences.c.other_id)
        .where(
            preferred.c.test == row.number,
            other.c.test == row.number,
            preferred.c.model != other.c.model,
            preferences.c.metric == row.metric,
            # A preference has two rows: count that of the preferred side.
            preferences.c.side == 1,
        )
        .group_by(preferred.c.model, other.c.model, preferences.c.tied)
    )
    return [ModelPreferences(*columns) for columns in connection.execute(query)]
