"""Routing of calls: from the name of a model to the project, the model and its target at the provider."""

from __future__ import annotations

import msgspec

from afterword.errors import Conflict, Invalid, NotFound
from afterword.ids import find_uuid
from afterword.service.context import Context
from afterword.store.ab_tests import ACTIVE, ABTestRow
from afterword.store.catalog import Catalog, ModelRow, ProjectRow
from afterword.store.schema import hash63
from afterword.types import Target


class ModelRoute(msgspec.Struct, frozen=True):
    """Where a call goes: the project, the named or assigned model, the targets of that model and its fallbacks in
    order, and the A/B test that the call takes part in."""

    project: ProjectRow
    model: ModelRow
    targets: tuple[tuple[ModelRow, Target], ...]
    test: ABTestRow | None = None


def get_model_route(context: Context, name: str | None) -> ModelRoute:
    """Return the route of a call.

    `name` is PROJECT/MODEL or PROJECT:MODEL, PROJECT for its default model, or MODEL in the key's own project. Raises
    `NotFound`; `Invalid` if a project has no default model, and for a logged-only model; `Conflict` for an archived
    project.
    """
    route_or_project = _route_or_project(context, name)
    return (
        route_or_project
        if isinstance(route_or_project, ModelRoute)
        else _new_route(context, route_or_project, _default_model(context, route_or_project))
    )


def get_call_route(context: Context, name: str | None, *, session_id: str, ab_campaign: str | None) -> ModelRoute:
    """Return the route of a call that may take part in an A/B test.

    A call that names no model may go to a model of the project's active test. All calls of a session go to the same
    model. With `ab_campaign` the call takes part in that test. Raises as `get_model_route` does; also `Invalid` for a
    model outside the test, and `Conflict` for a test that has ended.
    """
    session_uuid = find_uuid(session_id)
    session = session_id.encode() if session_uuid is None else session_uuid.bytes
    if ab_campaign is None:
        route_or_project = _route_or_project(context, name)
        if isinstance(route_or_project, ModelRoute):
            return route_or_project
        test = context.catalog.tests.active.get(route_or_project.number)
        if test is not None and _takes_part(test, session) and (row := _assigned_model(context, test, session)):
            return _new_route(context, route_or_project, row, test)
        return _new_route(context, route_or_project, _default_model(context, route_or_project))
    test = get_running_test(context, ab_campaign)
    project = context.project(context.catalog.projects[test.project].key, writing=True)
    route_or_project = project if name is None else _route_or_project(context, name)
    if isinstance(route_or_project, ModelRoute):
        check_model_of(context, test, route_or_project.model, route_or_project.project)
        return msgspec.structs.replace(route_or_project, test=test)
    if route_or_project.number != project.number:
        raise NotFound(
            f"The A/B test {test.key!r} is one of {project.key!r}, not of {route_or_project.key!r}.",
            code="ab_test_not_found",
            param="ab_campaign",
            hint="Name the test's own project as the model, or leave the model out.",
        )
    row = _assigned_model(context, test, session)
    if row is None:
        raise Conflict(
            f"None of the models of the A/B test {test.key!r} can be called now.",
            code="no_model_of_ab_test",
            param="ab_campaign",
            hint=f"Attach them again: POST /api/v1/projects/{project.key}/models. Or cancel the test.",
        )
    return _new_route(context, project, row, test)


def _new_route(context: Context, project: ProjectRow, row: ModelRow, test: ABTestRow | None = None) -> ModelRoute:
    return ModelRoute(project, row, _targets(context, row), test)


def _route_or_project(context: Context, name: str | None) -> ModelRoute | ProjectRow:
    """Return the route of a call that names a model, or the project of a call that names none."""
    if name is None:
        return context.project(None, writing=True)
    catalog = context.catalog
    project, model_key = None, ""
    # Some clients read the part before a slash as a provider of theirs, so a colon works, too.
    for separator in "/:":
        key, matched_separator, key_after_separator = name.partition(separator)
        named_project = catalog.find_project(key)
        if named_project is None or not context.actor.sees(named_project.number):
            continue
        context.project(key, writing=True)
        if not matched_separator:
            return named_project
        row = find_callable_model(context, named_project, key_after_separator)
        if row is not None:
            return _new_route(context, named_project, row)
        project, model_key = project or named_project, model_key or key_after_separator
    # A bare key, which may have slashes and colons of its own.
    own_project = context.project(None, writing=True)
    row = find_callable_model(context, own_project, name)
    if row is not None:
        return _new_route(context, own_project, row)
    target_project = project or own_project
    known_model = catalog.find_model(model_key if target_project is project else name)
    if known_model is not None and known_model.provider is None and context.actor.projects is None:
        raise logged_only_error(known_model)
    callable_keys = [
        catalog.models[project_model.model].key
        for project_model in catalog.models_of(target_project.number)
        if project_model.enabled
    ]
    names = ", ".join(f"{target_project.key}/{key}" for key in callable_keys[:10])
    raise NotFound(
        f"{name[:200]!r} is not one that can be called here.",
        noun="model",
        code="model_not_found",
        param="model",
        hint=f"Models of {target_project.key!r}: {names}."
        if names
        else f"Attach one to {target_project.key!r} first: POST /api/v1/projects/{target_project.key}/models.",
    )


