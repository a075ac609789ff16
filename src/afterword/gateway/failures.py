"""Failures of providers, as the errors that the caller and the log get."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from afterword import json_text
from afterword.gateway.context_overflow import CONTEXT_OVERFLOW, is_context_overflow
from afterword.gateway.provider import ProviderError
from afterword.gateway.secrets import hide_in

if TYPE_CHECKING:
    from afterword.gateway.http import Address

MAX_ANSWER_BYTES = 64 << 20
MAX_MESSAGE_CHARACTERS = 2000
"""A provider's message is cut to this length."""
MAX_DETAILS_BYTES = 16 << 10
"""Bound on the further members of a provider's error, as JSON."""
MAX_READ_CHARACTERS = 1 << 20
MAX_RAW_BYTES = 64 << 10
"""How much of a refusal is searched for the names of refused fields."""
# Members of an answer that do not describe an error beside them.
ANSWER_MEMBERS = frozenset({"error", "id", "object", "created", "model", "choices", "usage"})

_encoder = msgspec.json.Encoder()


class ErrorWords(NamedTuple):
    """A provider's description of a failure: OpenAI's members, and its own in `details`."""

    message: str
    code: str | None = None
    type: str | None = None
    param: str | None = None
    details: dict[str, Any] | None = None


def hung_up(address: Address, reason: str = "") -> ProviderError:
    """Return the error for an answer that broke off."""
    return ProviderError(
        f"The provider of {address.name!r} broke off in the middle of its answer{f' ({reason})' if reason else ''}.",
        status=502,
        code="provider_hung_up",
        retryable=True,
    )


def unfinished(address: Address, choices: list[int]) -> ProviderError:
    """Return the error for a stream that ends without a finish reason: it may have been cut off."""
    subject = f"choices {', '.join(map(str, choices[:10]))} have" if choices else "it has"
    return ProviderError(
        f"The provider of {address.name!r} ended its stream, but {subject} no finish_reason: "
        "the answer may be cut off.",
        status=502,
        code="provider_answer_unfinished",
        retryable=True,
    )


def too_large(address: Address) -> ProviderError:
    """Return the error for an answer beyond MAX_ANSWER_BYTES."""
    return ProviderError(
        f"The provider of {address.name!r} answered with more than {MAX_ANSWER_BYTES:,} bytes.",
        status=502,
        code="provider_answer_too_large",
    )


def out_of_bounds(address: Address, description: str) -> ProviderError:
    """Return the error for an answer that exceeds one of the bounds."""
    return ProviderError(
        f"The provider of {address.name!r} answered with {description}.",
        status=502,
        code="provider_answer_out_of_bounds",
        hint="Check the model's endpoint, or ask for less with n.",
    )


def unreadable(address: Address, description: str, raw: bytes) -> ProviderError:
    """Return the error for an answer that does not follow the API."""
    return ProviderError(
        f"The provider of {address.name!r} answered with {description}: {_start_of_text(address, raw, 200)!r}.",
        status=502,
        code="provider_answer_unreadable",
        hint="Check the model's endpoint: it must be the base URL of the API.",
        retryable=True,
    )


def read_object(address: Address, raw: bytes, kind: str = "") -> Any:
    """Decode a JSON object. Raises `ProviderError`."""
    if json_text.is_nested_too_deeply(raw):
        raise out_of_bounds(address, f"JSON of more than {json_text.MAX_DEPTH} levels")
    try:
        answer = json_text.decode(raw, lenient_encoding=True)
    except ValueError:
        raise unreadable(address, f"what is no JSON{f' ({kind})' if kind else ''}", raw) from None
    if isinstance(answer, list) and answer and isinstance(answer[0], dict) and answer[0].get("error"):
        # Google's endpoint puts the error into a list.
        return answer[0]
    if not isinstance(answer, dict):
        raise unreadable(address, "JSON that is no object", raw)
    return answer


def refusal(address: Address, status: int, raw: bytes, headers: Mapping[str, str]) -> ProviderError:
    """Return the error for an answer whose status is not 2xx."""
    try:
        if json_text.is_nested_too_deeply(raw):
            raise ValueError
        words = _error_words(address, json_text.decode(raw, lenient_encoding=True))
    except ValueError:
        words = ErrorWords(_start_of_text(address, raw, 300) or "no reason is given")
    if status < 400:
        return ProviderError(
            f"The provider of {address.name!r} answered with a redirection ({status}), which is not followed.",
            status=502,
            code="provider_redirected",
            hint="Set the model's endpoint to where the API is.",
        )
    error = _failure(address, f"answered {status}", words, status, _code_of(status), retry_after_seconds(headers))
    error.raw = raw[:MAX_RAW_BYTES]
    return error


def error_in_answer(address: Address, error: Any, status: int | None = None) -> ProviderError:
    """Return the error that a provider reports in a stream, or in an answer with status 2xx.

    `error` is the error object or text, or the object that contains it.
    """
    if status is None:
        inner = error.get("error", error) if isinstance(error, dict) else None
        status = _status_in(inner if isinstance(inner, dict) else error)
    words = _error_words(address, error)
    return _failure(address, "failed in the middle of its answer", words, status or 502, "provider_failed")


