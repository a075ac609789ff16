"""Errors that a provider answers with a status of its own: their fields, and what the caller is told."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from afterword.gateway.provider import ProviderError

if TYPE_CHECKING:
    from afterword.gateway.http import Address

CONTEXT_OVERFLOW = "context_length_exceeded"
"""OpenAI's code for a prompt that the model's context cannot hold. Agents that read it shorten their history."""
# The words of OpenAI, Anthropic, Google, Mistral, xAI, Cohere, Groq, Together, Fireworks, Bedrock, GitHub, vLLM,
# SGLang, TGI, llama.cpp, Ollama and LM Studio for the same.
_CONTEXT_OVERFLOW = re.compile(
    r"context[ _-]?(length|window|size|limit)s?\b.{0,60}\b(exceed|overflow|too (long|small))"
    r"|(exceed|overflow|larger than|longer than|too large for|greater than|beyond).{0,80}"
    r"\b(context[ _-]?(length|window|size|limit)?\b|model length|token limit|max(imum)? (number of )?(input )?tokens)"
    r"|maximum (context|prompt|model|input) length"
    r"|(prompt|input|inputs|message|messages|conversation|request)\W+(is|are|was) too (long|large)\b"
    r"|prompt too long|prompt exceeds max|input length and .?max_tokens"
    r"|too many (input |prompt |total )?tokens"
    r"|token count.{0,60}exceeds|reduce the length of (the|your) (messages|prompt|input)"
    r"|inputs.{0,40}max_new_tokens.{0,20}must be|must have less than \d+ tokens"
    r"|max size: \d+ tokens|when context the overflows|context the overflows",
    re.I | re.S,
)
_OVERFLOW_CODES = frozenset(
    {
        CONTEXT_OVERFLOW, "context_window_exceeded", "context_length_error", "exceed_context_size_error",
        "model_max_prompt_tokens_exceeded", "tokens_limit_reached", "string_above_max_length_tokens",
        "max_context_length_exceeded", "context_size_exceeded",
    }
)  # fmt: skip
# A limit on tokens a minute is no limit of the context, however it is worded.
_RATE = re.compile(r"per (minute|second|hour|day)|\b[tr]p[md]\b|quota|rate.?limit", re.I)


class ErrorFields(NamedTuple):
    """What a provider's error object says, whatever its form."""

    message: str
    type: str | None
    code: str | None
    param: str | None


def error_fields(body: Any) -> ErrorFields:
    """Read an error: OpenAI's object, Google's (also in a list), FastAPI's `detail`, or anything else as text."""
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    error = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(error, dict):
        outer: dict[str, Any] = body if isinstance(body, dict) else {}
        text = error if isinstance(error, str) else msgspec.json.encode(error).decode()
        message = outer.get("message")
        text = message if isinstance(message, str) and message else text
        return ErrorFields(text, _text(outer.get("type")), _code(outer), _text(outer.get("param")))
    message = error.get("message") or error.get("detail") or error
    detail = message.get("detail") if isinstance(message, dict) else error.get("detail")
    shown = message if isinstance(message, str) else msgspec.json.encode(message).decode()
    return ErrorFields(shown, _text(error.get("type")), _code(error), _text(error.get("param")) or _place(detail))


def is_context_overflow(message: str, code: str | None) -> bool:
    """Tell whether an error says that the prompt is too long for the model."""
    if code in _OVERFLOW_CODES:
        return True
    return bool(_CONTEXT_OVERFLOW.search(message[:4000])) and not _RATE.search(message[:4000])


def refusal(address: Address, status: int, raw: bytes, headers: Mapping[str, str]) -> ProviderError:
    """Return the error for an answer with a status that is not 2xx: what the caller is told of it."""
    if status < 400:
        return ProviderError(
            f"The provider of {address.name!r} answered with a redirection ({status}), which is not followed.",
            status=502,
            code="provider_redirected",
            hint="Set the model's endpoint to where the API is.",
        )
    try:
        fields = error_fields(msgspec.json.decode(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = raw[:4000].decode("utf-8", "replace")
        fields = ErrorFields(text[:300] or "no reason is given", None, None, None)
    message = f"The provider of {address.name!r} answered {status}: {address.hide(fields.message)[:2000]}"
    if status == 401:
        return ProviderError(
            f"The provider of {address.name!r} refused the API key that is kept for it: it answered {status}: "
            f"{address.hide(fields.message)[:2000]}",
            status=502,
            code="provider_refused_key",
            hint="An administrator can set another one: PATCH /api/v1/models/{model} with api_key.",
        )
    shown = 503 if status == 529 else status if status < 600 else 502
    code = fields.code or fields.type or _code_of(status)
    kind = fields.type
    if status != 429 and is_context_overflow(fields.message, fields.code):
        shown, code, kind = 400, CONTEXT_OVERFLOW, "invalid_request_error"
    error = ProviderError(
        message,
        status=shown,
        code=address.hide(code),
        param=None if fields.param is None else address.hide(fields.param),
        hint="The provider refused this, not Afterword: the key that is kept for the model may not do it."
        if status == 403
        else None,
        retry_after=retry_after_seconds(headers),
        retryable=status in (408, 429) or status >= 500,
    )
    if kind is not None:
        error.type = address.hide(kind)
    error.raw = raw[:RAW_BYTES]
    return error


RAW_BYTES = 64 << 10


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a provider asks to wait: `Retry-After` as a number or a date, or `retry-after-ms`."""
    milliseconds, text = headers.get("retry-after-ms"), headers.get("Retry-After")
    try:
        seconds = float(text) if text else float(milliseconds or "") / 1000
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(text or "") - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _code_of(status: int) -> str:
    return "rate_limited" if status == 429 else "provider_refused" if status < 500 else "provider_failed"


def _code(error: dict[str, Any]) -> str | None:
    """Return an error's code: OpenAI's is a text; Google's stands in `status`, beside the HTTP status in `code`."""
    code, status = error.get("code"), error.get("status")
    if isinstance(code, int) and not isinstance(code, bool):
        return _text(status) or (None if 400 <= code < 600 else str(code))
    return _text(code) or _text(status)


def _text(value: Any) -> str | None:
    return value[:200] if isinstance(value, str) and value else None


def _place(detail: Any) -> str | None:
    """Return the field that FastAPI's first complaint names."""
    first = detail[0] if isinstance(detail, list) and detail else None
    steps = first.get("loc") if isinstance(first, dict) else None
    if not isinstance(steps, list):
        return None
    return ".".join(str(step) for step in steps if step != "body")[:200] or None
