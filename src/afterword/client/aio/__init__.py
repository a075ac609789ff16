"""The async client. `python scripts/unasync.py` generates the package `sync` from this one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Any, TypeVar

import httpx

from afterword.client import core
from afterword.client.aio.ab_tests import AsyncABTests
from afterword.client.aio.administration import AsyncKeys, AsyncLabels, AsyncProjects
from afterword.client.aio.chat import AsyncChat, AsyncEmbeddings
from afterword.client.aio.datasets import AsyncDatasets
from afterword.client.aio.feedback import AsyncFeedback
from afterword.client.aio.interactions import AsyncInteractions
from afterword.client.aio.models import AsyncModels
from afterword.client.aio.sessions import AsyncSessions
from afterword.client.core import Core, Request, query
from afterword.client.streaming import EventDecoder
from afterword.client.uploading import Batch, Upload, UploadReport
from afterword.client.workers import async_each
from afterword.errors import AfterwordError, NotFound
from afterword.types import Health

__all__ = ["AsyncAfterword"]

T = TypeVar("T")


class AsyncAfterword:
    """A client of an Afterword server.

    `base_url` and `api_key` default to AFTERWORD_URL and AFTERWORD_API_KEY, then ADAPTIVE_URL and ADAPTIVE_API_KEY, and
    the URL finally to http://127.0.0.1:7400. `timeout` is in seconds. A failed call is repeated up to `max_retries`
    times if that is safe. An `http_client` of your own brings its own timeouts, and is closed with this client. Raises
    `Unauthorized` without a key, and from each call the errors of `afterword.errors`.

        >>> project = client.projects.get("default")
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        default_project: str | None = None,
        timeout: float | None = 90.0,
        max_retries: int = 4,
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        self._core = Core.resolve(base_url, api_key, max_retries)
        self._http = http_client or httpx.AsyncClient(
            timeout=core.timeouts(timeout), limits=httpx.Limits(max_connections=200, max_keepalive_connections=100)
        )
        self.default_project = default_project
        self.projects = AsyncProjects(self)
        self.interactions = AsyncInteractions(self)
        self.sessions = AsyncSessions(self)
        self.feedback = AsyncFeedback(self)
        self.labels = AsyncLabels(self)
        self.keys = AsyncKeys(self)
        self.models = AsyncModels(self)
        self.ab_tests = AsyncABTests(self)
        self.datasets = AsyncDatasets(self)
        self.chat = AsyncChat(self)
        self.embeddings = AsyncEmbeddings(self)

    @property
    def base_url(self) -> str:
        """The server's address."""
        return self._core.base_url

    def set_default_project(self, project: str) -> None:
        """Use this project, by key or id, in every call that names no project."""
        self.default_project = project

    async def health(self) -> Health:
        """Return the server's health.

        >>> await client.health()
        """
        return await self.call(Request(method="GET", path="/health", repeatable=True), Health)

    async def call(self, request: Request, kind: type[T]) -> T:
        """Make a call and read its answer. Raises `AfterwordError`."""
        return core.decode_answer(await self.send(request), kind)

    async def find(self, request: Request, kind: type[T]) -> T | None:
        """Make a call and read its answer; None if the server answers 404."""
        try:
            return await self.call(request, kind)
        except NotFound:
            return None

    async def events(self, request: Request) -> AsyncGenerator[bytes, None]:
        """Make a call and yield the data of its events as they arrive. Raises `AfterwordError`."""
        response = await self.send(request, stream=True)
        events = EventDecoder()
        try:
            async for part in response.aiter_bytes():
                for data in events.take(part):
                    yield data
        except httpx.RequestError as error:
            raise self._core.unreachable(error) from error
        finally:
            await response.aclose()
        events.check_complete()

    async def content(self, request: Request) -> AsyncGenerator[bytes, None]:
        """Make a call and yield the bytes of its answer as they arrive. Raises `AfterwordError`."""
        response = await self.send(request, stream=True)
        try:
            async for part in response.aiter_bytes():
                yield part
        except httpx.RequestError as error:
            raise self._core.unreachable(error) from error
        finally:
            await response.aclose()

    async def send(self, request: Request, *, stream: bool = False) -> httpx.Response:
        """Make a call, and repeat it if that is safe and may help. Raises `AfterwordError`.

        With `stream`, the caller must read the body of a successful answer, and close the answer.
        """
        attempt = 0
        while True:
            outcome: httpx.Response | httpx.RequestError
            try:
                outcome = await self._http.send(
                    self._http.build_request(
                        request.method,
                        self._core.base_url + request.path,
                        params=list(request.query),
                        content=request.body,
                        headers={**self._core.headers, "Content-Type": request.content_type},
                        timeout=request.limits,
                    ),
                    stream=stream,
                )
                if stream and outcome.status_code >= 300:
                    await outcome.aread()
            except httpx.RequestError as error:
                outcome = error
            except (httpx.InvalidURL, ValueError) as error:
                raise AfterwordError(f"The call cannot be made: {error}.", code="invalid_call") from None
            delay = self._core.delay(attempt, request, outcome)
            if delay is None:
                if isinstance(outcome, httpx.Response):
                    core.raise_for_error(outcome)
                    return outcome
                raise self._core.unreachable(outcome) from outcome
            attempt += 1
            await asyncio.sleep(delay)

    async def upload(self, upload: Upload, path: str, project: str | None = None) -> UploadReport:
        """Send the batches of an upload, several at a time. Raises an error that would hit all batches."""

        async def send(batch: Batch) -> None:
            for attempt in range(self._core.max_retries + 1):
                request = Request(
                    method="POST",
                    path=path,
                    query=query(project=project),
                    body=batch.body,
                    content_type="application/x-ndjson",
                    repeatable=True,
                )
                if attempt:
                    await asyncio.sleep(core.backoff(attempt))
                try:
                    batch = upload.apply_results(batch, (await self.send(request)).content)
                except AfterwordError as error:
                    if upload.is_fatal(error):
                        raise
                    upload.give_up(batch, error)
                    return
                if not batch.lines:
                    return
            upload.give_up(batch)

        try:
            await async_each(upload.batches(), send, at_once=upload.at_once)
        finally:
            report = upload.finish()
        return report

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncAfterword:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def project_or_default(self, project: str | None) -> Any:
        """Return the project of a call: the given one, or the default."""
        return project or self.default_project