def _failure(
    address: Address, description: str, words: ErrorWords, status: int, code: str, wait_seconds: float | None = None
) -> ProviderError:
    if status == 401:
        return ProviderError(
            f"The provider of {address.name!r} refused the API key that is kept for it: "
            f"it {description}: {words.message}",
            status=502,
            code="provider_refused_key",
            hint="An administrator can set another one: PATCH /api/v1/models/{model} with api_key.",
            details=words.details,
        )
    caller_status, code, type_ = (
        503 if status == 529 else status if status < 600 else 502,
        words.code or code,
        words.type,
    )
    if status != 429 and is_context_overflow(words.message, words.code):
        caller_status, code = 400, CONTEXT_OVERFLOW
        type_ = (type_ if words.code == CONTEXT_OVERFLOW else None) or "invalid_request_error"
    return ProviderError(
        f"The provider of {address.name!r} {description}: {words.message}",
        status=caller_status,
        code=code,
        type=type_,
        param=words.param,
        hint="The provider refused this, not Afterword: the key that is kept for the model may not do it."
        if status == 403
        else None,
        details=words.details,
        retry_after=wait_seconds,
        retryable=status in (408, 429) or (status >= 500 and caller_status != 400),
    )


def _code_of(status: int) -> str:
    return "rate_limited" if status == 429 else "provider_refused" if status < 500 else "provider_failed"


def _status_in(error: Any) -> int | None:
    """Return the HTTP status that an error object contains."""
    if not isinstance(error, dict):
        return None
    for name in ("code", "status", "status_code", "http_status"):
        value = error.get(name)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 400 <= value < 600:
            return value
    return None


def _error_words(address: Address, body: Any) -> ErrorWords:
    """Return a provider's description of a failure, without the API key and the headers that it was sent."""
    body, _ = json_text.repair(body)
    if isinstance(body, list) and body and isinstance(body[0], dict):
        # Google's endpoint puts the error into a list.
        body = body[0]
    outer_members: dict[str, Any] = {}
    error = body
    if isinstance(body, dict) and body.get("error"):
        error = body["error"]
        outer_members = body if not isinstance(error, dict) else {}
    if not isinstance(error, dict):
        # If the error is a string, its type and code are members beside it.
        error = {
            **{name: value for name, value in outer_members.items() if name not in ANSWER_MEMBERS},
            "message": error,
        }
    message = error.get("message") or error.get("detail") or error.get("msg") or _encoder.encode(error).decode()
    if not isinstance(message, str):
        message = _encoder.encode(message).decode()
    code, type_ = error.get("code"), error.get("type") or error.get("error_type")
    if not isinstance(type_, str):
        type_ = None
    if isinstance(code, int) and not isinstance(code, bool):
        # A code that only repeats the HTTP status is replaced by a word; Google sends it in `status`.
        words = (error.get("status"), type_) if 400 <= code < 600 else ()
        code = next((word for word in words if isinstance(word, str) and word), str(code))
    return ErrorWords(
        _excerpt(address, message, MAX_MESSAGE_CHARACTERS) or "",
        _excerpt(address, code or type_),
        _excerpt(address, type_),
        _excerpt(address, error.get("param") or _field_path(error.get("detail"))),
        _details(address, error),
    )


def _details(address: Address, error: dict[str, Any]) -> dict[str, Any]:
    """Return the further members of a provider's error, up to MAX_DETAILS_BYTES."""
    details, bytes_left = {}, MAX_DETAILS_BYTES
    for name, value in error.items():
        if name in ("message", "type", "code", "param", "hint") or value is None:
            continue
        size = len(name) + len(_encoder.encode(value))
        if size <= bytes_left:
            details[name] = value
            bytes_left -= size
    return hide_in(details, address.secrets)


def _excerpt(address: Address, text: Any, characters: int = 200) -> str | None:
    return address.hide(text[:MAX_READ_CHARACTERS])[:characters] if isinstance(text, str) and text else None


def _start_of_text(address: Address, raw: bytes, characters: int) -> str:
    # Secrets are hidden before the text is cut: half a key would not be recognized.
    return address.hide(raw[:MAX_READ_CHARACTERS].decode("utf-8", "replace"))[:characters]


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait by `Retry-After` (a number or a date) or `retry-after-ms`."""
    milliseconds, text = headers.get("retry-after-ms"), headers.get("Retry-After")
    try:
        seconds = float(text) if text else float(milliseconds or "") / 1000
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(text or "") - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _field_path(detail: Any) -> str | None:
    """Return the path of the field in the first validation error of FastAPI."""
    first_complaint = detail[0] if isinstance(detail, list) and detail else None
    steps = first_complaint.get("loc") if isinstance(first_complaint, dict) else None
    if not isinstance(steps, list):
        return None
    return ".".join(str(step) for step in steps if step != "body")[:200] or None
