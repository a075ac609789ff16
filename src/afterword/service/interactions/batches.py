"""Batches: many lines in one call, each logged independently of the others. Lines with ids can be sent again."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeAlias, TypeVar

import msgspec

from afterword.errors import AfterwordError, NotFound, ServerError, Unavailable
from afterword.service.context import Context
from afterword.service.feedback.feedback import (
    explained_error,
    feedback_unit,
    preference_unit,
    resolve_ids_of_feedback,
    resolve_ids_of_preference,
)
from afterword.service.feedback.outcomes import SIZE as OUTCOME_SIZE
from afterword.service.feedback.outcomes import outcome_unit
from afterword.service.interactions.recording import PreparedInteraction, check_repetition, prepare_interaction
from afterword.store.engine import Unit
from afterword.types import LineResult, NewFeedback, NewInteraction, NewOutcome, NewPreference, Recorded
from afterword.types.queries import BatchQuery

T = TypeVar("T")
S = TypeVar("S")
Chunk: TypeAlias = list[tuple[int, T | AfterwordError]]
Lines: TypeAlias = AsyncIterator[tuple[int, T | AfterwordError]]
"""The lines of a batch: each with its number, and its body or the error of reading it."""
SizedUnit: TypeAlias = tuple[Unit, int]
"""What a line writes, and about how many bytes it holds in memory."""

# Lines in a commit. More would keep other calls waiting for longer without making the batch faster.
MAX_COMMIT_LINES = 200
QUEUE_WAIT_SECONDS = 30.0


async def record_interactions(
    context: Context, *, query: BatchQuery, lines: Lines[NewInteraction]
) -> AsyncIterator[LineResult]:
    """Log many interactions.

    Send one per line as NDJSON, or a JSON array; each has the form of a single one. The answer has a line for each, in
    order, with its ids or its error. Lines with a `completion_id` can be sent again safely. `project` applies to lines
    that name none.
    """

    async def start(
        chunk: Chunk[NewInteraction],
    ) -> tuple[Chunk[NewInteraction], list[PreparedInteraction | Exception], asyncio.Task[list[Any]]]:
        prepared_lines = [await _result_or_error(_prepared_line(context, query.project, body)) for _, body in chunk]
        valid_lines = [prepared for prepared in prepared_lines if isinstance(prepared, PreparedInteraction)]
        return (
            chunk,
            prepared_lines,
            await _commit(
                context, [prepared.rows for prepared in valid_lines], sum(prepared.size for prepared in valid_lines)
            ),
        )

    async for chunk, prepared_lines, commit_task in _overlapped_chunks(lines, start):
        commit_results = iter(await commit_task)
        for (number, _), prepared in zip(chunk, prepared_lines, strict=True):
            if isinstance(prepared, PreparedInteraction):
                result = next(commit_results)
                if result is None:
                    prepared.note_commit(context)
                else:
                    result = await _result_or_error(check_repetition(context, prepared, result))
                yield _line(number, result or prepared.response)
            else:
                yield _line(number, prepared)


async def record_parts_of_lines(
    context: Context, *, query: BatchQuery, lines: Lines[T], interactions: Callable[[T], Iterable[NewInteraction]]
) -> AsyncIterator[LineResult]:
    """Log the interactions that each line stands for; yield a result for each line: that of its first interaction, or
    of the first one that was refused, or the status 204 if there is none. `interactions` may raise `AfterwordError`."""
    empty_lines: deque[int] = deque()

    async def parts() -> AsyncIterator[tuple[int, NewInteraction | AfterwordError]]:
        async for number, body in lines:
            try:
                bodies = [body] if isinstance(body, AfterwordError) else list(interactions(body))
            except AfterwordError as error:
                bodies = [error]
            if not bodies:
                empty_lines.append(number)
            for part in bodies:
                yield number, part

    line_result: LineResult | None = None
    async for result in record_interactions(context, query=query, lines=parts()):
        if line_result is None or line_result.line != result.line:
            if line_result is not None:
                yield line_result
            while empty_lines and empty_lines[0] < result.line:
                yield LineResult(line=empty_lines.popleft(), status=204)
            line_result = result
        elif line_result.error is None and result.error is not None:
            line_result = result
    if line_result is not None:
        yield line_result
    for number in empty_lines:
        yield LineResult(line=number, status=204)


async def record_feedback(
    context: Context, *, query: BatchQuery, lines: Lines[NewFeedback]
) -> AsyncIterator[LineResult]:
    """Log many feedbacks.

    Send one per line as NDJSON, or a JSON array; each has the form of a single one. Lines with a `feedback_id` can be
    sent again safely.
    """

    async def unit(body: NewFeedback) -> SizedUnit:
        await resolve_ids_of_feedback(context, body)
        return feedback_unit(context, body), 500

    async for line in _line_results(context, lines, unit, lambda body: [body.completion_id]):
        yield line
    context.state.search_index_worker.wake()


async def record_preferences(
    context: Context, *, query: BatchQuery, lines: Lines[NewPreference]
) -> AsyncIterator[LineResult]:
    """Log many preferences.

    Send one per line as NDJSON, or a JSON array; each has the form of a single one. Lines with a `comparison_id` can be
    sent again safely. `project` applies to lines that name none.
    """

    async def unit(body: NewPreference) -> SizedUnit:
        if body.project is None and query.project is not None:
            body.project = query.project
        await resolve_ids_of_preference(context, body)
        return await preference_unit(context, body)

    def completion_ids(body: NewPreference) -> list[str]:
        return [side for side in (body.preferred_completion, body.other_completion) if isinstance(side, str)]

    async for line in _line_results(context, lines, unit, completion_ids):
        yield line
    context.state.search_index_worker.wake()


async def record_outcomes(
    context: Context, *, query: BatchQuery, lines: Lines[NewOutcome]
) -> AsyncIterator[LineResult]:
    """Log many outcomes.

    Send one per line as NDJSON, or a JSON array; each has the form of a single one. Lines with an `outcome_id` can be
    sent again safely. `project` applies to lines that name none.
    """

    async def unit(body: NewOutcome) -> SizedUnit:
        if body.project is None and query.project is not None:
            body = msgspec.structs.replace(body, project=query.project)
        return outcome_unit(context, body), OUTCOME_SIZE

    async for line in _line_results(context, lines, unit, lambda body: []):
        yield line


async def _line_results(
    context: Context,
    lines: Lines[T],
    unit: Callable[[T], Awaitable[SizedUnit]],
    completion_ids: Callable[[T], Sequence[str]],
) -> AsyncIterator[LineResult]:
    async def start(chunk: Chunk[T]) -> tuple[Chunk[T], list[SizedUnit | Exception], asyncio.Task[list[Any]]]:
        units = [await _result_or_error(body if isinstance(body, AfterwordError) else unit(body)) for _, body in chunk]
        valid_units = [sized_unit for sized_unit in units if not isinstance(sized_unit, Exception)]
        return (
            chunk,
            units,
            await _commit(
                context, [sized_unit[0] for sized_unit in valid_units], sum(sized_unit[1] for sized_unit in valid_units)
            ),
        )

    async for chunk, units, commit_task in _overlapped_chunks(lines, start):
        commit_results = iter(await commit_task)
        for (number, body), sized_unit in zip(chunk, units, strict=True):
            result = sized_unit if isinstance(sized_unit, Exception) else next(commit_results)
            if isinstance(result, NotFound) and not isinstance(body, AfterwordError):
                result = await explained_error(context, result, *completion_ids(body))
            if not isinstance(result, Exception) and not isinstance(body, AfterwordError):
                context.state.broadcast.publish_rated(completion_ids(body))
            yield _line(number, result)


async def _prepared_line(
    context: Context, project: str | None, body: NewInteraction | AfterwordError
) -> PreparedInteraction:
    if isinstance(body, AfterwordError):
        raise body
    if body.project is None and project is not None:
        body = msgspec.structs.replace(body, project=project)
    return await prepare_interaction(context, body)


async def _result_or_error(step: Awaitable[S] | AfterwordError) -> S | Exception:
    """Return the result of a step, or its error, which is that of its line."""
    if isinstance(step, AfterwordError):
        return step
    try:
        return await step
    except Exception as error:
        return error


async def _overlapped_chunks(lines: Lines[T], start: Callable[[Chunk[T]], Awaitable[S]]) -> AsyncIterator[S]:
    """Start chunk after chunk, and yield each once the next has started: a chunk is read and checked while the one
    before it is committed."""
    started_chunks: list[S] = []
    chunk: Chunk[T] = []
    async for line in lines:
        chunk.append(line)
        if len(chunk) >= MAX_COMMIT_LINES:
            started_chunks.append(await start(chunk))
            chunk = []
            if len(started_chunks) > 1:
                yield started_chunks.pop(0)
    if chunk:
        started_chunks.append(await start(chunk))
    for started_chunk in started_chunks:
        yield started_chunk


async def _commit(context: Context, units: Sequence[Unit], size: int) -> asyncio.Task[list[Any]]:
    """Hand units to the writer and return at once; if the queue is full, the task waits for room."""

    async def commit() -> list[Any]:
        deadline = asyncio.get_running_loop().time() + QUEUE_WAIT_SECONDS
        while units:
            try:
                return await context.store.write_many(units, size)
            except Unavailable as error:
                if error.code != "overloaded" or asyncio.get_running_loop().time() > deadline:
                    return [error] * len(units)
                await asyncio.sleep(0.02)
        return []

    task = asyncio.create_task(commit())
    # Two turns of the event loop: in the first the task runs, in the second the writer receives the units.
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task


def _line(number: int, result: msgspec.Struct | Exception) -> LineResult:
    if isinstance(result, Exception):
        error = result if isinstance(result, AfterwordError) else _line_error(result)
        return LineResult(line=number, status=error.status, error=msgspec.to_builtins(error.body().error))
    if isinstance(result, Recorded):
        return LineResult(
            line=number,
            status=201,
            completion_id=result.completion_id,
            session_id=result.session_id,
            feedback_ids=result.feedback_ids,
        )
    return LineResult(line=number, status=201, **msgspec.structs.asdict(result))


def _line_error(error: Exception) -> ServerError:
    return ServerError(f"The line could not be stored: {type(error).__name__}.", code="internal_error")
