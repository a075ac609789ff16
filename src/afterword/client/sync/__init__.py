# Generated from aio/__init__.py by scripts/unasync.py: change that one.
"""The sync client: the async one without its awaits."""

from __future__ import annotations

import time
from collections.abc import Generator
from types import TracebackType
from typing import Any, TypeVar

import httpx

from afterword.client import core
from afterword.client.core import Core, Request, query
from afterword.client.streaming import EventDecoder
from afterword.client.sync.ab_tests import ABTests
from afterword.client.sync.administration import Keys, Labels, Projects
from afterword.client.sync.chat import Chat, Embeddings
from afterword.client.sync.datasets import Datasets
from afterword.client.sync.feedback import Feedback
from afterword.client.sync.interactions import Interactions
from afterword.client.sync.models import Models
from afterword.client.sync.sessions import Sessions
from afterword.client.uploading import Batch, Upload, UploadReport
from afterword.client.workers import each
from afterword.errors import AfterwordError, NotFound
from afterword.types import Health

__all__ = ["Afterword"]

T = TypeVar("T")


class Afterword:
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
        http_client: httpx.Client | None = None,
    ) -> None:
        self._core = Core.resolve(base_url, api_key, max_retries)
        self._http = http_client or httpx.Client(
            timeout=core.timeouts(timeout), limits=httpx.Limits(max_connections=200, max_keepalive_connections=100)
        )
        self.default_project = default_project
        self.projects = Projects(self)
        self.interactions = Interactions(self)
        self.sessions = Sessions(self)
        self.feedback = Feedback(self)
        self.labels = Labels(self)
        self.keys = Keys(self)
        self.models = Models(self)
        self.ab_tests = ABTests(self)
        self.datasets = Datasets(self)
        self.chat = Chat(self)
        self.embeddings = Embeddings(self)

    @property
    def base_url(self) -> str:
        """The server's address."""
        return self._core.base_url

    def set_default_project(self, project: str) -> None:
        """Use this project, by key or id, in every call that names no project."""
        self.default_project = project

    def health(self) -> Health:
        """Return the server's health.

        >>> client.health()
        """
        return self.call(Request(method="GET", path="/health", repeatable=True), Health)

    def call(self, request: Request, kind: type[T]) -> T:
        """Make a call and read its answer. Raises `AfterwordError`."""
        return core.decode_answer(self.send(request), kind)

    def find(self, request: Request, kind: type[T]) -> T | None:
        """Make a call and read its answer; None if the server answers 404."""
        try:
            return self.call(request, kind)
        except NotFound:
            return None

    def events(self, request: Request) -> Generator[bytes, None, None]:
        """Make a call and yield the data of its events as they arrive. Raises `AfterwordError`."""
        response = self.send(request, stream=True)
        events = EventDecoder()
        try:
            for part in response.iter_bytes():
                for data in events.take(part):
                    yield data
        except httpx.RequestError as error:
            raise self._core.unreachable(error) from error
        finally:
            response.close()
        events.check_complete()

    def content(self, request: Request) -> Generator[bytes, None, None]:
        """Make a call and yield the bytes of its answer as they arrive. Raises `AfterwordError`."""
        response = self.send(request, stream=True)
        try:
            for part in response.iter_bytes():
                yield part
        except httpx.RequestError as error:
            raise self._core.unreachable(error) from error
        finally:
            response.close()

    def send(self, request: Request, *, stream: bool = False) -> httpx.Response:
        """Make a call, and repeat it if that is safe and may help. Raises `AfterwordError`.

        With `stream`, the caller must read the body of a successful answer, and close the answer.
        """
        attempt = 0
        while True:
            outcome: httpx.Response | httpx.RequestError
            try:
                outcome = self._http.send(
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
                    outcome.read()
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
            time.sleep(delay)

    def upload(self, upload: Upload, path: str, project: str | None = None) -> UploadReport:
        """Send the batches of an upload, several at a time. Raises an error that would hit all batches."""

        def send(batch: Batch) -> None:
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
                    time.sleep(core.backoff(attempt))
                try:
                    batch = upload.apply_results(batch, (self.send(request)).content)
                except AfterwordError as error:
                    if upload.is_fatal(error):
                        raise
                    upload.give_up(batch, error)
                    return
                if not batch.lines:
                    return
            upload.give_up(batch)

        try:
            each(upload.batches(), send, at_once=upload.at_once)
        finally:
            report = upload.finish()
        return report

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Afterword:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def project_or_default(self, project: str | None) -> Any:
        """Return the project of a call: the given one, or the default."""
        return project or self.default_project
