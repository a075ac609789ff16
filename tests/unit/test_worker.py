"""The frame of background work: it stops, waits, wakes, rests and logs; a worker only takes steps."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from afterword.errors import Unavailable
from afterword.store.background.worker import LoopWorker, ThreadWorker
from afterword.store.engine import Store

WAIT_SECONDS = 30.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path)
    yield opened
    opened.close()


class Steps(ThreadWorker):
    """Takes the steps that a test gives it; `taken` holds their times, the semaphore counts them."""

    name = "steps"
    log = logging.getLogger("afterword.steps")
    failure_text = "The step could not be taken"
    poll_seconds = 1_000.0
    retry_seconds = 1_000.0

    def __init__(self, store: Store, step: Callable[[Steps], bool] = lambda _: False) -> None:
        super().__init__(store)
        self._do_step = step
        self.taken: list[float] = []
        self.is_finished = False
        self._counted = threading.Semaphore(0)

    def step(self) -> bool:
        self.taken.append(time.monotonic())
        self._counted.release()
        return self._do_step(self)

    def finish(self) -> None:
        self.is_finished = True

    def await_step(self) -> None:
        assert self._counted.acquire(timeout=WAIT_SECONDS)


def test_a_worker_stops_while_it_waits_for_work(store: Store):
    worker = Steps(store)
    worker.start()
    worker.await_step()
    worker.close()
    assert worker.is_finished
    assert len(worker.taken) == 1


def test_a_worker_stops_while_it_rests(store: Store):
    worker = Steps(store, lambda _: True)
    worker.rest_factor = 1e12
    worker.start()
    worker.await_step()
    worker.close()
    assert worker.is_finished


def test_a_worker_stops_within_a_pause_of_its_step(store: Store):
    worker = Steps(store, lambda worker: worker.pause(1_000.0))
    worker.start()
    worker.await_step()
    worker.close()
    assert worker.is_finished
    assert worker.step_seconds < 100


def test_a_wake_up_begins_the_next_step(store: Store):
    worker = Steps(store)
    worker.start()
    for _ in range(3):
        worker.await_step()
        worker.wake()
    worker.await_step()
    worker.close()


def test_a_wake_up_during_a_step_is_not_lost(store: Store):
    def wake_first(worker: Steps) -> bool:
        if len(worker.taken) == 1:
            worker.wake()
        return False

    worker = Steps(store, wake_first)
    worker.start()
    worker.await_step()
    worker.await_step()
    worker.close()


def test_steps_follow_each_other_while_there_is_more_to_do(store: Store):
    worker = Steps(store, lambda worker: len(worker.taken) < 5)
    worker.start()
    for _ in range(5):
        worker.await_step()
    worker.close()
    assert len(worker.taken) == 5


def fail(_: Any) -> bool:
    raise Unavailable("The disk is full.", code="store_unavailable")


def test_an_error_is_logged_once_and_slows_the_pace(store: Store, caplog: pytest.LogCaptureFixture):
    worker = Steps(store, fail)
    worker.poll_seconds, worker.retry_seconds = 0.0, 0.02
    worker.start()
    for _ in range(5):
        worker.await_step()
    worker.close()
    assert [record.getMessage() for record in caplog.records] == [
        "The step could not be taken; it is tried again. The disk is full."
    ]
    assert worker.failed_steps >= 4
    assert all(later - earlier >= 0.02 for earlier, later in zip(worker.taken, worker.taken[1:], strict=False))


def test_a_wake_up_does_not_hurry_a_worker_after_an_error(store: Store):
    worker = Steps(store, fail)
    worker.start()
    worker.await_step()
    worker.wake()
    worker.close()
    assert len(worker.taken) == 1


def test_an_error_of_another_kind_is_logged_with_its_traceback(store: Store, caplog: pytest.LogCaptureFixture):
    def fail_in_turn(worker: Steps) -> bool:
        raise (LookupError("wrong"), sqlite3.OperationalError("disk I/O error"))[len(worker.taken) % 2]

    worker = Steps(store, fail_in_turn)
    worker.retry_seconds = 0.0
    worker.start()
    worker.await_step()
    worker.await_step()
    worker.close()
    by_level = {record.levelname: record for record in caplog.records}
    assert by_level["ERROR"].exc_info
    assert not by_level["WARNING"].exc_info


def test_a_worker_yields_to_others_who_write(store: Store):
    worker = Steps(store)
    worker.poll_seconds, worker.yield_factor, worker.rest_factor, worker.busy_commit_count = 0.0, 4.0, 1.0, 2

    def rest_factor_after(commits: int) -> float:
        worker._begin_step()
        for _ in range(commits):
            store.queue.write_from_thread([])
        rest_seconds, _ = worker._end_step(True)
        return rest_seconds / (worker.step_seconds - seconds_before)

    seconds_before = 0.0
    assert rest_factor_after(2) == pytest.approx(1.0)
    seconds_before = worker.step_seconds
    assert rest_factor_after(3) == pytest.approx(4.0)


class LoopSteps(LoopWorker):
    """Takes steps in the loop until one fails for good."""

    name = "loop-steps"
    log = logging.getLogger("afterword.loop_steps")
    failure_text = "The step could not be taken"
    poll_seconds = 0.0
    retry_seconds = 0.0

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.taken = 0
        self.is_finished = False
        self.third = asyncio.Event()

    async def step(self) -> bool:
        self.taken += 1
        if self.taken == 2:
            raise Unavailable("The disk is full.", code="store_unavailable")
        if self.taken == 3:
            self.third.set()
            await asyncio.Event().wait()
        return False

    async def finish(self) -> None:
        self.is_finished = True
        raise Unavailable("The disk is full.", code="store_unavailable")


def test_a_worker_in_the_loop_goes_on_after_an_error_and_is_cancelled(store: Store):
    async def run() -> LoopSteps:
        worker = LoopSteps(store)
        worker.start()
        await asyncio.wait_for(worker.third.wait(), WAIT_SECONDS)
        await worker.close()
        return worker

    worker = asyncio.run(run())
    assert (worker.taken, worker.failed_steps, worker.is_finished) == (3, 1, True)
