"""A whole answer put together from a stream, for providers and relays that stream although nobody asked them to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from afterword.gateway.accumulator import MessageAccumulator
from afterword.gateway.events import MOST_BYTES
from afterword.gateway.facts import FactsAccumulator
from afterword.gateway.provider import Body, Face


def assemble(face: Face, chunks: Iterable[Body]) -> Body:
    """Return the whole answer that the chunks of a stream bring. Raises `ProviderError` beyond the bounds."""
    messages: dict[int, MessageAccumulator] = defaultdict(MessageAccumulator)
    facts = FactsAccumulator(MOST_BYTES)
    answer: Body = {}
    for chunk in chunks:
        answer.update({name: value for name, value in chunk.items() if value not in (None, "", [])})
        facts.take(chunk)
        for choice in chunk.get("choices") or ():
            messages[choice["index"]].take(choice)
    if face == "chat":
        answer["object"] = "chat.completion"
    answer["choices"] = []
    for index, message in sorted(messages.items()):
        of_choice = facts.of_choice(index) or {}
        answer |= of_choice.get("answer", {})
        answer["choices"].append({"index": index, **_said(face, message), **of_choice.get("choice", {})})
    return answer


def _said(face: Face, said: MessageAccumulator) -> dict[str, Any]:
    reason = {"finish_reason": said.finish_reason}
    if face == "chat":
        return {"message": said.message() or {"role": "assistant", "content": said.text}, **reason}
    return {"text": said.text, **reason}
