"""Calls of providers: limits on time and concurrency, retries, and one error class for all failures."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

from afterword.gateway.connections import ConnectionPool, HttpAnswer, MalformedAnswer
from afterword.gateway.events import EVENT_STREAM, PING_NAMES, Event, EventReader, EventTooLarge, is_event_stream
from afterword.gateway.failures import MAX_ANSWER_BYTES, hung_up, read_object, refusal, too_large, unreadable
from afterword.gateway.provider import Body, ProviderError
from afterword.gateway.proxies import Proxies, ProxyInvalid
from afterword.gateway.response import ProviderResponse
from afterword.gateway.secrets import find_secrets, hide
from afterword.types import Target

MAX_ERROR_BYTES = 1 << 20
"""The rest of a longer error answer is not read."""
RETRIES = 2
"""Retries of a request that certainly did not reach the provider."""
FIRST_DELAY_SECONDS = 0.1
MAX_DELAY_SECONDS = 2.0
"""If a busy provider asks for a longer wait, its error goes to the caller, who decides."""
PROBE_TIMEOUT_SECONDS = 5.0
# How long to wait for a stream's end after its last event, usually in the next packet. Closing the connection earlier
# costs the next call two to three round trips with TLS.
LINGER_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits in seconds: to accept a connection, to begin an answer, between two parts of one."""

    connect: float
    first_byte: float
    idle: float


class Address(NamedTuple):
    """Where a request goes: URL and headers, with the model's key (`name`) and the secrets for error messages."""

    name: str
    url: str
    headers: Mapping[str, str]
    secrets: tuple[str, ...] = ()

    @classmethod
    def for_target(cls, target: Target, url: str, api_key: str | None, default_headers: Mapping[str, str]) -> Address:
        """Return the address for a model. Headers it was registered with replace those of `default_headers`."""
        registered_names = {name.lower() for name in target.headers}
        headers = {
            name: value for name, value in default_headers.items() if name.lower() not in registered_names
        } | dict(target.headers)
        return cls(target.key, url, headers, find_secrets(api_key, target.headers, url))

    def with_headers(self, headers: Mapping[str, str]) -> Address:
        """Return the address with further headers; those of the model and of the provider take precedence."""
        own_names = {name.lower() for name in self.headers}
        further_headers = {name: value for name, value in headers.items() if name.lower() not in own_names}
        return self._replace(headers={**self.headers, **further_headers}) if further_headers else self

    def hide(self, text: str) -> str:
        """Return a provider's text with the secrets of this address replaced."""
        return hide(text, self.secrets)


