"""The log of what the background could not do because of the store: one line, and the same again once a minute at
most."""

from __future__ import annotations

import logging
import time

from afterword.errors import Unavailable
from afterword.store.engine import Store

# Seconds for which the same is not said again. A disk stays full for hours, and the background tries every few seconds.
QUIET_SECONDS = 60.0


class FaultLog:
    """What one part of the background says when it fails."""

    def __init__(self, log: logging.Logger, store: Store, text: str) -> None:
        self._log = log
        self._store = store
        self._text = text
        self._said: tuple[str, float] = "", 0.0

    def tell(self, error: Exception) -> None:
        """Log an error: in one line where it is the store's, and otherwise with where it comes from."""
        database = self._store.database
        if not isinstance(error, Unavailable) and not database.lost(error) and not database.fatal(error):
            self._log.error("%s; it is tried again.", self._text, exc_info=error)
            return
        explained = error if isinstance(error, Unavailable) else database.explain(error)
        why = explained.message if isinstance(explained, Unavailable) else str(explained)
        kind = f"{type(error).__name__} {getattr(explained, 'code', None)}"
        said, at = self._said
        if kind != said or time.monotonic() - at >= QUIET_SECONDS:
            self._said = kind, time.monotonic()
            self._log.warning("%s; it is tried again. %s", self._text, why)
