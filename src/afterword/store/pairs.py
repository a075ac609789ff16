"""Pairs of completions to judge: which there are, and the leases that keep two people from judging the same.

A lease is a row of `leases`, on either database: several servers over one database see each other's. A pair's lease has
a negative number in place of a server's, so that no server takes it for its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, func, select, true, update

from afterword.store.cursors import invalid_cursor, read_cursor, write_cursor
from afterword.store.engine import Insert, Transaction
from afterword.store.engine.fragments import clock
from afterword.store.filters import Names
from afterword.store.pages import narrowed
from afterword.store.schema import interactions, leases, preferences
from afterword.types import Filter

PROMPTS_A_QUERY = 50
MAX_PROMPTS_A_CALL = 500
MAX_COMPLETIONS_A_PROMPT = 200
"""Of a prompt with more completions the newest are paired: 200 make 19,900 pairs."""
MAX_SLOTS_A_CALL = 200_000
"""Pairs looked at in one call, most of which are of one model or judged: about 0.1 s."""

_INSERT_LEASE = Insert(leases, ignore_existing=True)


class PairCursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Where a walk over the pairs goes on. Each round takes one pair of each prompt; `has_more` tells whether a prompt
    of this round has another one."""

    round: int = 0
    prompt: int | None = None
    has_more: bool = False


class IdPair(NamedTuple):
    """Two completions."""

    left: UUID
    right: UUID


class Completion(NamedTuple):
    """A completion and its model's number, None where none was named."""

    id: UUID
    model: int | None


def read_pair_cursor(cursor: str | None) -> PairCursor:
    """Return where a walk goes on. Raises `Invalid` for a cursor of something else."""
    if cursor is None:
        return PairCursor()
    at = read_cursor(cursor, PairCursor)
    if not 0 <= at.round < 1 << 31 or not 0 <= (at.prompt or 0) < 1 << 63:
        raise invalid_cursor(cursor)
    return at


def write_pair_cursor(at: PairCursor | None) -> str | None:
    """Return a cursor as text; None for the end."""
    return None if at is None else write_cursor(at)


def candidates(
    connection: Connection,
    names: Names,
    filter: Filter | None,
    *,
    metric: int | None,
    seed: bytes,
    at: PairCursor,
    limit: int,
) -> tuple[list[IdPair], PairCursor | None]:
    """Return pairs of completions of one prompt by different models, and where the walk goes on, None at its end.

    Each round takes one pair of each prompt. The order of the pairs of a prompt, and their sides, go by `seed`. Pairs
    that were judged under `metric` are left out; None leaves out none.
    """
    wanted = narrowed(connection, names, filter)
    found: list[IdPair] = []
    round, prompt, has_more = at.round, at.prompt, at.has_more
    prompts_seen = slots_seen = 0
    while prompts_seen < MAX_PROMPTS_A_CALL and slots_seen < MAX_SLOTS_A_CALL:
        groups = _prompts(connection, wanted, prompt)
        for prompt, completions in groups:
            prompts_seen += 1
            pairs = _pairs(completions, seed, round)
            judged = set() if metric is None else _judged(connection, metric, [one.id for one in completions])
            chosen: IdPair | None = None
            for pair in pairs:
                slots_seen += 1
                if pair is None or pair in judged:
                    continue
                if chosen is not None:
                    has_more = True
                    break
                chosen = pair
            if chosen is not None:
                found.append(_with_sides(chosen, seed))
            if len(found) == limit or slots_seen >= MAX_SLOTS_A_CALL:
                return found, PairCursor(round, prompt, has_more)
        if len(groups) < PROMPTS_A_QUERY:
            if not has_more:
                return found, None
            round, prompt, has_more = round + 1, None, False
    return found, PairCursor(round, prompt, has_more)


def _prompts(
    connection: Connection, wanted: ColumnElement[bool], after: int | None
) -> list[tuple[int, list[Completion]]]:
    """Return the next prompts that have several completions, with these."""
    key = interactions.c.prompt_hash
    beyond = true() if after is None else key > after
    groups = select(key, func.count()).where(wanted, beyond).group_by(key).having(func.count() > 1)
    counts = {row[0]: row[1] for row in connection.execute(groups.order_by(key).limit(PROMPTS_A_QUERY))}
    completions: dict[int, list[Completion]] = defaultdict(list)
    rows = select(key, interactions.c.id, interactions.c.model).where(wanted)
    few = [prompt for prompt, count in counts.items() if count <= MAX_COMPLETIONS_A_PROMPT]
    queries = [rows.where(key.in_(few))] if few else []
    newest = rows.order_by(interactions.c.created_at.desc()).limit(MAX_COMPLETIONS_A_PROMPT)
    queries += [newest.where(key == prompt) for prompt in counts.keys() - set(few)]
    for query in queries:
        for prompt, id, model in connection.execute(query):
            completions[prompt].append(Completion(id, model))
    return [(prompt, completions[prompt]) for prompt in counts]


