"""The frame of all background work: a worker repeats its `step()` until it is closed.

A `ThreadWorker` has a thread of its own. A `LoopWorker` runs in the event loop, for work on what only the loop may
touch. A worker defines its step and its constants. Pace, rest, error log and meters are here, the same for both.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from abc import ABC, abstractmethod
from typing import ClassVar

from afterword.errors import Unavailable
from afterword.store.engine import Store

# Seconds before the same failure is logged again. A disk stays full for hours; steps are repeated every few seconds.
LOG_INTERVAL_SECONDS = 60.0


class FailureLog:
    """Logs the failed steps of one worker: in one line if the store caused them, otherwise with a traceback."""

    def __init__(self, log: logging.Logger, store: Store, text: str) -> None:
        self._log = log
        self._store = store
        self._text = text
        self._last_logged: tuple[str, float] = "", 0.0

    def add(self, error: Exception) -> None:
        """Log an error, unless the same was logged within the last `LOG_INTERVAL_SECONDS`."""
        database = self._store.database
        is_store_failure = (
            isinstance(error, Unavailable) or database.is_connection_lost(error) or database.is_fatal(error)
        )
        explained = database.explain(error) if is_store_failure and not isinstance(error, Unavailable) else error
        kind = f"{type(error).__name__} {getattr(explained, 'code', None)}"
        last_kind, logged_at = self._last_logged
        if kind == last_kind and time.monotonic() - logged_at < LOG_INTERVAL_SECONDS:
            return
        self._last_logged = kind, time.monotonic()
        if is_store_failure:
            reason = explained.message if isinstance(explained, Unavailable) else str(explained)
            self._log.warning("%s; it is tried again. %s", self._text, reason)
        else:
            self._log.error("%s; it is tried again.", self._text, exc_info=error)


class Worker:
    """What both kinds of workers share: when the next step begins, the error log and the meters."""

    name: ClassVar[str]
    """Names the worker in the meters and its thread."""
    log: ClassVar[logging.Logger]
    failure_text: ClassVar[str]
    """The log line of a failed step, without its end: "The rollups could not be brought up to date"."""
    poll_seconds: float
    """The time from the end of a step that found nothing more to do to the next one."""
    retry_seconds: float = 2.0
    """The time from the end of a failed step to the next one."""
    rest_factor: float = 0.0
    """The rest after each step, as a multiple of its duration."""
    yield_factor: float = 0.0
    """The rest after a step during which others wrote much, as a multiple of its duration: they wait for answers."""
    busy_commit_count: int = 20
    """Others write much if more units of work than this were committed during a step, its own among them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._failures = FailureLog(self.log, store, self.failure_text)
        self._started_at = 0.0
        self._committed_before = 0
        self._paused_seconds = 0.0
        self.step_seconds = 0.0
        """The duration of all steps so far, without their pauses."""
        self.failed_steps = 0
        """The number of steps that raised an error so far."""

    def _begin_step(self) -> None:
        self._started_at, self._paused_seconds = time.monotonic(), 0.0
        self._committed_before = self._store.queue.committed

    def _end_step(self, outcome: bool | Exception) -> tuple[float, float]:
        """Return how many seconds to rest, and how many to wait after that for more work. `outcome` is what the step
        returned or raised."""
        seconds = time.monotonic() - self._started_at - self._paused_seconds
        self.step_seconds += seconds
        if isinstance(outcome, Exception):
            self.failed_steps += 1
            self._failures.add(outcome)
            return self.retry_seconds, 0.0
        is_busy = self._store.queue.committed - self._committed_before > self.busy_commit_count
        rest = seconds * max(self.rest_factor, self.yield_factor if is_busy else 0.0)
        return rest, 0.0 if outcome else max(0.0, self.poll_seconds - rest)


class ThreadWorker(Worker, ABC):
    """A worker in a thread of its own."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"afterword-{self.name}", daemon=True)

    @abstractmethod
    def step(self) -> bool:
        """Do some of the work; return whether more of it can be done now. A step that takes long returns early when
        `is_stopping`."""

    def finish(self) -> None:
        """Release what the steps have opened. Called in the worker's thread after the last step."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Begin the next step now if the worker waits for work. It rests to the end, and after an error it waits."""
        self._wake.set()

    def close(self) -> None:
        """End the step that runs and stop. What is left to do is found again after the next start."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(self._store.operations.patience)

    @property
    def is_stopping(self) -> bool:
        """Return whether the worker is being closed."""
        return self._stop.is_set()

    def pause(self, seconds: float) -> bool:
        """Wait within a step, which the rest does not count as its duration; return whether to stop."""
        started_at = time.monotonic()
        is_stopping = self._stop.wait(seconds)
        self._paused_seconds += time.monotonic() - started_at
        return is_stopping

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            self._begin_step()
            try:
                outcome: bool | Exception = self.step()
            except Exception as error:
                outcome = error
            rest_seconds, wait_seconds = self._end_step(outcome)
            if not self._stop.wait(rest_seconds):
                self._wake.wait(wait_seconds)
        self.finish()


class LoopWorker(Worker, ABC):
    """A worker in the event loop."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def step(self) -> bool:
        """Do some of the work; return whether more of it can be done now."""

    async def finish(self) -> None:
        """Do what remains to be done after the last step. Raises `Unavailable`, which is not logged."""

    def start(self) -> None:
        """Start the task."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Cancel the step that runs and stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            with contextlib.suppress(Unavailable):
                await self.finish()

    async def _run(self) -> None:
        while True:
            self._begin_step()
            try:
                outcome: bool | Exception = await self.step()
            except Exception as error:
                outcome = error
            await asyncio.sleep(sum(self._end_step(outcome)))
