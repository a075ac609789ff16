"""Models, and which projects may call them. Nothing is deployed: providers run them."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from graphql import GraphQLResolveInfo

from afterword.api.graphql.filters import project_of
from afterword.api.graphql.request_context import RequestContext, projects_of_keys
from afterword.errors import AfterwordError, Conflict, Invalid, NotFound
from afterword.gateway.providers import SPECS
from afterword.service import projects
from afterword.service.access import check_for_all_projects
from afterword.service.context import Context
from afterword.service.models import models
from afterword.types import Model, ModelChange, NewModel, NewProjectModel, Project, ProjectModel, ProjectModelChange

CAPABILITIES = ["TextGeneration"]

SPECS_BY_INPUT = {name: spec for spec in SPECS.values() for name in spec.graphql_inputs}


class ModelService(msgspec.Struct):
    """A model in a project; `warnings` name the parts of the input that were ignored."""

    model: Model
    attachment: ProjectModel | None
    warnings: list[str] = []


# ------------------------------------------------------------------------------------------------ the registry


async def all_models(context: Context, filter: dict[str, Any]) -> list[Model]:
    """Return the models that the key may see: those with a provider, or all with `viewAll`."""
    return [
        model
        for model in models.visible_models(context)
        if (model.provider or filter.get("viewAll")) and _passes(filter, _online(context, model))
    ]


def _passes(filter: dict[str, Any], online: str) -> bool:
    """Tell whether a model passes a filter. Most members are the same for all: none is stored, trained or published."""
    capabilities, capability_filter = set(CAPABILITIES), filter.get("capabilities", {})
    return (
        online in filter.get("online", (online,))
        and filter.get("available", online == "ONLINE") == (online == "ONLINE")
        and not any(filter.get(name) for name in ("inStorage", "trainable", "published", "size"))
        and "Generation" in filter.get("kind", ("Generation",))
        and (not capability_filter.get("any") or bool(capabilities & set(capability_filter["any"])))
        and capabilities >= set(capability_filter.get("all", ()))
    )


async def model(context: Context, id_or_key: str) -> Model | None:
    """Return a model that the key may see."""
    try:
        return models.get_visible_model(context, id_or_key)
    except NotFound:
        return None


async def add_external_model(context: Context, request: RequestContext, input: dict[str, Any]) -> Model:
    """Register a model of a provider."""
    provider_data = input.get("providerData", {})
    if len(provider_data) != 1:
        raise Invalid(
            f"providerData has {len(provider_data)} members; it takes exactly one of {', '.join(SPECS_BY_INPUT)}.",
            code="invalid_provider_data",
            param="input.providerData",
            hint="Give the provider's own, with its apiKey and externalModelId.",
        )
    [(name, provider_fields)] = provider_data.items()
    key = re.sub(r"[^A-Za-z0-9._/-]+", "-", input["name"]).strip("-/")
    return await models.register(
        context,
        body=NewModel(
            key=key,
            name=input["name"],
            provider=SPECS_BY_INPUT[name].name,
            external_model_id=request.lift_model(provider_fields["externalModelId"]),
            api_key=provider_fields.get("apiKey"),
            endpoint=provider_fields.get("endpoint"),
            extra_params=provider_fields.get("extraParams"),
        ),
    )


async def terminate_model(context: Context, id_or_key: str, force: bool) -> str:
    """Switch a model off in all projects that may call it and that the key is for."""
    attachments = [attachment for attachment in _attachments(context, id_or_key) if attachment.enabled]
    if len(attachments) > 1 and not force:
        names = ", ".join(sorted(attachment.project for attachment in attachments))
        raise Conflict(
            f"This model is called by several projects ({names}).",
            code="model_in_use",
            param="force",
            hint="Give force: true to switch it off in all of them.",
        )
    for attachment in attachments:
        await _change_attachment(context, attachment, ProjectModelChange(enabled=False))
    return "OK"


async def update_model_compute_config(context: Context, id_or_key: str, input: dict[str, Any]) -> Model:
    """Refuse: there is nothing to configure."""
    raise Invalid(
        "Afterword runs no models itself: providers do, so that there is no compute to configure.",
        code="not_served",
        hint="Configure the model where it runs.",
    )


# ------------------------------------------------------------------------------------------------ in projects


async def attach_model(context: Context, input: dict[str, Any]) -> ModelService:
    """Attach a model, or with `attached: false` detach it."""
    service = await _attached_service(context, project_of(input), input["model"], input)
    if input["attached"] is False and service.attachment is not None:
        await _detach(context, service.attachment)
        return ModelService(service.model, None)
    return service


async def add_model_to_use_case(context: Context, input: dict[str, Any]) -> bool:
    """Attach a model."""
    await _attached_service(context, project_of(input), input["model"], {})
    return True


async def add_models_to_project(context: Context, input: dict[str, Any]) -> dict[str, Any]:
    """Attach models; return the reason for each that could not be attached."""
    failures = []
    for name in input["models"]:
        try:
            await _attached_service(context, project_of(input), name, {})
        except AfterwordError as error:
            failures.append({"model": name, "reason": error.message})
    return {"success": not failures, "failures": failures}


async def remove_model(context: Context, input: dict[str, Any]) -> bool:
    """Detach a model."""
    service = await _service(context, project_of(input), input["model"])
    if service.attachment is not None:
        await _detach(context, service.attachment)
    return True


async def update_model_service(context: Context, input: dict[str, Any]) -> ModelService:
    """Make a model the default, switch it off or on, or take it out of the project."""
    if "name" in input:
        check_for_all_projects(context.actor, "the name of a model belongs to the server")
    service = await _attached_service(context, project_of(input), input["modelService"], {})
    assert service.attachment is not None
    if input.get("attached") is False:
        await _detach(context, service.attachment)
        return ModelService(service.model, None)
    names = {"isDefault": "is_default", "desiredOnline": "enabled"}
    values = {names[name]: input[name] for name in names if name in input}
    if values:
        await _change_attachment(context, service.attachment, ProjectModelChange(**values))
    if "name" in input:
        await models.update_model(context, service.model.id, body=ModelChange(name=input["name"]))
    changed_service = await _service(context, project_of(input), service.model.id)
    return ModelService(changed_service.model, changed_service.attachment, _warnings(input))


async def deploy_model(context: Context, input: dict[str, Any]) -> ModelService:
    """Switch a model on: its provider runs it already."""
    service = await _attached_service(context, project_of(input), input["model"], input)
    assert service.attachment is not None
    if not service.attachment.enabled:
        attachment = await _change_attachment(context, service.attachment, ProjectModelChange(enabled=True))
        return ModelService(service.model, attachment, service.warnings)
    return service


async def deploy_model_legacy(context: Context, id_or_key: str, wait: bool, placement: Any = None) -> str:
    """Switch a model on wherever it is attached."""
    for attachment in _attachments(context, id_or_key):
        if not attachment.enabled:
            await _change_attachment(context, attachment, ProjectModelChange(enabled=True))
    return "OK"


def _attachments(context: Context, id_or_key: str) -> list[ProjectModel]:
    return models.attachments_of(context, models.get_visible_model(context, id_or_key).key)


async def _service(context: Context, project: str, id_or_key: str) -> ModelService:
    model = models.get_visible_model(context, id_or_key)
    key = (await projects.get_project(context, project)).key
    attachments = models.attachments_of(context, model.key)
    return ModelService(model, next((attachment for attachment in attachments if attachment.project == key), None))


async def _attached_service(context: Context, project: str, id_or_key: str, input: dict[str, Any]) -> ModelService:
    await models.attach(context, project, body=NewProjectModel(model=id_or_key))
    service = await _service(context, project, id_or_key)
    return ModelService(service.model, service.attachment, _warnings(input))


def _warnings(input: dict[str, Any]) -> list[str]:
    ignored_members = [name for name in ("placement", "speculativeDecoding") if name in input]
    return [f"{name} was ignored: Afterword runs no models itself." for name in ignored_members]


async def _change_attachment(context: Context, attachment: ProjectModel, body: ProjectModelChange) -> ProjectModel:
    return await models.update_project_model(context, attachment.project, attachment.model, body=body)


async def _detach(context: Context, attachment: ProjectModel) -> None:
    await models.detach(context, attachment.project, attachment.model)


# ------------------------------------------------------------------------------------------------ members


def services_of(project: Project, info: GraphQLResolveInfo, filter: dict[str, Any] | None = None) -> list[ModelService]:
    """Return the models of a project."""
    id_or_key = (filter or {}).get("model")
    return [
        ModelService(model, attachment)
        for model, attachment in models.models_of_project(info.context.read_context, project.key)
        if id_or_key in (None, model.key, model.id)
    ]


def default_of(project: Project, info: GraphQLResolveInfo) -> ModelService | None:
    """Return the default model of a project."""
    return next(
        (service for service in services_of(project, info) if service.attachment and service.attachment.is_default),
        None,
    )


def _online(context: Context, model: Model) -> str:
    return "ONLINE" if models.last_status(context, model).status == "online" else "OFFLINE"


def _error(model: Model, info: GraphQLResolveInfo) -> str | None:
    return models.last_status(info.context.read_context, model).error if model.provider else None


def _model_projects(model: Model, info: GraphQLResolveInfo, filter: dict[str, Any] | None = None) -> list[Project]:
    attachments = models.attachments_of(info.context.read_context, model.key)
    return projects_of_keys(info.context, [attachment.project for attachment in attachments], filter)


def _provider_data(model: Model, info: GraphQLResolveInfo) -> dict[str, Any] | None:
    return (
        None
        if model.provider is None
        else {
            "provider": model.provider,
            "external_model_id": model.external_model_id,
            "endpoint_url": model.endpoint,
            "extra_params": model.extra_params or None,
        }
    )


def _attachment_member(name: str, default: Any) -> Any:
    return lambda service, info: (
        default if getattr(service, "attachment", None) is None else getattr(service.attachment, name)
    )


def _model_member(name: str) -> Any:
    """Return the resolver of a model's member, for a service, or for a model in place of one."""
    return lambda service, info: getattr(getattr(service, "model", service), name)


