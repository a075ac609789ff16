"""A/B tests: which of several models people are happiest with, told from the feedback on the calls that they share.

A test is judged from the stored rows: whenever someone looks at it, and in the background while feedback comes in.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import msgspec

from afterword.errors import Conflict, Invalid
from afterword.ids import uuid7
from afterword.service import evidence
from afterword.service.context import Context, Home
from afterword.service.evidence import Duel, Sample, Verdict
from afterword.service.moments import shown
from afterword.service.routing import attached, callable_in, named_test
from afterword.service.values import check_key, check_text
from afterword.store import abtests as stored
from afterword.store.abtests import ABTestRow
from afterword.store.catalog import ModelRow, ProjectModelRow, ProjectRow, attach_model
from afterword.store.engine import Transaction
from afterword.store.faults import FaultLog
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

log = logging.getLogger("afterword.ab_tests")
# Seconds between two looks of the background, and how many times as long as a look takes it rests at least.
PACE = 1.0
REST = 10.0


class Judged(msgspec.Struct, frozen=True):
    """A test, what its feedback says, and the preferences between its variants, by their places."""

    row: ABTestRow
    verdict: Verdict
    duels: dict[tuple[int, int], Duel]


async def create(context: Context, *, body: NewABTest) -> ABTest:
    """Start an A/B test.

    From now on calls of the project that name no model are shared out among its models, and the feedback on them is
    counted. It ends by itself once one model is better than all others. A project has one test at a time.
    """
    project = context.project(body.project, writing=True)
    models = [_model(context, project, key, f"models[{place}]") for place, key in enumerate(body.models)]
    for place, model in enumerate(models):
        if model in models[:place]:
            raise Invalid(
                f"models[{place}] is {model.key!r}, which is there already.",
                code="same_model",
                param=f"models[{place}]",
                hint="A test is between different models.",
            )
    row = ABTestRow(
        number=0,
        id=uuid7(),
        key=check_key(body.key),
        name=check_text(body.key if body.name is None else body.name, param="name", most=1000, least=1),
        project=project.number,
        metric=context.metric(project.number, body.metric).number,
        feedback_type=body.feedback_type,
        traffic_split=body.traffic_split,
        auto_deploy=body.auto_deploy,
        alpha=evidence.ALPHA,
        status=stored.ACTIVE,
        created_at=context.now(),
        models=tuple(model.number for model in models),
    )
    row = await context.store.write(lambda transaction: stored.add_test(transaction, row))
    context.catalog.tests.keep(row)
    return _shown(context.home, await judge(context.home, row), whole=True)


async def list_tests(context: Context, *, query: Any) -> ABTestList:
    """List the A/B tests that the key may see, the newest first: all, those of a project, the active ones, or those
    of one status."""
    only = None if query.project is None else context.project(query.project).number
    rows = [
        row
        for row in context.catalog.tests.all.values()
        if context.actor.sees(row.project)
        and only in (None, row.project)
        and query.active in (None, row.status == stored.ACTIVE)
    ]
    judged = [await judge(context.home, row) for row in sorted(rows, key=lambda row: row.number, reverse=True)]
    tests = [_shown(context.home, one, whole=False) for one in judged]
    return ABTestList(
        ab_tests=[
            test
            for test in tests
            # A look may have ended it.
            if query.status in (None, test.status) and query.active in (None, test.ended_at is None)
        ]
    )


async def get(context: Context, test: str) -> ABTest:
    """Show an A/B test with its report, by key or id."""
    return _shown(context.home, await judge(context.home, named_test(context, test)), whole=True)


async def cancel(context: Context, test: str) -> ABTest:
    """Cancel an A/B test: calls go to the default model again. What was counted stays."""
    row = named_test(context, test)
    cancelled = msgspec.structs.replace(row, status=stored.CANCELLED, ended_at=context.now())
    ended = await context.store.write(lambda transaction: stored.end_test(transaction, cancelled))
    if ended is None:
        raise Conflict(
            f"The A/B test {row.key!r} has ended already.",
            code="ab_test_ended",
            param="test",
            hint=f"See how: GET /api/v1/ab-tests/{row.key}.",
        )
    context.catalog.tests.keep(ended)
    return _shown(context.home, await judge(context.home, ended), whole=True)


def _model(context: Context, project: ProjectRow, key: str, param: str) -> ModelRow:
    """Return a model that the project may call, by key, id or PROJECT/MODEL."""
    row = attached(context, project, key) or attached(context, project, key.removeprefix(f"{project.key}/"))
    if row is None:
        raise Invalid(
            f"{param} is {key[:200]!r}, which {project.key!r} cannot call.",
            code="model_not_callable",
            param=param,
            hint=f"Attach it first: POST /api/v1/projects/{project.key}/models.",
        )
    return row


# ------------------------------------------------------------------------------------------------ judging


async def judge(home: Home, row: ABTestRow) -> Judged:
    """Say what the feedback of a test says by now; end the test where that is proven."""
    judged = await home.store.read_long(_judged, home, row)
    place = judged.verdict.winner
    if row.status != stored.ACTIVE or place is None:
        return judged
    await _end(home, row, row.models[place])
    return msgspec.structs.replace(judged, row=home.catalog.tests.all[row.number])


def _judged(connection: Any, home: Home, row: ABTestRow) -> Judged:
    places = {model: place for place, model in enumerate(row.models)}
    if row.feedback_type == "metric":
        metric = home.catalog.metrics[row.metric]
        samples = [Sample(0, 0.0, 0.0)] * len(places)
        for one in stored.values_of(connection, row):
            samples[places[one.model]] = Sample(one.n, one.mean, one.squares)
        verdict = evidence.of_values(
            samples,
            lower_is_better=metric.scoring_type == "lower_is_better",
            is_share=metric.kind == "bool",
            alpha=row.alpha,
        )
        return Judged(row, verdict, {})
    duels: dict[tuple[int, int], Duel] = {}
    for one in stored.preferences_of(connection, row):
        pair = places[one.preferred], places[one.other]
        first, turned = min(pair), pair[0] > pair[1]
        seen = Duel(
            wins=one.n if one.tied is None else 0,
            losses=0,
            ties_good=one.n if one.tied == "good" else 0,
            ties_bad=one.n if one.tied == "bad" else 0,
        )
        pair = first, max(pair)
        duels[pair] = duels.get(pair, Duel(0, 0)).plus(seen.turned() if turned else seen)
    return Judged(row, evidence.of_preferences(len(places), duels, alpha=row.alpha), duels)


async def _end(home: Home, row: ABTestRow, winner: int) -> None:
    """End a test in favour of a model, which becomes the default where that was asked for and it can be called."""
    done = msgspec.structs.replace(row, status=stored.DONE, ended_at=Context.now(), winner=winner)
    project = home.catalog.projects[row.project]
    deployed: ProjectModelRow | None = None
    if row.auto_deploy and not project.archived and callable_in(home.catalog, row.project, winner):
        its = home.catalog.project_models[row.project, winner]
        deployed = msgspec.structs.replace(its, is_default=True)

    def end(transaction: Transaction) -> tuple[ABTestRow | None, list[ProjectModelRow]]:
        ended = stored.end_test(transaction, done)
        return ended, attach_model(transaction, deployed) if ended and deployed else []

    ended, changed = await home.store.write(end)
    if ended is None:
        return
    home.catalog.tests.keep(ended)
    for one in changed:
        home.catalog.keep(one)
    log.info("The A/B test %s has ended: %s is better.", row.key, home.catalog.models[winner].key)


class Referee:
    """Judges the tests under way while feedback comes in, so that they end without anyone looking."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._faults = FaultLog(log, home.store, "The A/B tests could not be judged")
        self._heard = -1

    async def watch(self) -> None:
        """Look about once a second, and as seldom as it takes to spend little time on it; until cancelled."""
        while True:
            started = time.monotonic()
            try:
                await self.look()
            except Exception as error:
                self._faults.tell(error)
            await asyncio.sleep(max(PACE, REST * (time.monotonic() - started)))

    async def look(self) -> None:
        """Judge the tests under way, if feedback has come since the last time; the first time in any case."""
        inserted = self._home.store.queue.inserted
        # No feedback is asked what it is for: these are counted for the figures anyway.
        heard = inserted["feedback"] + inserted["preferences"]
        # What other servers took in is not counted here.
        if (heard != self._heard or self._home.store.database.SHARED) and self._home.store.in_charge:
            for row in list(self._home.catalog.tests.active.values()):
                await judge(self._home, row)
            self._heard = heard


