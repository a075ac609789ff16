"""Parts of statements that each database says in its own way."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

from afterword.store.schema import Id


class least_id(GenericFunction[UUID]):
    """The least of the ids in a group."""

    type = Id()
    inherit_cache = True

    def __init__(self, column: ColumnElement[Any]) -> None:
        super().__init__(column)


@compiles(least_id)
def _usual(element: Any, compiler: Any, **options: Any) -> str:
    return f"min({compiler.process(element.clauses, **options)})"


@compiles(least_id, "postgresql")
def _postgresql(element: Any, compiler: Any, **options: Any) -> str:
    # It has no min() of UUIDs. As texts they have the same order.
    return f"CAST(min(CAST({compiler.process(element.clauses, **options)} AS TEXT)) AS UUID)"


class clock(GenericFunction[int]):
    """The database's own time, in milliseconds since 1970."""

    type = BigInteger()
    inherit_cache = True


@compiles(clock, "postgresql")
def _clock(element: Any, compiler: Any, **options: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
