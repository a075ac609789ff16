"""Where a call goes: from the name of a model to the project, the model, and how its provider knows it."""

from __future__ import annotations

import msgspec

from afterword.errors import Invalid, NotFound
from afterword.service.context import Context
from afterword.store.catalog import ModelRow, ProjectRow
from afterword.types import Target


class Route(msgspec.Struct, frozen=True):
    """Where a call goes: the project, the model that was named, and that model and its fallbacks in their order."""

    project: ProjectRow
    model: ModelRow
    targets: tuple[tuple[ModelRow, Target], ...]


def route(context: Context, name: str | None) -> Route:
    """Return where a call goes that names a model: as PROJECT/MODEL, PROJECT for its default, or MODEL in the key's own
    project.

    Raises `NotFound`; `Invalid` where a project has no default model and for a logged-only one; `Conflict` for an
    archived project.
    """
    if name is None:
        own = context.project(None, writing=True)
        row = _default(context, own)
        return Route(own, row, _targets(context, row))
    catalog = context.catalog
    key, slash, rest = name.partition("/")
    project = catalog.find_project(key)
    if project is not None and context.actor.sees(project.number):
        context.project(key, writing=True)
        row = attached(context, project, rest) if slash else _default(context, project)
        if row is not None:
            return Route(project, row, _targets(context, row))
    # A bare key, which may have slashes of its own.
    own = context.project(None, writing=True)
    row = attached(context, own, name)
    if row is not None:
        return Route(own, row, _targets(context, row))
    asked = project if project is not None and slash else own
    known = catalog.find_model(rest if asked is project else name)
    if known is not None and known.provider is None and context.actor.projects is None:
        raise logged_only(known)
    there = [catalog.models[one.model].key for one in catalog.models_of(asked.number) if one.enabled]
    names = ", ".join(f"{asked.key}/{key}" for key in there[:10])
    raise NotFound(
        f"EntityNotFound: model {name[:200]!r} is not one that can be called here.",
        code="model_not_found",
        param="model",
        hint=f"Models of {asked.key!r}: {names}."
        if names
        else f"Attach one to {asked.key!r} first: POST /api/v1/projects/{asked.key}/models.",
    )


def attached(context: Context, project: ProjectRow, key: str) -> ModelRow | None:
    """Return the model of that key or id, if the project may call it."""
    row = context.catalog.find_model(key)
    if row is None or row.provider is None:
        return None
    its = context.catalog.project_models.get((project.number, row.number))
    return row if its is not None and its.enabled else None


def logged_only(row: ModelRow) -> Invalid:
    """Return the error for a model that completions name, but that cannot be called."""
    return Invalid(
        f"The model {row.key!r} is logged-only: it cannot be called.",
        code="model_logged_only",
        param="model",
        hint=f"Register it with its provider first: POST /api/v1/models with the key {row.key!r}.",
    )


def _default(context: Context, project: ProjectRow) -> ModelRow:
    for one in context.catalog.models_of(project.number):
        if one.is_default and one.enabled:
            return context.catalog.models[one.model]
    raise Invalid(
        f"The project {project.key!r} has no default model.",
        code="no_default_model",
        param="model",
        hint=f"Name one as {project.key}/MODEL, or set a default: PATCH /api/v1/projects/{project.key}/models/MODEL "
        '{"is_default": true}.',
    )


def _targets(context: Context, row: ModelRow) -> tuple[tuple[ModelRow, Target], ...]:
    """Return a model and its fallbacks, as their providers know them."""
    found: list[tuple[ModelRow, Target]] = []
    seen: set[int] = set()
    here: ModelRow | None = row
    while here is not None and here.provider is not None and here.number not in seen:
        seen.add(here.number)
        found.append((here, target_of(context, here)))
        here = None if here.fallback is None else context.catalog.models.get(here.fallback)
    return tuple(found)


def target_of(context: Context, row: ModelRow) -> Target:
    """Return a model as its provider knows it; its secrets are opened once, and again when it was changed."""
    held = context.home.targets.get(row.number)
    if held is not None and held[0] is row:
        return held[1]
    opened = context.home.secrets.open(row.secret, f"the model {row.key!r}") if row.secret else {}
    target = Target(
        provider=row.provider or "",
        key=row.key,
        model=row.external_model_id or row.key,
        endpoint=row.endpoint,
        api_key=opened.get("api_key"),
        headers=opened.get("headers") or {},
        parameters=msgspec.json.decode(row.extra_params) if row.extra_params else {},
    )
    context.home.targets[row.number] = (row, target)
    return target
