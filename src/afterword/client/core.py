"""What both clients do without waiting: build requests, read answers, decide whether to try again."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from afterword.errors import AfterwordError, ConnectionFailed, RequestTimedOut, Unauthorized, error_for, from_detail
from afterword.types import Moment

T = TypeVar("T")

DEFAULT_URL = "http://127.0.0.1:7400"
FIRST_DELAY = 0.2
LONGEST_DELAY = 8.0
BUSY = (429, 503)
"""Statuses after which nothing was stored, so that any request can be sent again."""

_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A call to make. `repeatable`: sending it twice stores nothing twice."""

    method: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    body: bytes | None = None
    content_type: str = "application/json"
    repeatable: bool = False


@dataclass(frozen=True, slots=True)
class Core:
    """Where the server is, with which key, and how often to try."""

    base_url: str
    api_key: str
    max_retries: int

    @classmethod
    def resolve(cls, base_url: str | None, api_key: str | None, max_retries: int) -> Core:
        """Complete the arguments from the environment. Raises `Unauthorized` without a key, `ValueError` for no URL."""
        base_url = base_url or _environment("URL") or DEFAULT_URL
        api_key = api_key or _environment("API_KEY")
        if not base_url.startswith(("http://", "https://")):
            raise ValueError(f"base_url is {base_url!r}; give it as http://HOST:PORT or https://HOST.")
        if not api_key:
            raise Unauthorized(
                "There is no API key.",
                code="no_api_key",
                hint="Give api_key=..., or set AFTERWORD_API_KEY. A local server printed it at its first start and "
                "keeps it in admin.key in its data directory.",
            )
        return cls(base_url.rstrip("/"), api_key, max_retries)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every request."""
        return {"Authorization": f"Bearer {self.api_key}", "User-Agent": f"afterword/{version('afterword')}"}

    def delay(self, attempt: int, request: Request, outcome: httpx.Response | httpx.TransportError) -> float | None:
        """Return the seconds to wait before trying again, or None to give up. `attempt` counts from 0."""
        if attempt >= self.max_retries:
            return None
        backoff = min(LONGEST_DELAY, FIRST_DELAY * 2**attempt) * random.uniform(0.5, 1.0)
        if isinstance(outcome, httpx.Response):
            return max(backoff, _retry_after(outcome)) if outcome.status_code in BUSY else None
        never_sent = isinstance(outcome, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
        return backoff if never_sent or request.repeatable else None

    def unreachable(self, error: httpx.TransportError) -> ConnectionFailed:
        """Return the error for a server that could not be reached."""
        if isinstance(error, httpx.TimeoutException):
            return RequestTimedOut(
                f"{self.base_url} did not answer in time ({type(error).__name__}).",
                code="timed_out",
                hint="Try again, or give the client a larger timeout.",
            )
        return ConnectionFailed(
            f"{self.base_url} could not be reached: {error or type(error).__name__}.",
            code="connection_failed",
            hint="Is the server running? Start it with 'afterword serve', or check base_url.",
        )


def _environment(name: str) -> str | None:
    return os.environ.get(f"AFTERWORD_{name}") or os.environ.get(f"ADAPTIVE_{name}")


def _retry_after(response: httpx.Response) -> float:
    try:
        return min(60.0, float(response.headers.get("retry-after", "0")))
    except ValueError:
        return 0.0


def path(*parts: str) -> str:
    """Join parts of a path, each quoted."""
    return "/api/v1/" + "/".join(quote(str(part), safe="") for part in parts)


def encode(body: Mapping[str, Any]) -> bytes:
    """Encode a body; what is None was not given and is left out."""
    return _encoder.encode({name: value for name, value in body.items() if value is not None})


def query(**parameters: Any) -> list[tuple[str, str]]:
    """Return query parameters; lists repeat, None is left out, a name may end in _."""
    pairs: list[tuple[str, str]] = []
    for name, value in parameters.items():
        values = value if isinstance(value, list | tuple) else [value]
        pairs += [(name.rstrip("_"), _text(one)) for one in values if one is not None]
    return pairs


def label_parameters(labels: Mapping[str, str | Sequence[str] | None] | None) -> list[str]:
    """Return the `label` parameters of a dict: key to value, to several values (any of them), or None (has the key)."""
    found: list[str] = []
    for key, value in (labels or {}).items():
        if value is None:
            found.append(key)
        else:
            found += [f"{key}:{one}" for one in ([value] if isinstance(value, str) else value)]
    return found


def moment(value: Moment | datetime | None) -> Moment | None:
    """Return a time as a query parameter; a datetime without a zone is in UTC."""
    return value.isoformat() if isinstance(value, datetime) else value


def several(value: str | Sequence[str] | None) -> list[str] | None:
    """Return one or several texts as a list."""
    return [value] if isinstance(value, str) else None if value is None else list(value)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def check(response: httpx.Response) -> None:
    """Raise the error that an answer tells of, named by its status."""
    if response.status_code < 400:
        return
    more = {"request_id": response.headers.get("x-request-id"), "retry_after": _retry_after(response) or None}
    try:
        detail = msgspec.json.decode(response.content)["error"]
        error = from_detail(response.status_code, detail if isinstance(detail, dict) else {"message": detail}, **more)
    except (msgspec.DecodeError, KeyError, TypeError):
        error = error_for(response.status_code)(
            f"The server answered {response.status_code}: {response.text[:200]!r}.",
            hint="Is this an Afterword server? Check base_url.",
            **more,
        )
    raise error


def read(response: httpx.Response, kind: type[T]) -> T:
    """Read an answer. Raises `AfterwordError` for one that is not of its form."""
    try:
        return msgspec.json.decode(response.content, type=kind)
    except msgspec.DecodeError as error:
        raise AfterwordError(
            f"The answer to {response.request.method} {response.request.url.path} cannot be read: {error}.",
            code="unreadable_answer",
            hint="Is this an Afterword server, and not older than the client? Check base_url.",
            request_id=response.headers.get("x-request-id"),
        ) from None
