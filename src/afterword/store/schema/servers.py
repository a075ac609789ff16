"""The messages and leases of servers that share a database.

The embedded store has one server and leaves these tables empty, except for the leases of pairs that are being judged.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, String, Table

from .base import CLUSTERED, metadata

servers = Table(
    "servers",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    # The time of its last heartbeat, by the database's clock.
    Column("seen_at", BigInteger, nullable=False),
    # Whether someone watches interactions there, so that the other servers publish what they write.
    Column("listening", Boolean, nullable=False),
)

# Leases on what one server does for all, such as the background work. Also leases on pairs of completions that someone
# is judging: `server` is then a negative number that stands for the judging session (store/pairs.py).
leases = Table(
    "leases",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("server", Integer, nullable=False),
    Column("until", BigInteger, nullable=False),
    **CLUSTERED,
)

# Counts the changes of the small tables. A server that sees another count reloads its catalog.
versions = Table(
    "versions",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("number", BigInteger, nullable=False),
    **CLUSTERED,
)

# The ids of interactions that a server has written lately, for people who watch at other servers. Written only while
# someone watches.
news = Table(
    "news",
    metadata,
    Column("server", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("created_at", BigInteger, nullable=False),
    # JSON [[changed ids], [deleted ids], number of ids left out, [projects of the deleted ones]].
    Column("content", LargeBinary, nullable=False),
    **CLUSTERED,
)
