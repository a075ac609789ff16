"""Requests and answers on connections to providers, against servers that speak HTTP byte by byte."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import threading
import zlib
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from afterword.gateway.connections import MAX_DECOMPRESSED_BYTES, ConnectionPool, HttpAnswer, MalformedAnswer

OK = b"HTTP/1.1 200 OK\r\n"
WHOLE = OK + b"Content-Length: 2\r\n\r\n{}"


class RawServer:
    """Answers each request with the next of `answers`: bytes, or several that are sent one after the other."""

    def __init__(self, *answers: bytes | list[bytes], then_close: bool = False) -> None:
        self.answers = list(answers)
        self.then_close = then_close
        self.requests: list[bytes] = []
        self.connection_count = 0
        self.sent_bytes = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connection_count += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), 0
                )
                self.requests.append(head + await reader.readexactly(length))
                answer = self.answers.pop(0)
                for part in [answer] if isinstance(answer, bytes) else answer:
                    writer.write(part)
                    await writer.drain()
                    self.sent_bytes += len(part)
                if self.then_close:
                    break
        writer.close()


def using(server: RawServer, use: Callable[[ConnectionPool], Awaitable[Any]]) -> Any:
    """Run `use` with a pool of connections while the server runs."""

    @asynccontextmanager
    async def pool() -> Any:
        listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
        connections = ConnectionPool(5.0)
        try:
            yield connections
        finally:
            await connections.close()
            listener.close()

    async def main() -> Any:
        async with asyncio.timeout(30), pool() as connections:
            return await use(connections)

    return uvloop.run(main())


async def whole(answer: HttpAnswer) -> bytes:
    parts = []
    while part := await answer.read():
        parts.append(part)
    return b"".join(parts)


def bodies(server: RawServer, count: int) -> list[bytes]:
    """Return the bodies of the answers to so many requests, one after the other."""

    async def use(pool: ConnectionPool) -> list[bytes]:
        return [await whole(await pool.send("POST", server.url, {}, b"{}")) for _ in range(count)]

    return using(server, use)


def chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (*parts, b""))


def test_one_connection_carries_many_requests():
    server = RawServer(*[WHOLE, OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(b"[", b"]")] * 3)
    assert bodies(server, 6) == [b"{}", b"[]"] * 3
    assert server.connection_count == 1


def test_request_has_the_headers_that_are_given_and_its_own():
    server = RawServer(WHOLE, WHOLE)

    async def use(pool: ConnectionPool) -> None:
        given = {"Authorization": "Bearer k", "user-agent": "mine", "Content-Length": "900"}
        await whole(await pool.send("POST", f"{server.url}/chat?a=b%20c#part", given, b"{}"))
        await whole(await pool.send("GET", server.url.replace("//", "//ann:s%40cret@"), {}))

    using(server, use)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    first_line, *lines = head.decode().split("\r\n")
    assert first_line == "POST /v1/chat?a=b%20c HTTP/1.1"
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    assert len(headers) == len(lines)
    assert headers["host"] == server.url[7:-3]
    assert (headers["user-agent"], headers["content-length"], body) == ("mine", "2", b"{}")
    assert b"Authorization: Basic YW5uOnNAY3JldA==\r\n" in server.requests[1]
    assert b"Content-Length" not in server.requests[1]


@pytest.mark.parametrize("headers", [{"X-A": "b\r\nX-C: d"}, {"X A": "b"}, {"X-A\n": "b"}])
def test_malformed_header_is_never_sent(headers: dict[str, str]):
    server = RawServer(WHOLE)

    async def use(pool: ConnectionPool) -> None:
        with pytest.raises(ValueError, match="malformed"):
            await pool.send("POST", server.url, headers, b"{}")

    using(server, use)
    assert not server.requests


def test_answer_without_length_ends_with_its_connection():
    server = RawServer([OK + b"\r\n{", b"}"], [b"HTTP/1.0 200 OK\r\n\r\n[]"], then_close=True)
    assert bodies(server, 2) == [b"{}", b"[]"]
    assert server.connection_count == 2


def test_early_hints_before_the_answer_are_skipped():
    server = RawServer(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + WHOLE, WHOLE)
    assert bodies(server, 2) == [b"{}", b"{}"]
    assert server.connection_count == 1


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "bare"])
def test_compressed_answer_is_read_from_small_parts(encoding: str):
    text = b'{"words": "' + b"many words " * 1000 + b'"}'
    bare = zlib.compressobj(wbits=-15)
    compressed = {
        "gzip": gzip.compress(text),
        "deflate": zlib.compress(text),
        "bare": bare.compress(text) + bare.flush(),
    }[encoding]
    head = OK + b"Content-Encoding: %b\r\nContent-Length: %d\r\n\r\n"
    name = b"gzip" if encoding == "gzip" else b"deflate"
    server = RawServer([head % (name, len(compressed)), *(compressed[i : i + 1] for i in range(len(compressed)))])
    assert bodies(server, 1) == [text]


def test_compressed_answer_comes_in_parts_of_bounded_size():
    compressed = gzip.compress(bytes(50 << 20))
    server = RawServer(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(compressed) + compressed)

    async def use(pool: ConnectionPool) -> list[int]:
        answer, sizes = await pool.send("POST", server.url, {}, b"{}"), []
        while part := await answer.read():
            sizes.append(len(part))
        return sizes

    sizes = using(server, use)
    assert sum(sizes) == 50 << 20
    assert max(sizes) <= MAX_DECOMPRESSED_BYTES


def test_provider_is_not_read_faster_than_its_answer():
    part_count, part = 640, bytes(64 << 10)
    length = part_count * len(part)
    server = RawServer([OK + b"Content-Length: %d\r\n\r\n" % length, *[part] * part_count], WHOLE)

    async def use(pool: ConnectionPool) -> tuple[int, bytes]:
        answer = await pool.send("POST", server.url, {}, b"{}")
        # Enough turns of the event loop to send everything, were it read.
        for _ in range(5 * part_count):
            await asyncio.sleep(0)
        sent_bytes = server.sent_bytes
        assert len(await whole(answer)) == length
        return sent_bytes, await whole(await pool.send("POST", server.url, {}, b"{}"))

    sent_bytes, next_body = using(server, use)
    assert sent_bytes < length / 2
    assert next_body == b"{}"
    assert server.connection_count == 1


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 9\r\n\r\n{",
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n{\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n{\r\n9\r\n",
    ],
)
def test_answer_that_is_cut_off_is_an_error_after_what_arrived(answer: bytes):
    server = RawServer(answer, then_close=True)

    async def use(pool: ConnectionPool) -> bytes:
        http_answer = await pool.send("POST", server.url, {}, b"{}")
        part = await http_answer.read()
        with pytest.raises(ConnectionError):
            await http_answer.read()
        return part

    assert using(server, use) == b"{"


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-"])
def test_connection_lost_before_the_answer_is_an_error(answer: bytes):
    server = RawServer(answer, then_close=True)
    with pytest.raises(ConnectionError):
        bodies(server, 1)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        OK + b"Content-Length: x\r\n\r\n{}",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        OK + b"X: " + b"y" * (600 << 10),
        OK + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
def test_what_is_no_http_is_an_error(answer: bytes):
    with pytest.raises(MalformedAnswer):
        bodies(RawServer(answer), 1)


def test_bytes_after_an_answer_are_no_answer_to_the_next_request():
    server = RawServer(WHOLE + WHOLE, WHOLE + b"garbage", OK + b"Content-Length: 2\r\n\r\n[]")
    assert bodies(server, 3) == [b"{}", b"{}", b"[]"]
    assert server.connection_count == 3


def test_connection_that_the_provider_closed_is_not_used_again():
    server = RawServer(WHOLE, WHOLE, then_close=True)

    async def use(pool: ConnectionPool) -> None:
        for _ in range(2):
            await whole(await pool.send("POST", server.url, {}, b"{}"))
            # The end of the connection comes in the next packet.
            for _ in range(1000):
                await asyncio.sleep(0)

    using(server, use)
    assert server.connection_count == 2


def test_answer_before_the_request_was_read_gives_up_the_connection():
    server = RawServer(WHOLE)
    answered = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connection_count += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await answered.wait()
        writer.close()

    server.serve = serve  # pyright: ignore[reportAttributeAccessIssue]

    async def use(pool: ConnectionPool) -> None:
        for _ in range(2):
            answer = await pool.send("POST", server.url, {}, bytes(64 << 20))
            assert answer.status == 413
            assert not any(pool._idle.values())
        answered.set()

    using(server, use)
    assert server.connection_count == 2


# ------------------------------------------------------------------------------------------------ certificates


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "provider")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = tmp_path_factory.mktemp("certificate") / "provider.pem"
    file.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return file


class Relaying(threading.Thread):
    """A proxy that takes CONNECT, to the address of its choice, and keeps the heads of its requests."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.heads: list[bytes] = []
        self.port = 0
        self._provider_port = port
        self._ready = threading.Event()

    def __enter__(self) -> Relaying:
        self.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    def run(self) -> None:
        self._loop = asyncio.new_event_loop()
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        provider_reader, provider_writer = await asyncio.open_connection("127.0.0.1", self._provider_port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_copy(reader, provider_writer), _copy(provider_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
    writer.close()


@pytest.fixture
def secure_provider(provider: Any, certificate: Path) -> Any:
    """Return the scripted provider, which speaks TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    provider._server.socket = context.wrap_socket(provider._server.socket, server_side=True)
    return provider


def test_provider_with_a_trusted_certificate_is_called(new_server, secure_provider, certificate: Path):
    assert _answer(new_server(SSL_CERT_FILE=str(certificate)), secure_provider.port).status_code == 200


def test_certificate_that_is_not_trusted_is_refused(new_server, secure_provider):
    answer = _answer(new_server(), secure_provider.port)
    assert answer.status_code == 502
    assert "certificate" in answer.json()["error"]["message"]
    assert not secure_provider.bodies


def test_proxy_gets_connect_and_its_credentials_only(new_server, secure_provider, certificate: Path):
    with Relaying(secure_provider.port) as proxy:
        environment = {"HTTPS_PROXY": f"http://ann:cret@127.0.0.1:{proxy.port}", "SSL_CERT_FILE": str(certificate)}
        server = new_server(**environment)
        # Whatever it is asked for, this proxy connects to the provider, whose certificate is for another host.
        answer = _answer(server, 9, "far.invalid")
    assert answer.status_code == 502
    assert "certificate" in answer.json()["error"]["message"]
    [head] = set(proxy.heads)
    assert head.startswith(b"CONNECT far.invalid:9 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic YW5uOmNyZXQ=" in head
    assert b"Bearer" not in head


def _answer(server: Any, port: int, host: str = "127.0.0.1") -> Any:
    model = {
        "key": "secure",
        "provider": "open_ai",
        "external_model_id": "m",
        "endpoint": f"https://{host}:{port}/v1",
        "api_key": "sk-of-the-provider",
        "project": "default",
    }
    with server.client() as http:
        http.post("/api/v1/models", json=model).raise_for_status()
        messages = [{"role": "user", "content": "Hello"}]
        return http.post("/api/v1/chat/completions", json={"model": "default/secure", "messages": messages})