class Http:
    """The connections to all providers. The first call makes their pool, in its event loop."""

    def __init__(self, timeouts: Timeouts, max_calls: int) -> None:
        self._timeouts = timeouts
        self._max_calls = max_calls
        self._calls_by_host: dict[str, int] = defaultdict(int)
        self._proxies = Proxies()
        self._pool: ConnectionPool | None = None

    async def post(self, address: Address, body: bytes, response: ProviderResponse) -> Body | list[Event]:
        """Return the whole answer: a JSON object, or the events of a provider that streams without being asked to.

        Raises `ProviderError`.
        """
        host = self._count_call(address)
        try:
            # The limit to the first byte holds for the whole answer, which is of no use in parts.
            async with asyncio.timeout(self._timeouts.first_byte):
                answer = await self._response_after_retries(address, address.headers, body, response)
                try:
                    kind, raw = answer.content_type, await self._whole_body(address, answer)
                finally:
                    # Closes the connection of an answer that was cut off; others have returned theirs to the pool.
                    answer.close()
        except Exception as error:
            raise self._provider_error(address, error) from None
        finally:
            self._release_call(host)
        if is_event_stream(raw, kind):
            reader = EventReader()
            return [*reader.take(raw), *reader.end()]
        return read_object(address, raw, kind)

    async def events(
        self, address: Address, body: bytes, is_last: Callable[[Event], bool], response: ProviderResponse
    ) -> AsyncGenerator[Event | Body, None]:
        """Yield the events of a stream up to the last one; a whole answer as one object if the provider cannot stream.

        Raises `ProviderError`.
        """
        host = self._count_call(address)
        answer = None
        try:
            first_byte_deadline = asyncio.get_running_loop().time() + self._timeouts.first_byte
            async with asyncio.timeout_at(first_byte_deadline):
                # A proxy that compresses a stream may buffer its parts.
                headers = {"Accept-Encoding": "identity", **address.headers}
                answer = await self._response_after_retries(address, headers, body, response)
                kind, part = answer.content_type, await answer.read()
                while (is_events := is_event_stream(part, kind)) is None:
                    chunk = await answer.read()
                    if not chunk:
                        break
                    part += chunk
                if not (is_events or (is_events is None and kind == EVENT_STREAM)):
                    raw = await self._whole_body(address, answer, part)
                    yield read_object(address, raw, kind)
                    return
            reader = EventReader()
            while part:
                events = reader.take(part)
                if all(event.name in PING_NAMES for event in events):
                    response.on_sign_of_life()
                for event in events:
                    yield event
                    if is_last(event):
                        await _drain(answer)
                        return
                async with asyncio.timeout(self._timeouts.idle):
                    part = await answer.read()
            for event in reader.end():
                yield event
        except Exception as error:
            raise self._provider_error(address, error) from None
        finally:
            if answer is not None:
                answer.close()
            self._release_call(host)

    async def parts(self, address: Address, body: bytes, response: ProviderResponse) -> AsyncGenerator[bytes, None]:
        """Yield the content type of an answer of any kind, then its bytes as they arrive. Raises `ProviderError`."""
        host = self._count_call(address)
        answer = None
        try:
            async with asyncio.timeout(self._timeouts.first_byte):
                # A proxy that compresses a stream may buffer its parts.
                headers = {"Accept-Encoding": "identity", **address.headers}
                answer = await self._response_after_retries(address, headers, body, response)
            yield answer.headers.get("Content-Type", answer.content_type).encode()
            while True:
                async with asyncio.timeout(self._timeouts.idle):
                    part = await answer.read()
                if not part:
                    return
                yield part
        except Exception as error:
            raise self._provider_error(address, error) from None
        finally:
            if answer is not None:
                answer.close()
            self._release_call(host)

    async def probe(self, address: Address) -> tuple[int, str]:
        """Return status and text of a cheap GET request. Raises `ProviderError` if the provider cannot be reached."""
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
                proxy = self._proxies.find(address.url)
                answer = await self._connections().send("GET", address.url, address.headers, proxy=proxy)
                try:
                    raw = await _first_bytes(answer, 1 << 16)
                finally:
                    answer.close()
                return answer.status, address.hide(raw.decode("utf-8", "replace"))
        except Exception as error:
            raise self._provider_error(address, error) from None

    async def close(self) -> None:
        """Close all connections."""
        if self._pool is not None:
            await self._pool.close()

    def _connections(self) -> ConnectionPool:
        if self._pool is None:
            self._pool = ConnectionPool(self._timeouts.connect)
        return self._pool

    def _count_call(self, address: Address) -> str:
        """Count a call to the provider's host and return the host. Raises `ProviderError` if too many are under way."""
        try:
            host = urlsplit(address.url).netloc
        except ValueError:
            raise _invalid_url_error(address) from None
        if self._calls_by_host[host] >= self._max_calls:
            raise ProviderError(
                f"{self._max_calls} calls are under way at the provider of {address.name!r} already.",
                status=503,
                code="provider_busy",
                hint="Call again after the time that Retry-After gives, or raise AFTERWORD_MAX_PROVIDER_CALLS.",
                retry_after=1,
                sent=False,
                retryable=True,
            )
        self._calls_by_host[host] += 1
        return host

    def _release_call(self, host: str) -> None:
        self._calls_by_host[host] -= 1
        if not self._calls_by_host[host]:
            del self._calls_by_host[host]

    async def _response_after_retries(
        self, address: Address, headers: Mapping[str, str], body: bytes, response: ProviderResponse
    ) -> HttpAnswer:
        attempt = 0
        while True:
            try:
                return await self._send_once(address, headers, body, response)
            except ProviderError as error:
                delay = FIRST_DELAY_SECONDS * 2**attempt * random.uniform(0.5, 1)
                if error.sent:
                    # A busy provider is retried once, after the wait that it asks for.
                    if attempt or error.retry_after is None or error.status not in (429, 503):
                        raise
                    delay = error.retry_after
                if attempt == RETRIES or error.status == 504 or delay > MAX_DELAY_SECONDS:
                    raise
            attempt += 1
            await asyncio.sleep(delay)

    async def _send_once(
        self, address: Address, headers: Mapping[str, str], body: bytes, response: ProviderResponse
    ) -> HttpAnswer:
        try:
            proxy = self._proxies.find(address.url)
            answer = await self._connections().send("POST", address.url, headers, body, proxy)
            response.headers = answer.headers
            if answer.status < 300:
                return answer
            try:
                raw = await _first_bytes(answer, MAX_ERROR_BYTES)
            finally:
                answer.close()
        except Exception as error:
            raise self._provider_error(address, error) from None
        if answer.status == 407 and proxy is not None:
            raise _proxy_error(address, proxy.url, "refused the credentials that HTTP_PROXY gives (407)")
        raise refusal(address, answer.status, raw, answer.headers)

    async def _whole_body(self, address: Address, answer: HttpAnswer, head: bytes = b"") -> bytes:
        """Return the body of an answer of which `head` was read. Raises `ProviderError` above MAX_ANSWER_BYTES."""
        parts, size = [head], len(head)
        while size <= MAX_ANSWER_BYTES:
            part = await answer.read()
            if not part:
                return b"".join(parts)
            parts.append(part)
            size += len(part)
        raise too_large(address)

    def _provider_error(self, address: Address, error: Exception) -> Exception:
        """Return the `ProviderError` for an exception of the HTTP library; any other exception unchanged."""
        import aiohttp

        name = address.name
        match error:
            case ProviderError():
                return error
            case EventTooLarge():
                return too_large(address)
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
            case ProxyInvalid():
                return _proxy_error(address, "", f"cannot be used: {error}")
            case aiohttp.ClientProxyConnectionError():
                return _proxy_error(address, f"{error.host}:{error.port}", f"cannot be reached: {error.os_error}")
            case aiohttp.ClientHttpProxyError():
                return _proxy_error(address, "", f"answered {error.status} {error.message}".strip())
            case aiohttp.ClientConnectorError():
                # A rejected TLS certificate carries no OSError.
                reason = getattr(error, "certificate_error", None) or error.os_error
                return ProviderError(
                    f"The provider of {name!r} cannot be reached at {error.host}:{error.port}: {reason}.",
                    status=502,
                    code="provider_unreachable",
                    hint="Is it running? Check the model's endpoint.",
                    sent=False,
                    retryable=True,
                )
            case aiohttp.InvalidURL():
                return _invalid_url_error(address)
            case MalformedAnswer():
                return unreadable(address, "what is no HTTP", str(error).encode())
            case aiohttp.ClientError() | ConnectionError():
                return hung_up(address, type(error).__name__)
            case ValueError():
                return ProviderError(
                    f"The request to the provider of {name!r} cannot be sent: a header of it is malformed.",
                    status=502,
                    code="provider_unreachable",
                    hint="Check the API key and the headers of the model, or of the server's environment.",
                    sent=False,
                )
        return error


