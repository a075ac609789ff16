"""A/B tests: models compared by the feedback on the calls that are shared out among them, or by outcomes of sessions.

A test is judged from the stored rows: whenever it is shown, and in the background while feedback arrives.
"""

from __future__ import annotations

import logging

import msgspec
from sqlalchemy import Connection

from afterword.errors import Conflict, Invalid
from afterword.ids import uuid7
from afterword.service.context import AppState, Context
from afterword.service.models.routing import find_callable_model, get_test_row, is_callable_in
from afterword.service.timestamps import to_datetime
from afterword.service.validation import check_key, check_text
from afterword.statistics import anytime_valid
from afterword.statistics.anytime_valid import Duel, SampleStatistics, Verdict
from afterword.store import ab_tests as stored
from afterword.store.ab_tests import ABTestRow
from afterword.store.background.worker import LoopWorker
from afterword.store.catalog import ModelRow, ProjectModelRow, ProjectRow, attach_model
from afterword.store.engine import Transaction
from afterword.types import (
    ABComparison,
    ABInterval,
    ABReport,
    ABTest,
    ABTestList,
    ABTestStatus,
    ABVariant,
    NewABTest,
)
from afterword.types.queries import ABTestsQuery

log = logging.getLogger("afterword.ab_tests")


class JudgedTest(msgspec.Struct, frozen=True):
    """A test and the verdict of its feedback.

    `duels` has the preferences between its variants, by their indexes. `mixed_session_count` is set for a test of
    sessions.
    """

    row: ABTestRow
    verdict: Verdict
    duels: dict[tuple[int, int], Duel] = {}
    mixed_session_count: int | None = None


async def create_test(context: Context, *, body: NewABTest) -> ABTest:
    """Start an A/B test.

    Calls of the project that name no model are then shared out among the test's models, and the feedback on them is
    counted. The test ends by itself once one model is shown to be better than all others. A project can have one active
    test.
    """
    project = context.project(body.project, writing=True)
    models = [_callable_model(context, project, key, f"models[{index}]") for index, key in enumerate(body.models)]
    for index, model in enumerate(models):
        if model in models[:index]:
            raise Invalid(
                f"models[{index}] is {model.key!r}, which is there already.",
                code="same_model",
                param=f"models[{index}]",
                hint="A test is between different models.",
            )
    if body.level == "session" and body.feedback_type == "preference":
        raise Invalid(
            "level is 'session', but preferences are between completions.",
            code="no_session_preferences",
            param="level",
            hint="Leave level out, or judge by values: feedback_type 'metric'.",
        )
    row = ABTestRow(
        number=0,
        id=uuid7(),
        key=check_key(body.key),
        name=check_text(body.key if body.name is None else body.name, param="name", max_length=1000, min_length=1),
        project=project.number,
        metric=context.metric(project.number, body.metric).number,
        feedback_type=body.feedback_type,
        traffic_split=body.traffic_split,
        auto_deploy=body.auto_deploy,
        alpha=anytime_valid.SIGNIFICANCE_LEVEL,
        status=stored.ACTIVE,
        created_at=context.now(),
        models=tuple(model.number for model in models),
        level=body.level,
    )
    row = await context.store.write(lambda transaction: stored.add_test(transaction, row))
    context.catalog.tests.keep(row)
    return _serialized_test(context.state, await judge(context.state, row), with_report=True)


async def list_tests(context: Context, *, query: ABTestsQuery) -> ABTestList:
    """List the A/B tests that the key may see, newest first: all, or those of a project or status, or active ones."""
    project_number = None if query.project is None else context.project(query.project).number
    rows = [
        row
        for row in context.catalog.tests.all.values()
        if context.actor.sees(row.project)
        and project_number in (None, row.project)
        and query.active in (None, row.status == stored.ACTIVE)
    ]
    judged_tests = [await judge(context.state, row) for row in sorted(rows, key=lambda row: row.number, reverse=True)]
    tests = [_serialized_test(context.state, judged_test, with_report=False) for judged_test in judged_tests]
    return ABTestList(
        ab_tests=[
            test
            for test in tests
            # Judging may have ended the test.
            if query.status in (None, test.status) and query.active in (None, test.ended_at is None)
        ]
    )


async def get_test(context: Context, test: str) -> ABTest:
    """Show an A/B test with its report, by key or id."""
    return _serialized_test(context.state, await judge(context.state, get_test_row(context, test)), with_report=True)


