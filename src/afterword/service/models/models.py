"""Models: the registry, and which projects may call which models.

An unknown key that an interaction names is registered as logged-only; an administrator makes it callable.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from datetime import datetime
from typing import Any, NoReturn

import msgspec
from msgspec import UNSET

from afterword.errors import AfterwordError, Invalid, NotFound
from afterword.ids import uuid7
from afterword.service.access import has_permission, sees_model
from afterword.service.context import Context
from afterword.service.models.model_definition import (
    check_same,
    endpoint_of,
    fallback_of,
    key_of,
    params_of,
    sealed_secret,
)
from afterword.service.models.routing import find_callable_model, logged_only_error, target_of
from afterword.service.timestamps import to_datetime
from afterword.service.validation import check_text
from afterword.store.catalog import (
    ModelRow,
    ProjectModelRow,
    ProjectRow,
    add_model,
    attach_model,
    change_model,
    change_project_model,
    detach_model,
    register_model,
)
from afterword.types import (
    Deleted,
    ListedModel,
    Model,
    ModelChange,
    ModelList,
    ModelStatus,
    NewModel,
    NewProjectModel,
    ProjectModel,
    ProjectModelChange,
    ProjectModelList,
)
from afterword.types.queries import ModelsQuery, ProjectModelsQuery


async def model_number(context: Context, key: str) -> int:
    """Return the number of a model by key or id; register an unknown key.

    Raises `NotFound` for the id of a model that the key may not see: its interactions would show that model's key.
    """
    model = context.catalog.find_model(key)
    if model is not None and model.key != key and not sees_model(context.catalog, context.actor, model.number):
        return raise_model_not_found(key)
    if model is None:
        check_text(key, param="model", max_length=200, min_length=1)
        row = ModelRow(number=0, id=uuid7(), key=key, created_at=context.now())
        model = await context.store.write(lambda transaction: add_model(transaction, row))
        context.catalog.keep(model)
    return model.number


# ------------------------------------------------------------------------------------------------ the registry


async def register(context: Context, *, body: NewModel) -> Model:
    """Register a model that can be called.

    Repeating the call returns the same model; another definition under its key is refused with 409. A logged-only key
    becomes callable. The API key and the values of headers are stored encrypted, and never shown.
    """
    key = key_of(body)
    project = None if body.project is None else context.project(body.project, writing=True)
    existing = context.catalog.find_model(key)
    new_row = ModelRow(
        number=existing.number if existing else 0,
        id=existing.id if existing else uuid7(),
        key=key,
        created_at=existing.created_at if existing else context.now(),
        name=check_text(body.name or key, param="name", max_length=1000, min_length=1),
        provider=body.provider,
        external_model_id=check_text(
            key if body.external_model_id is None else body.external_model_id,
            param="external_model_id",
            max_length=1000,
            min_length=1,
        ),
        endpoint=endpoint_of(body.endpoint, body.provider),
        secret=sealed_secret(context, body.api_key, body.headers),
        extra_params=params_of(body.extra_params),
        fallback=fallback_of(context, body.fallback, key),
    )
    row = existing
    if row is None or row.provider is None:
        row = await context.store.write(lambda transaction: register_model(transaction, new_row))
        context.catalog.keep(row)
    check_same(context, row, new_row)
    if project is not None:
        await _attach(context, project, row, body.make_default)
    return _serialized_model(context, row)


async def list_models(context: Context, *, query: ModelsQuery) -> ModelList:
    """List the models, and as `data` those that the key may call, in the form that OpenAI's clients read.

    A key bound to projects sees the models of these projects. A key that may call models but not read gets only `data`.
    """
    project_number = None if query.project is None else context.project(query.project).number
    project_models = [
        project_model
        for project_model in context.catalog.project_models.values()
        if context.actor.sees(project_model.project)
        and (project_number is None or project_model.project == project_number)
    ]
    model_numbers = {project_model.model for project_model in project_models}
    rows = [row for row in _visible_rows(context) if project_number is None or row.number in model_numbers]
    listed_models = []
    for project_model in sorted(project_models, key=lambda row: (row.project, not row.is_default, row.created_at)):
        model, project = context.catalog.models[project_model.model], context.catalog.projects[project_model.project]
        if project_model.enabled and not project.archived:
            listed_models.append(
                ListedModel(
                    id=f"{project.key}/{model.key}", created=model.created_at // 1000, owned_by=model.provider or ""
                )
            )
    rows.sort(key=lambda row: (row.provider is None, row.key))
    return ModelList(
        models=[_serialized_model(context, row) for row in rows]
        if has_permission(context.catalog, context.actor, "read")
        else [],
        data=listed_models,
    )


async def get_model(context: Context, model: str) -> Model:
    """Show a model, by key, id or PROJECT/MODEL.

    Asked for as PROJECT/MODEL, its `id` is that name, as in the list of OpenAI's API. A key that may call models but
    not read does not see endpoint, external_model_id, headers and parameters.
    """
    row = get_model_row(context, model)
    serialized = _serialized_model(context, row)
    if model not in (row.key, str(row.id)):
        project = context.catalog.find_project(re.split("[/:]", model, maxsplit=1)[0])
        if project is not None:
            serialized.id = f"{project.key}/{row.key}"
    if not has_permission(context.catalog, context.actor, "read"):
        serialized.external_model_id = serialized.endpoint = None
        serialized.headers, serialized.extra_params = [], {}
    return serialized


async def update_model(context: Context, model: str, *, body: ModelChange) -> Model:
    """Change how a model is called; null removes a value. Calls under way are not affected."""
    row = get_model_row(context, model)
    if row.provider is None:
        raise logged_only_error(row)
    values: dict[str, Any] = {}
    if body.name is not UNSET:
        values["name"] = check_text(body.name, param="name", max_length=1000, min_length=1)
    if body.external_model_id is not UNSET:
        values["external_model_id"] = check_text(
            body.external_model_id, param="external_model_id", max_length=1000, min_length=1
        )
    if body.endpoint is not UNSET:
        values["endpoint"] = endpoint_of(body.endpoint, row.provider)
    if body.extra_params is not UNSET:
        values["extra_params"] = params_of(body.extra_params)
    if body.fallback is not UNSET:
        values["fallback"] = fallback_of(context, body.fallback, row.key)
    if body.api_key is not UNSET or body.headers is not UNSET:
        replaces_both = body.api_key is not UNSET and body.headers is not UNSET
        stored_secret = (
            context.state.secrets.open(row.secret, f"the model {row.key!r}") if row.secret and not replaces_both else {}
        )
        api_key = stored_secret.get("api_key") if body.api_key is UNSET else body.api_key
        headers = stored_secret.get("headers") if body.headers is UNSET else body.headers
        values["secret"] = sealed_secret(context, api_key, headers)
    changed_row = await context.store.write(lambda transaction: change_model(transaction, row.number, values))
    context.catalog.keep(changed_row or raise_model_not_found(model))
    return _serialized_model(context, changed_row)


async def delete_model(context: Context, model: str) -> Deleted:
    """Delete a model: no project can call it any more. Its interactions stay, and keep its key."""
    row = get_model_row(context, model)
    if row.provider is None:
        raise logged_only_error(row)
    logged_only_fields = msgspec.structs.asdict(_as_logged_only(row))
    reset_values = {
        name: value for name, value in logged_only_fields.items() if name not in ("number", "id", "key", "created_at")
    }
    changed_row = await context.store.write(lambda transaction: change_model(transaction, row.number, reset_values))
    context.catalog.keep(changed_row or raise_model_not_found(model))
    for project_model in list(context.catalog.project_models.values()):
        if project_model.model == row.number:
            context.catalog.drop(project_model)
    context.state.targets.pop(row.number, None)
    return Deleted()


async def status(context: Context, model: str) -> ModelStatus:
    """Show whether a model can be called, by a free request to its provider. The answer is cached for 30 s.

    A model that is switched off in every project that may call it is offline.
    """
    return await _checked_status(context, get_model_row(context, model))


async def _checked_status(context: Context, row: ModelRow) -> ModelStatus:
    with suppress(AfterwordError):
        if not _is_switched_off(context, row) and row.provider is not None:
            await context.state.gateway.check(target_of(context, row))
    return _last_status(context, row)


def last_status(context: Context, model: Model) -> ModelStatus:
    """Tell whether a model can be called, without a request to its provider.

    A check of the last 30 s counts; a model without one is taken to be online.
    """
    return _last_status(context, context.catalog.find_model(model.key) if model.provider else None)


def _last_status(context: Context, row: ModelRow | None) -> ModelStatus:
    now = to_datetime(context.now())
    if row is None or row.provider is None:
        return ModelStatus(status="unknown", checked_at=now, error="The model is logged-only.")
    if _is_switched_off(context, row):
        return ModelStatus(status="offline", checked_at=now, error="The model is switched off in all its projects.")
    try:
        checked_at_seconds = context.state.gateway.find_last_check(target_of(context, row))
    except AfterwordError as error:
        return ModelStatus(status="offline", checked_at=now, error=error.message)
    checked_at = now if checked_at_seconds is None else datetime.fromtimestamp(checked_at_seconds, now.tzinfo)
    return ModelStatus(status="online", checked_at=checked_at, error=None)


def _is_switched_off(context: Context, row: ModelRow) -> bool:
    project_models = [
        project_model
        for project_model in context.catalog.project_models.values()
        if project_model.model == row.number and context.actor.sees(project_model.project)
    ]
    return bool(project_models) and not any(project_model.enabled for project_model in project_models)


# ------------------------------------------------------------------------------------------------ in a project


async def attach(context: Context, project: str, *, body: NewProjectModel) -> ProjectModel:
    """Let a project call a model. The call can be repeated; the first model of a project becomes its default.

    A key bound to projects can attach models that one of its projects may call, or that no project may call yet.
    """
    project_row = context.project(project, writing=True)
    row = get_model_row(context, body.model, attaching=True)
    if row.provider is None:
        raise logged_only_error(row)
    return await _attach(context, project_row, row, body.make_default)


async def _attach(context: Context, project: ProjectRow, model: ModelRow, make_default: bool) -> ProjectModel:
    project_model = context.catalog.project_models.get((project.number, model.number))
    is_first = not context.catalog.models_of(project.number)
    if project_model is None:
        project_model = ProjectModelRow(
            project=project.number,
            model=model.number,
            is_default=make_default or is_first,
            enabled=True,
            created_at=context.now(),
        )
    elif make_default and not project_model.is_default:
        project_model = msgspec.structs.replace(project_model, is_default=True)
    else:
        return _serialized_project_model(context, project_model)
    return await _store_project_model(context, project_model)


async def _store_project_model(context: Context, row: ProjectModelRow) -> ProjectModel:
    for changed_row in await context.store.write(lambda transaction: attach_model(transaction, row)):
        context.catalog.keep(changed_row)
    return _serialized_project_model(context, row)


async def list_project_models(context: Context, project: str, *, query: ProjectModelsQuery) -> ProjectModelList:
    """List the models that a project may call, its default first.

    With `status=true` each tells whether it can be called, as its own status does; the providers are asked together.
    """
    rows = context.catalog.models_of(context.project(project).number)
    project_models = [_serialized_project_model(context, row) for row in rows]
    if query.status:
        model_rows = [context.catalog.models[row.model] for row in rows]
        statuses = await asyncio.gather(*(_checked_status(context, model_row) for model_row in model_rows))
        for project_model, model_status in zip(project_models, statuses, strict=True):
            project_model.status = model_status
    return ProjectModelList(models=project_models)


async def update_project_model(context: Context, project: str, model: str, *, body: ProjectModelChange) -> ProjectModel:
    """Make a model the default of a project, or switch it off and on there."""
    row = _get_project_model_row(context, project, model)
    values = {name: value for name in body.__struct_fields__ if (value := getattr(body, name)) is not UNSET}
    changed_rows = await context.store.write(lambda transaction: change_project_model(transaction, row, values))
    for changed_row in changed_rows or raise_model_not_found(model):
        context.catalog.keep(changed_row)
    return _serialized_project_model(context, changed_rows[0])


async def detach(context: Context, project: str, model: str) -> Deleted:
    """Detach a model from a project. Its interactions stay."""
    row = _get_project_model_row(context, project, model)
    if not await context.store.write(lambda transaction: detach_model(transaction, row)):
        raise_model_not_found(model)
    context.catalog.drop(row)
    return Deleted()


def _get_project_model_row(context: Context, project: str, model: str) -> ProjectModelRow:
    project_row = context.project(project, writing=True)
    row = context.catalog.find_model(model)
    project_model = None if row is None else context.catalog.project_models.get((project_row.number, row.number))
    if project_model is None:
        raise NotFound(
            f"{model[:200]!r} is not attached to {project_row.key!r}.",
            noun="model",
            code="model_not_found",
            param="model",
            hint=f"See GET /api/v1/projects/{project_row.key}/models.",
        )
    return project_model


# ------------------------------------------------------------------------------------------------ checks


def visible_models(context: Context) -> list[Model]:
    """Return the models that the key may see (all, or those that its projects may call), oldest first."""
    return [_serialized_model(context, row) for row in sorted(_visible_rows(context), key=lambda row: row.number)]


def _visible_rows(context: Context) -> list[ModelRow]:
    rows = list(context.catalog.models.values())
    return [row for row in rows if sees_model(context.catalog, context.actor, row.number)]


def get_visible_model(context: Context, name: str) -> Model:
    """Return a model by key, id or PROJECT/MODEL under its own id. Raises `NotFound` as `get_model_row` does."""
    return _serialized_model(context, get_model_row(context, name))


def attachments_of(context: Context, model: str) -> list[ProjectModel]:
    """Return the attachments of a model to projects that the key may see."""
    row = context.catalog.find_model(model)
    return [
        _serialized_project_model(context, project_model)
        for project_model in list(context.catalog.project_models.values())
        if row is not None and project_model.model == row.number and context.actor.sees(project_model.project)
    ]


def models_of_project(context: Context, project: str) -> list[tuple[Model, ProjectModel]]:
    """Return the models attached to a project, its default first; none if the key may not see the project."""
    project_row, catalog = context.find_project(project), context.catalog
    return [
        (_serialized_model(context, catalog.models[row.model]), _serialized_project_model(context, row))
        for row in (catalog.models_of(project_row.number) if project_row else ())
    ]


def get_model_row(context: Context, name: str, *, attaching: bool = False) -> ModelRow:
    """Return a model by key, id or PROJECT/MODEL that the key may see. Raises `NotFound`.

    `attaching` also finds a callable model that no project has yet.
    """
    catalog = context.catalog
    row = catalog.find_model(name)
    for separator in "/:":
        key, _, model_key = name.partition(separator)
        project = catalog.find_project(key) if row is None and model_key else None
        if project is not None and context.actor.sees(project.number):
            row = find_callable_model(context, project, model_key)
    if row is None or sees_model(catalog, context.actor, row.number):
        return raise_model_not_found(name) if row is None else row
    is_free = row.provider is not None and not any(model == row.number for _, model in list(catalog.project_models))
    return row if attaching and is_free else raise_model_not_found(name)


def find_as_seen(context: Context, key: str) -> Model | None:
    """Return the model that an interaction names, with only key and id if the key may not see the model."""
    row = context.catalog.find_model(key)
    if row is None:
        return None
    is_visible = sees_model(context.catalog, context.actor, row.number)
    return _serialized_model(context, row if is_visible else _as_logged_only(row))


def _as_logged_only(row: ModelRow) -> ModelRow:
    return ModelRow(number=row.number, id=row.id, key=row.key, created_at=row.created_at)


def raise_model_not_found(name: str) -> NoReturn:
    """Raise `NotFound`."""
    raise NotFound(
        f"{name[:200]!r} does not exist, or this key may not see it.",
        noun="model",
        code="model_not_found",
        param="model",
        hint="List the models with GET /api/v1/models; register one with POST /api/v1/models.",
    )


# ------------------------------------------------------------------------------------------------ serializing


def _serialized_model(context: Context, row: ModelRow) -> Model:
    catalog = context.catalog
    headers, has_api_key = [], False
    if row.secret:
        try:
            target = target_of(context, row)
            headers, has_api_key = sorted(target.headers), target.api_key is not None
        except Invalid:
            # Encrypted with another secret: it is only known that there is a key.
            has_api_key = True
    projects = [
        catalog.projects[project_model.project].key
        for project_model in catalog.project_models.values()
        if project_model.model == row.number and context.actor.sees(project_model.project)
    ]
    return Model(
        id=str(row.id),
        key=row.key,
        name=row.name or row.key,
        provider=row.provider,
        external_model_id=row.external_model_id,
        endpoint=row.endpoint,
        has_api_key=has_api_key,
        headers=headers,
        extra_params=msgspec.json.decode(row.extra_params) if row.extra_params else {},
        fallback=None if row.fallback is None else catalog.models[row.fallback].key,
        projects=sorted(projects),
        created_at=to_datetime(row.created_at),
        created=row.created_at // 1000,
        owned_by=row.provider or "",
    )


def _serialized_project_model(context: Context, row: ProjectModelRow) -> ProjectModel:
    return ProjectModel(
        project=context.catalog.projects[row.project].key,
        model=context.catalog.models[row.model].key,
        is_default=bool(row.is_default),
        enabled=bool(row.enabled),
        created_at=to_datetime(row.created_at),
    )
