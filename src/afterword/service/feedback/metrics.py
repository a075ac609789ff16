"""Metrics: the feedback keys that values are logged under."""

from __future__ import annotations

from collections.abc import Collection
from typing import NoReturn
from uuid import UUID, uuid5

from msgspec import UNSET

from afterword.errors import Conflict, NotFound
from afterword.ids import uuid7
from afterword.service.access import check_for_all_projects, sees_metric
from afterword.service.context import Context
from afterword.service.timestamps import parse_timestamp, to_datetime
from afterword.service.validation import check_key, check_text
from afterword.store import feedback as stored
from afterword.store.catalog import (
    MetricLinkRow,
    MetricRow,
    ProjectRow,
    add_metric,
    change_metric,
    link_metric,
    unlink_metric,
)
from afterword.types import Deleted, LinkedMetric, Metric, MetricChange, MetricList, Moment, NewMetric
from afterword.types.queries import MetricsQuery, ProjectQuery

DEFINITION_FIELDS = ("name", "kind", "scoring_type", "description", "unit")


SYSTEM_METRICS = {
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

    Repeating the call returns the same metric; another definition under its key is refused with 409. A shared metric
    belongs to no project: projects are linked to it.
    """
    owner = 0 if body.shared else context.project(body.project, writing=True).number
    if body.shared:
        check_for_all_projects(context.actor, "it registers metrics in these, and no shared ones", param="shared")
    for param in ("description", "unit"):
        check_text(getattr(body, param), param=param)
    new_row = MetricRow(
        number=0,
        id=uuid7(),
        project=owner,
        key=check_key(body.key),
        name=check_text(body.key if body.name is None else body.name, param="name", max_length=1000, min_length=1),
        kind=body.kind,
        scoring_type=body.scoring_type,
        description=body.description,
        unit=body.unit,
        created_at=context.now(),
        deleted_at=None,
    )
    existing = context.catalog.find_metric(owner, body.key)
    if existing is None and body.key in SYSTEM_METRICS:
        raise Conflict(
            f"{body.key!r} is the key of a system metric.",
            code="metric_is_measured",
            param="key",
            hint="Choose another key: the server measures this one itself.",
        )
    if existing is None:
        existing = await context.store.write(lambda transaction: add_metric(transaction, new_row))
        context.catalog.keep(existing)
    for param in DEFINITION_FIELDS:
        if getattr(existing, param) != getattr(new_row, param):
            raise Conflict(
                f"The metric {body.key!r} is registered already, with {param} {getattr(existing, param)!r} "
                f"and not {getattr(new_row, param)!r}.",
                code="metric_exists",
                param=param,
                hint="Choose another key, or change the metric with PATCH /api/v1/metrics/{metric} (not its kind).",
            )
    return serialized_metric(context, existing)


async def list_metrics(context: Context, *, query: MetricsQuery) -> MetricList:
    """List the feedback keys of a project; with `category`, the system metrics or all metrics."""
    project = context.project(query.project)
    metric_list = [serialized_metric(context, row) for row in context.catalog.metrics_of(project.number)]
    keys = {metric.key for metric in metric_list}
    metric_list += [_serialized_system_metric(project, key) for key in SYSTEM_METRICS if key not in keys]
    return MetricList(metrics=[metric for metric in metric_list if query.category in ("all", metric.category)])


async def get_metric(context: Context, metric: str, *, query: ProjectQuery) -> Metric:
    """Show a metric, by key or id."""
    project = context.project(query.project)
    if context.names(project).measured(metric):
        return _serialized_system_metric(project, metric)
    return serialized_metric(context, context.metric(project.number, metric))


async def update_metric(context: Context, metric: str, *, query: ProjectQuery, body: MetricChange) -> Metric:
    """Change the name, direction, description or unit of a feedback key. The kind cannot change."""
    row = _changeable_metric(context, query.project, metric)
    values = {name: value for name in body.__struct_fields__ if (value := getattr(body, name)) is not UNSET}
    for param in values.keys() - {"scoring_type"}:
        check_text(values[param], param=param, min_length=1 if param == "name" else 0)
    changed_row = await context.store.write(lambda transaction: change_metric(transaction, row.number, values))
    context.catalog.keep(changed_row or _raise_metric_not_found(metric))
    return serialized_metric(context, changed_row)


async def delete_metric(context: Context, metric: str, *, query: ProjectQuery) -> Deleted:
    """Delete a feedback key: it accepts no more feedback. Existing feedback stays with the completions."""
    row = _changeable_metric(context, query.project, metric)
    deletion_values = {"deleted_at": context.now()}
    changed_row = await context.store.write(lambda transaction: change_metric(transaction, row.number, deletion_values))
    context.catalog.keep(changed_row or _raise_metric_not_found(metric))
    return Deleted()


def _changeable_metric(context: Context, project: str | None, metric: str) -> MetricRow:
    """Return a metric that the project may change: its own, or a shared one for a key of all projects."""
    project_row = context.project(project, writing=True)
    row = context.metric(project_row.number, metric)
    if row.project != project_row.number and (row.project or context.actor.projects is not None):
        raise Conflict(
            f"The metric {row.key!r} is only linked to {project_row.key!r}.",
            code="metric_is_linked",
            param="metric",
            hint="Change it in the project that it belongs to, or unlink it here.",
        )
    return row


# ------------------------------------------------------------------------------------------------ across projects


async def link(context: Context, project: str, *, body: LinkedMetric) -> Metric:
    """Link a shared metric, or one of another project, to a project. The call can be repeated."""
    project_row = context.project(project, writing=True)
    row = get_metric_row(context, body.metric)
    existing = context.catalog.find_metric(project_row.number, row.key)
    if existing is not None and existing.number != row.number:
        raise Conflict(
            f"The project {project_row.key!r} has another metric with the key {row.key!r}.",
            code="metric_exists",
            param="metric",
            hint="Unlink or delete that one first, or use it in place of this one.",
        )
    if existing is None:
        link_row = MetricLinkRow(project=project_row.number, metric=row.number)
        context.catalog.keep(await context.store.write(lambda transaction: link_metric(transaction, link_row)))
    return serialized_metric(context, row)


async def unlink(context: Context, project: str, metric: str) -> Deleted:
    """Unlink a metric from a project. Existing values stay with the completions."""
    project_row = context.project(project, writing=True)
    row = context.metric(project_row.number, metric)
    if row.project == project_row.number:
        raise Conflict(
            f"The metric {row.key!r} is the project's own, and not linked.",
            code="metric_not_linked",
            param="metric",
            hint="Delete it with DELETE /api/v1/metrics/{metric}, if it shall be used no more.",
        )
    link_row = MetricLinkRow(project=project_row.number, metric=row.number)
    if not await context.store.write(lambda transaction: unlink_metric(transaction, link_row)):
        _raise_metric_not_found(metric)
    context.catalog.drop(link_row)
    return Deleted()


def visible_metrics(context: Context) -> list[Metric]:
    """Return the metrics of all projects that the key may see, and the shared ones, in the order of registration."""
    return [serialized_metric(context, row) for row in _visible_rows(context)]


def _visible_rows(context: Context) -> list[MetricRow]:
    rows = sorted(context.catalog.metrics.values(), key=lambda row: row.number)
    return [row for row in rows if row.deleted_at is None and sees_metric(context.catalog, context.actor, row)]


def metrics_of_project(context: Context, project: str) -> list[Metric]:
    """Return the metrics that a project owns or is linked to, by key; none if the key may not see the project."""
    row = context.find_project(project)
    rows = context.catalog.metrics_of(row.number) if row else []
    return [serialized_metric(context, metric) for metric in rows]


def find_metric(context: Context, project: str, id_or_key: str) -> Metric | None:
    """Return a metric of a project; None if it does not exist, or if the key may not see the project."""
    project_row = context.find_project(project)
    row = project_row and context.catalog.find_metric(project_row.number, id_or_key)
    return row and serialized_metric(context, row)


def get_metric_of_any_project(context: Context, id_or_key: str) -> Metric:
    """Return a metric that is named without its project. Raises `NotFound` and `Conflict` as `get_metric_row` does."""
    return serialized_metric(context, get_metric_row(context, id_or_key))


def get_metric_row(context: Context, id_or_key: str) -> MetricRow:
    """Return a metric that is named without its project: by its id; else the shared one, or the only one, of that key.

    Raises `NotFound`; `Conflict` if there are several.
    """
    matching_rows = [row for row in _visible_rows(context) if id_or_key in (row.key, str(row.id))]
    row = next((row for row in matching_rows if row.project == 0 or str(row.id) == id_or_key), None)
    if row is None and len(matching_rows) > 1:
        names = ", ".join(sorted({project for row in matching_rows for project in _projects_of(context, row)}))
        raise Conflict(
            f"Several projects have a metric of this key ({names}).",
            code="ambiguous_metric",
            param="metric",
            hint="Name it by its id, or name the project.",
        )
    if row is None and not matching_rows:
        _raise_metric_not_found(id_or_key)
    return row or matching_rows[0]


def _raise_metric_not_found(id_or_key: str) -> NoReturn:
    raise NotFound(
        f"{id_or_key[:200]!r} is not registered, or this key may not see it.",
        noun="metric",
        code="metric_not_found",
        param="metric",
        hint="Register the feedback key first: POST /api/v1/metrics, or feedback.register_key(...).",
    )


def _projects_of(context: Context, row: MetricRow) -> list[str]:
    visible_numbers = filter(context.actor.sees, sorted(context.catalog.projects_of(row)))
    return [context.catalog.projects[number].key for number in visible_numbers]


def _rows_by_id(context: Context, ids: Collection[UUID]) -> dict[UUID, MetricRow]:
    return {row.id: row for row in list(context.catalog.metrics.values()) if row.id in ids}


async def projects_of_metrics(context: Context, ids: Collection[UUID]) -> dict[UUID, list[str]]:
    """Return for each of these metrics the projects that use it and that the key may see."""
    rows = _rows_by_id(context, set(ids))
    return {metric_id: _projects_of(context, row) for metric_id, row in rows.items()}


async def metric_usage(context: Context, ids: Collection[UUID]) -> dict[UUID, tuple[bool, bool]]:
    """Return for each of these metrics whether the key may see feedback under it, and whether preferences."""
    rows = _rows_by_id(context, set(ids))
    numbers = [row.number for row in rows.values()]
    usage = await context.store.read(stored.metric_usage, numbers, context.actor.projects)
    return {metric_id: usage[row.number] for metric_id, row in rows.items()}


async def count_feedback(context: Context, metric: UUID, from_: Moment | None, to: Moment | None) -> tuple[int, int]:
    """Count the feedback and the preferences under a metric that the key may see, given between these times."""
    now = context.now()
    begin = 0 if from_ is None else parse_timestamp(from_, param="from", now=now)
    end = 1 << 62 if to is None else parse_timestamp(to, param="to", now=now)
    row = _rows_by_id(context, {metric})[metric]
    return await context.store.read_long(stored.count_values, row.number, begin, end, context.actor.projects)


def _serialized_system_metric(project: ProjectRow, key: str) -> Metric:
    name, unit, description = SYSTEM_METRICS[key]
    return Metric(
        id=uuid5(project.id, key),
        key=key,
        name=name,
        project=project.key,
        kind="scalar",
        scoring_type="higher_is_better" if key == "tokens_per_second" else "lower_is_better",
        description=description,
        unit=unit,
        created_at=to_datetime(project.created_at),
        category="system",
    )


def serialized_metric(context: Context, row: MetricRow) -> Metric:
    """Return a metric as the API shows it; its project is null if the key may not see that."""
    is_owner_visible = row.project and context.actor.sees(row.project)
    return Metric(
        id=row.id,
        key=row.key,
        name=row.name,
        project=context.catalog.projects[row.project].key if is_owner_visible else None,
        kind=row.kind,
        scoring_type=row.scoring_type,
        description=row.description,
        unit=row.unit,
        created_at=to_datetime(row.created_at),
    )
