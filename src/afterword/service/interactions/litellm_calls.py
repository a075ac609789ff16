"""Logging of calls that LiteLLM made, from its standard logging payload."""

from __future__ import annotations

from collections.abc import AsyncIterator

from afterword.call_forms.limits import fit_to_limits
from afterword.call_forms.litellm import interactions_of_litellm
from afterword.service.context import Context
from afterword.service.interactions.batches import Lines, record_parts_of_lines
from afterword.types import LineResult, LiteLLMCall, NewInteraction
from afterword.types.queries import BatchQuery


async def record_litellm_calls(
    context: Context, *, query: BatchQuery, lines: Lines[LiteLLMCall]
) -> AsyncIterator[LineResult]:
    """Log calls that LiteLLM made.

    It takes what LiteLLM's generic logger sends: its standard logging payload, a JSON array of them, or one per line as
    NDJSON. Each choice becomes an interaction. Payloads can be sent again safely. A call without a
    completion, such as one that ranks texts, is not kept: its line has the status 204.
    """
    project = context.project(query.project, writing=True)

    def interactions(call: LiteLLMCall) -> list[NewInteraction]:
        return [fit_to_limits(body, context.settings) for body in interactions_of_litellm(call, project.key)]

    async for result in record_parts_of_lines(context, query=query, lines=lines, interactions=interactions):
        yield result
