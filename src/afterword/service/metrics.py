"""Metrics: the feedback keys that values are logged under."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from afterword.errors import Conflict
from afterword.ids import uuid7
from afterword.service.context import Context
from afterword.service.moments import shown
from afterword.service.values import check_key, check_text
from afterword.store.catalog import MetricRow, add_metric, change_metric
from afterword.types import Deleted, Metric, MetricChange, MetricList, NewMetric

DEFINITION = ("name", "kind", "scoring_type", "description", "unit")


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
    """List the feedback keys of a project."""
    project = context.project(query.project)
    return MetricList(metrics=[_shown(context, row) for row in context.catalog.metrics_of(project.number)])


async def get(context: Context, metric: str, *, query: Any) -> Metric:
    """Show a feedback key, by key or id."""
    return _shown(context, context.metric(context.project(query.project).number, metric))


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
