"""What the writer's process runs (process.py starts it): statements that come in, in order, and what they find, back.

It is run by its path and imports nothing of Afterword's, so that it starts in some 20 ms and takes little memory.
"""

from __future__ import annotations

import marshal
import signal
import sqlite3
import sys
from typing import Any

# Lengths go before what is sent, either way.
HEADER_BYTES = 8


def main(uri: str) -> None:
    """Serve until the other end is gone, be it in order or by kill -9."""
    # A signal to the whole group (Ctrl-C, systemd) is the server's to obey: it has writes to finish.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # cached_statements: one for each number of rows up to Insert.MOST_ROWS.
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10, cached_statements=1024)
    while head := sys.stdin.buffer.read(HEADER_BYTES):
        raw = sys.stdin.buffer.read(int.from_bytes(head, "little"))
        if len(raw) < int.from_bytes(head, "little"):
            break
        answer = marshal.dumps(run(connection, marshal.loads(raw)))
        sys.stdout.buffer.write(len(answer).to_bytes(HEADER_BYTES, "little") + answer)
        sys.stdout.buffer.flush()
    connection.close()


def run(connection: sqlite3.Connection, statements: list[tuple[str, tuple[Any, ...]]]) -> Any:
    """Run statements; return the rows of each that finds some. Roll back after an error; return its name and text."""
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
