"""What the facts add up to, hour by hour, and which hours have changed since. See store/background/rollups.py."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, Table

from .base import CLUSTERED, Id, metadata

# The values of one measure on a project's interactions of one hour and one model.
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
    # The sum of the squares of what the values are above or below their mean.
    Column("squares", Float, nullable=False),
    Column("least", Float, nullable=False),
    Column("most", Float, nullable=False),
    # An hour is replaced whole.
    Index(None, "project", "hour"),
    **CLUSTERED,
)

# How often each value was given, where the row of `rollups` stands for few different ones.
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

# Hours, from `first` to `last`, whose facts changed. Led by the id, which grows: they go to the end of the table,
# whatever hours they are of.
rollup_marks = Table(
    "rollup_marks",
    metadata,
    Column("id", Id, primary_key=True),
    Column("project", Integer, nullable=False),
    Column("first", Integer, nullable=False),
    Column("last", Integer, nullable=False),
    **CLUSTERED,
)