async def cancel(context: Context, test: str) -> ABTest:
    """Cancel an A/B test: calls go to the default model again. The feedback counted so far stays."""
    row = get_test_row(context, test)
    cancelled_row = msgspec.structs.replace(row, status=stored.CANCELLED, ended_at=context.now())
    ended_row = await context.store.write(lambda transaction: stored.end_test(transaction, cancelled_row))
    if ended_row is None:
        raise Conflict(
            f"The A/B test {row.key!r} has ended already.",
            code="ab_test_ended",
            param="test",
            hint=f"See how: GET /api/v1/ab-tests/{row.key}.",
        )
    context.catalog.tests.keep(ended_row)
    return _serialized_test(context.state, await judge(context.state, ended_row), with_report=True)


def _callable_model(context: Context, project: ProjectRow, key: str, param: str) -> ModelRow:
    """Return a model that the project may call, by key, id or PROJECT/MODEL."""
    row = find_callable_model(context, project, key) or find_callable_model(
        context, project, key.removeprefix(f"{project.key}/")
    )
    if row is None:
        raise Invalid(
            f"{param} is {key[:200]!r}, which {project.key!r} cannot call.",
            code="model_not_callable",
            param=param,
            hint=f"Attach it first: POST /api/v1/projects/{project.key}/models.",
        )
    return row


# ------------------------------------------------------------------------------------------------ judging


async def judge(state: AppState, row: ABTestRow) -> JudgedTest:
    """Return a test with its current verdict; end the test if it has a winner."""
    judged_test = await state.store.read_long(_judged_test, state, row)
    winner_index = judged_test.verdict.winner
    if row.status != stored.ACTIVE or winner_index is None:
        return judged_test
    await _end_test(state, row, row.models[winner_index])
    return msgspec.structs.replace(judged_test, row=state.catalog.tests.all[row.number])


def _judged_test(connection: Connection, state: AppState, row: ABTestRow) -> JudgedTest:
    index_of_model = {model: index for index, model in enumerate(row.models)}
    if row.feedback_type == "metric":
        metric = state.catalog.metrics[row.metric]
        samples = [SampleStatistics(0, 0.0, 0.0)] * len(index_of_model)
        mixed_session_count: int | None = None
        if row.level == "session":
            group_rows, mixed_session_count = stored.session_values_of(connection, row)
        else:
            group_rows = stored.values_of(connection, row)
        for group_row in group_rows:
            samples[index_of_model[group_row.model]] = SampleStatistics(group_row.n, group_row.mean, group_row.squares)
        verdict = anytime_valid.verdict_of_values(
            samples,
            lower_is_better=metric.scoring_type == "lower_is_better",
            is_share=metric.kind == "bool",
            alpha=row.alpha,
        )
        return JudgedTest(row, verdict, mixed_session_count=mixed_session_count)
    duels: dict[tuple[int, int], Duel] = {}
    for group_row in stored.preferences_of(connection, row):
        pair = index_of_model[group_row.preferred], index_of_model[group_row.other]
        first, is_reversed = min(pair), pair[0] > pair[1]
        duel = Duel(
            wins=group_row.n if group_row.tied is None else 0,
            losses=0,
            ties_good=group_row.n if group_row.tied == "good" else 0,
            ties_bad=group_row.n if group_row.tied == "bad" else 0,
        )
        pair = first, max(pair)
        duels[pair] = duels.get(pair, Duel(0, 0)).plus(duel.reversed_duel() if is_reversed else duel)
    return JudgedTest(row, anytime_valid.verdict_of_preferences(len(index_of_model), duels, alpha=row.alpha), duels)


async def _end_test(state: AppState, row: ABTestRow, winner: int) -> None:
    """End a test with a winner, which becomes the default if `auto_deploy` is set and it can be called."""
    done_row = msgspec.structs.replace(row, status=stored.DONE, ended_at=Context.now(), winner=winner)
    project = state.catalog.projects[row.project]
    deployed_model: ProjectModelRow | None = None
    if row.auto_deploy and not project.archived and is_callable_in(state.catalog, row.project, winner):
        project_model = state.catalog.project_models[row.project, winner]
        deployed_model = msgspec.structs.replace(project_model, is_default=True)

    def end(transaction: Transaction) -> tuple[ABTestRow | None, list[ProjectModelRow]]:
        ended_row = stored.end_test(transaction, done_row)
        return ended_row, attach_model(transaction, deployed_model) if ended_row and deployed_model else []

    ended_row, changed_rows = await state.store.write(end)
    if ended_row is None:
        return
    state.catalog.tests.keep(ended_row)
    for changed_row in changed_rows:
        state.catalog.keep(changed_row)
    log.info("The A/B test %s has ended: %s is better.", row.key, state.catalog.models[winner].key)


