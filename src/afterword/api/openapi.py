"""Builds the OpenAPI document from the route table that rest.py serves."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Any, get_args
from urllib.parse import quote

import msgspec
from msgspec.inspect import DateTimeType, Metadata, Type, UnionType, type_info

from afterword import errors, types
from afterword.api.glossary import (
    ABOUT,
    ANSWER_HEADERS,
    CALL_HEADERS,
    CALLS,
    EXAMPLES,
    FAILURES,
    PATH_PARAMETERS,
    TAGS,
    TELEMETRY,
)
from afterword.api.routes import MODEL_CALL_ROUTES, ROUTES, TELEMETRY_ROUTES, ModelCallRoute, Route, TelemetryRoute
from afterword.service.access import PERMISSIONS_OF_ROLE
from afterword.service.studies.dataset_downloads import MEDIA_TYPES

NDJSON = "application/x-ndjson"
JSON = "application/json"
EVENTS = "text/event-stream"
OCTETS = "application/octet-stream"
EXAMPLE_LINES = '{"messages": [{"role": "user", "content": "Why is the sky blue?"}], "completion": "Air."}'
IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
SCHEMAS = "#/components/schemas/{name}"

# Parameters of a path that take nothing else; a completion is also named by the id of its answer.
UUID_PARAMETERS = frozenset({"comparison_id", "feedback_id", "key_id", "outcome_id", "view_id"})

# Errors that every route of a kind can give; the table names the others. Routes that need a key also refuse unknown
# parameters.
COMMON_STATUSES = (503,)
KEY_STATUSES = (400, 401, 403, 422)
BODY_STATUSES = (413,)


def document(version: str) -> dict[str, Any]:
    """Build the OpenAPI 3.1 document of this server's version."""
    paths: dict[str, dict[str, Any]] = {}
    for route, operation_id in zip(ROUTES, operation_ids(), strict=True):
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, operation_id)
    paths |= {call_route.path: {"post": _model_call_operation(call_route)} for call_route in MODEL_CALL_ROUTES}
    paths |= {route.path: {"post": _telemetry_operation(route)} for route in TELEMETRY_ROUTES}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Afterword",
            "version": version,
            "summary": "A store of what language models said and what people thought of it.",
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "responses": {kind.__name__: _error(kind) for kind in _documented_errors()},
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key. The administrator's is AFTERWORD_API_KEY, or in the file admin.key of "
                    "the data directory; others are created with `POST /api/v1/keys`.",
                }
            },
        },
    }


def operation_ids() -> list[str]:
    """Return the operation ids in the order of the table. If two paths share a name, the second id gets the last
    segment of its path."""
    used_names: set[str] = set()
    ids = []
    for route in ROUTES:
        name = route.name if route.name not in used_names else f"{route.name}.{route.path.rpartition('/')[2]}"
        used_names.add(name)
        ids.append(name)
    return ids


def statuses(route: Route) -> list[int]:
    """Return the statuses of the errors that a route can answer with."""
    error_statuses = {*COMMON_STATUSES, *route.errors}
    if route.needs != "open":
        error_statuses.update(KEY_STATUSES)
    if route.body or route.raw:
        error_statuses.update(BODY_STATUSES)
    # OpenAI's API uses 400 where Afterword's own API uses 422.
    return sorted(error_statuses - {422} if route.is_openais else error_statuses)


def summary_of(route: Route) -> tuple[str, str]:
    """Return the first paragraph of a route's docstring as a summary, and the rest as its description."""
    summary, _, description = (inspect.getdoc(route.run) or "").partition("\n\n")
    return " ".join(summary.split()).removesuffix("."), paragraphs(description)


def paragraphs(text: str | None) -> str:
    """Join the lines of each paragraph of a docstring; lists and examples keep their line breaks."""
    blocks = inspect.cleandoc(text or "").split("\n\n")
    return "\n\n".join(block if "\n " in block or "\n-" in block else " ".join(block.split()) for block in blocks)


