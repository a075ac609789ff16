"""Batches: many lines in one call, each on its own. One bad line hurts no other; ids make all of it repeatable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import msgspec

from afterword.errors import AfterwordError, NotFound, ServerError, Unavailable
from afterword.service.context import Context
from afterword.service.feedback import explained, feedback_unit, preference_unit
from afterword.service.interactions import Draft, drafted, repeated
from afterword.service.outcomes import SIZE as OUTCOME_SIZE
from afterword.service.outcomes import outcome_unit
from afterword.store.engine import Unit
from afterword.types import LineResult, NewFeedback, NewInteraction, NewOutcome, NewPreference, Recorded

T = TypeVar("T")
S = TypeVar("S")
Chunk: TypeAlias = list[tuple[int, T | AfterwordError]]
Lines: TypeAlias = AsyncIterator[tuple[int, T | AfterwordError]]
"""The lines of a batch: each with its number, and what it holds or why that cannot be read."""

# So many lines share a commit. More would keep other calls waiting for longer without making the batch faster.
MOST_LINES = 200
PATIENCE = 30.0


async def record_interactions(
    context: Context, *, query: Any, lines: Lines[NewInteraction]
) -> AsyncIterator[LineResult]:
    """Log many interactions.

    One a line as NDJSON, or a JSON array; each as for a single one. The answer has a line for each, in order: its ids,
    or its error. Lines with a `completion_id` can be sent again safely. `project` holds for lines that name none.
    """

    async def start(chunk: Chunk[NewInteraction]) -> tuple[Chunk[NewInteraction], list[Any], asyncio.Task[list[Any]]]:
        drafts = [await _ready(_draft(context, query.project, body)) for _, body in chunk]
        good = [draft for draft in drafts if isinstance(draft, Draft)]
        return chunk, drafts, await _commit(context, [draft.rows for draft in good], sum(draft.size for draft in good))

    async for chunk, drafts, committing in _overlapped(lines, start):
        outcomes = iter(await committing)
        for (number, _), draft in zip(chunk, drafts, strict=True):
            if isinstance(draft, Draft):
                outcome = next(outcomes)
                if outcome is None:
                    draft.committed(context)
                else:
                    outcome = await _ready(repeated(context, draft, outcome))
                yield _line(number, outcome or draft.recorded)
            else:
                yield _line(number, draft)


async def record_feedback(context: Context, *, query: Any, lines: Lines[NewFeedback]) -> AsyncIterator[LineResult]:
    """Log much feedback.

    One a line as NDJSON, or a JSON array; each as for a single one. Lines with a `feedback_id` can be sent again
    safely.
    """

    async def unit(body: NewFeedback) -> tuple[Unit, int]:
        return feedback_unit(context, body), 500

    async for line in _recorded(context, lines, unit, lambda body: [body.completion_id]):
        yield line


async def record_preferences(context: Context, *, query: Any, lines: Lines[NewPreference]) -> AsyncIterator[LineResult]:
    """Log many preferences.

    One a line as NDJSON, or a JSON array; each as for a single one. Lines with a `comparison_id` can be sent again
    safely. `project` holds for lines that name none.
    """

    async def unit(body: NewPreference) -> tuple[Unit, int]:
        if body.project is None and query.project is not None:
            body = msgspec.structs.replace(body, project=query.project)
        return await preference_unit(context, body)

    def named(body: NewPreference) -> list[str]:
        return [side for side in (body.preferred_completion, body.other_completion) if isinstance(side, str)]

    async for line in _recorded(context, lines, unit, named):
        yield line
    context.home.indexer.wake()


async def record_outcomes(context: Context, *, query: Any, lines: Lines[NewOutcome]) -> AsyncIterator[LineResult]:
    """Log many outcomes.

    One a line as NDJSON, or a JSON array; each as for a single one. Lines with an `outcome_id` can be sent again
    safely. `project` holds for lines that name none.
    """

    async def unit(body: NewOutcome) -> tuple[Unit, int]:
        if body.project is None and query.project is not None:
            body = msgspec.structs.replace(body, project=query.project)
        return outcome_unit(context, body), OUTCOME_SIZE

    async for line in _recorded(context, lines, unit, lambda body: []):
        yield line


async def _recorded(
    context: Context, lines: Lines[T], unit: Callable[[T], Any], named: Callable[[T], Sequence[str]]
) -> AsyncIterator[LineResult]:
    async def start(chunk: Chunk[T]) -> tuple[Chunk[T], list[Any], asyncio.Task[list[Any]]]:
        units = [await _ready(body if isinstance(body, AfterwordError) else unit(body)) for _, body in chunk]
        good = [one for one in units if not isinstance(one, Exception)]
        return chunk, units, await _commit(context, [one[0] for one in good], sum(one[1] for one in good))

    async for chunk, units, committing in _overlapped(lines, start):
        outcomes = iter(await committing)
        for (number, body), one in zip(chunk, units, strict=True):
            outcome = one if isinstance(one, Exception) else next(outcomes)
            if isinstance(outcome, NotFound) and not isinstance(body, AfterwordError):
                outcome = await explained(context, outcome, *named(body))
            if not isinstance(outcome, Exception) and not isinstance(body, AfterwordError):
                context.home.live.rated(named(body))
            yield _line(number, outcome)


async def _draft(context: Context, project: str | None, body: NewInteraction | AfterwordError) -> Draft:
    if isinstance(body, AfterwordError):
        raise body
    if body.project is None and project is not None:
        body = msgspec.structs.replace(body, project=project)
    return await drafted(context, body)


async def _ready(step: Any) -> Any:
    """Return what a step comes to: its result, or the error of this line."""
    if isinstance(step, AfterwordError):
        return step
    try:
        return await step
    except Exception as error:
        return error


async def _overlapped(lines: Lines[T], start: Callable[[Chunk[T]], Awaitable[S]]) -> AsyncIterator[S]:
    """Start chunk after chunk; yield each one's start once the next is under way, so that a chunk is read and checked
    while the one before it is committed."""
    before: list[S] = []
    chunk: Chunk[T] = []
    async for line in lines:
        chunk.append(line)
        if len(chunk) >= MOST_LINES:
            before.append(await start(chunk))
            chunk = []
            if len(before) > 1:
                yield before.pop(0)
    if chunk:
        before.append(await start(chunk))
    for one in before:
        yield one


async def _commit(context: Context, units: Sequence[Unit], size: int) -> asyncio.Task[list[Any]]:
    """Hand units to the writer and return at once; where the queue is full, they wait for room."""

    async def commit() -> list[Any]:
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while units:
            try:
                return await context.store.write_many(units, size)
            except Unavailable as error:
                if error.code != "overloaded" or asyncio.get_running_loop().time() > deadline:
                    return [error] * len(units)
                await asyncio.sleep(0.02)
        return []

    task = asyncio.create_task(commit())
    # Two turns of the loop: in the first the task runs, in the second the writer gets what it handed over.
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task


def _line(number: int, outcome: Any) -> LineResult:
    if isinstance(outcome, Exception):
        error = outcome if isinstance(outcome, AfterwordError) else _fault(outcome)
        return LineResult(line=number, status=error.status, error=msgspec.to_builtins(error.body().error))
    if isinstance(outcome, Recorded):
        return LineResult(
            line=number,
            status=201,
            completion_id=outcome.completion_id,
            session_id=outcome.session_id,
            feedback_ids=outcome.feedback_ids,
        )
    return LineResult(line=number, status=201, **msgspec.structs.asdict(outcome))


def _fault(error: Exception) -> ServerError:
    return ServerError(f"The line could not be stored: {type(error).__name__}.", code="internal_error")
