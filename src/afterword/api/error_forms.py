"""Errors outside of calls, as the client reads them: Anthropic's and Google's have forms of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from afterword.errors import AfterwordError
from afterword.gateway.formats.generate_content.errors import error_body as googles_error_body
from afterword.gateway.formats.messages.errors import error_body

ErrorForm: TypeAlias = Callable[[AfterwordError], Any]

ANTHROPIC_VERSION_HEADER = b"anthropic-version"
"""The header by which Anthropic's clients are known: they send it with each request."""
GOOGLES_HEADERS = frozenset({b"x-goog-api-client", b"x-goog-api-key"})
"""Headers by which Google's clients are known."""
GOOGLES_VERSION = "/v1beta/"
"""A part of paths that only Google's clients have."""


def error_form_of(path: str, headers: dict[bytes, bytes]) -> ErrorForm:
    """Return the form of an error for the client that sent these headers to this path."""
    if GOOGLES_VERSION in path or not GOOGLES_HEADERS.isdisjoint(headers):
        return googles_error
    return anthropics_error if ANTHROPIC_VERSION_HEADER in headers else openais_error


def openais_error(error: AfterwordError) -> Any:
    """Return an error in OpenAI's form, which is Afterword's own."""
    return error.body()


def anthropics_error(error: AfterwordError) -> Any:
    """Return an error in Anthropic's form; `code`, `param` and `hint` stand beside its own members."""
    return error_body(error, error.status)


def googles_error(error: AfterwordError) -> Any:
    """Return an error in Google's form."""
    return googles_error_body(error, error.status)