# ------------------------------------------------------------------------------------------------ operations


def _operation(route: Route, operation_id: str) -> dict[str, Any]:
    summary, description = summary_of(route)
    operation: dict[str, Any] = {"operationId": operation_id, "tags": [route.tag], "summary": summary}
    description = "\n\n".join(filter(None, (description, _alias_text(route), _permission_text(route.needs))))
    if description:
        operation["description"] = description
    if route.needs == "open":
        operation["security"] = []
    parameters = [*_path_parameters(route.path), *_query_parameters(route)]
    if parameters:
        operation["parameters"] = parameters
    if route.raw:
        operation["requestBody"] = {"required": True, "content": {OCTETS: {"schema": {}, "example": EXAMPLE_LINES}}}
    if route.body:
        operation["requestBody"] = {"required": True, "content": _body(route)}
    operation["responses"] = {str(route.status): _response(route)} | {
        str(status): {"$ref": f"#/components/responses/{errors.error_for(status).__name__}"}
        for status in statuses(route)
    }
    if route.streams:
        refused_response = {
            "description": "All lines were refused: the outcome of each. Or the error of the whole batch."
        }
        both_contents = {**_response(route)["content"], JSON: {"schema": _reference(errors.ErrorBody)}}
        operation["responses"] |= {
            "207": {**_response(route), "description": "Some lines were refused: the outcome of each, in their order."},
            "422": {**refused_response, "content": both_contents},
        }
    return operation


def _alias_text(route: Route) -> str:
    first_route = next(other for other in ROUTES if other.run is route.run)
    return "" if first_route is route else f"The same as `{first_route.method} {first_route.path}`."


def _permission_text(permission: str) -> str:
    if permission == "open":
        return "Needs no API key."
    if permission == "key":
        return "For any key."
    *others, last = [role for role, allowed in PERMISSIONS_OF_ROLE.items() if permission in allowed]
    scope = " that are for all projects" if permission == "administer_server" else ""
    roles = f"roles {', '.join(others)} and {last}" if others else f"role {last}"
    return f"For keys of the {roles}{scope}."


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": PATH_PARAMETERS[name],
            "schema": {"type": "string", "format": "uuid"} if name in UUID_PARAMETERS else {"type": "string"},
        }
        for name in re.findall(r"{(\w+)}", path)
    ]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    schema = _components([route.query])[route.query.__name__]
    return [_query_parameter(name, dict(field)) for name, field in schema["properties"].items()]


def _query_parameter(name: str, field: dict[str, Any]) -> dict[str, Any]:
    parameter: dict[str, Any] = {"name": name, "in": "query"}
    if "description" in field:
        parameter["description"] = field.pop("description")
    field["type"] = next((kind for kind in _as_list(field.get("type")) if kind != "null"), "string")
    if field["type"] == "array":
        parameter |= {"style": "form", "explode": True}
        field.pop("default", None)
    return parameter | {"schema": field}


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _body(route: Route) -> dict[str, Any]:
    schema = _reference(route.body)
    example = EXAMPLES[route.body]
    if not route.streams:
        return {JSON: {"schema": schema, "example": example}}
    lines = {"type": "array", "items": schema, "maxItems": 10_000}
    return {
        NDJSON: {
            "schema": lines | {"description": "One JSON object a line, 10,000 lines or 64 MB at most."},
            "example": [example, example],
        },
        JSON: {"schema": lines | {"description": "The same as a JSON array."}, "example": [example, example]},
    }


