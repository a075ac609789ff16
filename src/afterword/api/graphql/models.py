"""Models, and which projects may call them. Nothing is deployed: providers run them."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from graphql import GraphQLResolveInfo

from afterword.api.graphql.asked import Asked
from afterword.api.graphql.filters import project_of
from afterword.errors import AfterwordError, Conflict, Invalid, NotFound
from afterword.service import models
from afterword.service.access import check_for_all_projects
from afterword.service.context import Context, ModelRow, ProjectModelRow, ProjectRow
from afterword.types import ModelChange, NewModel, NewProjectModel, ProjectModelChange

PROVIDERS = {"open_ai": "OPEN_AI", "azure": "OPEN_AI", "anthropic": "ANTHROPIC", "google": "GOOGLE"}
"""What providers are called in answers; all others are HARMONY."""

CAPABILITIES = ["TextGeneration"]

GIVEN = {
    "openAI": "open_ai", "legacyOpenAI": "open_ai", "nvidia": "open_ai",
    "google": "google", "anthropic": "anthropic", "azure": "azure",
}  # fmt: skip


class Service(msgspec.Struct):
    """A model in a project, with what of a call of it was not done."""

    row: ModelRow
    its: ProjectModelRow | None
    warnings: list[str] = []


# ------------------------------------------------------------------------------------------------ the registry


async def all_models(context: Context, filter: dict[str, Any]) -> list[ModelRow]:
    """Return the models that the key may see: those that can be called, or with `viewAll` all."""
    return [
        row
        for row in sorted(models.visible(context), key=lambda row: row.number)
        if (row.provider or filter.get("viewAll")) and _passes(filter, _online(context, row))
    ]


def _passes(filter: dict[str, Any], online: str) -> bool:
    """Tell whether a model passes a filter. All are alike in most of it: none is stored, trained or published here."""
    can, wanted = set(CAPABILITIES), filter.get("capabilities", {})
    return (
        online in filter.get("online", (online,))
        and filter.get("available", online == "ONLINE") == (online == "ONLINE")
        and not any(filter.get(name) for name in ("inStorage", "trainable", "published", "size"))
        and "Generation" in filter.get("kind", ("Generation",))
        and (not wanted.get("any") or bool(can & set(wanted["any"])))
        and can >= set(wanted.get("all", ()))
    )


async def model(context: Context, id_or_key: str) -> ModelRow | None:
    """Return a model that the key may see."""
    try:
        return models.get_row(context, id_or_key)
    except NotFound:
        return None


async def add_external_model(context: Context, asked: Asked, input: dict[str, Any]) -> ModelRow:
    """Register a model of a provider."""
    data = input.get("providerData", {})
    if len(data) != 1:
        raise Invalid(
            f"providerData has {len(data)} members; it takes exactly one of {', '.join(GIVEN)}.",
            code="invalid_provider_data",
            param="input.providerData",
            hint="Give the provider's own, with its apiKey and externalModelId.",
        )
    [(name, its)] = data.items()
    key = re.sub(r"[^A-Za-z0-9._/-]+", "-", input["name"]).strip("-/")
    made = await models.register(
        context,
        body=NewModel(
            key=key,
            name=input["name"],
            provider=GIVEN[name],  # pyright: ignore[reportArgumentType]
            external_model_id=asked.lift_model(its["externalModelId"]),
            api_key=its.get("apiKey"),
            endpoint=its.get("endpoint"),
            extra_params=its.get("extraParams"),
        ),
    )
    return models.get_row(context, made.key)


async def terminate_model(context: Context, id_or_key: str, force: bool) -> str:
    """Switch a model off in the projects that may call it: of these, in those that the key is for."""
    row = models.get_row(context, id_or_key)
    its = [
        one
        for one in context.catalog.project_models.values()
        if one.model == row.number and one.enabled and context.actor.sees(one.project)
    ]
    if len(its) > 1 and not force:
        names = ", ".join(sorted(context.catalog.projects[one.project].key for one in its))
        raise Conflict(
            f"This model is called by several projects ({names}).",
            code="model_in_use",
            param="force",
            hint="Give force: true to switch it off in all of them.",
        )
    for one in its:
        await _change(context, one, ProjectModelChange(enabled=False))
    return "OK"


async def update_model_compute_config(context: Context, id_or_key: str, input: dict[str, Any]) -> ModelRow:
    """Refuse: there is nothing to configure."""
    raise Invalid(
        "Afterword runs no models itself: providers do, so that there is no compute to configure.",
        code="not_served",
        hint="Configure the model where it runs.",
    )


# ------------------------------------------------------------------------------------------------ in projects


async def attach_model(context: Context, input: dict[str, Any]) -> Service:
    """Attach a model, or with `attached: false` detach it."""
    service = await _attached(context, project_of(input), input["model"], input)
    if input["attached"] is False and service.its is not None:
        await _detach(context, service.its)
        return Service(service.row, None)
    return service


async def add_model_to_use_case(context: Context, input: dict[str, Any]) -> bool:
    """Attach a model."""
    await _attached(context, project_of(input), input["model"], {})
    return True


async def add_models_to_project(context: Context, input: dict[str, Any]) -> dict[str, Any]:
    """Attach models; say of each that could not be why."""
    failures = []
    for name in input["models"]:
        try:
            await _attached(context, project_of(input), name, {})
        except AfterwordError as error:
            failures.append({"model": name, "reason": error.message})
    return {"success": not failures, "failures": failures}


async def remove_model(context: Context, input: dict[str, Any]) -> bool:
    """Detach a model."""
    service = _service(context, project_of(input), input["model"])
    if service.its is not None:
        await _detach(context, service.its)
    return True


async def update_model_service(context: Context, input: dict[str, Any]) -> Service:
    """Make a model the default, switch it off or on, or take it out of the project."""
    if "name" in input:
        check_for_all_projects(context.actor, "the name of a model belongs to the server")
    service = await _attached(context, project_of(input), input["modelService"], {})
    assert service.its is not None
    if input.get("attached") is False:
        await _detach(context, service.its)
        return Service(service.row, None)
    names = {"isDefault": "is_default", "desiredOnline": "enabled"}
    values = {names[name]: input[name] for name in names if name in input}
    if values:
        await _change(context, service.its, ProjectModelChange(**values))
    if "name" in input:
        await models.change(context, str(service.row.id), body=ModelChange(name=input["name"]))
    changed = _service(context, project_of(input), str(service.row.id))
    return Service(changed.row, changed.its, _warnings(input))


async def deploy_model(context: Context, input: dict[str, Any]) -> Service:
    """Switch a model on: its provider runs it already."""
    service = await _attached(context, project_of(input), input["model"], input)
    assert service.its is not None
    if not service.its.enabled:
        await _change(context, service.its, ProjectModelChange(enabled=True))
    return Service(service.row, service.its, service.warnings)


async def deploy_model_legacy(context: Context, id_or_key: str, wait: bool, placement: Any = None) -> str:
    """Switch a model on wherever it is attached."""
    row = models.get_row(context, id_or_key)
    for one in list(context.catalog.project_models.values()):
        if one.model == row.number and not one.enabled and context.actor.sees(one.project):
            await _change(context, one, ProjectModelChange(enabled=True))
    return "OK"


def _service(context: Context, project: str, id_or_key: str) -> Service:
    row = models.get_row(context, id_or_key)
    number = context.project(project).number
    return Service(row, context.catalog.project_models.get((number, row.number)))


async def _attached(context: Context, project: str, id_or_key: str, input: dict[str, Any]) -> Service:
    await models.attach(context, project, body=NewProjectModel(model=id_or_key))
    service = _service(context, project, id_or_key)
    return Service(service.row, service.its, _warnings(input))


def _warnings(input: dict[str, Any]) -> list[str]:
    asked = [name for name in ("placement", "speculativeDecoding") if name in input]
    return [f"{name} was ignored: Afterword runs no models itself." for name in asked]


async def _change(context: Context, its: ProjectModelRow, body: ProjectModelChange) -> None:
    catalog = context.catalog
    await models.change_in_project(context, catalog.projects[its.project].key, catalog.models[its.model].key, body=body)


async def _detach(context: Context, its: ProjectModelRow) -> None:
    await models.detach(context, context.catalog.projects[its.project].key, context.catalog.models[its.model].key)


# ------------------------------------------------------------------------------------------------ members


def services_of(project: ProjectRow, info: GraphQLResolveInfo, filter: dict[str, Any] | None = None) -> list[Service]:
    """Return the models of a project."""
    asked: Asked = info.context
    catalog, wanted = asked.home.catalog, (filter or {}).get("model")
    rows = catalog.models_of(project.number) if asked.reading.actor.sees(project.number) else []
    found = [Service(catalog.models[one.model], one) for one in rows]
    return [one for one in found if wanted in (None, one.row.key, str(one.row.id))]


def default_of(project: ProjectRow, info: GraphQLResolveInfo) -> Service | None:
    """Return the default model of a project."""
    return next((one for one in services_of(project, info) if one.its and one.its.is_default), None)


def _online(context: Context, row: ModelRow) -> str:
    return "ONLINE" if models.last_status(context, row).status == "online" else "OFFLINE"


def _projects(row: ModelRow, info: GraphQLResolveInfo, filter: dict[str, Any] | None = None) -> list[ProjectRow]:
    asked: Asked = info.context
    archived = (filter or {}).get("isArchived")
    found = [
        asked.home.catalog.projects[one.project]
        for one in asked.home.catalog.project_models.values()
        if one.model == row.number and asked.reading.actor.sees(one.project)
    ]
    return [one for one in found if archived is None or bool(one.archived) == archived]


def _provider_data(row: ModelRow, info: GraphQLResolveInfo) -> dict[str, Any] | None:
    return (
        None
        if row.provider is None
        else {
            "provider": row.provider,
            "external_model_id": row.external_model_id,
            "endpoint_url": row.endpoint,
            "extra_params": msgspec.json.decode(row.extra_params) if row.extra_params else None,
        }
    )


def _in_project(name: str, otherwise: Any) -> Any:
    return lambda service, info: otherwise if getattr(service, "its", None) is None else getattr(service.its, name)


def _of_row(name: str) -> Any:
    """Return what a service, or the row of a model that stands for one, has under a name."""
    return lambda service, info: getattr(getattr(service, "row", service), name)


def _project_id(service: Any, info: GraphQLResolveInfo) -> Any:
    its = getattr(service, "its", None)
    return None if its is None else info.context.home.catalog.projects[its.project].id


QUERY = {"models": ("read", all_models), "model": ("read", model)}

MUTATION = {
    "addExternalModel": ("administer_server", add_external_model),
    "terminateModel": ("administer", terminate_model),
    "updateModelComputeConfig": ("administer", update_model_compute_config),
    "attachModel": ("administer", attach_model),
    "addModelToUseCase": ("administer", add_model_to_use_case),
    "removeModelFromUseCase": ("administer", remove_model),
    "addModelsToProject": ("administer", add_models_to_project),
    "removeModelFromProject": ("administer", remove_model),
    "updateModelService": ("administer", update_model_service),
    "deployModel": ("administer", deploy_model),
    "deployModelLegacy": ("administer", deploy_model_legacy),
}

MEMBERS: dict[str, dict[str, Any]] = {
    "Model": {
        "name": lambda row, info: row.name or row.key,
        "online": lambda row, info: _online(info.context.reading, row),
        "error": lambda row, info: models.last_status(info.context.reading, row).error if row.provider else None,
        "isExternal": lambda row, info: True,
        "providerName": lambda row, info: PROVIDERS.get(row.provider, "HARMONY"),
        "isAdapter": lambda row, info: False,
        "isTraining": lambda row, info: False,
        "kind": lambda row, info: "Generation",
        "size": lambda row, info: None,
        "computeConfig": lambda row, info: None,
        "backbone": lambda row, info: None,
        "capabilities": lambda row, info: CAPABILITIES,
        "inStorage": lambda row, info: False,
        "isPublished": lambda row, info: False,
        "useCases": _projects,
        "projects": _projects,
        "externalProviderData": _provider_data,
    },
    "ModelService": {
        "id": _of_row("id"),
        "key": _of_row("key"),
        "name": lambda service, info: _of_row("name")(service, info) or _of_row("key")(service, info),
        "model": lambda service, info: getattr(service, "row", service),
        "attached": lambda service, info: getattr(service, "its", None) is not None,
        "isDefault": _in_project("is_default", False),
        "desiredOnline": _in_project("enabled", True),
        "createdAt": lambda service, info: (
            (getattr(service, "its", None) or getattr(service, "row", service)).created_at
        ),
        "projectId": _project_id,
        "useCaseId": _project_id,
        "placement": lambda service, info: None,
        "modelService": lambda service, info: service,
        "warnings": lambda service, info: getattr(service, "warnings", []),
    },
}
