"""HTTP to providers: one session, bounds on time and number, and what goes wrong told in one tongue."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from afterword.gateway.events import EVENT_STREAM, PING_NAMES, Event, EventReader, EventTooLarge, is_event_stream
from afterword.gateway.failures import MAX_ANSWER_BYTES, hung_up, read_object, refusal, too_large, unreadable
from afterword.gateway.provider import Body, ProviderError
from afterword.gateway.proxies import Proxies, ProxyInvalid
from afterword.gateway.response import ProviderResponse
from afterword.gateway.secrets import find_secrets, hide
from afterword.types import Target

if TYPE_CHECKING:
    import aiohttp

MAX_ERROR_BYTES = 1 << 20
"""The largest answer that tells of an error; what goes beyond is not read."""
RETRIES = 2
"""Times that a request is sent again which surely was not received."""
FIRST_DELAY_SECONDS = 0.1
MAX_DELAY_SECONDS = 2.0
"""A provider that is busy for longer is not waited for: the caller decides."""
PROBE_TIMEOUT_SECONDS = 5.0
"""Seconds for a look at whether a provider is there."""
# Many servers hang up after 5 s without a request; one sent into that very moment would be lost.
KEEP_ALIVE_SECONDS = 4.0
# A stream whose last event is there ends within the next packets. Hanging up before costs the next call a connection:
# two to three round trips where there is TLS.
LINGER_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to take a connection, to begin an answer, between two parts of one."""

    connect: float
    first_byte: float
    idle: float


class Address(NamedTuple):
    """Where a request goes: to which model (its key here, for messages), URL, with which headers."""

    name: str
    url: str
    headers: Mapping[str, str]
    secrets: tuple[str, ...] = ()

    @classmethod
    def for_target(cls, target: Target, url: str, api_key: str | None, default_headers: Mapping[str, str]) -> Address:
        """Return a model's address. The headers it was registered with win over our `own`, in whatever case."""
        registered_names = {name.lower() for name in target.headers}
        headers = {
            name: value for name, value in default_headers.items() if name.lower() not in registered_names
        } | dict(target.headers)
        return cls(target.key, url, headers, find_secrets(api_key, target.headers, url))

    def hide(self, text: str) -> str:
        """Return what a provider said without the secrets that it was sent."""
        return hide(text, self.secrets)