def _response(route: Route) -> dict[str, Any]:
    if route.streams:
        description = "The outcome of each line, in their order, one JSON object a line, while the body is still read."
        return {
            "description": description,
            "content": {NDJSON: {"schema": {"type": "array", "items": _reference(route.line)}}},
        }
    if route.events:
        return {"description": "Events, as they happen.", "content": {EVENTS: {"schema": _reference(route.events)}}}
    if route.answer is None and route.tag == "datasets":
        return {
            "description": "The file: a JSON object a line, or Parquet.",
            "content": {media_type: {} for media_type in MEDIA_TYPES.values()},
        }
    if route.answer is None:
        is_image = route.path.startswith("/images/")
        description = "The image." if is_image else "The audio or file."
        return {"description": description, "content": {kind: {} for kind in (IMAGES if is_image else ("*/*",))}}
    kinds = _members(route.answer)
    if len(kinds) == 1:
        return {"description": _description(kinds[0]), "content": {JSON: {"schema": _reference(kinds[0])}}}
    return {
        "description": "Either: " + " Or: ".join(_description(kind) for kind in kinds),
        "content": {JSON: {"schema": {"anyOf": [_reference(kind) for kind in kinds]}}},
    }


def _members(answer: Any) -> tuple[Any, ...]:
    return get_args(answer) or (answer,)


def _description(struct: type) -> str:
    return paragraphs(struct.__doc__).partition("\n\n")[0]


def _reference(struct: type) -> dict[str, Any]:
    return {"$ref": SCHEMAS.format(name=quote(struct.__name__))}


def _documented_errors() -> list[type[errors.AfterwordError]]:
    return [errors.error_for(status) for status in sorted({status for route in ROUTES for status in statuses(route)})]


def _error(kind: type[errors.AfterwordError]) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": _description(kind),
        "content": {JSON: {"schema": _reference(errors.ErrorBody)}},
    }
    if kind is errors.Unauthorized:
        response["headers"] = {"WWW-Authenticate": {"description": "`Bearer`", "schema": {"type": "string"}}}
    if kind is errors.Unavailable:
        response["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    return response


# ------------------------------------------------------------------------------------------------ calls of models


def _model_call_operation(call_route: ModelCallRoute) -> dict[str, Any]:
    summary, description, example = CALLS[call_route.name]
    error_statuses = {*COMMON_STATUSES, *KEY_STATUSES, *BODY_STATUSES, 404, 409} - {422}
    return {
        "operationId": f"calls.{call_route.name}",
        "tags": ["calls"],
        "summary": summary,
        "description": f"{description}\n\n{_permission_text('call')}",
        "parameters": [
            *_path_parameters(call_route.path),
            *(
                {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}
                for name, text in CALL_HEADERS.items()
            ),
        ],
        "requestBody": {
            "required": True,
            "content": {call_route.body_type: {"schema": _reference(call_route.body), "example": example}},
        },
        "responses": {"200": _model_call_response(call_route)}
        | {
            str(status): {"$ref": f"#/components/responses/{errors.error_for(status).__name__}"}
            for status in sorted(error_statuses)
        }
        | {
            str(status): {"description": text, "content": {JSON: {"schema": _reference(errors.ErrorBody)}}}
            for status, text in FAILURES.items()
        },
    }


def _model_call_response(call_route: ModelCallRoute) -> dict[str, Any]:
    is_binary = call_route.answer is bytes
    schema = {"type": "string", "format": "binary"} if is_binary else _reference(call_route.answer)
    answers = {call_route.answer_type: {"schema": schema}}
    if call_route.chunk:
        answers[EVENTS] = {"schema": _reference(call_route.chunk)}
    time = {"description": "Milliseconds that Afterword itself took.", "schema": {"type": "number"}}
    ids = {name: {"description": text, "schema": {"type": "string"}} for name, text in ANSWER_HEADERS.items()}
    return {
        "description": "The audio itself." if is_binary else _description(call_route.answer),
        "headers": {"x-afterword-overhead-ms": time, **ids},
        "content": answers,
    }


# ------------------------------------------------------------------------------------------------ OTLP


def _telemetry_operation(route: TelemetryRoute) -> dict[str, Any]:
    summary, description, example = TELEMETRY[route.signal]
    first = next(other for other in TELEMETRY_ROUTES if other.signal == route.signal)
    alias = "" if first is route else f"\n\nThe same as `POST {first.path}`."
    prefix = route.path.removesuffix(f"/v1/{route.signal}").replace("/", ".")
    status = {"type": "object", "properties": {"code": {"type": "integer"}, "message": {"type": "string"}}}
    partial = {"type": "object", "properties": {"partialSuccess": {"type": "object"}}}
    return {
        "operationId": f"telemetry.{route.signal}{prefix}",
        "tags": ["telemetry"],
        "summary": summary,
        "description": f"{description}{alias}\n\n{_permission_text('write')}",
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": {"type": "object"}, "example": example},
            },
        },
        "responses": {
            "200": {"description": "What was rejected, if anything was.", "content": {JSON: {"schema": partial}}}
        }
        | {
            str(code): {"description": text, "content": {JSON: {"schema": status}}}
            for code, text in {
                400: "The body is no OTLP: it is not to be sent again.",
                401: "The key is missing or wrong.",
                403: "The key may not log.",
                413: "The body is too large.",
                503: "Nothing is lost: send it again after `Retry-After`.",
            }.items()
        },
    }


