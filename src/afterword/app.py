"""The ASGI application: every path with its endpoint, and the errors of paths that do not exist."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.routing import Route as ServedPath

from afterword import compat
from afterword.api import docs, pages, traces
from afterword.api.auth import Authenticator, move_key_to_headers
from afterword.api.calls import CallEndpoint, ModelRequest
from afterword.api.chat import ChatRequest
from afterword.api.embeddings import EmbeddingsRequest
from afterword.api.error_forms import GOOGLES_VERSION, error_form_of
from afterword.api.formats import FormatRequest, TokenCountCall
from afterword.api.generate_content import ContentTokenCountCall, GenerateContentCall
from afterword.api.graphql import http_endpoint
from afterword.api.model_lists import SHARED_MODEL_ROUTES, ModelsEndpoint, googles_endpoints, shared_endpoint
from afterword.api.otlp import OTLPEndpoint
from afterword.api.passed_calls import PassedRequest
from afterword.api.prometheus import PrometheusEndpoint
from afterword.api.rest import Endpoint, Headers, Receive, Scope, Send, error_answer, fault
from afterword.api.routes import (
    BASES,
    GOOGLES_BASES,
    MODEL_CALL_ROUTES,
    ROUTES,
    TELEMETRY_ROUTES,
    ModelCallRoute,
    Route,
    paths_of,
)
from afterword.api.unserved import find_unserved_error
from afterword.errors import AfterwordError, MethodNotAllowed, NotFound, error_for
from afterword.gateway.provider import PASSED_PATHS, Operation
from afterword.lifespan import lifespan
from afterword.service.access import digest
from afterword.service.cluster.status import VERSION
from afterword.service.context import AppState

REQUEST_CLASSES: dict[Operation, type[ModelRequest]] = {
    "embeddings": EmbeddingsRequest,
    "count_tokens": TokenCountCall,
    "generate_content": GenerateContentCall,
    "count_content_tokens": ContentTokenCountCall,
    **dict.fromkeys(PASSED_PATHS, PassedRequest),
}
"""The classes of calls that are neither chat nor in a form of their own alone."""


def make_app(state: AppState, administrator_key: str) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Return the ASGI application over an open state. `administrator_key` is the API key that may do everything."""
    state = replace(state, administrator_digest=digest(administrator_key))
    authenticator = Authenticator(state)
    call_tasks: set[asyncio.Task[Any]] = set()
    tracer = traces.create_tracer()
    call_endpoints = _call_endpoints(state, authenticator, tracer, call_tasks)
    telemetry_endpoints = {route.path: OTLPEndpoint(route, state, authenticator) for route in TELEMETRY_ROUTES}
    page = pages.Pages()
    graphql = http_endpoint.GraphQLEndpoint(state, authenticator, compat)
    paths = [
        *(
            ServedPath(_pattern(route.path), _endpoint(route, state, authenticator), methods=[route.method])
            for route in ROUTES
        ),
        ServedPath(http_endpoint.PATH, graphql, methods=["POST"]),
        *(
            ServedPath(_pattern(path), endpoint, methods=["POST"])
            for path, endpoint in (*call_endpoints.items(), *telemetry_endpoints.items())
        ),
        *_model_paths(state, authenticator),
        *_paths_of_calls(state, authenticator),
        ServedPath("/metrics", PrometheusEndpoint(state, authenticator), methods=["GET"]),
        *(ServedPath(path, _static_file_endpoint(content, kind)) for path, kind, content in docs.files(VERSION)),
        ServedPath("/assets/{file:path}", _page_endpoint(page.asset), methods=["GET"]),
        ServedPath("/", _page_endpoint(page.page), methods=["GET"]),
    ]

    starlette = Starlette(
        routes=paths,
        lifespan=lambda _: lifespan(state, tracer, call_tasks),
        exception_handlers={HTTPException: _http_error_response, Exception: _internal_error_response},
    )
    # Paths without a parameter bypass Starlette, whose routing (two middlewares, one pattern match per route) takes as
    # long as decoding and validating a request.
    direct_endpoints: dict[tuple[str, str], Any] = {
        (route.method, route.path): path.endpoint
        for route, path in zip(ROUTES, paths, strict=False)
        if "{" not in route.path
    }
    direct_endpoints |= {
        ("POST", path): endpoint
        for path, endpoint in (*call_endpoints.items(), (http_endpoint.PATH, graphql))
        if "{" not in path
    }

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = direct_endpoints.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if endpoint is None:
            if scope["type"] == "http" and b"key=" in scope["query_string"] and scope["path"].startswith(GOOGLES_BASES):
                move_key_to_headers(scope)
            await starlette(scope, receive, send)
        else:
            scope["path_params"] = {}
            await endpoint(scope, receive, send)

    return app


