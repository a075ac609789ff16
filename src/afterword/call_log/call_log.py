"""Sends what was logged to the server, in the background and in order."""

from __future__ import annotations

import atexit
import hashlib
import logging
import os
import tempfile
import threading
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import msgspec

from afterword.call_log.spool import Spool, SpooledLines
from afterword.client.core import BUSY_STATUSES, Core, backoff, raise_for_error, retry_after, timeouts
from afterword.client.encoding import encode_value
from afterword.errors import AfterwordError
from afterword.ids import uuid7
from afterword.types import LineResult

log = logging.getLogger("afterword.call_log")

PATHS = {
    "calls": "/api/v1/ingest/calls",
    "litellm": "/api/v1/ingest/litellm",
    "interactions": "/api/v1/interactions/batch",
    "feedback": "/api/v1/feedback/batch",
}
"""Where lines of each kind are sent, as NDJSON."""
MAX_SPOOL_BYTES = 256 << 20
MAX_REFUSED_BYTES = 16 << 20
"""Bound on the file of lines that the server refused."""
BATCH_LINES = 200
BATCH_BYTES = 4 << 20
ADOPT_SECONDS = 30.0
"""Time between two looks for lines that dead processes left."""
WARN_SECONDS = 60.0
"""Least time between two warnings of one kind."""
EXIT_SECONDS = 5.0
"""How long the end of the program waits for the last lines; what is not sent then is sent by the next start."""
SEND_TIMEOUT_SECONDS = 60.0

_results = msgspec.json.Decoder(LineResult)


