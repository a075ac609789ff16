"""What the database is asked at this moment, and since when. What waits for too long is ended.

A database that hangs, or whose standby is gone, answers nothing and fails nothing. So one thread, which never asks the
database itself, looks at all reads and commits under way: callers who have waited for `store_timeout` seconds are
answered, and what they waited for is ended at the database where that can be done.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from afterword.errors import Unavailable

# Once something has waited for so many seconds, the server is not ready. Most reads and commits take milliseconds.
STALLED_SECONDS = 5.0
# Reads over many rows take their time. While the database answers others, they may take so many times as long.
LONG_FACTOR = 20
# Seconds between two looks.
PACE_SECONDS = 0.25


class Operation:
    """A read or a commit under way. `stop` ends it, called by another thread; it may take some seconds."""

    __slots__ = ("_lock", "abandoned", "is_ending", "is_long", "since", "stop", "stopped")

    def __init__(self, since: float, *, is_long: bool) -> None:
        self.since = since
        self.is_long = is_long
        self.stop: Callable[[], None] | None = None
        self.stopped = False
        self.abandoned = False
        """Whether its caller has hung up."""
        self.is_ending = False
        """Whether a thread is at ending it: at a database that hangs, no second one waits for the first."""
        self._lock = threading.Lock()

    @contextmanager
    def stoppable(self, stop: Callable[[], None]) -> Iterator[None]:
        """Let others end it while the block runs, and not a moment later: a connection is used again after it.

        Raises `Abandoned` where nobody waits for it any more.
        """
        with self._lock:
            if self.abandoned:
                raise Abandoned
            self.stop = stop
        try:
            yield
        finally:
            with self._lock:
                self.stop = None

    def end(self) -> None:
        """End what it is at, if that can be done."""
        with self._lock, contextlib.suppress(Exception):
            if self.stop is not None:
                self.is_ending = True
                self.stop()
        self.is_ending = False

    def abandon(self) -> None:
        """End it, as its caller has hung up."""
        self.abandoned = True
        # A thread of its own: to cancel at a database that hangs takes seconds.
        threading.Thread(target=self.end, name="afterword-stop", daemon=True).start()


class Abandoned(Exception):
    """Nobody waits for this read any more."""


class Operations:
    """The reads and commits under way, and the thread that ends those that wait for too long."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self._under_way: set[Operation] = set()
        self._expiring: list[Callable[[float], None]] = []
        self._closed = threading.Event()
        self.closing = threading.Event()
        """Set when the store is to close: nothing is waited for without an end."""
        self._thread = threading.Thread(target=self._watch, name="afterword-watch", daemon=True)
        self._thread.start()

    @contextmanager
    def under_way(self, stop: Callable[[], None] | None = None, *, is_long: bool = False) -> Iterator[Operation]:
        """Count something as under way."""
        operation = Operation(time.monotonic(), is_long=is_long)
        operation.stop = stop
        self._under_way.add(operation)
        try:
            yield operation
        finally:
            self._under_way.discard(operation)

    def call_to_expire(self, expire: Callable[[float], None]) -> None:
        """Have a function called at each look, with the time: it answers callers who have waited for too long."""
        self._expiring.append(expire)

    @property
    def patience(self) -> float:
        """Return for how many seconds a thread of the background is waited for when the server stops: one that is at a
        database that hangs ends with the process."""
        return self.timeout + STALLED_SECONDS

    def oldest(self) -> float:
        """Return for how many seconds the oldest short operation has been under way."""
        since = min((operation.since for operation in list(self._under_way) if not operation.is_long), default=None)
        return 0.0 if since is None else time.monotonic() - since

    def limit(self, *, is_long: bool) -> float:
        """Return the seconds that an operation may take."""
        return self.timeout * (LONG_FACTOR if is_long and self.oldest() < STALLED_SECONDS else 1)

    def close(self) -> None:
        """Stop looking."""
        self.closing.set()
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._closed.wait(PACE_SECONDS):
            now = time.monotonic()
            for expire in self._expiring:
                expire(now)
            for operation in list(self._under_way):
                is_late = not operation.stopped and now - operation.since > self.limit(is_long=operation.is_long)
                # A word to end reaches nothing between two statements: whom nobody waits for is told again.
                if operation.stop is not None and (is_late or (operation.abandoned and not operation.is_ending)):
                    operation.stopped |= is_late
                    # A thread of its own: to cancel at a database that hangs takes seconds.
                    threading.Thread(target=operation.end, name="afterword-stop", daemon=True).start()


def no_answer(seconds: float, *, stored: bool | None = None) -> Unavailable:
    """Return the error for what waited in vain. `stored`: None of a read, False where nothing was stored for certain,
    True where it may have been."""
    words = {None: "", False: " Nothing was stored.", True: " This may have been stored."}[stored]
    hint = (
        "Send it again with the same ids: what is stored under them already is not stored twice."
        if stored
        else "Send it again after the time that Retry-After gives; GET /ready tells when the database answers again."
    )
    return Unavailable(
        f"The database has not answered for {seconds:.0f} seconds.{words}",
        code="store_interrupted",
        hint=hint,
        retry_after=2,
    )
