"""What servers over one database tell each other. The embedded store has one server and leaves these empty, apart from
the leases of pairs that are being judged."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, String, Table

from .base import CLUSTERED, metadata

servers = Table(
    "servers",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    # When it last said that it is there, by the database's clock.
    Column("seen_at", BigInteger, nullable=False),
    # Whether someone watches interactions there, and so wants to hear what others write.
    Column("listening", Boolean, nullable=False),
)

# What one server at a time does: fill the text index, end A/B tests, delete what is too old. And pairs of completions
# that a sitting was given to judge: `server` is then a negative number that stands for the sitting (see pairs.py).
leases = Table(
    "leases",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("server", Integer, nullable=False),
    Column("until", BigInteger, nullable=False),
    **CLUSTERED,
)

# How often the small tables were changed: each server reads them anew when it has.
versions = Table(
    "versions",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("number", BigInteger, nullable=False),
    **CLUSTERED,
)

# The interactions that a server has written lately, for those who watch at others. Written only while someone does.
news = Table(
    "news",
    metadata,
    Column("server", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("created_at", BigInteger, nullable=False),
    # JSON [[changed ids], [deleted ids], how many were too many, [projects of the deleted ones]].
    Column("content", LargeBinary, nullable=False),
    **CLUSTERED,
)