def find_callable_model(context: Context, project: ProjectRow, key: str) -> ModelRow | None:
    """Return the model of that key or id, if the project may call it."""
    row = context.catalog.find_model(key)
    return row if row is not None and is_callable_in(context.catalog, project.number, row.number) else None


def is_callable_in(catalog: Catalog, project: int, model: int) -> bool:
    """Tell whether a project may call a model, by their numbers."""
    project_model = catalog.project_models.get((project, model))
    return project_model is not None and bool(project_model.enabled) and catalog.models[model].provider is not None


def logged_only_error(row: ModelRow) -> Invalid:
    """Return the error for a model that completions name, but that cannot be called."""
    return Invalid(
        f"The model {row.key!r} is logged-only: it cannot be called.",
        code="model_logged_only",
        param="model",
        hint=f"Register it with its provider first: POST /api/v1/models with the key {row.key!r}.",
    )


# ------------------------------------------------------------------------------------------------ A/B tests


def get_test_row(context: Context, id_or_key: str, *, param: str = "test") -> ABTestRow:
    """Return the A/B test of that id or key. Raises `NotFound`."""
    row = context.catalog.tests.find(id_or_key)
    if row is None or not context.actor.sees(row.project):
        raise NotFound(
            f"{id_or_key[:200]!r} does not exist, or this key may not see it.",
            noun="A/B test",
            code="ab_test_not_found",
            param=param,
            hint="List the tests with GET /api/v1/ab-tests.",
        )
    return row


def get_running_test(context: Context, id_or_key: str) -> ABTestRow:
    """Return the A/B test that a call names. Raises `NotFound`; `Conflict` for one that has ended."""
    row = get_test_row(context, id_or_key, param="ab_campaign")
    if row.status != ACTIVE:
        raise Conflict(
            f"The A/B test {row.key!r} has ended: it is {row.status}.",
            code="ab_test_ended",
            param="ab_campaign",
            hint="Leave ab_campaign out: calls that name no model go to the project's default.",
        )
    return row


def check_model_of(context: Context, test: ABTestRow, model: ModelRow | None, project: ProjectRow) -> None:
    """Raise `Invalid` unless a call or interaction of an A/B test also names a model of the test."""
    if model is None or model.number not in test.models or project.number != test.project:
        project_key = context.catalog.projects[test.project].key
        names = ", ".join(f"{project_key}/{context.catalog.models[number].key}" for number in test.models)
        raise Invalid(
            f"{f'{project.key}/{model.key}' if model else 'No model'} is not one of the A/B test {test.key!r}.",
            code="model_not_in_ab_test",
            param="model",
            hint=f"Its models: {names}.",
        )


def _takes_part(test: ABTestRow, session: bytes) -> bool:
    """Tell whether a session is in the test's share of the calls. The answer never changes for a session."""
    return (hash63(test.id.bytes, session) >> 10) / 2**53 < test.traffic_split


def _assigned_model(context: Context, test: ABTestRow, session: bytes) -> ModelRow | None:
    """Return the model of the test that a session is assigned to, among those that can be called now.

    It is the one with the largest hash (rendezvous hashing). If a model is switched off, only its sessions move.
    """
    models = [number for number in test.models if is_callable_in(context.catalog, test.project, number)]
    rows = [context.catalog.models[number] for number in models]
    return max(rows, key=lambda row: hash63(test.id.bytes, session, row.id.bytes), default=None)


def _default_model(context: Context, project: ProjectRow) -> ModelRow:
    for project_model in context.catalog.models_of(project.number):
        if project_model.is_default and project_model.enabled:
            return context.catalog.models[project_model.model]
    raise Invalid(
        f"The project {project.key!r} has no default model.",
        code="no_default_model",
        param="model",
        hint=f"Name one as {project.key}/MODEL, or set a default: PATCH /api/v1/projects/{project.key}/models/MODEL "
        '{"is_default": true}.',
    )


def _targets(context: Context, row: ModelRow) -> tuple[tuple[ModelRow, Target], ...]:
    """Return a model and its fallbacks, each with its target."""
    targets: list[tuple[ModelRow, Target]] = []
    model_numbers: set[int] = set()
    model: ModelRow | None = row
    while model is not None and model.provider is not None and model.number not in model_numbers:
        model_numbers.add(model.number)
        targets.append((model, target_of(context, model)))
        model = None if model.fallback is None else context.catalog.models.get(model.fallback)
    return tuple(targets)


def target_of(context: Context, row: ModelRow) -> Target:
    """Return the target of a model at its provider. It is cached until the model changes, so secrets are decrypted
    once."""
    cached_target = context.state.targets.get(row.number)
    if cached_target is not None and cached_target[0] is row:
        return cached_target[1]
    opened_secret = context.state.secrets.open(row.secret, f"the model {row.key!r}") if row.secret else {}
    target = Target(
        provider=row.provider or "",
        key=row.key,
        model=row.external_model_id or row.key,
        endpoint=row.endpoint,
        api_key=opened_secret.get("api_key"),
        headers=opened_secret.get("headers") or {},
        parameters=msgspec.json.decode(row.extra_params) if row.extra_params else {},
    )
    context.state.targets[row.number] = (row, target)
    return target
