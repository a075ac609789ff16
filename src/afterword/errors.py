"""The error classes of server and client.

    AfterwordError
      BadRequest         400  the request cannot be read: malformed JSON, a bad header
      Unauthorized       401  no API key, or one that is unknown, expired or revoked
      Forbidden          403  the key is valid, but its role does not allow this
      NotFound           404  no such thing, or none that this key may see
      MethodNotAllowed   405  the path exists, but does not take this method
      Conflict           409  it exists already, with other content
      TooLarge           413  beyond a limit on size
      Invalid            422  readable, but a value is wrong
      RateLimited        429  too many requests
      ServerError        500  a fault of the server
      Unavailable        503  overloaded, or the disk is full: try again after `retry_after` seconds
      ConnectionFailed     -  the client could not reach the server, or lost it
        RequestTimedOut    -  ... within its timeout

On the wire an error is `{"error": {"message", "type", "code", "param", "hint"}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from afterword.compat.errors import not_found_message


class AfterwordError(Exception):
    """Base class of all errors: what was wrong (`message`), where (`param`), and what to do next (`hint`)."""

    status: int = 0
    type: str = "api_error"
    details: Mapping[str, Any] = {}
    """Further members of the error object; see `afterword.gateway.provider.ProviderError`."""

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        hint: str | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param
        self.hint = hint
        self.retry_after = retry_after
        self.request_id = request_id

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message

    def body(self) -> ErrorBody:
        """Return the error object for the response body."""
        return ErrorBody(
            error=ErrorDetail(message=self.message, type=self.type, code=self.code, param=self.param, hint=self.hint)
        )


class BadRequest(AfterwordError):
    """The request cannot be read."""

    status = 400
    type = "invalid_request_error"


class Unauthorized(AfterwordError):
    """No API key, or one that is unknown, expired or revoked."""

    status = 401
    type = "authentication_error"


class Forbidden(AfterwordError):
    """The key is valid, but its role does not allow this."""

    status = 403
    type = "permission_error"


class NotFound(AfterwordError):
    """No such thing, or none that this key may see."""

    status = 404
    type = "not_found_error"

    def __init__(self, message: str, *, noun: str | None = None, **error_fields: Any) -> None:
        """With `noun`, the kind of thing that was not found, `message` completes a sentence about it."""
        super().__init__(message if noun is None else not_found_message(noun, message), **error_fields)
        self.noun = noun


class MethodNotAllowed(AfterwordError):
    """The path exists, but does not take this method."""

    status = 405
    type = "invalid_request_error"


class Conflict(AfterwordError):
    """It exists already, with other content."""

    status = 409
    type = "conflict_error"


class TooLarge(AfterwordError):
    """Beyond a limit on size."""

    status = 413
    type = "invalid_request_error"


class Invalid(AfterwordError):
    """The request can be read, but a value in it is wrong."""

    status = 422
    type = "invalid_request_error"


class RateLimited(AfterwordError):
    """Too many requests; `retry_after` says when to try again."""

    status = 429
    type = "rate_limit_error"


class ServerError(AfterwordError):
    """A fault of the server."""

    status = 500
    type = "server_error"


class Unavailable(AfterwordError):
    """The server cannot take this now: it is overloaded, or cannot write. Nothing was stored."""

    status = 503
    type = "overloaded_error"


class ConnectionFailed(AfterwordError):
    """The client could not reach the server, or lost the connection."""

    type = "connection_error"


class RequestTimedOut(ConnectionFailed):
    """The server did not answer within the client's timeout."""

    type = "timeout_error"


class ErrorDetail(msgspec.Struct, kw_only=True):
    """An error as text and as codes."""

    message: Annotated[str, Meta(description="What was wrong, with the offending value.")]
    type: str
    code: str | None = None
    param: str | None = None
    hint: str | None = None


class ErrorBody(msgspec.Struct, kw_only=True):
    """The error object of every interface."""

    error: ErrorDetail


BY_STATUS: dict[int, type[AfterwordError]] = {
    kind.status: kind
    for kind in (
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        MethodNotAllowed,
        Conflict,
        TooLarge,
        Invalid,
        RateLimited,
        ServerError,
        Unavailable,
    )
}


def error_for(status: int) -> type[AfterwordError]:
    """Return the error class of an HTTP status; other 4xx are `Invalid`, other 5xx `ServerError`."""
    return BY_STATUS.get(status, ServerError if status >= 500 else Invalid)


def from_detail(status: int, detail: dict[str, Any], **extra_fields: Any) -> AfterwordError:
    """Build the exception for the `error` object of a response."""
    error_fields = {name: detail.get(name) for name in ("code", "param", "hint")}
    return error_for(status)(str(detail.get("message") or f"HTTP status {status}"), **error_fields, **extra_fields)
