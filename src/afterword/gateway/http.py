"""HTTP to providers: one session, bounds on time and number, and what goes wrong told in one tongue."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from afterword.gateway.events import Event, EventReader, EventTooLarge
from afterword.gateway.provider import Body, ProviderError

if TYPE_CHECKING:
    import aiohttp

MOST_BYTES = 64 << 20
"""The largest answer."""
RETRIES = 2
"""Times that a request is sent again which surely was not received."""
FIRST_DELAY = 0.1
LONGEST_DELAY = 2.0
"""A provider that is busy for longer is not waited for: the caller decides."""
LOOK = 5.0
"""Seconds for a look at whether a provider is there."""
# Many servers hang up after 5 s without a request; one sent into that very moment would be lost.
KEEP_ALIVE = 4.0

_decoder = msgspec.json.Decoder()


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to take a connection, to begin an answer, between two parts of one."""

    connect: float
    first_byte: float
    idle: float


class Http:
    """The session with all providers. It is opened at the first call, in the loop that makes it."""

    def __init__(self, timeouts: Timeouts, most_calls: int) -> None:
        self._timeouts = timeouts
        self._most_calls = most_calls
        self._under_way: dict[str, int] = defaultdict(int)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, name: str, url: str, headers: Mapping[str, str], body: bytes) -> Body:
        """Return the whole answer, a JSON object. `name` is the model's, for messages. Raises `ProviderError`."""
        place = self._enter(name, url)
        try:
            # For a whole answer its first byte is as good as its last.
            async with asyncio.timeout(self._timeouts.first_byte):
                answer = await self._sent(name, url, headers, body)
                try:
                    kind, raw = answer.content_type, await self._read(name, answer)
                finally:
                    # It has given its connection back by now; of one that was cut off the connection is closed.
                    answer.close()
        except Exception as error:
            raise self._explained(name, error) from None
        finally:
            self._leave(place)
        if kind == "text/event-stream":
            raise unreadable(name, f"a stream ({kind}) where none was asked for", raw)
        return read_object(name, raw, kind)

    async def events(
        self, name: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> AsyncGenerator[Event | Body, None]:
        """Yield the events of a stream as they come; of a provider that cannot stream, the whole answer as one object.
        Raises `ProviderError`."""
        place = self._enter(name, url)
        answer = None
        try:
            async with asyncio.timeout(self._timeouts.first_byte):
                answer = await self._sent(name, url, headers, body)
            kind = answer.content_type
            if kind != "text/event-stream":
                async with asyncio.timeout(self._timeouts.first_byte):
                    raw = await self._read(name, answer)
                yield read_object(name, raw, kind)
                return
            reader, limit = EventReader(), self._timeouts.first_byte
            while True:
                async with asyncio.timeout(limit):
                    part = await answer.content.readany()
                if not part:
                    break
                limit = self._timeouts.idle
                for event in reader.take(part):
                    yield event
            for event in reader.end():
                yield event
        except Exception as error:
            raise self._explained(name, error) from None
        finally:
            if answer is not None:
                answer.close()
            self._leave(place)

    async def look(self, name: str, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Return status and body of a cheap look at a provider. Raises `ProviderError` where it cannot be reached."""
        import aiohttp

        try:
            limits = aiohttp.ClientTimeout(total=LOOK)
            async with self._open().get(url, headers=headers, timeout=limits, allow_redirects=False) as answer:
                return answer.status, await answer.content.read(1 << 16)
        except Exception as error:
            raise self._explained(name, error) from None

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Loaded at the first call: it takes a fifth of the server's start.
            import aiohttp

            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE),
                cookie_jar=aiohttp.DummyCookieJar(),
                # How long an answer may take to begin is measured here, not by the session.
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._timeouts.connect),
                headers={"User-Agent": "afterword", "Content-Type": "application/json"},
                trust_env=False,
            )
        return self._session

    def _enter(self, name: str, url: str) -> str:
        """Count a call at a provider; return the provider. Raises `ProviderError` where too many are under way."""
        place = urlsplit(url).netloc
        if self._under_way[place] >= self._most_calls:
            raise ProviderError(
                f"{self._most_calls} calls are under way at the provider of {name!r} already.",
                status=503,
                code="provider_busy",
                hint="Call again after the time that Retry-After gives, or raise AFTERWORD_MAX_PROVIDER_CALLS.",
                retry_after=1,
                sent=False,
                retryable=True,
            )
        self._under_way[place] += 1
        return place

    def _leave(self, place: str) -> None:
        self._under_way[place] -= 1
        if not self._under_way[place]:
            del self._under_way[place]

    async def _sent(self, name: str, url: str, headers: Mapping[str, str], body: bytes) -> aiohttp.ClientResponse:
        attempt = 0
        while True:
            try:
                return await self._send_once(name, url, headers, body)
            except ProviderError as error:
                delay = FIRST_DELAY * 2**attempt * random.uniform(0.5, 1)
                if error.sent:
                    # It was busy, and says that it soon will not be.
                    if attempt or error.retry_after is None or error.status not in (429, 503):
                        raise
                    delay = error.retry_after
                if attempt == RETRIES or error.status == 504 or delay > LONGEST_DELAY:
                    raise
            attempt += 1
            await asyncio.sleep(delay)

    async def _send_once(self, name: str, url: str, headers: Mapping[str, str], body: bytes) -> aiohttp.ClientResponse:
        try:
            answer = await self._open().post(url, data=body, headers=headers, allow_redirects=False)
            if answer.status < 300:
                return answer
            try:
                raw = await answer.content.read(1 << 20)
            finally:
                answer.close()
        except Exception as error:
            raise self._explained(name, error) from None
        raise refused(name, answer.status, raw, answer.headers.get("Retry-After"))

    async def _read(self, name: str, answer: aiohttp.ClientResponse) -> bytes:
        """Return the whole of an answer, within its bounds."""
        length = answer.content_length
        if length is not None and length <= MOST_BYTES:
            return await answer.read()
        parts, size = [], length or 0
        while size <= MOST_BYTES:
            part = await answer.content.readany()
            if not part:
                return b"".join(parts)
            parts.append(part)
            size += len(part)
        raise too_large(name)

    def _explained(self, name: str, error: Exception) -> Exception:
        """Turn what the HTTP library raises into `ProviderError`; anything else is returned as it is."""
        import aiohttp

        match error:
            case ProviderError():
                return error
            case EventTooLarge():
                return too_large(name)
            case aiohttp.ConnectionTimeoutError():
                return ProviderError(
                    f"The provider of {name!r} did not take a connection within {self._timeouts.connect:g} s.",
                    status=504,
                    code="provider_timed_out",
                    sent=False,
                    retryable=True,
                )
            case TimeoutError():
                return ProviderError(
                    f"The provider of {name!r} fell silent: it may take {self._timeouts.first_byte:g} s to begin its "
                    f"answer, and {self._timeouts.idle:g} s between two parts of it.",
                    status=504,
                    code="provider_timed_out",
                    retryable=True,
                )
            case aiohttp.ClientConnectorError():
                return ProviderError(
                    f"The provider of {name!r} cannot be reached at {error.host}:{error.port}: {error.os_error}.",
                    status=502,
                    code="provider_unreachable",
                    hint="Is it running? Check the model's endpoint.",
                    sent=False,
                    retryable=True,
                )
            case aiohttp.InvalidURL():
                return ProviderError(
                    f"The endpoint of {name!r} is no URL that can be called.",
                    status=502,
                    code="provider_unreachable",
                    sent=False,
                )
            case aiohttp.ClientError() | ConnectionError():
                return hung_up(name, type(error).__name__)
        return error


def hung_up(name: str, how: str = "") -> ProviderError:
    """Return the error for an answer that broke off."""
    return ProviderError(
        f"The provider of {name!r} broke off in the middle of its answer{f' ({how})' if how else ''}.",
        status=502,
        code="provider_hung_up",
        retryable=True,
    )


def too_large(name: str) -> ProviderError:
    """Return the error for an answer beyond MOST_BYTES."""
    return ProviderError(
        f"The provider of {name!r} answered with more than {MOST_BYTES:,} bytes.",
        status=502,
        code="provider_answer_too_large",
    )


def unreadable(name: str, what: str, raw: bytes) -> ProviderError:
    """Return the error for an answer that is not what the API promises."""
    shown = raw[:200].decode("utf-8", "replace")
    return ProviderError(
        f"The provider of {name!r} answered with {what}: {shown!r}.",
        status=502,
        code="provider_answer_unreadable",
        hint="Check the model's endpoint: it must be the base URL of the API.",
        retryable=True,
    )


def read_object(name: str, raw: bytes, kind: str = "") -> Any:
    """Decode a JSON object. Raises `ProviderError`."""
    try:
        found = _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise unreadable(name, f"what is no JSON{f' ({kind})' if kind else ''}", raw) from None
    if not isinstance(found, dict):
        raise unreadable(name, "JSON that is no object", raw)
    return found


def refused(name: str, status: int, raw: bytes, retry_after: str | None) -> ProviderError:
    """Return the error for an answer with a status that is not 2xx: what the caller is told of it."""
    said, code = _said(raw)
    wait = _seconds(retry_after)
    if status in (401, 403):
        return ProviderError(
            f"The provider of {name!r} refused the API key that is kept for it: {said}",
            status=502,
            code="provider_refused_key",
            hint="An administrator can set another one: PATCH /api/v1/models/{model} with api_key.",
        )
    if status < 400:
        return ProviderError(
            f"The provider of {name!r} answered with a redirection ({status}), which is not followed.",
            status=502,
            code="provider_redirected",
            hint="Set the model's endpoint to where the API is.",
        )
    shown = {529: 503}.get(status, status)
    return ProviderError(
        f"The provider of {name!r} answered {status}: {said}",
        status=shown,
        code=code or ("rate_limited" if status == 429 else "provider_refused" if status < 500 else "provider_failed"),
        retry_after=wait if wait is not None else 1 if shown in (429, 503) else None,
        retryable=status in (408, 429) or status >= 500,
    )


def _said(raw: bytes) -> tuple[str, str | None]:
    """Return the provider's own message and code."""
    try:
        body = _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return raw[:300].decode("utf-8", "replace") or "no reason is given", None
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        message = error.get("message") or error.get("detail") or msgspec.json.encode(error)[:300].decode()
        code = error.get("code") or error.get("type")
        return str(message)[:2000], code if isinstance(code, str) else None
    return str(error)[:2000], None


def error_in_stream(name: str, error: Any) -> ProviderError:
    """Return the error that a provider tells in the middle of a stream."""
    said, code = _said(msgspec.json.encode({"error": error}))
    status = error.get("code") if isinstance(error, dict) else None
    return ProviderError(
        f"The provider of {name!r} failed in the middle of its answer: {said}",
        status=status if isinstance(status, int) and 400 <= status < 600 else 502,
        code=code or "provider_failed",
        retryable=True,
    )


def _seconds(retry_after: str | None) -> float | None:
    """Return the seconds of a Retry-After header: a number, or a date."""
    if not retry_after:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        from datetime import UTC, datetime

        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
