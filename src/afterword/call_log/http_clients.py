"""Logging of what an HTTP client sends: each call of a model is logged as it passes.

OpenAI's and Anthropic's clients send all their calls through one client of httpx, or in newer releases of httpx2, which
has the same interface. So one place sees whole answers, streams, and all helpers above them.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from functools import cache
from types import ModuleType
from typing import Any

from afterword.call_log.call_log import CallLog, default_log
from afterword.call_log.exchange import EventRewriter, Exchange, find_operation

# Headers that describe the provider's bytes; the answer is passed on decoded, with ids added.
_BODY_HEADERS = ("content-encoding", "content-length", "transfer-encoding")


class LoggedClient:
    """Stands before a provider's client class among the bases, and gives it a log.

    `afterword` is the log; by default the one that all wrappers share, of the server that the environment names.
    """

    _http_client_type: Any

    def __init__(self, *args: Any, afterword: CallLog | None = None, http_client: Any = None, **options: Any) -> None:
        http_client = http_client or self._http_client_type()
        self.afterword = log_calls(http_client, afterword)
        super().__init__(*args, http_client=http_client, **options)  # pyright: ignore[reportCallIssue]


def log_calls(client: Any, log: CallLog | None) -> CallLog:
    """Log the calls of models that an HTTP client sends from now on; return its log.

    `client` is a Client or AsyncClient of httpx or httpx2. A client that has a log keeps it.
    """
    if isinstance(client.send, _LoggedSend):
        return client.send.log
    log = log or default_log()
    client.send = (_LoggedAsyncSend if hasattr(client, "aclose") else _LoggedSend)(client, log)
    return log


class _LoggedSend:
    """Stands for the method `send` of an HTTP client."""

    def __init__(self, client: Any, log: CallLog) -> None:
        self.log = log
        self._send = client.send
        self._library = _library_of(client)

    def __call__(self, request: Any, *, stream: bool = False, **options: Any) -> Any:
        operation = find_operation(request.method, request.url.path)
        exchange = operation and self._exchange(operation, request.read(), request)
        if not exchange:
            return self._send(request, stream=stream, **options)
        try:
            response = self._send(self._provider_request(request, exchange), stream=True, **options)
            if _is_stream(response):
                return self._passed_on(response, stream=_stream_types(self._library)[0](response, exchange))
            content = response.read()
        except BaseException as error:
            exchange.fail(error)
            raise
        return self._whole_response(response, exchange, content)

    def _exchange(self, operation: str, content: bytes, request: Any) -> Exchange | None:
        try:
            return Exchange(self.log, operation, content, request.headers.multi_items())
        except ValueError:
            # The provider will say what is wrong with a body that is no JSON object.
            return None

    def _provider_request(self, request: Any, exchange: Exchange) -> Any:
        headers = [(name, text) for name, text in exchange.headers if name.lower() != "content-length"]
        return self._library.Request(
            request.method, request.url, headers=headers, content=exchange.body, extensions=request.extensions
        )

    def _whole_response(self, response: Any, exchange: Exchange, content: bytes) -> Any:
        body = exchange.finish_answer(response.status_code, response.headers, content)
        return self._passed_on(response, content=body)

    def _passed_on(self, response: Any, **body: Any) -> Any:
        headers = [(name, text) for name, text in response.headers.multi_items() if name.lower() not in _BODY_HEADERS]
        return self._library.Response(
            response.status_code,
            headers=headers,
            request=response.request,
            extensions=response.extensions,
            history=response.history,
            **body,
        )


class _LoggedAsyncSend(_LoggedSend):
    """The same for an async client."""

    async def __call__(self, request: Any, *, stream: bool = False, **options: Any) -> Any:
        operation = find_operation(request.method, request.url.path)
        exchange = operation and self._exchange(operation, await request.aread(), request)
        if not exchange:
            return await self._send(request, stream=stream, **options)
        try:
            response = await self._send(self._provider_request(request, exchange), stream=True, **options)
            if _is_stream(response):
                return self._passed_on(response, stream=_stream_types(self._library)[1](response, exchange))
            content = await response.aread()
        except BaseException as error:
            exchange.fail(error)
            raise
        return self._whole_response(response, exchange, content)


class _LoggedStream:
    """The body of a streamed answer. It is logged when it ends, or when the application closes it."""

    def __init__(self, response: Any, exchange: Exchange) -> None:
        self._response = response
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        rewriter = EventRewriter(self._exchange)
        try:
            for raw in self._response.iter_bytes():
                yield rewriter.take(raw)
            yield rewriter.end()
        except Exception as error:
            self._exchange.finish_stream(self._response.headers, error)
            raise
        self._exchange.finish_stream(self._response.headers)

    def close(self) -> None:
        self._response.close()
        self._exchange.finish_stream(self._response.headers, is_closed=True)


class _LoggedAsyncStream:
    """The same for an async client."""

    def __init__(self, response: Any, exchange: Exchange) -> None:
        self._response = response
        self._exchange = exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        rewriter = EventRewriter(self._exchange)
        try:
            async for raw in self._response.aiter_bytes():
                yield rewriter.take(raw)
            yield rewriter.end()
        except Exception as error:
            self._exchange.finish_stream(self._response.headers, error)
            raise
        self._exchange.finish_stream(self._response.headers)

    async def aclose(self) -> None:
        await self._response.aclose()
        self._exchange.finish_stream(self._response.headers, is_closed=True)


def _library_of(client: Any) -> ModuleType:
    """Return the module httpx or httpx2 of a client. Raises `TypeError` for a client of another library."""
    for base in type(client).__mro__:
        name = base.__module__.partition(".")[0]
        if name in ("httpx", "httpx2"):
            return sys.modules[name]
    raise TypeError(f"http_client is a {type(client).__name__}; give a client of httpx or httpx2.")


@cache
def _stream_types(library: ModuleType) -> tuple[type, type]:
    """Return the two types of streams as the library wants them: as heirs of its own."""
    return (
        type("LoggedStream", (_LoggedStream, library.SyncByteStream), {}),
        type("LoggedAsyncStream", (_LoggedAsyncStream, library.AsyncByteStream), {}),
    )


def _is_stream(response: Any) -> bool:
    return response.headers.get("content-type", "").startswith("text/event-stream") and response.status_code < 400
