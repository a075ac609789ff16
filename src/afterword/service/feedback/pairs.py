"""Pairs to judge: two people never have the same pair at once, and every pair comes up."""

from __future__ import annotations

from hashlib import blake2b

from sqlalchemy import Connection

from afterword.errors import Unavailable
from afterword.service.context import Context
from afterword.service.interactions.serializing import serialize_interactions
from afterword.store import interactions as stored_interactions
from afterword.store import pairs as stored
from afterword.store.pairs import IdPair, LeasedPairs, PairCursor
from afterword.types import HeldPair, NextPairs, Pair, PairPage

MAX_CALL_SEARCH_COUNT = 20
"""Upper bound on the searches of one call. Another search is needed if other sittings hold the pairs that were
found."""


async def take(context: Context, *, body: NextPairs) -> PairPage:
    """Take the next pairs to judge.

    A pair is two completions of one prompt by different models. Pairs that were judged under the metric are left out,
    except with `again`. A pair that one sitting holds is given to no other sitting until AFTERWORD_PAIR_LEASE seconds
    after the holder's last call. The first round gives one pair of each prompt, the next round another pair of each
    prompt, until all pairs were given. Of a prompt with more than 200 completions, only the newest 200 are paired. With
    `limit: 0` a sitting renews its leases on the pairs in `keep`, or ends if `keep` is empty.
    """
    project = context.project(body.project)
    metric = context.metric(project.number, body.metric).number
    names = context.names(project)
    position: PairCursor | None = stored.read_pair_cursor(body.cursor)
    keep = [IdPair(pair.left, pair.right) for pair in body.keep]
    kept_leases = await _lease(context, body, metric, keep, [])
    keep = [pair for pair in keep if pair not in kept_leases.lost]
    pairs: list[IdPair] = []
    held_count = 0

    def find(connection: Connection, position: PairCursor, limit: int) -> tuple[list[IdPair], PairCursor | None]:
        judged_under = None if body.again else metric
        seed = body.sitting.bytes
        return stored.candidates(
            connection, names, body.filter, metric=judged_under, seed=seed, position=position, limit=limit
        )

    for _ in range(MAX_CALL_SEARCH_COUNT):
        if position is None or len(pairs) == body.limit:
            break
        candidates, position = await context.store.read_long(find, position, body.limit - len(pairs))
        if not candidates:
            # The search has looked at as many prompts as one call may look at.
            break
        new_leases = await _lease(context, body, metric, [*keep, *pairs], candidates)
        pairs += new_leases.new
        held_count += new_leases.leased_elsewhere
    return PairPage(
        pairs=await _present_pairs(context, pairs),
        next=stored.write_pair_cursor(position),
        held=held_count,
        lost=[HeldPair(left=pair.left, right=pair.right) for pair in kept_leases.lost],
    )


async def _lease(context: Context, body: NextPairs, metric: int, keep: list[IdPair], new: list[IdPair]) -> LeasedPairs:
    settings = context.settings
    # The number depends on the key: whoever learns the id of another person's sitting cannot end its leases.
    digest = blake2b(body.sitting.bytes + context.actor.number.to_bytes(8, "big"), digest_size=4).digest()
    holder = -1 - (int.from_bytes(digest, "big") & 0x7FFFFFFF)
    try:
        return await context.store.write(
            lambda transaction: stored.lease(
                transaction,
                holder,
                metric,
                keep=keep,
                new=new,
                allow_judged=body.again,
                milliseconds=settings.pair_lease * 1000,
                max_leases=settings.max_leased_pairs,
            )
        )
    except stored.TooManyLeases:
        raise Unavailable(
            f"{settings.max_leased_pairs} pairs are given out to be judged, which is the limit.",
            code="too_many_pairs",
            hint="Try again later, or raise AFTERWORD_MAX_LEASED_PAIRS.",
            retry_after=30,
        ) from None


async def _present_pairs(context: Context, pairs: list[IdPair]) -> list[Pair]:
    def read(connection: Connection) -> list[Pair]:
        rows = stored_interactions.find_interactions(connection, [id for pair in pairs for id in pair])
        interactions = serialize_interactions(
            context, connection, rows, view="full", images="links", with_outcomes=False
        )
        by_id = {interaction.completion_id: interaction for interaction in interactions}
        # Leave out pairs of which a completion was deleted meanwhile.
        complete_pairs = [pair for pair in pairs if pair.left in by_id and pair.right in by_id]
        return [Pair(left=by_id[pair.left], right=by_id[pair.right]) for pair in complete_pairs]

    return await context.store.read(read) if pairs else []
