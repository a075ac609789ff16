"""Ending what a connection to PostgreSQL waits for, from another thread."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any

import psycopg

# Seconds for the database to cancel a statement. One that hangs does not, and is left then.
CANCEL_SECONDS = 2.0


def interrupt(connection: psycopg.Connection[Any]) -> None:
    """Have the database cancel the statement, so that it does not go on there; then leave the connection in any case.
    What waits for an answer gets the error of a connection that was lost."""
    with contextlib.suppress(psycopg.Error, OSError):
        connection.cancel_safe(timeout=CANCEL_SECONDS)
    leave(connection)


def leave(connection: psycopg.Connection[Any]) -> None:
    """Close the socket for both directions, which wakes the thread that waits there."""
    with contextlib.suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as same:
        same.shutdown(socket.SHUT_RDWR)
