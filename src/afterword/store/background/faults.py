"""Logging of background failures caused by the store: one line, repeated once a minute at most."""

from __future__ import annotations

import logging
import time

from afterword.errors import Unavailable
from afterword.store.engine import Store

# Seconds before the same message is logged again. A disk stays full for hours, and the background retries every few
# seconds.
QUIET_SECONDS = 60.0


class FaultLog:
    """Logs the failures of one background worker."""

    def __init__(self, log: logging.Logger, store: Store, text: str) -> None:
        self._log = log
        self._store = store
        self._text = text
        self._last_warning: tuple[str, float] = "", 0.0

    def log_error(self, error: Exception) -> None:
        """Log an error: in one line if the store caused it, otherwise with its traceback."""
        database = self._store.database
        if (
            not isinstance(error, Unavailable)
            and not database.is_connection_lost(error)
            and not database.is_fatal(error)
        ):
            self._log.error("%s; it is tried again.", self._text, exc_info=error)
            return
        explained = error if isinstance(error, Unavailable) else database.explain(error)
        reason = explained.message if isinstance(explained, Unavailable) else str(explained)
        kind = f"{type(error).__name__} {getattr(explained, 'code', None)}"
        last_kind, warned_at = self._last_warning
        if kind != last_kind or time.monotonic() - warned_at >= QUIET_SECONDS:
            self._last_warning = kind, time.monotonic()
            self._log.warning("%s; it is tried again. %s", self._text, reason)
