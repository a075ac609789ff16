"""Pairs of completions to judge: which exist, and the leases that keep two people from judging the same pair.

A lease is a row of `leases`, in both databases, so that several servers over one database respect each other's leases.
The column `server` of a pair's lease holds a negative number that stands for the sitting: no server has such a number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, func, select, true, update

from afterword.store.engine import Insert, Transaction
from afterword.store.engine.dialect import clock
from afterword.store.query.conditions import Names
from afterword.store.query.cursors import invalid_cursor, read_cursor, write_cursor
from afterword.store.query.matches import Matches
from afterword.store.schema import interactions, leases, preferences
from afterword.types import Filter

QUERY_PROMPT_COUNT = 50
MAX_PROMPT_COUNT = 500
MAX_PROMPT_COMPLETION_COUNT = 200
"""Only this many completions of a prompt are paired, the newest: 200 make 19,900 pairs."""
MAX_SLOT_COUNT = 200_000
"""Upper bound on the pairs that one call looks at. Most of them are of one model or judged already."""

_INSERT_LEASE = Insert(leases, ignore_existing=True)


class PairCursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Where a walk over the pairs continues. Each round takes one pair per prompt. `has_more` tells whether a prompt of
    the current round has another pair for the next round."""

    round: int = 0
    prompt: int | None = None
    has_more: bool = False


class IdPair(NamedTuple):
    """The ids of two completions."""

    left: UUID
    right: UUID


class Completion(NamedTuple):
    """A completion and the number of its model, None if no model was named."""

    id: UUID
    model: int | None


def read_pair_cursor(cursor: str | None) -> PairCursor:
    """Return where a walk continues. Raises `Invalid` for a cursor of another list."""
    if cursor is None:
        return PairCursor()
    position = read_cursor(cursor, PairCursor)
    if not 0 <= position.round < 1 << 31 or not 0 <= (position.prompt or 0) < 1 << 63:
        raise invalid_cursor(cursor)
    return position


def write_pair_cursor(position: PairCursor | None) -> str | None:
    """Return a position as the text of a cursor; None for the end."""
    return None if position is None else write_cursor(position)


def candidates(
    connection: Connection,
    names: Names,
    filter: Filter | None,
    *,
    metric: int | None,
    seed: bytes,
    position: PairCursor,
    limit: int,
) -> tuple[list[IdPair], PairCursor | None]:
    """Return pairs of completions of one prompt by different models, and where the walk continues; None at its end.

    `seed` decides the order of a prompt's pairs and which completion is on which side. Pairs that were judged under
    `metric` are left out; with None, no pair is left out.
    """
    where = Matches(connection, names, filter).where_clause()
    pairs: list[IdPair] = []
    round, prompt, has_more = position.round, position.prompt, position.has_more
    prompts_seen = slots_seen = 0
    while prompts_seen < MAX_PROMPT_COUNT and slots_seen < MAX_SLOT_COUNT:
        prompts = _next_prompts(connection, where, prompt)
        for prompt, completions in prompts:
            prompts_seen += 1
            ids = [completion.id for completion in completions]
            judged = set() if metric is None else _judged_pairs(connection, metric, ids)
            chosen: IdPair | None = None
            for pair in _tournament(completions, seed, start=round):
                slots_seen += 1
                if pair is None or pair in judged:
                    continue
                if chosen is not None:
                    has_more = True
                    break
                chosen = pair
            if chosen is not None:
                pairs.append(_with_drawn_sides(chosen, seed))
            if len(pairs) == limit or slots_seen >= MAX_SLOT_COUNT:
                return pairs, PairCursor(round, prompt, has_more)
        if len(prompts) < QUERY_PROMPT_COUNT:
            if not has_more:
                return pairs, None
            round, prompt, has_more = round + 1, None, False
    return pairs, PairCursor(round, prompt, has_more)


def _next_prompts(
    connection: Connection, where: ColumnElement[bool], after: int | None
) -> list[tuple[int, list[Completion]]]:
    """Return the next prompts with several completions, in the order of their hashes, each with its completions."""
    prompt_hash = interactions.c.prompt_hash
    beyond = true() if after is None else prompt_hash > after
    groups = select(prompt_hash, func.count()).where(where, beyond).group_by(prompt_hash)
    groups = groups.having(func.count() > 1).order_by(prompt_hash).limit(QUERY_PROMPT_COUNT)
    counts = {row[0]: row[1] for row in connection.execute(groups)}
    rows = select(prompt_hash, interactions.c.id, interactions.c.model).where(where)
    small = [prompt for prompt, count in counts.items() if count <= MAX_PROMPT_COMPLETION_COUNT]
    queries = [rows.where(prompt_hash.in_(small))] if small else []
    newest = rows.order_by(interactions.c.created_at.desc()).limit(MAX_PROMPT_COMPLETION_COUNT)
    queries += [newest.where(prompt_hash == prompt) for prompt in counts.keys() - set(small)]
    completions: dict[int, list[Completion]] = defaultdict(list)
    for query in queries:
        for prompt, id, model in connection.execute(query):
            completions[prompt].append(Completion(id, model))
    return [(prompt, completions[prompt]) for prompt in counts]