# ------------------------------------------------------------------------------------------------ showing


def _shown(home: Home, judged: Judged, *, whole: bool) -> ABTest:
    row, verdict, catalog = judged.row, judged.verdict, home.catalog
    given = sum(sample.n for sample in verdict.samples)
    return ABTest(
        id=row.id,
        key=row.key,
        name=row.name,
        project=catalog.projects[row.project].key,
        metric=catalog.metrics[row.metric].key,
        models=[catalog.models[model].key for model in row.models],
        feedback_type=row.feedback_type,
        traffic_split=row.traffic_split,
        auto_deploy=bool(row.auto_deploy),
        alpha=row.alpha,
        status=_status(judged),
        created_at=shown(row.created_at),
        ended_at=None if row.ended_at is None else shown(row.ended_at),
        winner=None if row.winner is None else catalog.models[row.winner].key,
        # A preference is about two of them.
        feedbacks=given if row.feedback_type == "metric" else given // 2,
        has_enough_feedbacks=verdict.enough,
        report=_report(home, judged) if whole else None,
    )


def _status(judged: Judged) -> ABTestStatus:
    match judged.row.status:
        case stored.DONE:
            return "done"
        case stored.CANCELLED:
            return "cancelled"
        case _:
            return "in_progress" if judged.verdict.enough else "warmup"


def _report(home: Home, judged: Judged) -> ABReport:
    keys = [home.catalog.models[model].key for model in judged.row.models]
    variants: list[ABVariant] = []
    for place, (key, sample, its) in enumerate(
        zip(keys, judged.verdict.samples, judged.verdict.intervals, strict=True)
    ):
        comparisons = None
        if judged.row.feedback_type == "preference":
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
                if other != place
                for duel in [evidence.seen(judged.duels, place, other)]
            ]
        variants.append(
            ABVariant(
                model=key,
                feedbacks=sample.n,
                mean=sample.mean if sample.n else None,
                interval=None if its is None else ABInterval(start=its.start, middle=its.middle, end=its.end),
                comparisons=comparisons,
            )
        )
    return ABReport(p_value=judged.verdict.p_value, variants=variants)