# ------------------------------------------------------------------------------------------------ schemas


def _schemas() -> dict[str, Any]:
    structs: dict[type, None] = {}
    for route in ROUTES:
        structs.update(
            dict.fromkeys(
                struct for struct in (route.body, route.line, route.events, *_members(route.answer)) if struct
            )
        )
    for call_route in MODEL_CALL_ROUTES:
        structs.update(
            dict.fromkeys(
                struct
                for struct in (call_route.body, call_route.answer, call_route.chunk)
                if struct not in (None, bytes)
            )
        )
    return _components([*structs, errors.ErrorBody])


def _components(structs: Iterable[type]) -> dict[str, Any]:
    _, schemas = msgspec.json.schema_components(structs, ref_template=SCHEMAS)
    for name, schema in schemas.items():
        struct = _struct(name, structs)
        schema["description"] = paragraphs(schema.get("description"))
        schema.pop("title", None)
        for field, field_schema in schema.get("properties", {}).items():
            schema["properties"][field] = _simplified_schema(field_schema)
        for field in _time_fields(struct):
            schema["properties"][field]["format"] = "date-time"
        if not schema.get("required", True):
            del schema["required"]
    if "LineResult" in schemas:
        detail = SCHEMAS.format(name="ErrorDetail")
        schemas["LineResult"]["properties"]["error"]["anyOf"] = [{"$ref": detail}, {"type": "null"}]
        schemas["LineResult"]["properties"]["error"].pop("type")
    return schemas


def _struct(name: str, structs: Iterable[type]) -> type:
    structs_by_name = {struct.__name__: struct for struct in structs}
    return structs_by_name.get(name) or getattr(types, name, None) or getattr(errors, name)


def _simplified_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Turn an `anyOf` of types into one such as `{"type": ["string", "null"]}`, and drop a default of null."""
    schema = dict(schema)
    if "default" in schema and schema["default"] is None:
        del schema["default"]
    choices = schema.get("anyOf", [])
    # One choice may have more members than its type, because they do not apply to values of the other types.
    kinds = [choice.get("type") for choice in choices]
    bare_choices = [choice for choice in choices if set(choice) == {"type"}]
    if choices and all(isinstance(kind, str) for kind in kinds) and len(choices) - len(bare_choices) <= 1:
        del schema["anyOf"]
        for choice in choices:
            schema |= choice
        schema["type"] = [kind for kind in kinds if kind != "integer" or "number" not in kinds]
    if schema.get("enum") and "type" not in schema:
        schema["type"] = "string"
    return schema


def _time_fields(struct: type) -> set[str]:
    return {
        field.encode_name
        for field in type_info(struct).fields  # pyright: ignore[reportAttributeAccessIssue]
        if any(isinstance(kind, DateTimeType) for kind in _alternatives(field.type))
    }


def _alternatives(kind: Type) -> tuple[Type, ...]:
    kind = kind.type if isinstance(kind, Metadata) else kind
    return kind.types if isinstance(kind, UnionType) else (kind,)