def _tournament(completions: Sequence[Completion], seed: bytes, *, start: int) -> Iterator[IdPair | None]:
    """Yield all pairs from the slot `start` on, None for a slot whose completions are of one model.

    The slots are those of a round-robin tournament (the circle method): each completion is in one pair before any
    completion is in its second pair, and a slot can be computed without those before it.
    """
    if len({completion.model for completion in completions}) < 2:
        return
    shuffled = sorted(completions, key=lambda completion: _drawn_lot(seed, completion.id))
    order: list[Completion | None] = [*shuffled]
    if len(order) % 2:
        order.append(None)
    turns, tables = len(order) - 1, len(order) // 2
    for slot in range(start, turns * tables):
        turn, table = divmod(slot, tables)
        # The last completion keeps its seat; all others move on by one seat with each turn.
        left = order[(turn + table) % turns]
        right = order[-1] if table == 0 else order[(turn - table) % turns]
        yield None if left is None or right is None or left.model == right.model else IdPair(left.id, right.id)


def _drawn_lot(seed: bytes, *ids: UUID) -> bytes:
    return blake2b(seed + b"".join(id.bytes for id in ids), digest_size=8).digest()


def _with_drawn_sides(pair: IdPair, seed: bytes) -> IdPair:
    return pair if _drawn_lot(seed, *sorted(pair))[0] % 2 else IdPair(pair.right, pair.left)


def _judged_pairs(connection: Connection, metric: int, ids: Sequence[UUID]) -> set[tuple[UUID, UUID]]:
    """Return the pairs of these completions that were judged under a metric, each in both orders."""
    query = select(preferences.c.interaction_id, preferences.c.other_id)
    query = query.where(preferences.c.metric == metric, preferences.c.interaction_id.in_(ids))
    return {(row[0], row[1]) for row in connection.execute(query)}


# ------------------------------------------------------------------------------------------------ leases


_LEASES_OF_PAIRS = (leases.c.name >= "pair:", leases.c.name < "pair;")


class LeasedPairs(NamedTuple):
    """The result of `lease`: the new pairs that the sitting now holds, the kept pairs that it lost, and the number of
    new pairs that another sitting holds."""

    new: list[IdPair]
    lost: list[IdPair]
    leased_elsewhere: int


class TooManyLeases(Exception):
    """The number of leased pairs has reached its upper bound."""


def lease(
    transaction: Transaction,
    holder: int,
    metric: int,
    *,
    keep: Sequence[IdPair],
    new: Sequence[IdPair],
    allow_judged: bool,
    milliseconds: int,
    max_leases: int,
) -> LeasedPairs:
    """Renew the leases of a sitting on the pairs that it keeps, end its other leases, and lease new pairs to it.

    `holder` is the sitting's negative number. A pair that was judged under the metric is not leased, except with
    `allow_judged`. Raises `TooManyLeases` if new pairs are requested and `max_leases` exist already, over all sittings.
    """
    connection = transaction.connection
    connection.execute(delete(leases).where(*_LEASES_OF_PAIRS, leases.c.until < clock()))
    kept_pairs = {_lease_name(metric, pair): pair for pair in keep}
    own = (*_LEASES_OF_PAIRS, leases.c.server == holder)
    connection.execute(delete(leases).where(*own, leases.c.name.not_in(list(kept_pairs))))
    connection.execute(update(leases).where(*own).values(until=clock() + milliseconds))
    renewed = set(connection.execute(select(leases.c.name).where(*own)).scalars())
    candidates = {_lease_name(metric, pair): pair for pair in new}
    if candidates:
        count = select(func.count()).select_from(leases).where(*_LEASES_OF_PAIRS)
        if connection.execute(count).scalar_one() >= max_leases:
            raise TooManyLeases
    unleased = {name: pair for name, pair in (kept_pairs | candidates).items() if name not in renewed}
    if not allow_judged and unleased:
        judged = _judged_pairs(connection, metric, [id for pair in unleased.values() for id in pair])
        unleased = {name: pair for name, pair in unleased.items() if pair not in judged}
    leased: set[str] = set()
    if unleased:
        until = connection.execute(select(clock())).scalar_one() + milliseconds
        transaction.put(_INSERT_LEASE, [(name, holder, until) for name in unleased])
        query = select(leases.c.name).where(*own, leases.c.name.in_(list(unleased)))
        leased = set(connection.execute(query).scalars())
    return LeasedPairs(
        new=[pair for name, pair in candidates.items() if name in leased],
        lost=[pair for name, pair in kept_pairs.items() if name not in renewed and name not in leased],
        leased_elsewhere=sum(name in unleased and name not in leased for name in candidates),
    )


def _lease_name(metric: int, pair: IdPair) -> str:
    content = metric.to_bytes(8, "big") + b"".join(sorted(id.bytes for id in pair))
    return f"pair:{blake2b(content, digest_size=16).hexdigest()}"
