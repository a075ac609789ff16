"""The writer's process: it runs the statements of a transaction, sent to it together.

In a thread of the server, SQLite's driver lets the other threads run at each statement, and then waits for its turn to
go on: at 30 calls in flight half of the time that a commit took was such waiting. A process of its own waits once. With
it a third more interactions/s were logged.
"""

from __future__ import annotations

import contextlib
import marshal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from afterword.store.engine.database import Writer
from afterword.store.engine.sqlite_writer_main import HEADER_BYTES
from afterword.store.engine.statements import Row, Statement

SCRIPT = Path(__file__).with_name("sqlite_writer_main.py")
# Seconds for it to end by itself.
EXIT_SECONDS = 30.0


class WriterGone(sqlite3.OperationalError):
    """The writer's process ended by itself; whether its last transaction was committed is not known."""


class WriterProcess(Writer):
    """A connection to the database at `uri`, held by another process. It serves one thread."""

    def __init__(self, uri: str, setup: Sequence[str]) -> None:
        # Isolated, and without site-packages: it needs neither. It does not inherit the lock of the data directory.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(SCRIPT), uri], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            self.run([(text, ()) for text in setup])
        except BaseException:
            self.close()
            raise

    def run(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """Run statements; return the rows of each that finds some.

        Where one fails, what they did is rolled back, with all of a transaction that was begun before. Raises the
        driver's error, or `WriterGone`.
        """
        answer = self._ask(marshal.dumps([(text, _plain(values)) for text, values in statements]))
        if isinstance(answer, tuple):
            name, text = answer
            kind = getattr(sqlite3, name, sqlite3.DataError)
            raise kind(text)
        return answer

    def _ask(self, raw: bytes) -> Any:
        sent, received = self._process.stdin, self._process.stdout
        assert sent is not None
        assert received is not None
        with contextlib.suppress(OSError):
            sent.write(len(raw).to_bytes(HEADER_BYTES, "little") + raw)
            sent.flush()
            head = received.read(HEADER_BYTES)
            answer = received.read(int.from_bytes(head, "little"))
            if head and len(answer) == int.from_bytes(head, "little"):
                return marshal.loads(answer)
        raise WriterGone("the writer's process ended")

    def interrupt(self, *, committing: bool) -> None:
        """Kill it: it may be stopped, or wait for a disk that hangs. Its transaction is gone or committed."""
        self._process.kill()

    def close(self) -> None:
        """End it, and wait until it has let go of its files."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()
        try:
            self._process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _plain(values: Sequence[Any]) -> tuple[Any, ...]:
    return tuple([value.bytes if type(value) is UUID else value for value in values])