def _pairs(completions: Sequence[Completion], seed: bytes, start: int) -> Iterator[IdPair | None]:
    """Yield all pairs from a place on, None where both are of one model.

    They come in the order of a round-robin tournament: each completion is in one pair before any is in the next.
    """
    if len({one.model for one in completions}) < 2:
        return
    drawn = sorted(completions, key=lambda completion: _drawn(seed, completion.id))
    order: list[Completion | None] = [*drawn]
    if len(order) % 2:
        order.append(None)
    rounds, tables = len(order) - 1, len(order) // 2
    for slot in range(start, rounds * tables):
        turn, table = divmod(slot, tables)
        # The last one keeps its seat, the others move on by one with each turn.
        one = order[(turn + table) % rounds]
        other = order[-1] if table == 0 else order[(turn - table) % rounds]
        yield None if one is None or other is None or one.model == other.model else IdPair(one.id, other.id)


def _drawn(seed: bytes, *ids: UUID) -> bytes:
    return blake2b(seed + b"".join(one.bytes for one in ids), digest_size=8).digest()


def _with_sides(pair: IdPair, seed: bytes) -> IdPair:
    return pair if _drawn(seed, *sorted(pair))[0] % 2 else IdPair(pair.right, pair.left)


def _judged(connection: Connection, metric: int, ids: Sequence[UUID]) -> set[tuple[UUID, UUID]]:
    """Return the pairs of these completions that were judged under a metric, each from both sides."""
    query = select(preferences.c.interaction_id, preferences.c.other_id)
    these = query.where(preferences.c.metric == metric, preferences.c.interaction_id.in_(ids))
    return {(row[0], row[1]) for row in connection.execute(these)}


# ------------------------------------------------------------------------------------------------ leases


_OF_PAIRS = (leases.c.name >= "pair:", leases.c.name < "pair;")


class Taken(NamedTuple):
    """What came of asking for pairs: those that are the sitting's now, those of its own that it has lost, and how many
    are with another sitting."""

    pairs: list[IdPair]
    lost: list[IdPair]
    held: int


class TooManyLeases(Exception):
    """So many pairs are given out that no more are."""


def lease(
    transaction: Transaction,
    holder: int,
    metric: int,
    *,
    keep: Sequence[IdPair],
    new: Sequence[IdPair],
    again: bool,
    milliseconds: int,
    most: int,
) -> Taken:
    """Give a sitting pairs, for so many milliseconds, and take back what it does not `keep`.

    Raises `TooManyLeases` where more than `most` would be given out in all.
    """
    connection = transaction.connection
    expired = leases.c.until < clock()
    connection.execute(delete(leases).where(*_OF_PAIRS, expired))
    kept = {_name(metric, pair): pair for pair in keep}
    own = (*_OF_PAIRS, leases.c.server == holder)
    connection.execute(delete(leases).where(*own, leases.c.name.not_in(list(kept))))
    until = clock() + milliseconds
    connection.execute(update(leases).where(*own).values(until=until))
    still = set(connection.execute(select(leases.c.name).where(*own)).scalars())
    wanted = {name: pair for name, pair in kept.items() if name not in still}
    names = {_name(metric, pair): pair for pair in new} if new else {}
    free = {name: pair for name, pair in (wanted | names).items() if name not in still}
    if not again:
        ids = [one for pair in free.values() for one in pair]
        judged = _judged(connection, metric, ids) if ids else set()
        free = {name: pair for name, pair in free.items() if pair not in judged}
    if names and connection.execute(select(func.count()).select_from(leases).where(*_OF_PAIRS)).scalar_one() >= most:
        raise TooManyLeases
    granted: set[str] = set()
    if free:
        now = connection.execute(select(clock())).scalar_one()
        transaction.put(_INSERT_LEASE, [(name, holder, now + milliseconds) for name in free])
        granted = set(connection.execute(select(leases.c.name).where(*own, leases.c.name.in_(list(free)))).scalars())
    return Taken(
        [pair for name, pair in names.items() if name in granted],
        [pair for name, pair in wanted.items() if name not in granted],
        len([name for name in names if name in free and name not in granted]),
    )


def _name(metric: int, pair: IdPair) -> str:
    parts = metric.to_bytes(8, "big") + b"".join(sorted(one.bytes for one in pair))
    return f"pair:{blake2b(parts, digest_size=16).hexdigest()}"
