"""Several servers over one database: which are alive, which one runs the background work, and their messages.

Servers poll a few times a second. LISTEN/NOTIFY and session locks are not used, because connection poolers do not
support them. Times are the database's, so that no server's clock matters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, select, update

from afterword.store.engine import Transaction
from afterword.store.engine.dialect import clock
from afterword.store.schema import leases, news, servers, versions

CHORES = "chores"
"""The name of the lease on the background work that one server does for all."""
# Milliseconds for which a lease holds, and after which a server without a heartbeat counts as gone.
LEASE_MS = 6_000
GONE_AFTER_MS = 30_000
# A server that has not polled for longer than this has lost its connection, and its watchers reload.
NEWS_RETENTION_MS = 60_000


class News(msgspec.Struct, array_like=True):
    """Ids of interactions that were written and deleted, and the number of those left out because they were too many.

    `projects` holds the project's number for each deleted interaction.
    """

    changed: list[UUID]
    deleted: list[UUID]
    missed: int
    projects: list[int] = []
    """Empty from a server of an older version, whose deletions are not announced."""


@dataclass(frozen=True, slots=True)
class ClusterState:
    """The result of one poll: the version of the small tables, whether another server listens, the unread news, and for
    each server the number of the last news read."""

    version: int
    others_listen: bool
    news: list[News]
    read: dict[int, int]


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(News)


def read_cluster_state(connection: Connection, own: int, read: Mapping[int, int] | None) -> ClusterState:
    """Read the state of the other servers. `read` is None while nobody listens here; then no news are read."""
    version = connection.execute(select(versions.c.number).where(versions.c.name == "catalog")).scalar_one()
    listening = select(servers.c.number).where(servers.c.number != own, servers.c.listening, _is_alive())
    others = connection.execute(listening.limit(1)).first() is not None
    if read is None:
        return ClusterState(version, others, [], {})
    rows = connection.execute(
        select(news.c.server, news.c.number, news.c.content)
        .where(news.c.server != own, news.c.created_at > clock() - NEWS_RETENTION_MS)
        .order_by(news.c.server, news.c.number)
    ).all()
    unread = [row for row in rows if row.number > read.get(row.server, 0)]
    newest = {row.server: row.number for row in rows}
    return ClusterState(version, others, [_decoder.decode(row.content) for row in unread], {**read, **newest})


def alive_servers(connection: Connection) -> set[int]:
    """Return the numbers of the servers with a recent heartbeat."""
    return set(connection.execute(select(servers.c.number).where(_is_alive())).scalars())


def _is_alive() -> ColumnElement[bool]:
    return servers.c.seen_at > clock() - GONE_AFTER_MS


# ------------------------------------------------------------------------------------------------ units of work


def join(transaction: Transaction) -> int:
    """Register a server; return its number."""
    values = {"seen_at": clock(), "listening": False}
    joined = transaction.connection.execute(servers.insert().values(**values))
    return joined.inserted_primary_key[0]  # pyright: ignore[reportOptionalSubscript]


def send_heartbeat(transaction: Transaction, own: int, *, listening: bool) -> bool:
    """Renew a server's heartbeat; return whether it holds the lease on the background work, for `LEASE_MS` from now."""
    connection = transaction.connection
    connection.execute(update(servers).where(servers.c.number == own).values(seen_at=clock(), listening=listening))
    free = (leases.c.name == CHORES, (leases.c.server == own) | (leases.c.until < clock()))
    if connection.execute(update(leases).where(*free).values(server=own, until=clock() + LEASE_MS)).rowcount == 0:
        return False
    connection.execute(delete(news).where(news.c.created_at < clock() - NEWS_RETENTION_MS))
    connection.execute(delete(servers).where(servers.c.seen_at < clock() - 100 * GONE_AFTER_MS))
    return True


def publish(transaction: Transaction, own: int, number: int, message: News) -> None:
    """Publish the writes of this server to the others."""
    values = {"server": own, "number": number, "created_at": clock(), "content": _encoder.encode(message)}
    transaction.connection.execute(news.insert().values(**values))


def leave(transaction: Transaction, own: int) -> None:
    """Unregister a server and end its lease, so that another server takes over the background work at once."""
    connection = transaction.connection
    connection.execute(update(leases).where(leases.c.server == own).values(until=0))
    connection.execute(delete(servers).where(servers.c.number == own))
