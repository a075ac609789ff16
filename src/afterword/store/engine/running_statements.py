"""The running reads and commits, and the thread that ends those that take too long.

A database that hangs, or has lost its standby, sends neither an answer nor an error. So a thread that never queries the
database watches all reads and commits. A caller who has waited for `store_timeout` seconds gets an error, and the
statement is cancelled at the database if possible.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from afterword.errors import Unavailable

# A server with an operation that has run this long is not ready. Most reads and commits take milliseconds.
STALLED_SECONDS = 5.0
# The timeout of reads over many rows, as a multiple of the usual one, while the database answers other reads.
LONG_FACTOR = 20
# Seconds between two checks of the running operations.
CHECK_INTERVAL_SECONDS = 0.25


class Operation:
    """A running read or commit. `stop` interrupts it from another thread, which may take some seconds."""

    __slots__ = ("_lock", "abandoned", "is_ending", "is_long", "since", "stop", "stopped")

    def __init__(self, since: float, *, is_long: bool) -> None:
        self.since = since
        self.is_long = is_long
        self.stop: Callable[[], None] | None = None
        self.stopped = False
        self.abandoned = False
        """Whether its caller has hung up."""
        self.is_ending = False
        """Whether a thread is calling `stop`. If the database hangs, a second thread does not wait for it."""
        self._lock = threading.Lock()

    @contextmanager
    def stoppable(self, stop: Callable[[], None]) -> Iterator[None]:
        """Allow other threads to call `stop` within the `with` block only, since its connection is used again after it.

        Raises `Abandoned` if nobody waits for it any more.
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
        """Call `stop`, if there is something to stop."""
        with self._lock, contextlib.suppress(Exception):
            if self.stop is not None:
                self.is_ending = True
                self.stop()
        self.is_ending = False

    def abandon(self) -> None:
        """End it, because its caller has hung up."""
        self.abandoned = True
        # In a thread, since cancelling takes seconds if the database hangs.
        threading.Thread(target=self.end, name="afterword-stop", daemon=True).start()


class Abandoned(Exception):
    """Nobody waits for this read any more."""


class Operations:
    """The running reads and commits, and the thread that ends those that take too long."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self._under_way: set[Operation] = set()
        self._expiring: list[Callable[[float], None]] = []
        self._closed = threading.Event()
        self.closing = threading.Event()
        """Set when the store is closing: nothing may wait without a limit."""
        self._thread = threading.Thread(target=self._watch, name="afterword-watch", daemon=True)
        self._thread.start()

    @contextmanager
    def under_way(self, stop: Callable[[], None] | None = None, *, is_long: bool = False) -> Iterator[Operation]:
        """Register an operation while the `with` block runs. `stop` interrupts it."""
        operation = Operation(time.monotonic(), is_long=is_long)
        operation.stop = stop
        self._under_way.add(operation)
        try:
            yield operation
        finally:
            self._under_way.discard(operation)

    def call_to_expire(self, expire: Callable[[float], None]) -> None:
        """Call a function at each check with the time. It sends an error to callers who have waited for too long."""
        self._expiring.append(expire)

    @property
    def patience(self) -> float:
        """Return the seconds for which a closing server waits for a background thread. If the database hangs, the
        thread ends with the process."""
        return self.timeout + STALLED_SECONDS

    def oldest(self) -> float:
        """Return the seconds for which the oldest short operation has been running."""
        since = min((operation.since for operation in list(self._under_way) if not operation.is_long), default=None)
        return 0.0 if since is None else time.monotonic() - since

    def limit(self, *, is_long: bool) -> float:
        """Return the timeout of an operation in seconds."""
        return self.timeout * (LONG_FACTOR if is_long and self.oldest() < STALLED_SECONDS else 1)

    def close(self) -> None:
        """Stop the thread."""
        self.closing.set()
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._closed.wait(CHECK_INTERVAL_SECONDS):
            now = time.monotonic()
            for expire in self._expiring:
                expire(now)
            for operation in list(self._under_way):
                is_late = not operation.stopped and now - operation.since > self.limit(is_long=operation.is_long)
                # An interrupt between two statements has no effect, so that an abandoned operation is interrupted
                # again.
                if operation.stop is not None and (is_late or (operation.abandoned and not operation.is_ending)):
                    operation.stopped |= is_late
                    # In a thread, since cancelling takes seconds if the database hangs.
                    threading.Thread(target=operation.end, name="afterword-stop", daemon=True).start()


def no_answer(seconds: float, *, stored: bool | None = None) -> Unavailable:
    """Return the error for an operation that got no answer from the database.

    `stored` is None for a read, False if certainly nothing was stored, True if it may have been stored.
    """
    stored_text = {None: "", False: " Nothing was stored.", True: " This may have been stored."}[stored]
    hint = (
        "Send it again with the same ids: what is stored under them already is not stored twice."
        if stored
        else "Send it again after the time that Retry-After gives; GET /ready tells when the database answers again."
    )
    return Unavailable(
        f"The database has not answered for {seconds:.0f} seconds.{stored_text}",
        code="store_interrupted",
        hint=hint,
        retry_after=2,
    )