class ABTestWorker(LoopWorker):
    """A worker that judges the running tests while feedback comes in, so that they end without a request."""

    name = "ab-tests"
    log = log
    failure_text = "The A/B tests could not be judged"
    poll_seconds = 1.0
    rest_factor = 10.0

    def __init__(self, state: AppState) -> None:
        super().__init__(state.store)
        self._state = state
        self._judged_feedback_count = -1

    async def step(self) -> bool:
        """Judge the running tests if feedback was given since the last step, and in the first step."""
        inserted = self._state.store.queue.inserted
        # All feedback counts, whether it is for a test or not: the store counts it for Prometheus anyway.
        feedback_count = inserted["feedback"] + inserted["preferences"] + inserted["outcomes"]
        # Feedback that other servers stored is not counted here.
        if (
            feedback_count != self._judged_feedback_count or self._state.store.database.SHARED
        ) and self._state.store.in_charge:
            for row in list(self._state.catalog.tests.active.values()):
                await judge(self._state, row)
            self._judged_feedback_count = feedback_count
        return False


# ------------------------------------------------------------------------------------------------ showing


def _serialized_test(state: AppState, judged_test: JudgedTest, *, with_report: bool) -> ABTest:
    row, verdict, catalog = judged_test.row, judged_test.verdict, state.catalog
    feedback_count = sum(sample.n for sample in verdict.samples)
    return ABTest(
        id=row.id,
        key=row.key,
        name=row.name,
        project=catalog.projects[row.project].key,
        metric=catalog.metrics[row.metric].key,
        models=[catalog.models[model].key for model in row.models],
        feedback_type=row.feedback_type,
        level=row.level,
        traffic_split=row.traffic_split,
        auto_deploy=bool(row.auto_deploy),
        alpha=row.alpha,
        status=_status(judged_test),
        created_at=to_datetime(row.created_at),
        ended_at=None if row.ended_at is None else to_datetime(row.ended_at),
        winner=None if row.winner is None else catalog.models[row.winner].key,
        # A preference counts for two variants.
        feedbacks=feedback_count if row.feedback_type == "metric" else feedback_count // 2,
        has_enough_feedbacks=verdict.has_enough_feedbacks,
        report=_report(state, judged_test) if with_report else None,
    )


def _status(judged_test: JudgedTest) -> ABTestStatus:
    match judged_test.row.status:
        case stored.DONE:
            return "done"
        case stored.CANCELLED:
            return "cancelled"
        case _:
            return "in_progress" if judged_test.verdict.has_enough_feedbacks else "warmup"


def _report(state: AppState, judged_test: JudgedTest) -> ABReport:
    keys = [state.catalog.models[model].key for model in judged_test.row.models]
    variants: list[ABVariant] = []
    for index, (key, sample, interval) in enumerate(
        zip(keys, judged_test.verdict.samples, judged_test.verdict.intervals, strict=True)
    ):
        comparisons = None
        if judged_test.row.feedback_type == "preference":
            comparisons = [
                ABComparison(
                    model=keys[other],
                    feedbacks=duel.n,
                    wins=duel.wins,
                    losses=duel.losses,
                    ties_good=duel.ties_good,
                    ties_bad=duel.ties_bad,
                )
                for other in range(len(keys))
                if other != index
                for duel in [anytime_valid.duel_between(judged_test.duels, index, other)]
            ]
        variants.append(
            ABVariant(
                model=key,
                feedbacks=sample.n,
                mean=sample.mean if sample.n else None,
                interval=None
                if interval is None
                else ABInterval(start=interval.start, middle=interval.middle, end=interval.end),
                comparisons=comparisons,
            )
        )
    return ABReport(
        p_value=judged_test.verdict.p_value, variants=variants, mixed_sessions=judged_test.mixed_session_count
    )
