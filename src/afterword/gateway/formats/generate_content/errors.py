"""Errors in the form of Google's APIs. Source: https://cloud.google.com/apis/design/errors."""

from __future__ import annotations

from typing import Any

from afterword.errors import AfterwordError
from afterword.gateway.call_format import FormatError
from afterword.gateway.provider import Body

STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def error_body(error: AfterwordError, status: int) -> dict[str, Any]:
    """Return an error as Google's clients read it. Afterword's `code`, `param` and `hint` are its details."""
    members = {"reason": error.code, "param": error.param, "hint": error.hint}
    detail = {name: value for name, value in members.items() if value is not None}
    default = "INVALID_ARGUMENT" if status < 500 else "INTERNAL"
    return {
        "error": {
            "code": status,
            "message": error.message,
            "status": STATUS_NAMES.get(status, default),
            "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "domain": "afterword", **detail}],
        }
    }


def find_error(body: Body) -> FormatError | None:
    """Return the error that an answer or an event tells of."""
    error = body.get("error")
    if not error:
        return None
    code = error.get("code") if isinstance(error, dict) else None
    return FormatError(error, code if isinstance(code, int) and 400 <= code < 600 else None)