class CallLog:
    """A log of model calls that an application makes without a gateway.

    Lines are appended to files in `directory` (by default below the user's state directory, one folder for each server
    and key) and sent by a thread of its own. They survive a crash of the process: the next one sends them. When
    `max_bytes` wait to be sent, further calls are not logged, and a warning says so. `project` and `labels` are those
    of each call that names none. Raises `Unauthorized` without an API key.

        >>> log = CallLog()
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        project: str | None = None,
        labels: Mapping[str, str] | None = None,
        directory: str | os.PathLike[str] | None = None,
        max_bytes: int = MAX_SPOOL_BYTES,
    ) -> None:
        self._core = Core.resolve(base_url, api_key, max_retries=0)
        self.project = project
        self.labels = dict(labels or {})
        self.dropped = 0
        """How many lines found no room."""
        self.refused = 0
        """How many lines the server refused; they are kept in `refused.ndjson` in the directory."""
        folder = Path(directory) if directory is not None else _default_directory(self._core)
        self._spool = Spool(folder, max_bytes)
        self._wake = threading.Event()
        self._all_sent = threading.Condition()
        self._is_closed = False
        self._warned_at: dict[str, float] = {}
        self._start_lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._thread_pid = 0
        self._start()
        atexit.register(self.close)

    @property
    def base_url(self) -> str:
        """The Afterword server's address."""
        return self._core.base_url

    @property
    def directory(self) -> Path:
        """Where lines wait to be sent."""
        return self._spool.directory

    def append(self, kind: str, body: Mapping[str, Any] | bytes) -> None:
        """Append a line of a kind that PATHS names: an object, or its JSON on one line.

        It never raises: an application goes on if its call is not logged.
        """
        try:
            line = body if isinstance(body, bytes) else encode_value(body)
            if self._spool.append(kind, line):
                self._start()
                self._wake.set()
            else:
                self.dropped += 1
                self._warn(
                    "full", "Calls are not logged: %s holds %d bytes.", self.directory, self._spool.waiting_bytes
                )
        except (OSError, AfterwordError, TypeError, ValueError) as error:
            self.dropped += 1
            self._warn("append", "A call is not logged: %s", error)

    def feedback(
        self,
        completion_id: UUID | str,
        feedback_key: str,
        value: float | bool,
        *,
        details: str | None = None,
        user: str | None = None,
    ) -> None:
        """Log a value for a completion, after the completion itself.

        >>> log.feedback(answer.choices[0].completion_id, "helpful", True)
        """
        fields = {"details": details, "user": user}
        self.append(
            "feedback",
            {
                "feedback_id": str(uuid7()),
                "completion_id": str(completion_id),
                "metric": feedback_key,
                "value": value,
                **{name: text for name, text in fields.items() if text is not None},
            },
        )

    def flush(self, timeout: float = 30.0) -> bool:
        """Wait until all lines are sent; return False if that takes longer than `timeout` seconds."""
        self._wake.set()
        with self._all_sent:
            return self._all_sent.wait_for(lambda: not self._spool.waiting_bytes, timeout)

    def close(self, timeout: float = EXIT_SECONDS) -> None:
        """Send what waits, for at most `timeout` seconds, and end. What remains is sent by the next process."""
        self.flush(timeout)
        self._is_closed = True
        self._wake.set()
        if self._thread is not None and self._thread_pid == os.getpid():
            self._thread.join(timeout)
            if not self._thread.is_alive():
                self._spool.close()

    # ------------------------------------------------------------------------------------ the sending thread

    def _start(self) -> None:
        if self._thread is not None and self._thread_pid == os.getpid():
            return
        with self._start_lock:
            if self._thread is None or self._thread_pid != os.getpid():
                # After a fork the thread is only in the parent.
                self._thread_pid = os.getpid()
                self._thread = threading.Thread(target=self._run, name="afterword-call-log", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        attempt, adopted_at = 0, -ADOPT_SECONDS
        with httpx.Client(timeout=timeouts(SEND_TIMEOUT_SECONDS), headers=self._core.headers) as http:
            while not self._is_closed:
                self._wake.clear()
                if time.monotonic() - adopted_at >= ADOPT_SECONDS:
                    self._spool.adopt_orphans()
                    adopted_at = time.monotonic()
                lines = self._spool.read(BATCH_LINES, BATCH_BYTES)
                if lines is None:
                    with self._all_sent:
                        self._all_sent.notify_all()
                    self._wake.wait(ADOPT_SECONDS)
                    continue
                try:
                    wait_seconds = self._send(http, lines)
                except (AfterwordError, httpx.HTTPError, OSError, ValueError) as error:
                    # ValueError: what answers there is no Afterword server.
                    self._warn("send", "Logged calls wait: %s cannot take them: %s", self.base_url, error)
                    wait_seconds = 0.0
                else:
                    if wait_seconds is None:
                        attempt = 0
                        continue
                attempt += 1
                # A closing program sets the event: it wants one more try.
                self._wake.wait(max(wait_seconds, backoff(min(attempt, 6))))

    def _send(self, http: httpx.Client, lines: SpooledLines) -> float | None:
        """Send lines and forget those that were stored or refused; return the seconds to wait for the others, if any.

        Raises `AfterwordError` if the server does not take the batch, `httpx.HTTPError` if it cannot be reached.
        """
        path = PATHS.get(lines.kind)
        if path is None:
            self._refuse(lines.bodies, {"code": "unknown_kind", "message": f"{lines.kind!r} is no kind of line."})
            self._spool.discard(lines)
            return None
        response = http.post(
            f"{self.base_url}{path}",
            params={"project": self.project} if self.project else None,
            content=b"\n".join(lines.bodies) + b"\n",
            headers={"content-type": "application/x-ndjson"},
        )
        if response.status_code in BUSY_STATUSES:
            return retry_after(response)
        raise_for_error(response)
        results = {result.line: result for result in map(_results.decode, response.content.splitlines())}
        answered = [results.get(number) for number in range(1, len(lines.bodies) + 1)]
        if any(result is None or result.status in BUSY_STATUSES for result in answered):
            # The whole batch is sent again: lines have ids, so that nothing is stored twice.
            return retry_after(response)
        for body, result in zip(lines.bodies, answered, strict=True):
            if result is not None and result.error is not None:
                self._refuse([body], result.error)
        self._spool.discard(lines)
        return None

    def _refuse(self, bodies: list[bytes], error: Mapping[str, Any]) -> None:
        """Keep lines that the server refused, with its error, for someone to look at."""
        self.refused += len(bodies)
        path = self.directory / "refused.ndjson"
        self._warn("refused", "The server refused logged calls (%s); they are in %s.", error.get("message"), path)
        with open(path, "ab", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            for body in bodies:
                if file.tell() < MAX_REFUSED_BYTES:
                    file.write(msgspec.json.encode({"error": error, "line": msgspec.Raw(body)}) + b"\n")

    def _warn(self, kind: str, message: str, *arguments: Any) -> None:
        now = time.monotonic()
        if now - self._warned_at.get(kind, -WARN_SECONDS) >= WARN_SECONDS:
            self._warned_at[kind] = now
            log.warning(message, *arguments)


@cache
def default_log() -> CallLog:
    """Return the log of all wrappers that are given none: its server and key are those of the environment."""
    return CallLog()


def _default_directory(core: Core) -> Path:
    """Return the folder of this server and key, below AFTERWORD_SPOOL or the user's state directory."""
    digest = hashlib.sha256(f"{core.base_url}\n{core.api_key}".encode()).hexdigest()[:16]
    configured = os.environ.get("AFTERWORD_SPOOL") or os.environ.get("XDG_STATE_HOME")
    base = Path(configured) if configured else Path.home() / ".local" / "state"
    folder = base / "afterword" / digest
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        # Containers often run without a home that can be written.
        folder = Path(tempfile.gettempdir()) / f"afterword-{os.getuid()}" / digest
    return folder
