"""Answers in the form of Google's generateContent, whole and as the events of a stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from disturbances import disturbed
from framing import event

FELL_OVER = {"code": 500, "message": "The model fell over.", "status": "INTERNAL"}
USAGE = {"promptTokenCount": 11, "candidatesTokenCount": 5, "thoughtsTokenCount": 2, "totalTokenCount": 18}
CALL = {"functionCall": {"name": "get_weather", "args": {"city": "Paris"}}, "thoughtSignature": "c2ln"}


def complaint(body: dict[str, Any]) -> str | None:
    """Return what Google refuses a request for: it knows no other fields."""
    unknown = body.keys() - {
        "contents",
        "systemInstruction",
        "tools",
        "toolConfig",
        "generationConfig",
        "safetySettings",
        "cachedContent",
        "model",
    }
    return f"Invalid JSON payload received. Unknown name: {', '.join(sorted(unknown))}" if unknown else None


def parts_of(behaviour: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the parts of the answer, as a stream has them."""
    if behaviour == "tools":
        return [CALL]
    text = " ".join(part.get("text", "?") for part in body["contents"][-1]["parts"])
    words = f"You said: {text}".split(" ")
    return [{"text": "Hm.", "thought": True}] * (behaviour == "reasoning") + [
        {"text": word if place == 0 else f" {word}"} for place, word in enumerate(words)
    ]


def answer_of(parts: list[dict[str, Any]], finish_reason: str | None) -> dict[str, Any]:
    """Return an answer, or a part of one."""
    candidate = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish_reason:
        candidate["finishReason"] = finish_reason
    return {"candidates": [candidate], "usageMetadata": USAGE, "modelVersion": "gemini-up", "responseId": "resp-up"}


def whole(behaviour: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return a whole answer."""
    parts = parts_of(behaviour, body)
    texts = [part["text"] for part in parts if "text" in part and "thought" not in part]
    others = [part for part in parts if "text" not in part or "thought" in part]
    return answer_of([*others, {"text": "".join(texts)}] if texts else others, "STOP")


async def stream(behaviour: str, body: dict[str, Any]) -> AsyncIterator[bytes]:
    """Yield the events of a stream. It has no event of its own at the end."""
    if behaviour == "empty":
        return
    *parts, last = parts_of(behaviour, body)
    for place, part in enumerate([*parts, last]):
        if final := await disturbed(behaviour, place, event({"error": FELL_OVER})):
            yield final
            return
        reason = "STOP" if part is last and behaviour != "no-done" else None
        yield event(answer_of([part], reason))
