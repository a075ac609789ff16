"""HTTP/1.1 to providers: requests and answers on connections that aiohttp opens.

aiohttp resolves names, tries several addresses, goes through proxies and checks certificates. For the requests
themselves its client takes three times the processor time of this one (see docs/decisions.md).
"""

from __future__ import annotations

import asyncio
import base64
import re
import zlib
from collections import defaultdict
from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import httptools
from multidict import CIMultiDict

from afterword.gateway.proxies import Proxy

if TYPE_CHECKING:
    from aiohttp.connector import Connection as OpenedConnection
    from yarl import URL

# Many servers close a connection after 5 s without a request. One sent at that moment would be lost.
KEEP_ALIVE_SECONDS = 4.0
MAX_HEAD_BYTES = 256 << 10
# A provider that sends faster than its answer is read is not read from any more.
MAX_BUFFERED_BYTES = 256 << 10
# Parts of a compressed answer are at most so large.
MAX_DECOMPRESSED_BYTES = 1 << 20

DEFAULT_HEADERS = {
    "Accept": "*/*",
    "Accept-Encoding": "gzip, deflate",
    "User-Agent": "afterword",
    "Content-Type": "application/json",
}
# Headers that belong to the connection, whatever a model is registered with.
OWN_HEADERS = frozenset({"content-length", "transfer-encoding", "connection"})
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[^\r\n\0]*")


class MalformedAnswer(Exception):
    """A provider's answer is not HTTP/1.1."""


