"""Assembling a whole answer from a stream, for providers and relays that stream although they were not asked to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from afterword.gateway.accumulator import MessageAccumulator
from afterword.gateway.events import MAX_EVENT_BYTES
from afterword.gateway.facts import FactsAccumulator
from afterword.gateway.provider import Body, Operation


def assemble(operation: Operation, chunks: Iterable[Body]) -> Body:
    """Return the whole answer that the chunks add up to. Raises `ProviderError` if it exceeds the bounds."""
    messages: dict[int, MessageAccumulator] = defaultdict(MessageAccumulator)
    facts = FactsAccumulator(MAX_EVENT_BYTES)
    answer: Body = {}
    for chunk in chunks:
        answer.update({name: value for name, value in chunk.items() if value not in (None, "", [])})
        facts.take(chunk)
        for choice in chunk.get("choices") or ():
            messages[choice["index"]].take(choice)
    if operation == "chat":
        answer["object"] = "chat.completion"
    answer["choices"] = []
    for index, message in sorted(messages.items()):
        choice_facts = facts.choice_facts(index) or {}
        answer |= choice_facts.get("answer", {})
        answer["choices"].append(
            {"index": index, **_choice_members(operation, message), **choice_facts.get("choice", {})}
        )
    return answer


def _choice_members(operation: Operation, message: MessageAccumulator) -> dict[str, Any]:
    reason = {"finish_reason": message.finish_reason}
    if operation == "chat":
        return {"message": message.message() or {"role": "assistant", "content": message.text}, **reason}
    return {"text": message.text, **reason}