async def _drain(answer: HttpAnswer) -> None:
    """Read the answer to its end, so that its connection returns to the pool."""
    with suppress(Exception):
        async with asyncio.timeout(LINGER_SECONDS):
            while await answer.read():
                pass


async def _first_bytes(answer: HttpAnswer, max_bytes: int) -> bytes:
    """Return up to `max_bytes` of an answer. It may break off: its status is already enough."""
    parts, size = [], 0
    with suppress(MalformedAnswer, ConnectionError):
        while size < max_bytes and (part := await answer.read()):
            parts.append(part)
            size += len(part)
    return b"".join(parts)[:max_bytes]


def _proxy_error(address: Address, proxy: str, problem: str) -> ProviderError:
    return ProviderError(
        f"The proxy{f' {proxy}' if proxy else ''} on the way to the provider of {address.name!r} {problem}.",
        status=502,
        code="provider_unreachable",
        hint="The server's environment names it: HTTP_PROXY, HTTPS_PROXY or ALL_PROXY. NO_PROXY lists the hosts that "
        "are reached without it.",
        sent=False,
        retryable=True,
    )


def _invalid_url_error(address: Address) -> ProviderError:
    return ProviderError(
        f"The endpoint of {address.name!r} is no URL that can be called.",
        status=502,
        code="provider_unreachable",
        hint="It begins with http:// or https://, and is the base URL of the API.",
        sent=False,
    )
