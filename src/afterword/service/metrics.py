"""Metrics: the feedback keys that values are logged under."""

from __future__ import annotations

from typing import Any
from uuid import uuid5

import msgspec
from msgspec import UNSET

from afterword.errors import Conflict
from afterword.ids import uuid7
from afterword.service.context import Context
from afterword.service.moments import parse_moment, shown
from afterword.service.values import check_key, check_text
from afterword.store import feedback as stored
from afterword.store.catalog import MetricRow, ProjectRow, add_metric, change_metric
from afterword.types import Deleted, Metric, MetricChange, MetricList, Moment, NewMetric

DEFINITION = ("name", "kind", "scoring_type", "description", "unit")


SYSTEM = {
    "latency": ("Latency", "ms", "From the acceptance of a call to the last byte of its answer."),
    "ttft": ("Time to first token", "ms", "From the acceptance of a streamed call to its first word."),
    "provider_time": ("Provider time", "ms", "What the model's provider took of it."),
    "prompt_tokens": ("Prompt tokens", "tokens", "Tokens that the call sent, as the provider counts them."),
    "completion_tokens": ("Completion tokens", "tokens", "Tokens that the model answered."),
    "total_tokens": ("Total tokens", "tokens", "Both together."),
    "tokens_per_second": ("Tokens per second", "tokens/s", "Completion tokens over the time in which they came."),
}
"""The system metrics: name, unit, description."""


async def register(context: Context, *, body: NewMetric) -> Metric:
    """Register a feedback key.

    Once more with the same definition it answers the same; with another it is refused with 409.
    """
    project = context.project(body.project, writing=True)
    for param in ("description", "unit"):
        check_text(getattr(body, param), param=param)
    wanted = MetricRow(
        number=0,
        id=uuid7(),
        project=project.number,
        key=check_key(body.key),
        name=check_text(body.key if body.name is None else body.name, param="name", most=1000, least=1),
        kind=body.kind,
        scoring_type=body.scoring_type,
        description=body.description,
        unit=body.unit,
        created_at=context.now(),
        deleted_at=None,
    )
    there = context.catalog.find_metric(project.number, body.key)
    if there is None and body.key in SYSTEM:
        raise Conflict(
            f"{body.key!r} is the key of a system metric.",
            code="metric_is_measured",
            param="key",
            hint="Choose another key: the server measures this one itself.",
        )
    if there is None:
        there = await context.store.write(lambda transaction: add_metric(transaction, wanted))
        context.catalog.keep(there)
    for param in DEFINITION:
        if getattr(there, param) != getattr(wanted, param):
            raise Conflict(
                f"The metric {body.key!r} is registered already, with {param} {getattr(there, param)!r} "
                f"and not {getattr(wanted, param)!r}.",
                code="metric_exists",
                param=param,
                hint="Choose another key, or change the metric with PATCH /api/v1/metrics/{metric} (not its kind).",
            )
    return _shown(context, there)


async def list_metrics(context: Context, *, query: Any) -> MetricList:
    """List the feedback keys of a project; with `category` the system metrics, or all."""
    project = context.project(query.project)
    found = [_shown(context, row) for row in context.catalog.metrics_of(project.number)]
    keys = {one.key for one in found}
    found += [_of_system(project, key) for key in SYSTEM if key not in keys]
    return MetricList(metrics=[one for one in found if query.category in ("all", one.category)])


async def get(context: Context, metric: str, *, query: Any) -> Metric:
    """Show a metric, by key or id."""
    project = context.project(query.project)
    if context.names(project).measured(metric):
        return _of_system(project, metric)
    return _shown(context, context.metric(project.number, metric))


async def change(context: Context, metric: str, *, query: Any, body: MetricChange) -> Metric:
    """Change name, direction, description or unit of a feedback key; its kind stays."""
    row = context.metric(context.project(query.project, writing=True).number, metric)
    values = {name: value for name in body.__struct_fields__ if (value := getattr(body, name)) is not UNSET}
    for param in values.keys() - {"scoring_type"}:
        check_text(values[param], param=param, least=1 if param == "name" else 0)
    changed = msgspec.structs.replace(row, **values)
    context.catalog.keep(await context.store.write(lambda transaction: change_metric(transaction, changed)))
    return _shown(context, changed)


async def delete(context: Context, metric: str, *, query: Any) -> Deleted:
    """Delete a feedback key: no more feedback is taken under it, what was given stays with the completions."""
    row = context.metric(context.project(query.project, writing=True).number, metric)
    gone = msgspec.structs.replace(row, deleted_at=context.now())
    context.catalog.keep(await context.store.write(lambda transaction: change_metric(transaction, gone)))
    return Deleted()


def visible(context: Context, id_or_key: str) -> MetricRow | None:
    """Return a metric by its id, or the only one of that key that the key may see. Raises `Conflict` where there are
    several."""
    found = [row for row in all_visible(context) if id_or_key in (row.key, str(row.id))]
    if len(found) > 1:
        names = ", ".join(sorted(context.catalog.projects[row.project].key for row in found))
        raise Conflict(
            f"Several projects have a metric of this key ({names}).",
            code="ambiguous_metric",
            param="metric",
            hint="Name it by its id, or name the project.",
        )
    return found[0] if found else None


def all_visible(context: Context) -> list[MetricRow]:
    """Return the metrics of all projects that the key may see."""
    rows = sorted(context.catalog.metrics.values(), key=lambda row: row.number)
    return [row for row in rows if row.deleted_at is None and context.actor.sees(row.project)]


def projects_of(context: Context, row: MetricRow) -> list[ProjectRow]:
    """Return the projects that use a metric."""
    return [context.catalog.projects[row.project]]


async def used(context: Context, numbers: list[int]) -> dict[int, tuple[bool, bool]]:
    """Tell of each metric whether there is feedback, and whether there are preferences under it."""
    return await context.store.read(stored.used, numbers)


async def counted(context: Context, metric: MetricRow, from_: Moment | None, to: Moment | None) -> tuple[int, int]:
    """Count the feedback and the preferences under a metric, given within a time."""
    now = context.now()
    begin = 0 if from_ is None else parse_moment(from_, param="from", now=now)
    end = 1 << 62 if to is None else parse_moment(to, param="to", now=now)
    return await context.store.read_long(stored.counted, metric.number, begin, end)


def _of_system(project: ProjectRow, key: str) -> Metric:
    name, unit, description = SYSTEM[key]
    return Metric(
        id=uuid5(project.id, key),
        key=key,
        name=name,
        project=project.key,
        kind="scalar",
        scoring_type="higher_is_better" if key == "tokens_per_second" else "lower_is_better",
        description=description,
        unit=unit,
        created_at=shown(project.created_at),
        category="system",
    )


def _shown(context: Context, row: MetricRow) -> Metric:
    return Metric(
        id=row.id,
        key=row.key,
        name=row.name,
        project=context.catalog.projects[row.project].key,
        kind=row.kind,
        scoring_type=row.scoring_type,
        description=row.description,
        unit=row.unit,
        created_at=shown(row.created_at),
    )
