"""What all tables share: the type of ids, the names of indexes, clustering and partitioning."""

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
        return dialect.type_descriptor(Uuid() if dialect.supports_native_uuid else LargeBinary(16))

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> Any:
        return value if value is None or dialect.supports_native_uuid else value.bytes

    def process_result_value(self, value: Any, dialect: Dialect) -> UUID | None:
        return UUID(bytes=value) if isinstance(value, bytes) else value


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# A table that is clustered on its primary key stores the key only once. Only SQLite needs an option for that.
CLUSTERED: dict[str, Any] = {"sqlite_with_rowid": False}


def by_id(column: str) -> dict[str, Any]:
    """Return the options of a table that is clustered on its key and, on PostgreSQL, partitioned by `column`, which
    holds an interaction's id.

    Ids made by Afterword begin with the time. A range of them is a month, which can be dropped as a whole.
    """
    return {**CLUSTERED, "postgresql_partition_by": f"RANGE ({column})"}
