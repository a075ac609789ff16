"""Pairs to judge: no pair is with two people at once, and each comes, whoever judges."""

from __future__ import annotations

from hashlib import blake2b

from sqlalchemy import Connection

from afterword.errors import Unavailable
from afterword.service.context import Context
from afterword.service.presenting import present
from afterword.store import interactions as stored_interactions
from afterword.store import pairs as stored
from afterword.store.pairs import IdPair, PairCursor
from afterword.types import HeldPair, NextPairs, Pair, PairPage


async def take(context: Context, *, body: NextPairs) -> PairPage:
    """Take the next pairs to judge.

    A pair is two completions of one prompt by different models; one that was judged under the metric does not come,
    except with `again`. A pair that a sitting was given comes to no other, for as long as AFTERWORD_PAIR_LEASE says
    since the sitting's last call. First comes one pair of each prompt, then another of each, until all have come; of
    a prompt with more than 200 completions the newest 200 are paired. With `limit: 0` a sitting keeps its pairs, or
    ends.
    """
    project = context.project(body.project)
    metric = context.metric(project.number, body.metric).number
    names = context.names(project)
    at: PairCursor | None = stored.read_pair_cursor(body.cursor)
    # Of the key's own: whoever hears of another's sitting gives none of its pairs back.
    digest = blake2b(body.sitting.bytes + context.actor.number.to_bytes(8, "big"), digest_size=4).digest()
    holder = -1 - (int.from_bytes(digest, "big") & 0x7FFFFFFF)
    keep = [IdPair(one.left, one.right) for one in body.keep]
    pairs: list[IdPair] = []
    held = 0

    def look(connection: Connection, at: PairCursor, limit: int) -> tuple[list[IdPair], PairCursor | None]:
        judged_under = None if body.again else metric
        return stored.candidates(
            connection, names, body.filter, metric=judged_under, seed=body.sitting.bytes, at=at, limit=limit
        )

    async def lease(keep: list[IdPair], new: list[IdPair]) -> stored.Taken:
        try:
            return await context.store.write(
                lambda transaction: stored.lease(
                    transaction,
                    holder,
                    metric,
                    keep=keep,
                    new=new,
                    again=body.again,
                    milliseconds=context.settings.pair_lease * 1000,
                    most=context.settings.max_leased_pairs,
                )
            )
        except stored.TooManyLeases:
            raise Unavailable(
                f"{context.settings.max_leased_pairs} pairs are given out to be judged, which is the limit.",
                code="too_many_pairs",
                hint="Try again later, or raise AFTERWORD_MAX_LEASED_PAIRS.",
                retry_after=30,
            ) from None

    taken = await lease(keep, [])
    lost = taken.lost
    keep = [pair for pair in keep if pair not in lost]
    prompts = 0
    while at is not None and len(pairs) < body.limit and prompts < stored.MAX_PROMPTS_A_CALL:
        found, at = await context.store.read_long(look, at, body.limit - len(pairs))
        taken = await lease([*keep, *pairs], found)
        pairs += taken.pairs
        held += taken.held
        prompts += len(found) or stored.MAX_PROMPTS_A_CALL
    return PairPage(
        pairs=await _shown(context, pairs),
        next=stored.write_pair_cursor(at),
        held=held,
        lost=[HeldPair(left=pair.left, right=pair.right) for pair in lost],
    )


async def _shown(context: Context, pairs: list[IdPair]) -> list[Pair]:
    def read(connection: Connection) -> list[Pair]:
        rows = stored_interactions.find_all(connection, [one for pair in pairs for one in pair])
        shown = present(context, connection, rows, view="full", images="links", with_outcomes=False)
        by_id = {one.completion_id: one for one in shown}
        # One that was deleted meanwhile makes no pair.
        complete = [pair for pair in pairs if pair.left in by_id and pair.right in by_id]
        return [Pair(left=by_id[pair.left], right=by_id[pair.right]) for pair in complete]

    return await context.store.read(read) if pairs else []
