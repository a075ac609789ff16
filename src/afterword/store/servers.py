"""Several servers over one database: who is there, who does the chores, and what each tells the others.

There is no LISTEN/NOTIFY, which poolers of connections do not pass on, and no lock of a session: each server looks a
few times a second. Times are the database's, so that no server's clock matters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, select, update

from afterword.store.engine import Transaction
from afterword.store.engine.fragments import clock
from afterword.store.schema import leases, news, servers, versions

CHORES = "chores"
"""The lease on what one server does for all."""
# Milliseconds for which a lease holds, and after which a server that is not heard of is taken for gone.
LEASE = 6_000
GONE = 30_000
# News are kept so long: whoever has not looked meanwhile has lost the connection, and reads the page anew.
KEPT = 60_000


class News(msgspec.Struct, array_like=True):
    """Interactions that were written, deleted, and how many were too many to be told; and of each deleted one the
    number of its project."""

    changed: list[UUID]
    deleted: list[UUID]
    missed: int
    projects: list[int] = []
    """Empty from a server of an older version: what that one deletes is not told."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a server sees of the others: how often the small tables changed, whether someone listens, the news since it
    last looked, and up to which number it has now read each server's."""

    version: int
    others_listen: bool
    news: list[News]
    read: dict[int, int]


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(News)


def look(connection: Connection, own: int, read: Mapping[int, int] | None) -> Look:
    """Look at what the others tell. `read` is None where nobody listens here; then there are no news."""
    version = connection.execute(select(versions.c.number).where(versions.c.name == "catalog")).scalar_one()
    listening = select(servers.c.number).where(servers.c.number != own, servers.c.listening, _there())
    others = connection.execute(listening.limit(1)).first() is not None
    if read is None:
        return Look(version, others, [], {})
    rows = connection.execute(
        select(news.c.server, news.c.number, news.c.content)
        .where(news.c.server != own, news.c.created_at > clock() - KEPT)
        .order_by(news.c.server, news.c.number)
    ).all()
    fresh = [row for row in rows if row.number > read.get(row.server, 0)]
    newest = {row.server: row.number for row in rows}
    return Look(version, others, [_decoder.decode(row.content) for row in fresh], {**read, **newest})


def alive(connection: Connection) -> set[int]:
    """Return the servers that are there."""
    return set(connection.execute(select(servers.c.number).where(_there())).scalars())


def _there() -> ColumnElement[bool]:
    return servers.c.seen_at > clock() - GONE


# ------------------------------------------------------------------------------------------------ units of work


def join(transaction: Transaction) -> int:
    """Say that a server is there; return its number."""
    values = {"seen_at": clock(), "listening": False}
    joined = transaction.connection.execute(servers.insert().values(**values))
    return joined.inserted_primary_key[0]  # pyright: ignore[reportOptionalSubscript]


def beat(transaction: Transaction, own: int, *, listening: bool) -> bool:
    """Say that a server still is there; return whether it does the chores from now on, for as long as a lease holds."""
    connection = transaction.connection
    connection.execute(update(servers).where(servers.c.number == own).values(seen_at=clock(), listening=listening))
    free = (leases.c.name == CHORES, (leases.c.server == own) | (leases.c.until < clock()))
    if connection.execute(update(leases).where(*free).values(server=own, until=clock() + LEASE)).rowcount == 0:
        return False
    connection.execute(delete(news).where(news.c.created_at < clock() - KEPT))
    connection.execute(delete(servers).where(servers.c.seen_at < clock() - 100 * GONE))
    return True


def tell(transaction: Transaction, own: int, number: int, told: News) -> None:
    """Tell the others what was written here."""
    values = {"server": own, "number": number, "created_at": clock(), "content": _encoder.encode(told)}
    transaction.connection.execute(news.insert().values(**values))


def leave(transaction: Transaction, own: int) -> None:
    """Say that a server goes: another does the chores at once."""
    connection = transaction.connection
    connection.execute(update(leases).where(leases.c.server == own).values(until=0))
    connection.execute(delete(servers).where(servers.c.number == own))