class ConnectionPool:
    """Connections to providers. `connect_seconds` limits the time to open one. It belongs to one event loop."""

    def __init__(self, connect_seconds: float) -> None:
        import aiohttp

        self._connector = aiohttp.TCPConnector(limit=0)
        self._connect_timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_seconds)
        self._loop = asyncio.get_running_loop()
        self._idle: dict[Hashable, list[Connection]] = defaultdict(list)
        self._idle_timer: asyncio.TimerHandle | None = None

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"", proxy: Proxy | None = None
    ) -> HttpAnswer:
        """Send a request; return the answer once its head has arrived. Redirections are not followed.

        Raises aiohttp's errors for a connection that cannot be opened, `MalformedAnswer`, `ConnectionError` if it is
        lost, and `ValueError` for a malformed header.
        """
        destination = _destination(url)
        is_tunnelled = destination.url.scheme == "https"
        if proxy is not None and proxy.authorization and not is_tunnelled:
            headers = {**headers, "Proxy-Authorization": proxy.authorization}
        target = destination.absolute_target if proxy and not is_tunnelled else destination.target
        head = _request_head(method, target, destination.host, destination.authorization, tuple(headers.items()))
        head += b"Content-Length: %d\r\n\r\n" % len(body) if body else b"\r\n"
        key = (destination.origin, proxy)
        connection = self._find_idle(key) or await self._open(key, destination.url, proxy)
        answer = connection.send(head, body)
        try:
            await answer.read_head()
        except BaseException:
            answer.close()
            raise
        return answer

    def release(self, connection: Connection) -> None:
        """Keep a connection for further requests."""
        connection.idle_since = self._loop.time()
        self._idle[connection.key].append(connection)
        if self._idle_timer is None:
            self._idle_timer = self._loop.call_later(KEEP_ALIVE_SECONDS, self._close_idle)

    def forget(self, connection: Connection) -> None:
        """Note that a connection is closed."""
        connections = self._idle.get(connection.key, [])
        if connection in connections:
            connections.remove(connection)

    async def close(self) -> None:
        """Close all connections."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        await self._connector.close()

    def _find_idle(self, key: Hashable) -> Connection | None:
        connections = self._idle[key]
        while connections:
            connection = connections.pop()
            if connection.is_usable and self._loop.time() - connection.idle_since < KEEP_ALIVE_SECONDS:
                return connection
            connection.close()
        return None

    def _close_idle(self) -> None:
        """Close the connections that have been idle for too long."""
        self._idle_timer = None
        end = self._loop.time() - KEEP_ALIVE_SECONDS
        for key, connections in list(self._idle.items()):
            kept = [connection for connection in connections if connection.idle_since > end]
            for connection in connections:
                if connection not in kept:
                    connection.close()
            if kept:
                self._idle[key] = kept
            else:
                del self._idle[key]
        if self._idle:
            self._idle_timer = self._loop.call_later(KEEP_ALIVE_SECONDS / 2, self._close_idle)

    async def _open(self, key: Hashable, url: URL, proxy: Proxy | None) -> Connection:
        import aiohttp
        from yarl import URL

        proxy_headers: CIMultiDict[str] = CIMultiDict()
        if proxy is not None and proxy.authorization:
            proxy_headers["Proxy-Authorization"] = proxy.authorization
        request = aiohttp.ClientRequest(
            "GET", url, loop=self._loop, proxy=URL(proxy.url) if proxy else None, proxy_headers=proxy_headers
        )
        try:
            opened_connection = await self._connector.connect(request, [], self._connect_timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError(f"Connection timeout to host {url.host}") from error
        return Connection(self, key, opened_connection)


class Connection(asyncio.Protocol):
    """A connection to a provider, or to a proxy before it. It carries one request at a time."""

    def __init__(self, pool: ConnectionPool, key: Hashable, opened_connection: OpenedConnection) -> None:
        self.key = key
        self.idle_since = 0.0
        """When its last answer ended, by the event loop's clock."""
        self._pool = pool
        self._opened_connection = opened_connection
        assert opened_connection.protocol is not None
        self._opener = opened_connection.protocol
        self._transport: Any = opened_connection.transport
        self._transport.set_protocol(self)
        self._answer: HttpAnswer | None = None
        self._is_paused = False

    @property
    def is_usable(self) -> bool:
        """Whether a request can be sent."""
        return not self._transport.is_closing()

    def send(self, head: bytes, body: bytes) -> HttpAnswer:
        """Send a request and return its answer, of which nothing has arrived yet."""
        if not self.is_usable:
            self._opened_connection.close()
            raise ConnectionResetError("the connection was closed at once")
        answer = self._answer = HttpAnswer(self)
        self._transport.writelines((head, body))
        return answer

    def close(self) -> None:
        """Hang up."""
        self._opened_connection.close()

    def pause_reading(self) -> None:
        """Read no more from the provider."""
        if not self._is_paused and self.is_usable:
            self._is_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read from the provider again."""
        if self._is_paused and self.is_usable:
            self._is_paused = False
            self._transport.resume_reading()

    # ------------------------------------------------------------ called by the event loop

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:
            # Nothing was asked: a server that tells so that it is about to hang up, or that is confused.
            self.close()
            return
        answer.feed(data)
        if answer.is_complete:
            self._answer = None
            self.resume_reading()
            # A provider that answered before it has read the whole request would take the rest for the next one.
            if answer.allows_reuse and self.is_usable and not self._transport.get_write_buffer_size():
                self._pool.release(self)
            else:
                self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._pool.forget(self)
        if self._answer is not None:
            self._answer.end_input(exc)
            self._answer = None
        # aiohttp counts the connection as open until its own protocol is told.
        self._opener.connection_lost(exc)
        self._opened_connection.close()


class HttpAnswer:
    """The answer to a request, as it arrives."""

    def __init__(self, connection: Connection) -> None:
        self.status = 0
        self.headers: Mapping[str, str] = {}
        """Its headers, whose names are found in any case."""
        self.is_complete = False
        self.allows_reuse = False
        """Whether the connection of a complete answer can carry another request."""
        self._connection = connection
        self._parser: Any = httptools.HttpResponseParser(self)
        self._header_pairs: list[tuple[str, str]] = []
        self._head_bytes = 0
        self._parts: list[bytes] = []
        self._buffered_bytes = 0
        self._ends_with_connection = False
        self._decompressor: Decompressor | None = None
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def content_type(self) -> str:
        """The media type without parameters, in lower case."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    async def read_head(self) -> None:
        """Wait for status and headers. Raises `MalformedAnswer` and `ConnectionError`, as `read` does."""
        while not self.status:
            if self._error is not None:
                raise self._error
            await self._wait()

    async def read(self) -> bytes:
        """Return what has arrived since the last time, or wait for more; empty at the end of the answer."""
        while True:
            if part := self.unread():
                return part
            if self.is_complete:
                return b""
            if self._error is not None:
                raise self._error
            await self._wait()

    def unread(self) -> bytes:
        """Return what has arrived since the last time, without waiting. Raises `MalformedAnswer`."""
        if self._decompressor is not None and (part := self._decompressor.read()):
            return part
        if not self._parts:
            return b""
        raw = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._buffered_bytes = 0
        if not self.is_complete:
            self._connection.resume_reading()
        return raw if self._decompressor is None else self._decompressor.read(raw)

    def close(self) -> None:
        """Close the connection, unless the answer is complete: then it is in use again."""
        if not self.is_complete:
            self._connection.close()

    async def _wait(self) -> None:
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        try:
            await waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # ------------------------------------------------------------ called by the connection

    def feed(self, data: bytes) -> None:
        """Take bytes from the connection."""
        if not self.status:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.allows_reuse = False
            if not self.is_complete:
                self._fail(MalformedAnswer(str(error)))
        if not self.status and self._head_bytes > MAX_HEAD_BYTES:
            self._fail(MalformedAnswer(f"a head of more than {MAX_HEAD_BYTES:,} bytes"))
        self._wake()

    def end_input(self, error: Exception | None) -> None:
        """Take note that the connection is closed."""
        if self._ends_with_connection and error is None:
            self.is_complete = True
        elif self._error is None:
            self._error = ConnectionResetError(str(error) if error else "the connection was closed")
        self._wake()

    def _fail(self, error: Exception) -> None:
        self._error = self._error or error
        self._connection.close()

    # ------------------------------------------------------------ called by the parser

    def on_message_begin(self) -> None:
        # A second answer to one request.
        self.allows_reuse = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_pairs.append((name.decode("latin-1"), value.decode("utf-8", "surrogateescape")))

    def on_headers_complete(self) -> None:
        if self.is_complete:
            return
        status: int = self._parser.get_status_code()
        if status < 200:
            # 100 Continue and 103 Early Hints come before the answer.
            self._header_pairs.clear()
            return
        headers = self.headers = CIMultiDict(self._header_pairs)
        encoding = headers.get("Content-Encoding", "").strip().lower()
        if encoding in ("gzip", "x-gzip", "deflate"):
            self._decompressor = Decompressor(is_gzip=encoding != "deflate")
        has_length = "Content-Length" in headers or "chunked" in headers.get("Transfer-Encoding", "").lower()
        self._ends_with_connection = not has_length and status not in (204, 304)
        self.status = status

    def on_body(self, body: bytes) -> None:
        if self.is_complete:
            return
        self._parts.append(body)
        self._buffered_bytes += len(body)
        if self._buffered_bytes > MAX_BUFFERED_BYTES:
            self._connection.pause_reading()

    def on_message_complete(self) -> None:
        if self.status and not self.is_complete:
            self.is_complete = True
            # The parser knows it only now.
            self.allows_reuse = self._parser.should_keep_alive()


