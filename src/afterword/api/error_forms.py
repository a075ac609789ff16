"""Errors outside of calls, as the client reads them: Anthropic's and Google's have forms of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from afterword.errors import AfterwordError
from afterword.gateway.formats.messages.errors import error_body

ErrorForm: TypeAlias = Callable[[AfterwordError], Any]

ANTHROPIC_VERSION_HEADER = b"anthropic-version"
"""The header by which Anthropic's clients are known: they send it with each request."""
GOOGLES_BASE = "/v1beta"
"""What the paths of Google's clients begin with."""

# https://cloud.google.com/apis/design/errors
_GOOGLES_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
}


def error_form_of(path: str, headers: dict[bytes, bytes]) -> ErrorForm:
    """Return the form of an error for the client that sent these headers to this path."""
    if path.startswith(f"{GOOGLES_BASE}/"):
        return googles_error
    return anthropics_error if ANTHROPIC_VERSION_HEADER in headers else openais_error


def openais_error(error: AfterwordError) -> Any:
    """Return an error in OpenAI's form, which is Afterword's own."""
    return error.body()


def anthropics_error(error: AfterwordError) -> Any:
    """Return an error in Anthropic's form; `code`, `param` and `hint` stand beside its own members."""
    return error_body(error, error.status)


def googles_error(error: AfterwordError) -> Any:
    """Return an error in Google's form. It has no place for the hint, which therefore ends the message."""
    status = _GOOGLES_STATUSES.get(error.status, "INTERNAL" if error.status >= 500 else "INVALID_ARGUMENT")
    return {"error": {"code": error.status, "message": str(error), "status": status}}