class Http:
    """The session with all providers. It is opened at the first call, in the loop that makes it."""

    def __init__(self, timeouts: Timeouts, max_calls: int) -> None:
        self._timeouts = timeouts
        self._max_calls = max_calls
        self._calls_by_host: dict[str, int] = defaultdict(int)
        self._proxies = Proxies()
        self._session: aiohttp.ClientSession | None = None

    async def post(self, address: Address, body: bytes, response: ProviderResponse) -> Body | list[Event]:
        """Return the whole answer, a JSON object; of a provider that streams unasked, the events. Raises
        `ProviderError`."""
        host = self._count_call(address)
        try:
            # For a whole answer its first byte is as good as its last.
            async with asyncio.timeout(self._timeouts.first_byte):
                answer = await self._response_after_retries(address, address.headers, body, response)
                try:
                    kind, raw = answer.content_type, await self._whole_body(address, answer)
                finally:
                    # It has given its connection back by now; of one that was cut off the connection is closed.
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
        """Yield the events of a stream as they come, up to the last one; of a provider that cannot stream, the whole
        answer as one object. Raises `ProviderError`."""
        host = self._count_call(address)
        answer = None
        try:
            first_byte_deadline = asyncio.get_running_loop().time() + self._timeouts.first_byte
            async with asyncio.timeout_at(first_byte_deadline):
                # A proxy that compresses a stream may hold its parts back.
                headers = {"Accept-Encoding": "identity", **address.headers}
                answer = await self._response_after_retries(address, headers, body, response)
                kind, part = answer.content_type, await answer.content.readany()
                while (is_events := is_event_stream(part, kind)) is None:
                    chunk = await answer.content.readany()
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
                try:
                    async with asyncio.timeout(self._timeouts.idle):
                        part = await answer.content.readany()
                except Exception:
                    for event in reader.take(_unread_bytes(answer)):
                        yield event
                    raise
            for event in reader.end():
                yield event
        except Exception as error:
            raise self._provider_error(address, error) from None
        finally:
            if answer is not None:
                answer.close()
            self._release_call(host)

    async def probe(self, address: Address) -> tuple[int, str]:
        """Return status and text of a cheap look at a provider. Raises `ProviderError` where it cannot be reached."""
        import aiohttp

        try:
            limits = aiohttp.ClientTimeout(total=PROBE_TIMEOUT_SECONDS)
            async with self._client_session().get(
                address.url, timeout=limits, allow_redirects=False, **self._request_arguments(address, address.headers)
            ) as answer:
                raw = await _first_bytes(answer, 1 << 16)
                return answer.status, address.hide(raw.decode("utf-8", "replace"))
        except Exception as error:
            raise self._provider_error(address, error) from None

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    def _client_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Loaded at the first call: it takes a fifth of the server's start.
            import aiohttp

            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                # How long an answer may take to begin is measured here, not by the session.
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._timeouts.connect),
                headers={"User-Agent": "afterword", "Content-Type": "application/json"},
                # It would read ~/.netrc too, and put what it finds there in the place of the model's API key.
                trust_env=False,
            )
        return self._session

    def _request_arguments(self, address: Address, headers: Mapping[str, str]) -> dict[str, Any]:
        """Return the arguments that send a request with these headers on its way, through a proxy where one is set."""
        proxy = self._proxies.find(address.url)
        if proxy is None:
            return {"headers": headers}
        credentials = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
        if address.url.startswith("https:"):
            return {"headers": headers, "proxy": proxy.url, "proxy_headers": credentials}
        return {"headers": {**headers, **credentials}, "proxy": proxy.url}

    def _count_call(self, address: Address) -> str:
        """Count a call at a provider; return the provider. Raises `ProviderError` where too many are under way."""
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
    ) -> aiohttp.ClientResponse:
        attempt = 0
        while True:
            try:
                return await self._send_once(address, headers, body, response)
            except ProviderError as error:
                delay = FIRST_DELAY_SECONDS * 2**attempt * random.uniform(0.5, 1)
                if error.sent:
                    # It was busy, and says that it soon will not be.
                    if attempt or error.retry_after is None or error.status not in (429, 503):
                        raise
                    delay = error.retry_after
                if attempt == RETRIES or error.status == 504 or delay > MAX_DELAY_SECONDS:
                    raise
            attempt += 1
            await asyncio.sleep(delay)

    async def _send_once(
        self, address: Address, headers: Mapping[str, str], body: bytes, response: ProviderResponse
    ) -> aiohttp.ClientResponse:
        try:
            request_arguments = self._request_arguments(address, headers)
            answer = await self._client_session().post(
                address.url, data=body, allow_redirects=False, **request_arguments
            )
            response.headers = answer.headers
            if answer.status < 300:
                return answer
            try:
                raw = await _first_bytes(answer, MAX_ERROR_BYTES)
            finally:
                answer.close()
        except Exception as error:
            raise self._provider_error(address, error) from None
        if answer.status == 407 and "proxy" in request_arguments:
            raise _proxy_error(
                address, request_arguments["proxy"], "refused the credentials that HTTP_PROXY gives (407)"
            )
        raise refusal(address, answer.status, raw, answer.headers)

    async def _whole_body(self, address: Address, answer: aiohttp.ClientResponse, head: bytes = b"") -> bytes:
        """Return the whole of an answer, within its bounds. `head` was read of it already."""
        length = answer.content_length
        # Of a compressed one the length says little.
        if length is not None and length <= MAX_ANSWER_BYTES and "Content-Encoding" not in answer.headers:
            return head + await answer.read()
        parts, size = [head], len(head)
        while size <= MAX_ANSWER_BYTES:
            part = await answer.content.readany()
            if not part:
                return b"".join(parts)
            parts.append(part)
            size += len(part)
        raise too_large(address)

    def _provider_error(self, address: Address, error: Exception) -> Exception:
        """Turn what the HTTP library raises into `ProviderError`; anything else is returned as it is."""
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
                # Of a certificate that is refused there is no error of the system's.
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
            case aiohttp.ClientResponseError():
                return unreadable(address, "what is no HTTP", error.message.encode())
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


def _unread_bytes(answer: aiohttp.ClientResponse) -> bytes:
    """Return what came before the connection broke and was not read yet: the library raises before it gives it out."""
    return answer.content._read_nowait(-1)


async def _drain(answer: aiohttp.ClientResponse) -> None:
    """Read what is left after the last event: an answer that is read to its end gives its connection back."""
    with suppress(Exception):
        async with asyncio.timeout(LINGER_SECONDS):
            while await answer.content.readany():
                pass


async def _first_bytes(answer: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """Return the first bytes of an answer whose status tells enough: that it breaks off is no error."""
    import aiohttp

    parts, size = [], 0
    with suppress(aiohttp.ClientError, ConnectionError):
        while size < max_bytes and (part := await answer.content.readany()):
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
