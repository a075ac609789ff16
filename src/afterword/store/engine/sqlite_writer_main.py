"""The program of the writer's process: reads statements from its input, runs them, and writes their rows to its output.

sqlite_writer.py starts it by its path. It imports nothing of Afterword, so that it starts in 20 ms and needs little
memory.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import signal
import sqlite3
import sys
from typing import Any

# Each message begins with its length, in both directions.
HEADER_BYTES = 8
# Milliseconds that a commit may be held up to begin the log anew.
RESTART_TIMEOUT_MS = 500


class WriteAheadLog:
    """Keeps the log of a database from growing without end. `connection` is the one that writes.

    SQLite moves the log into the database every now and then, but begins it anew only at a commit during which nobody
    reads. Under steady load there is hardly one: after 30,000 calls, the log of a database of 6 MB had 900 MB. Then
    each commit also moves its pages, and each process has 8 bytes of memory for each page of the log.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        [[_, _, file]] = [row for row in connection.execute("PRAGMA database_list") if row[1] == "main"]
        self._file = f"{file}-wal"
        [[pages], [page_size]] = (
            connection.execute(f"PRAGMA {name}").fetchone() for name in ("wal_autocheckpoint", "page_size")
        )
        # The file grows to this, and is then written over from its beginning. A tenth is for the headers of its pages.
        self._usual_size = int(1.1 * pages * page_size)
        self._large_size = self._restart_size = 1.5 * self._usual_size
        connection.execute(f"PRAGMA journal_size_limit={self._usual_size}")

    def restart_if_large(self) -> None:
        """Begin the log anew if it is much larger than usual: wait for those who read, at most 0.5 s each time.

        If they read longer, it is tried again once the log has grown by half its usual size.
        """
        try:
            size = os.stat(self._file).st_size
        except OSError:
            return
        if size <= self._large_size:
            self._restart_size = self._large_size
        if size <= self._restart_size:
            return
        self._restart_size = size + self._usual_size / 2
        [[timeout]] = self._connection.execute("PRAGMA busy_timeout")
        self._connection.execute(f"PRAGMA busy_timeout={RESTART_TIMEOUT_MS}")
        # What fails here, such as a full disk, fails again at the next write, which reports it.
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._connection.execute(f"PRAGMA busy_timeout={timeout}")


def main(uri: str) -> None:
    """Run until the input ends, which it also does if the server is killed."""
    # A signal to the process group (Ctrl-C, systemd) is for the server, which still has writes to finish.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # A server that was killed reads no answer: end as at the end of the input, without a traceback in its log.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    # cached_statements: those of all tables, in each of the numbers of rows in STATEMENT_ROWS (statements.py).
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10, cached_statements=512)
    log = None
    while head := sys.stdin.buffer.read(HEADER_BYTES):
        raw = sys.stdin.buffer.read(int.from_bytes(head, "little"))
        if len(raw) < int.from_bytes(head, "little"):
            break
        answer = marshal.dumps(run(connection, marshal.loads(raw)))
        sys.stdout.buffer.write(len(answer).to_bytes(HEADER_BYTES, "little") + answer)
        sys.stdout.buffer.flush()
        # After the answer: nobody waits for the log. The first statements are its settings.
        log = log or WriteAheadLog(connection)
        log.restart_if_large()
    connection.close()


def run(connection: sqlite3.Connection, statements: list[tuple[str, tuple[Any, ...]]]) -> Any:
    """Run statements; return the rows of each query among them. After an error, roll back; return its name and text."""
    cursor = connection.cursor()
    results = []
    try:
        for text, values in statements:
            cursor.execute(text, values)
            if cursor.description:
                results.append(cursor.fetchall())
    except Exception as error:
        if connection.in_transaction:
            connection.rollback()
        return type(error).__name__, str(error)
    return results


if __name__ == "__main__":
    main(sys.argv[1])
