"""The program of the writer's process: reads statements from its input, runs them, and writes their rows to its output.

sqlite_writer.py starts it by its path. It imports nothing of Afterword, so that it starts in 20 ms and needs little
memory.
"""

from __future__ import annotations

import marshal
import signal
import sqlite3
import sys
from typing import Any

# Each message begins with its length, in both directions.
HEADER_BYTES = 8


def main(uri: str) -> None:
    """Run until the input ends, which it also does if the server is killed."""
    # A signal to the process group (Ctrl-C, systemd) is for the server, which still has writes to finish.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # A server that was killed reads no answer: end as at the end of the input, without a traceback in its log.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    # cached_statements: those of all tables, in each of the numbers of rows in STATEMENT_ROWS (statements.py).
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10, cached_statements=512)
    while head := sys.stdin.buffer.read(HEADER_BYTES):
        raw = sys.stdin.buffer.read(int.from_bytes(head, "little"))
        if len(raw) < int.from_bytes(head, "little"):
            break
        answer = marshal.dumps(run(connection, marshal.loads(raw)))
        sys.stdout.buffer.write(len(answer).to_bytes(HEADER_BYTES, "little") + answer)
        sys.stdout.buffer.flush()
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
