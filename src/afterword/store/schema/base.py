"""What all tables share: how ids are stored, how indexes are named, what is clustered."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import (
    Dialect,
    LargeBinary,
    MetaData,
    Uuid,
)
from sqlalchemy.types import TypeDecorator, TypeEngine


class Id(TypeDecorator[UUID]):
    """A UUID: 16 bytes on SQLite (36 as text would more than double each index), the native type elsewhere."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(LargeBinary(16) if dialect.name == "sqlite" else Uuid())

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> Any:
        return value.bytes if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> UUID | None:
        return UUID(bytes=value) if isinstance(value, bytes) else value


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# A table clustered on its primary key holds no second copy of it. SQLite alone has to be told so.
CLUSTERED: dict[str, Any] = {"sqlite_with_rowid": False}


def by_id(column: str) -> dict[str, Any]:
    """Return what makes a table clustered by its key and, on PostgreSQL, parted by ranges of an interaction's id.

    Ids of our own begin with the time, so that a range of them is a month, which can be dropped as a whole.
    """
    return {**CLUSTERED, "postgresql_partition_by": f"RANGE ({column})"}
