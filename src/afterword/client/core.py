"""Code that both clients share and that does no I/O: builds requests, reads answers, decides on retries."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from afterword.client.encoding import encode_value
from afterword.errors import (
    AfterwordError,
    ConnectionFailed,
    Invalid,
    RequestTimedOut,
    Unauthorized,
    error_for,
    from_detail,
)

T = TypeVar("T")

DEFAULT_URL = "http://127.0.0.1:7400"
FIRST_DELAY_SECONDS = 0.2
MAX_DELAY_SECONDS = 8.0
MAX_WAIT_SECONDS = 60.0
"""The longest wait between two tries, even if the server asks for more."""
CONNECT_TIMEOUT_SECONDS = 10.0
"""Shorter than the timeout of an answer, because a reachable host accepts a connection quickly."""
BUSY_STATUSES = (429, 503)
"""Statuses after which nothing was stored, so that any request can be sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request to send. `repeatable`: sending it twice stores nothing twice. `timeout` is in seconds: -1 is the
    client's own, None no timeout."""

    method: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    body: bytes | None = None
    content_type: str = "application/json"
    repeatable: bool = False
    timeout: float | None = -1

    @property
    def limits(self) -> Any:
        """The timeouts of this request, for httpx."""
        return httpx.USE_CLIENT_DEFAULT if self.timeout == -1 else timeouts(self.timeout)


