"""Operations beside texts, as OpenAI answers them: moderations, speech, transcriptions, images."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from framing import Cut, event
from media import MP3, PNG
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

PATHS = (
    "moderations",
    "audio/speech",
    "audio/transcriptions",
    "audio/translations",
    "images/generations",
    "images/edits",
    "images/variations",
)
TOKENS = {"type": "tokens", "input_tokens": 14, "output_tokens": 5, "total_tokens": 19}


async def answer(request: Request, met: Callable[[Request, Any], Awaitable[Response | None]]) -> Response:
    """Answer any of PATHS. `met` answers where all kinds of requests are answered alike."""
    operation = next(path for path in PATHS if request.url.path.endswith(path))
    body = await form_of(request) if "multipart" in request.headers["content-type"] else await request.json()
    if refusal := await met(request, body):
        return refusal
    behaviour = body["model"].partition(":")[0]
    if operation == "moderations":
        return JSONResponse({"id": "modr-1", "model": "upstream-1", "results": [moderation(body["input"])]})
    if operation == "audio/speech":
        if body.get("stream_format") == "sse":
            return StreamingResponse(speech_events(), media_type="text/event-stream")
        return StreamingResponse(speech(behaviour), media_type="audio/mpeg")
    if operation.startswith("audio/"):
        if body.get("stream") == "true":
            return StreamingResponse(transcript_events(behaviour), media_type="text/event-stream")
        if body.get("response_format") == "text":
            return PlainTextResponse("Good day.\n")
        return JSONResponse({"text": "Good day.", "language": "en", "usage": TOKENS})
    image = {"b64_json": base64.b64encode(PNG).decode(), "revised_prompt": "A very blue sky"}
    if body.get("response_format") == "url":
        image = {"url": "https://images.example/1.png"}
    if body.get("stream") in (True, "true"):
        return StreamingResponse(image_events(image), media_type="text/event-stream")
    return JSONResponse({"created": 1, "data": [image] * int(body.get("n") or 1), "usage": TOKENS})


async def form_of(request: Request) -> dict[str, Any]:
    """Return a form as an object; its files by their names, sizes and beginnings."""
    body: dict[str, Any] = {}
    for name, value in (await request.form()).multi_items():
        if isinstance(value, str):
            body[name] = value
        else:
            content = await value.read()
            body.setdefault("files", []).append(
                [name, value.filename, value.content_type, len(content), content[:3].hex()]
            )
    return body


def moderation(text: Any) -> dict[str, Any]:
    """Flag what has "kill" in it."""
    is_flagged = "kill" in json.dumps(text)
    categories = {"violence": is_flagged, "hate": False}
    return {"flagged": is_flagged, "categories": categories, "category_scores": {"violence": 0.9, "hate": 0.01}}


async def speech(behaviour: str) -> AsyncIterator[bytes]:
    """Yield audio in parts."""
    yield MP3[:100]
    if behaviour.startswith("cut-after"):
        raise Cut
    if behaviour.startswith("hang-after"):
        await asyncio.sleep(3600)
    yield MP3[100:]


async def speech_events() -> AsyncIterator[bytes]:
    for part in (MP3[:100], MP3[100:]):
        yield event({"type": "speech.audio.delta", "audio": base64.b64encode(part).decode()})
    yield event({"type": "speech.audio.done", "usage": TOKENS})


async def transcript_events(behaviour: str) -> AsyncIterator[bytes]:
    for delta in ("Good ", "day."):
        yield event({"type": "transcript.text.delta", "delta": delta})
        if behaviour.startswith("cut-after"):
            raise Cut
    yield event({"type": "transcript.text.done", "text": "Good day.", "usage": TOKENS})


async def image_events(image: dict[str, Any]) -> AsyncIterator[bytes]:
    yield event({"type": "image_generation.partial_image", "partial_image_index": 0, **image})
    yield event({"type": "image_generation.completed", **image, "usage": TOKENS})
