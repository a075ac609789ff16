"""Interrupting a connection to PostgreSQL from another thread."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any

import psycopg

# The time for the database to cancel a statement. A database that hangs does not do it.
CANCEL_SECONDS = 2.0


def interrupt(connection: psycopg.Connection[Any]) -> None:
    """Have the database cancel the running statement, so that it does not run on there; then shut the connection down.

    The thread that waits for the statement gets the error of a lost connection.
    """
    with contextlib.suppress(psycopg.Error, OSError):
        connection.cancel_safe(timeout=CANCEL_SECONDS)
    shut_down(connection)


def shut_down(connection: psycopg.Connection[Any]) -> None:
    """Shut the socket down in both directions, which wakes the thread that waits for it."""
    with contextlib.suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as same:
        same.shutdown(socket.SHUT_RDWR)
