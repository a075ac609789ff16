"""Errors in the form of Anthropic's API, by which its clients choose the class of their exceptions."""

from __future__ import annotations

from typing import Any

from afterword.errors import AfterwordError
from afterword.gateway.call_format import FormatError, FormatEvent
from afterword.gateway.provider import Body, ProviderError

STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The HTTP status of each type of error, also for errors within an answer whose own status is 200, such as a stream."""
_TYPES = {status: error_type for error_type, status in STATUSES.items()} | {503: "overloaded_error"}


def error_body(error: AfterwordError, status: int, request_id: str | None = None) -> dict[str, Any]:
    """Return an error as Anthropic's clients read it: `code`, `param` and `hint` stand beside its type and message."""
    members = {"code": error.code, "param": error.param, "hint": error.hint}
    details = error.details if isinstance(error, ProviderError) else {}
    return {
        "type": "error",
        "error": {
            **details,
            "type": _type(error, status),
            "message": error.message,
            **{name: value for name, value in members.items() if value is not None},
        },
        "request_id": request_id,
    }


def error_event(error: AfterwordError) -> FormatEvent:
    """Return the event that tells of an error after a stream has begun."""
    return FormatEvent("error", error_body(error, error.status))


def find_error(body: Body) -> FormatError | None:
    """Return the error that a provider's whole answer or event tells of; None if it is another."""
    kind = body.get("type")
    if kind != "error" and (kind is not None or not body.get("error")):
        return None
    error = body.get("error") or body
    return FormatError(error, STATUSES.get(str(error.get("type"))) if isinstance(error, dict) else None)


def _type(error: AfterwordError, status: int) -> str:
    """Return the type of an error: the provider's own if Anthropic has it, else that of the status."""
    if isinstance(error, ProviderError) and error.type in STATUSES:
        return error.type
    return _TYPES.get(status) or ("invalid_request_error" if status < 500 else "api_error")
