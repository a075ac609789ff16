"""What became of the spans and log records of one request."""

from __future__ import annotations

from collections import Counter
from typing import Literal, TypeAlias

from afterword.errors import AfterwordError, Unavailable
from afterword.service.meters import Meters

Result: TypeAlias = Literal["stored", "repeated", "waiting", "ignored", "rejected"]
Signal: TypeAlias = Literal["spans", "log_records", "evaluations"]
MAX_REASONS = 5
"""Reasons for a rejection that are told; further ones are counted."""


class ExportResult:
    """The results of a request, which are counted at `/metrics`. `reasons` say why something was rejected."""

    def __init__(self, meters: Meters) -> None:
        self._meters = meters
        self.rejected: Counter[Signal] = Counter()
        self.reasons: Counter[str] = Counter()

    def add(self, signal: Signal, result: Result, number: int = 1) -> None:
        """Count what became of spans, log records or evaluations."""
        self._meters.count_telemetry(signal, result, number)

    def reject(self, signal: Signal, error: Exception, where: str) -> None:
        """Count a rejection. Raises `error` if it is that of the store, so that the exporter sends all again."""
        if isinstance(error, Unavailable) or not isinstance(error, AfterwordError):
            raise error
        self.add(signal, "rejected")
        self.rejected[signal] += 1
        self.reasons[f"{where}: {error}"] += 1

    @property
    def message(self) -> str:
        """Return why something was rejected; "" if nothing was."""
        listed_reasons = [reason for reason, _ in self.reasons.most_common(MAX_REASONS)]
        further = self.reasons.total() - sum(self.reasons[reason] for reason in listed_reasons)
        return "\n".join([*listed_reasons, *([f"{further} more were rejected."] if further else [])])
