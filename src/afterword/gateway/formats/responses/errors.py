"""Errors in the forms that clients of the Responses API read."""

from __future__ import annotations

from typing import Any

import msgspec

from afterword.errors import AfterwordError
from afterword.gateway.call_format import FormatError, FormatEvent
from afterword.gateway.provider import Body

# Codes that clients of the API act on: they wait, or shorten the conversation.
_CODES_BY_STATUS = {429: "rate_limit_exceeded"}
_STATUSES = {"rate_limit_exceeded": 429, "insufficient_quota": 429, "invalid_prompt": 400, "server_error": 500}
"""The HTTP status of an error within a response, by its code."""
_GENERAL_CODES = frozenset({"provider_failed", "provider_refused", "rate_limited"})


def error_object(error: AfterwordError) -> dict[str, Any]:
    """Return the `error` of an answer that is an error."""
    body = msgspec.to_builtins(error.body())
    return body["error"]


def response_error(error: AfterwordError) -> Body:
    """Return the `error` of a response that failed."""
    code = None if error.code in _GENERAL_CODES else error.code
    return {"code": code or _CODES_BY_STATUS.get(error.status, "server_error"), "message": error.message}


def stored_error(error: Any) -> Body | None:
    """Return the `error` of a response whose call failed, from the error that was logged."""
    if not isinstance(error, dict):
        return None
    return {"code": error.get("code") or "server_error", "message": error.get("message") or ""}


def failure_events(error: AfterwordError, response: Body | None, sequence: int) -> list[FormatEvent]:
    """Return the events that end a stream with an error. `sequence` is the number of the first one."""
    events: list[Body] = []
    if response is not None:
        response = {**response, "status": "failed", "error": response_error(error)}
        events.append({"type": "response.failed", "response": response})
    # Most clients raise the error of an object `error`; the API's reference has its members beside it.
    detail = error_object(error)
    events.append(
        {"type": "error", **{name: detail.get(name) for name in ("code", "message", "param")}, "error": detail}
    )
    return [
        FormatEvent(event["type"], {"sequence_number": sequence + shift, **event}) for shift, event in enumerate(events)
    ]


def find_error(body: Body) -> FormatError | None:
    """Return the error that a provider's response or event tells of."""
    kind = body.get("type")
    if kind == "error":
        members = {name: value for name, value in body.items() if name not in ("type", "sequence_number")}
        return _format_error(body.get("error") or members)
    response = body.get("response") if kind == "response.failed" else body
    if isinstance(response, dict) and (response.get("error") or response.get("status") == "failed"):
        return _format_error(response.get("error") or "it gives no reason")
    return None


def _format_error(error: Any) -> FormatError:
    code = error.get("code") if isinstance(error, dict) else None
    return FormatError(error, _STATUSES.get(code) if isinstance(code, str) else None)