def _project_id(service: Any, info: GraphQLResolveInfo) -> Any:
    attachment = getattr(service, "attachment", None)
    project = attachment and info.context.find_project(attachment.project)
    return project and project.id


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
        "online": lambda model, info: _online(info.context.read_context, model),
        "error": _error,
        "isExternal": lambda model, info: True,
        "providerName": lambda model, info: SPECS[model.provider].graphql_name if model.provider else "HARMONY",
        "isAdapter": lambda model, info: False,
        "isTraining": lambda model, info: False,
        "kind": lambda model, info: "Generation",
        "size": lambda model, info: None,
        "computeConfig": lambda model, info: None,
        "backbone": lambda model, info: None,
        "capabilities": lambda model, info: CAPABILITIES,
        "inStorage": lambda model, info: False,
        "isPublished": lambda model, info: False,
        "useCases": _model_projects,
        "projects": _model_projects,
        "externalProviderData": _provider_data,
    },
    "ModelService": {
        "id": _model_member("id"),
        "key": _model_member("key"),
        "name": _model_member("name"),
        "model": lambda service, info: getattr(service, "model", service),
        "attached": lambda service, info: getattr(service, "attachment", None) is not None,
        "isDefault": _attachment_member("is_default", False),
        "desiredOnline": _attachment_member("enabled", True),
        "createdAt": lambda service, info: (
            (getattr(service, "attachment", None) or getattr(service, "model", service)).created_at
        ),
        "projectId": _project_id,
        "useCaseId": _project_id,
        "placement": lambda service, info: None,
        "modelService": lambda service, info: service,
        "warnings": lambda service, info: getattr(service, "warnings", []),
    },
}