class Decompressor:
    """Decompresses an answer in parts of at most MAX_DECOMPRESSED_BYTES, however much a few bytes would become."""

    def __init__(self, *, is_gzip: bool) -> None:
        self._is_gzip = is_gzip
        self._inflater: Any = None
        self._compressed = b""

    def read(self, compressed: bytes = b"") -> bytes:
        """Return the next part, of these bytes and of what is left of earlier ones. Raises `MalformedAnswer`."""
        compressed = self._compressed + compressed
        if not compressed:
            return b""
        if self._inflater is None:
            # "deflate" is zlib's format by the standard, and the bare one at some servers.
            is_bare = not self._is_gzip and compressed[0] & 0x0F != zlib.DEFLATED
            self._inflater = zlib.decompressobj(31 if self._is_gzip else -15 if is_bare else 15)
        try:
            part = self._inflater.decompress(compressed, MAX_DECOMPRESSED_BYTES)
        except zlib.error as error:
            raise MalformedAnswer(f"what cannot be decompressed: {error}") from None
        self._compressed = self._inflater.unconsumed_tail
        return part


class Destination(NamedTuple):
    """A URL in the parts that a request needs. `origin` is what a connection is opened to."""

    url: URL
    origin: str
    host: str
    target: str
    absolute_target: str
    authorization: str | None


@lru_cache(maxsize=1024)
def _destination(text: str) -> Destination:
    """Return the parts of a URL. Raises aiohttp's `InvalidURL`."""
    import aiohttp
    from yarl import URL

    try:
        url = URL(text)
        host = url.host_port_subcomponent
    except ValueError as error:
        raise aiohttp.InvalidURL(text) from error
    if url.scheme not in ("http", "https") or not url.raw_host or not host:
        raise aiohttp.InvalidURL(text)
    authorization = None
    if url.user is not None or url.password is not None:
        credentials = f"{url.user or ''}:{url.password or ''}"
        authorization = "Basic " + base64.b64encode(credentials.encode()).decode()
    url = url.with_user(None).with_fragment(None)
    return Destination(url, str(url.origin()), host, url.raw_path_qs, str(url), authorization)


@lru_cache(maxsize=256)
def _request_head(
    method: str, target: str, host: str, authorization: str | None, headers: tuple[tuple[str, str], ...]
) -> bytes:
    """Return the head of a request without its end, to which Content-Length may be added. Raises `ValueError`."""
    names = {name.lower() for name, _ in headers}
    defaults = {"Host": host, **DEFAULT_HEADERS}
    if authorization is not None:
        defaults["Authorization"] = authorization
    pairs = [(name, value) for name, value in defaults.items() if name.lower() not in names]
    pairs += [(name, value) for name, value in headers if name.lower() not in OWN_HEADERS]
    for name, value in pairs:
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"The header {name!r} is malformed.")
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in pairs), ""]
    return "\r\n".join(lines).encode()
