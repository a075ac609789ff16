"""When API keys were last used: stored apart from the keys, which every server holds in memory."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, bindparam, select

from afterword.store.engine import Insert, Transaction
from afterword.store.schema import key_uses

_INSERT = Insert(key_uses, ignore_existing=True)
_UPDATE = (
    key_uses.update()
    .where(key_uses.c.key == bindparam("number"), key_uses.c.last_used_at < bindparam("time"))
    .values(last_used_at=bindparam("time"))
)


def read_key_uses(connection: Connection) -> dict[int, int]:
    """Return the last use in milliseconds of each key that was ever used, by the number of the key."""
    return {row.key: row.last_used_at for row in connection.execute(select(key_uses))}


def write_key_uses(transaction: Transaction, times: Mapping[int, int]) -> None:
    """Write when keys were last used; the latest time wins if several servers write one."""
    # In one order, so that two servers cannot deadlock.
    rows = sorted(times.items())
    transaction.put(_INSERT, rows)
    transaction.connection.execute(_UPDATE, [{"number": number, "time": time} for number, time in rows])
