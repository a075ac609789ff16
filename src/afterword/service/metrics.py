"""Metrics: the feedback keys that values are logged under."""

from __future__ import annotations

from typing import Any, NoReturn
from uuid import uuid5

from msgspec import UNSET

from afterword.errors import Conflict, NotFound
from afterword.ids import uuid7
from afterword.service.access import check_for_all_projects, sees_metric
from afterword.service.context import Context
from afterword.service.moments import parse_moment, shown
from afterword.service.values import check_key, check_text
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

    Once more with the same definition it answers the same; with another it is refused with 409. A shared one belongs to
    no project: projects are linked to it.
    """
    owner = 0 if body.shared else context.project(body.project, writing=True).number
    if body.shared:
        check_for_all_projects(context.actor, "it registers metrics in these, and no shared ones", param="shared")
    for param in ("description", "unit"):
        check_text(getattr(body, param), param=param)
    wanted = MetricRow(
        number=0,
        id=uuid7(),
        project=owner,
        key=check_key(body.key),
        name=check_text(body.key if body.name is None else body.name, param="name", most=1000, least=1),
        kind=body.kind,
        scoring_type=body.scoring_type,
        description=body.description,
        unit=body.unit,
        created_at=context.now(),
        deleted_at=None,
    )
    there = context.catalog.find_metric(owner, body.key)
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
    row = _own(context, query.project, metric)
    values = {name: value for name in body.__struct_fields__ if (value := getattr(body, name)) is not UNSET}
    for param in values.keys() - {"scoring_type"}:
        check_text(values[param], param=param, least=1 if param == "name" else 0)
    kept = await context.store.write(lambda transaction: change_metric(transaction, row.number, values))
    context.catalog.keep(kept or _missing(metric))
    return _shown(context, kept)


async def delete(context: Context, metric: str, *, query: Any) -> Deleted:
    """Delete a feedback key: no more feedback is taken under it, what was given stays with the completions."""
    row = _own(context, query.project, metric)
    gone = {"deleted_at": context.now()}
    kept = await context.store.write(lambda transaction: change_metric(transaction, row.number, gone))
    context.catalog.keep(kept or _missing(metric))
    return Deleted()


def _own(context: Context, project: str | None, metric: str) -> MetricRow:
    """Return a metric that the project may change: its own, or a shared one for a key of all projects."""
    its = context.project(project, writing=True)
    row = context.metric(its.number, metric)
    if row.project != its.number and (row.project or context.actor.projects is not None):
        raise Conflict(
            f"The metric {row.key!r} is only linked to {its.key!r}.",
            code="metric_is_linked",
            param="metric",
            hint="Change it in the project that it belongs to, or unlink it here.",
        )
    return row


# ------------------------------------------------------------------------------------------------ across projects


async def link(context: Context, project: str, *, body: LinkedMetric) -> Metric:
    """Let a project use a metric that is shared, or another project's. Once more it answers the same."""
    its = context.project(project, writing=True)
    row = named(context, body.metric)
    there = context.catalog.find_metric(its.number, row.key)
    if there is not None and there.number != row.number:
        raise Conflict(
            f"The project {its.key!r} has another metric with the key {row.key!r}.",
            code="metric_exists",
            param="metric",
            hint="Unlink or delete that one first, or use it in place of this one.",
        )
    if there is None:
        link_row = MetricLinkRow(project=its.number, metric=row.number)
        context.catalog.keep(await context.store.write(lambda transaction: link_metric(transaction, link_row)))
    return _shown(context, row)


async def unlink(context: Context, project: str, metric: str) -> Deleted:
    """Take a metric out of a project that is linked to it. The values that were given stay with the completions."""
    its = context.project(project, writing=True)
    row = context.metric(its.number, metric)
    if row.project == its.number:
        raise Conflict(
            f"The metric {row.key!r} is the project's own, and not linked.",
            code="metric_not_linked",
            param="metric",
            hint="Delete it with DELETE /api/v1/metrics/{metric}, if it shall be used no more.",
        )
    link_row = MetricLinkRow(project=its.number, metric=row.number)
    if not await context.store.write(lambda transaction: unlink_metric(transaction, link_row)):
        _missing(metric)
    context.catalog.drop(link_row)
    return Deleted()


def visible(context: Context) -> list[MetricRow]:
    """Return the metrics of all projects that the key may see, and those that are shared."""
    rows = sorted(context.catalog.metrics.values(), key=lambda row: row.number)
    return [row for row in rows if row.deleted_at is None and sees_metric(context.catalog, context.actor, row)]


def named(context: Context, id_or_key: str) -> MetricRow:
    """Return a metric that is named without its project: by its id; else the shared one, or the only one, of that key.

    Raises `NotFound`; `Conflict` where there are several.
    """
    found = [row for row in visible(context) if id_or_key in (row.key, str(row.id))]
    row = next((row for row in found if row.project == 0 or str(row.id) == id_or_key), None)
    if row is None and len(found) > 1:
        names = ", ".join(sorted({project.key for row in found for project in projects_of(context, row)}))
        raise Conflict(
            f"Several projects have a metric of this key ({names}).",
            code="ambiguous_metric",
            param="metric",
            hint="Name it by its id, or name the project.",
        )
    if row is None and not found:
        _missing(id_or_key)
    return row or found[0]


def _missing(id_or_key: str) -> NoReturn:
    raise NotFound(
        f"EntityNotFound: metric {id_or_key[:200]!r} is not registered, or this key may not see it.",
        code="metric_not_found",
        param="metric",
        hint="Register the feedback key first: POST /api/v1/metrics, or feedback.register_key(...).",
    )


def projects_of(context: Context, row: MetricRow) -> list[ProjectRow]:
    """Return the projects that use a metric, those that the key may see."""
    seen = filter(context.actor.sees, sorted(context.catalog.projects_of(row)))
    return [context.catalog.projects[number] for number in seen]


def owner_of(context: Context, row: MetricRow) -> ProjectRow | None:
    """Return the project that a metric belongs to; None for a shared one, and where the key may not see it."""
    return context.catalog.projects[row.project] if row.project and context.actor.sees(row.project) else None


async def used(context: Context, numbers: list[int]) -> dict[int, tuple[bool, bool]]:
    """Tell of each metric whether the key may see feedback under it, and whether preferences."""
    return await context.store.read(stored.used, numbers, context.actor.projects)


async def counted(context: Context, metric: MetricRow, from_: Moment | None, to: Moment | None) -> tuple[int, int]:
    """Count the feedback and the preferences under a metric that the key may see, given within a time."""
    now = context.now()
    begin = 0 if from_ is None else parse_moment(from_, param="from", now=now)
    end = 1 << 62 if to is None else parse_moment(to, param="to", now=now)
    return await context.store.read_long(stored.counted, metric.number, begin, end, context.actor.projects)


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
    owner = owner_of(context, row)
    return Metric(
        id=row.id,
        key=row.key,
        name=row.name,
        project=None if owner is None else owner.key,
        kind=row.kind,
        scoring_type=row.scoring_type,
        description=row.description,
        unit=row.unit,
        created_at=shown(row.created_at),
    )