def _endpoint(route: Route, state: AppState, authenticator: Authenticator) -> Endpoint | ModelsEndpoint:
    endpoint = Endpoint(route, state, authenticator, compat.LIFTS.get(route.name))
    return shared_endpoint(endpoint, state, authenticator) if route.name in SHARED_MODEL_ROUTES else endpoint


def _call_endpoints(
    state: AppState, authenticator: Authenticator, tracer: traces.NoTracer, call_tasks: set[asyncio.Task[Any]]
) -> dict[str, CallEndpoint]:
    """Return the endpoints of model calls by their paths."""
    endpoints: dict[str, CallEndpoint] = {}
    for route in MODEL_CALL_ROUTES:
        lift = compat.LIFTS.get(route.name)
        endpoint = CallEndpoint(route, _request_class(route), state, authenticator, tracer, call_tasks, lift)
        endpoints |= dict.fromkeys(route.paths, endpoint)
    return endpoints


def _request_class(route: ModelCallRoute) -> type[ModelRequest]:
    default_class = ChatRequest if route.format is None else FormatRequest
    return REQUEST_CLASSES.get(route.name, default_class)


def _paths_of_calls(state: AppState, authenticator: Authenticator) -> list[ServedPath]:
    """Return the paths at which stored responses are served below the further base addresses."""
    return [
        ServedPath(path, _endpoint(route, state, authenticator), methods=[route.method])
        for route in ROUTES
        if route.tag == "calls"
        for path in paths_of(route.path)[1:]
    ]


def _model_paths(state: AppState, authenticator: Authenticator) -> list[ServedPath]:
    """Return the paths at which models are listed and shown, apart from those of ROUTES."""
    endpoints: list[tuple[str, Any]] = [
        (path, _endpoint(route, state, authenticator))
        for route in ROUTES
        if route.name in SHARED_MODEL_ROUTES
        for path in paths_of(route.path)[1:]
    ]
    endpoints += [
        (path, endpoint)
        for endpoint in googles_endpoints(state, authenticator)
        for path in paths_of(endpoint.route.path)
        if GOOGLES_VERSION in path
    ]
    return [ServedPath(_pattern(path), endpoint, methods=["GET"]) for path, endpoint in endpoints]


def _pattern(path: str) -> str:
    """Return a path as Starlette writes it. A model's key and a session's name may contain slashes."""
    return path.replace("{model}", "{model:path}").replace("{session_id}", "{session_id:path}")


def _static_file_endpoint(content: bytes, content_type: str) -> Any:
    headers = {
        "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "x-content-type-options": "nosniff",
    }

    async def serve_file(_: Request) -> Response:
        return Response(content, media_type=content_type, headers=headers)

    return serve_file


def _page_endpoint(serve: Callable[[Request], Response]) -> Any:
    async def serve_file(request: Request) -> Response:
        try:
            return serve(request)
        except AfterwordError as error:
            return _error_response(request, error, [])

    return serve_file


# An unknown path below these is answered with a JSON error. Any other unknown path may be a location within the page.
PROGRAM_PATH_PREFIXES = (
    *(f"{base}/" for base in (*BASES, *GOOGLES_BASES, "/api", "/openai")),
    *("/images/", "/media/", "/docs/", "/assets/"),
)


async def _http_error_response(request: Request, error: Exception) -> Response:
    """Answer an unknown path or method with the API's error object; a browser gets the page, which routes by itself."""
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == 404 and request.method == "GET" and not path.startswith(PROGRAM_PATH_PREFIXES):
        accepted_types = request.headers.get("accept", "")
        if "text/html" in accepted_types or (path.count("/") == 1 and path.endswith(".svg")):
            return pages.Pages().page(request)
    if error.status_code == 404:
        api_error: AfterwordError = find_unserved_error(path) or NotFound(
            f"There is nothing at {path[:200]!r}.", code="no_such_path", hint="The calls are listed at /docs."
        )
    elif error.status_code == 405:
        allowed_methods = ", ".join(_methods(request))
        api_error = MethodNotAllowed(
            f"{path[:200]} takes no {request.method}.", code="method_not_allowed", hint=f"It takes {allowed_methods}."
        )
        return _error_response(request, api_error, [(b"allow", allowed_methods.encode())])
    else:
        api_error = error_for(error.status_code)(str(error.detail))
    return _error_response(request, api_error, [])


def _methods(request: Request) -> list[str]:
    """Return the methods of all routes that match the path. Starlette itself names those of the first one only."""
    routes = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in routes for method in route.methods or ()})


async def _internal_error_response(request: Request, error: Exception) -> Response:
    return _error_response(request, fault(request.headers.get("x-request-id", "-").encode()), [])


def _error_response(request: Request, error: AfterwordError, extra_headers: Headers) -> Response:
    form = error_form_of(request.url.path, dict(request.headers.raw))
    status, content_type, body, error_headers = error_answer(error, form)
    headers = {name.decode(): value.decode() for name, value in [*error_headers, *extra_headers]}
    return Response(body, status, headers, media_type=content_type.decode())
