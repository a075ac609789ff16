"""`GET /models` and `/models/{model}` as the asking client reads them.

They have OpenAI's form by default, Anthropic's for requests with an `anthropic-version`, Google's for requests with a
header of Google's clients, and under `/v1beta`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from afterword.api.auth import Authenticator
from afterword.api.error_forms import ANTHROPIC_VERSION_HEADER, GOOGLES_HEADERS, anthropics_error, googles_error
from afterword.api.rest import Endpoint, Receive, Scope, Send
from afterword.api.routes import Route
from afterword.service.context import AppState, Context
from afterword.service.models import models
from afterword.types import ListedModel
from afterword.types.queries import ModelsQuery

GOOGLES_METHODS = ("generateContent", "streamGenerateContent", "countTokens")


class ModelsEndpoint:
    """A path of models that clients of OpenAI's, Anthropic's and Google's APIs share."""

    def __init__(self, openais: Endpoint, anthropics: Endpoint, googles: Endpoint) -> None:
        self._openais = openais
        self._anthropics = anthropics
        self._googles = googles

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        names = {name for name, _ in scope["headers"]}
        endpoint = self._openais
        if ANTHROPIC_VERSION_HEADER in names:
            endpoint = self._anthropics
        elif not names.isdisjoint(GOOGLES_HEADERS):
            endpoint = self._googles
        await endpoint(scope, receive, send)


def shared_endpoint(openais: Endpoint, state: AppState, authenticator: Authenticator) -> ModelsEndpoint:
    """Return the endpoint of a path at which OpenAI's form of models is served by `openais`."""
    anthropics_route, googles_route = _ANTHROPICS_ROUTES[openais.route.name], _GOOGLES_ROUTES[openais.route.name]
    return ModelsEndpoint(
        openais,
        Endpoint(anthropics_route, state, authenticator, error_form=anthropics_error),
        Endpoint(googles_route, state, authenticator, error_form=googles_error),
    )


def googles_endpoints(state: AppState, authenticator: Authenticator) -> list[Endpoint]:
    """Return the endpoints of the paths at which Google's clients look for models."""
    return [Endpoint(route, state, authenticator, error_form=googles_error) for route in _GOOGLES_ROUTES.values()]


# ------------------------------------------------------------------------------------------------ Anthropic's form


class AnthropicsModelsQuery(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A page of models, as Anthropic's API pages them: by the ids of models."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 20
    after_id: str | None = None
    before_id: str | None = None


async def _list_for_anthropics_clients(context: Context, *, query: AnthropicsModelsQuery) -> Any:
    listed = await _callable_models(context)
    ids = [model.id for model in listed]
    start = ids.index(query.after_id) + 1 if query.after_id in ids else 0
    end = ids.index(query.before_id) if query.before_id in ids else len(ids)
    if query.before_id in ids and query.after_id is None:
        start = max(0, end - query.limit)
    page = listed[start : min(end, start + query.limit)]
    return {
        "data": [_anthropics_model(model) for model in page],
        "first_id": page[0].id if page else None,
        "last_id": page[-1].id if page else None,
        "has_more": start > 0 if query.before_id in ids else start + len(page) < end,
    }


async def _show_to_anthropics_clients(context: Context, model: str) -> Any:
    return _anthropics_model(await _callable_model(context, model))


def _anthropics_model(model: ListedModel) -> dict[str, Any]:
    created_at = datetime.fromtimestamp(model.created, UTC)
    return {"type": "model", "id": model.id, "display_name": model.id, "created_at": created_at}


# ------------------------------------------------------------------------------------------------ Google's form


class GooglesModelsQuery(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What Google's clients send. The list is never so long that it has pages."""

    page_size: Annotated[int, Meta(ge=0)] | None = msgspec.field(default=None, name="pageSize")
    page_token: str | None = msgspec.field(default=None, name="pageToken")
    alt: str | None = None


async def _list_for_googles_clients(context: Context, *, query: GooglesModelsQuery) -> Any:
    return {"models": [_googles_model(model) for model in await _callable_models(context)]}


async def _show_to_googles_clients(context: Context, model: str, *, query: GooglesModelsQuery) -> Any:
    return _googles_model(await _callable_model(context, model))


def _googles_model(model: ListedModel) -> dict[str, Any]:
    return {
        "name": f"models/{model.id}",
        "displayName": model.id,
        "supportedGenerationMethods": GOOGLES_METHODS,
    }


# ------------------------------------------------------------------------------------------------ routes


async def _callable_models(context: Context) -> list[ListedModel]:
    return (await models.list_models(context, query=ModelsQuery())).data


async def _callable_model(context: Context, name: str) -> ListedModel:
    model = await models.get_model(context, name)
    return ListedModel(id=model.id, created=model.created, owned_by=model.owned_by)


_ANTHROPICS_ROUTES = {
    "models.list_models": Route(
        name="models.list_models", method="GET", path="/api/v1/models", run=_list_for_anthropics_clients,
        tag="models", needs="list_models", query=AnthropicsModelsQuery, is_openais=True),
    "models.get": Route(
        name="models.get", method="GET", path="/api/v1/models/{model}", run=_show_to_anthropics_clients,
        tag="models", needs="list_models", is_openais=True),
}  # fmt: skip
SHARED_MODEL_ROUTES = frozenset(_ANTHROPICS_ROUTES)
"""The names of the routes that have a form of their own for Anthropic's clients."""
_GOOGLES_ROUTES = {
    "models.list_models": Route(
        name="models.list_models", method="GET", path="/v1beta/models", run=_list_for_googles_clients,
        tag="models", needs="list_models", query=GooglesModelsQuery, is_openais=True),
    "models.get": Route(
        name="models.get", method="GET", path="/v1beta/models/{model}", run=_show_to_googles_clients,
        tag="models", needs="list_models", query=GooglesModelsQuery, is_openais=True),
}  # fmt: skip
