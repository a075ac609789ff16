"""The names that a filter of one project may use, and what the store knows them by."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from afterword.types import Moment


class Names(Protocol):
    """What turns the words of one project into numbers."""

    @property
    def project(self) -> int:
        """The project's number."""
        ...

    def metric(self, key: str) -> int:
        """Return a metric's number. Raises `NotFound`."""
        ...

    def metrics(self) -> list[int]:
        """Return the numbers of the metrics that values of the project may be given under."""
        ...

    def measured(self, key: str) -> bool:
        """Tell whether a key is that of a system metric: a column of `calls`."""
        ...

    def model(self, key: str) -> int | None:
        """Return a model's number; None for one never seen."""
        ...

    def session(self, text: str) -> UUID:
        """Return a session's id, which the text is or stands for."""
        ...

    def moment(self, value: Moment, param: str) -> int:
        """Return a time in milliseconds. Raises `Invalid`."""
        ...