@dataclass(frozen=True, slots=True)
class Core:
    """The server's address, the API key, and the number of retries."""

    base_url: str
    api_key: str
    max_retries: int

    @classmethod
    def resolve(cls, base_url: str | None, api_key: str | None, max_retries: int) -> Core:
        """Fill in arguments from the environment. Raises `Unauthorized` without a key, `ValueError` for a bad URL."""
        base_url = base_url or _environment_value("URL") or DEFAULT_URL
        api_key = (api_key or _environment_value("API_KEY") or "").strip()
        if not base_url.startswith(("http://", "https://")):
            raise ValueError(f"base_url is {base_url!r}; give it as http://HOST:PORT or https://HOST.")
        if not api_key:
            raise Unauthorized(
                "There is no API key.",
                code="no_api_key",
                hint="Give api_key=..., or set AFTERWORD_API_KEY. A local server printed it at its first start and "
                "keeps it in admin.key in its data directory.",
            )
        if not (api_key.isascii() and api_key.isprintable()):
            # Checked here because the error of the HTTP library would show the key.
            raise Unauthorized(
                "The API key has line breaks or other characters that no key has.",
                code="invalid_api_key",
                hint="Copy it again; a key is one word.",
            )
        return cls(base_url.rstrip("/"), api_key, max_retries)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every request."""
        return {"Authorization": f"Bearer {self.api_key}", "User-Agent": f"afterword/{package_version()}"}

    def delay(self, attempt: int, request: Request, outcome: httpx.Response | httpx.RequestError) -> float | None:
        """Return the seconds to wait before trying again, or None to give up. `attempt` counts from 0."""
        if attempt >= self.max_retries:
            return None
        if isinstance(outcome, httpx.Response):
            requested_seconds = min(MAX_WAIT_SECONDS, retry_after(outcome))
            return max(backoff(attempt), requested_seconds) if outcome.status_code in BUSY_STATUSES else None
        return backoff(attempt) if _never_sent(outcome) or request.repeatable else None

    def unreachable(self, error: httpx.RequestError) -> ConnectionFailed:
        """Return the error for a server that could not be reached, or was lost before its answer."""
        if isinstance(error, httpx.TimeoutException):
            return RequestTimedOut(
                f"{self.base_url} did not answer in time ({type(error).__name__}).",
                code="timed_out",
                hint="Try again, or give the client a larger timeout.",
            )
        reason = str(error).rstrip(".") or type(error).__name__
        failure_text = "could not be reached" if _never_sent(error) else "was lost before it had answered"
        return ConnectionFailed(
            f"{self.base_url} {failure_text}: {reason}.",
            code="connection_failed",
            hint="Is the server running? Start it with 'afterword serve', or check base_url.",
        )


def _environment_value(name: str) -> str | None:
    return os.environ.get(f"AFTERWORD_{name}") or os.environ.get(f"ADAPTIVE_{name}")


def _never_sent(error: httpx.RequestError) -> bool:
    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)


@cache
def package_version() -> str:
    """Return the version of this package; "unknown" if it was copied or bundled without its metadata.

    The lookup takes longer than a call, so it is done once, and not at import.
    """
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("afterword")
    except PackageNotFoundError:
        return "unknown"


def timeouts(seconds: float | None) -> httpx.Timeout:
    """Return httpx timeouts for a call that may take this many seconds; None is no timeout."""
    return httpx.Timeout(seconds, connect=None if seconds is None else min(seconds, CONNECT_TIMEOUT_SECONDS))


def backoff(attempt: int) -> float:
    """Return the seconds to wait after failed try `attempt`, counted from 0: exponential, with random jitter."""
    return min(MAX_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2**attempt) * random.uniform(0.5, 1.0)


def retry_after(response: httpx.Response) -> float:
    """Return the seconds that the server asks to wait, given as a number or a date; 0 without such a header."""
    text = response.headers.get("retry-after", "")
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0


def path(*parts: str) -> str:
    """Join the parts of a path, each quoted. Raises `Invalid` for an empty part, which would give another path."""
    if not all(parts):
        raise Invalid(f"The id or key of one of the {parts[0]} is empty.", code="empty_id", hint="Give its id.")
    return "/api/v1/" + "/".join(quote(str(part), safe="") for part in parts)


def encode(body: Mapping[str, Any]) -> bytes:
    """Encode a body without the members that are None: they were not given."""
    return encode_value({name: value for name, value in body.items() if value is not None})


def encode_changes(changes: Mapping[str, Any]) -> bytes:
    """Encode a body with the members that are None: they clear the field."""
    return encode_value(changes)


def query(**parameters: Any) -> list[tuple[str, str]]:
    """Return query parameters. A list is repeated, None is left out, and a trailing _ is cut from names."""
    pairs: list[tuple[str, str]] = []
    for name, value in parameters.items():
        values = value if isinstance(value, list | tuple | set | frozenset) else [value]
        pairs += [(name.rstrip("_"), _parameter_text(element)) for element in values if element is not None]
    return pairs


def _parameter_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def raise_for_error(response: httpx.Response) -> None:
    """Raise the error of an answer, by its status. An answer to a batch raises none, because each line has its own."""
    is_batch = response.headers.get("content-type", "").startswith("application/x-ndjson")
    if response.status_code < 300 or is_batch:
        return
    error_fields = {"request_id": response.headers.get("x-request-id"), "retry_after": retry_after(response) or None}
    if response.status_code < 400:
        raise AfterwordError(
            f"The server answered {response.status_code}, which leads to {response.headers.get('location')!r}.",
            code="redirected",
            hint="Give that address as base_url, if it is the Afterword server's.",
            **error_fields,
        )
    try:
        detail = msgspec.json.decode(response.content)["error"]
        error = from_detail(
            response.status_code, detail if isinstance(detail, dict) else {"message": detail}, **error_fields
        )
    except (msgspec.DecodeError, KeyError, TypeError):
        error = error_for(response.status_code)(
            f"The server answered {response.status_code}: {response.text[:200]!r}.",
            hint="Is this an Afterword server? Check base_url.",
            **error_fields,
        )
    raise error


def decode_answer(response: httpx.Response, kind: type[T]) -> T:
    """Read an answer. Raises `AfterwordError` if it has another form."""
    try:
        return msgspec.json.decode(response.content, type=kind)
    except msgspec.DecodeError as error:
        raise AfterwordError(
            f"The answer to {response.request.method} {response.request.url.path} cannot be read: {error}.",
            code="unreadable_answer",
            hint="Is this an Afterword server, and not older than the client? Check base_url.",
            request_id=response.headers.get("x-request-id"),
        ) from None
