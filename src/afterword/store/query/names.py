"""The names that a filter of one project may use, and the numbers and ids that the store has for them."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from afterword.types import Moment


class Names(Protocol):
    """Translates the names of one project into the numbers and ids of the store."""

    @property
    def project(self) -> int:
        """The project's number."""
        ...

    def metric(self, key: str) -> int:
        """Return a metric's number. Raises `NotFound`."""
        ...

    def metrics(self) -> list[int]:
        """Return the numbers of the metrics that belong or are linked to the project."""
        ...

    def measured(self, key: str) -> bool:
        """Tell whether a key is that of a system metric: a column of `calls`."""
        ...

    def model(self, key: str) -> int | None:
        """Return a model's number; None for an unknown model."""
        ...

    def session(self, text: str) -> UUID:
        """Return the id of a session, from the id as text or from the name that callers gave it."""
        ...

    def moment(self, value: Moment, param: str) -> int:
        """Return a time in milliseconds. Raises `Invalid`."""
        ...
