"""Sums of facts by the hour, and marks on hours that have changed. See store/background/rollups.py."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, Table

from .base import CLUSTERED, Id, metadata

# The sums of one measure over a project's interactions of one hour and one model.
rollups = Table(
    "rollups",
    metadata,
    Column("project", Integer, primary_key=True, autoincrement=False),
    # The number of a metric; 0: the interactions themselves; below 0: a system metric (rollups.MEASURES).
    Column("measure", Integer, primary_key=True, autoincrement=False),
    # Hours since 1970, by the interaction's created_at.
    Column("hour", Integer, primary_key=True, autoincrement=False),
    # 0: no model.
    Column("model", Integer, primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False),
    Column("total", Float, nullable=False),
    # The sum of the squared differences from the mean.
    Column("squares", Float, nullable=False),
    Column("least", Float, nullable=False),
    Column("most", Float, nullable=False),
    # All rows of an hour are replaced together.
    Index(None, "project", "hour"),
    **CLUSTERED,
)

# The count of each value, for rows of `rollups` with few distinct values.
rollup_values = Table(
    "rollup_values",
    metadata,
    Column("project", Integer, primary_key=True, autoincrement=False),
    Column("measure", Integer, primary_key=True, autoincrement=False),
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column("model", Integer, primary_key=True, autoincrement=False),
    Column("value", Float, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Index(None, "project", "hour"),
    **CLUSTERED,
)

# Ranges of hours whose facts have changed, from `first` to `last`. The key is an id that grows with time, so that all
# marks are appended to the end of the table.
rollup_marks = Table(
    "rollup_marks",
    metadata,
    Column("id", Id, primary_key=True),
    Column("project", Integer, nullable=False),
    Column("first", Integer, nullable=False),
    Column("last", Integer, nullable=False),
    **CLUSTERED,
)
