"""A model that says again what it was told: the same for ever, for demos, tests and benchmarks."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
import time
from collections.abc import AsyncGenerator
from typing import Any

from afterword.gateway.provider import Body, Face, ProviderError, Target
from afterword.gateway.response import ProviderResponse

DIMENSIONS = 64
MOST_DIMENSIONS = 4096
MOST_CHOICES = 128

_WORDS = re.compile(r"\s*\S+\s*?")


class Echo:
    """The provider `echo`: it answers with the text of the last message of the user, a word a chunk, a word a token."""

    async def answer(self, target: Target, face: Face, body: Body, response: ProviderResponse) -> Body:
        """Return the whole answer."""
        if face == "embeddings":
            return _embeddings(target, body)
        head, said = _head(target, face, body), _said(face, body)
        answers = [text for text in said for _ in range(_choices(body))]
        return {
            **head,
            "choices": [_choice(face, index, text) for index, text in enumerate(answers)],
            "usage": _usage(said, answers),
        }

    async def stream(
        self, target: Target, face: Face, body: Body, response: ProviderResponse
    ) -> AsyncGenerator[Body, None]:
        """Yield a chunk for each word."""
        said = _said(face, body)
        answers = [text for text in said for _ in range(_choices(body))]
        head = _head(target, face, body)
        if face == "chat":
            head["object"] = "chat.completion.chunk"
        for index, text in enumerate(answers):
            if face == "chat":
                yield {**head, "choices": [_part(index, {"role": "assistant", "content": ""})]}
            for word in _WORDS.findall(text):
                part = _part(index, {"content": word}) if face == "chat" else _choice(face, index, word, None)
                yield {**head, "choices": [part]}
            end = _part(index, {}, "stop") if face == "chat" else _choice(face, index, "")
            yield {**head, "choices": [end]}
        yield {**head, "choices": [], "usage": _usage(said, answers)}

    async def check(self, target: Target) -> None:
        """It is always there."""

    async def close(self) -> None:
        """Nothing is open."""


def _head(target: Target, face: Face, body: Body) -> Body:
    name = hashlib.blake2b(repr((time.time_ns(), id(body))).encode(), digest_size=12).hexdigest()
    prefix, kind = ("chatcmpl", "chat.completion") if face == "chat" else ("cmpl", "text_completion")
    return {"id": f"{prefix}-{name}", "object": kind, "created": int(time.time()), "model": target.model}


def _choices(body: Body) -> int:
    number = body.get("n")
    if number is None:
        return 1
    if not isinstance(number, int) or not 1 <= number <= MOST_CHOICES:
        raise ProviderError(
            f"n is {number!r:.80}, but must be a whole number from 1 to {MOST_CHOICES}.",
            status=400,
            code="invalid_value",
            param="n",
        )
    return number


def _said(face: Face, body: Body) -> list[str]:
    """Return the text to say again, for each prompt."""
    if face == "completions":
        prompt = body.get("prompt", "")
        return [str(one) for one in prompt] if isinstance(prompt, list) else [str(prompt)]
    for message in reversed(body["messages"]):
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, list):
                texts = [part.get("text") for part in content if isinstance(part, dict)]
                return ["\n".join(text for text in texts if isinstance(text, str))]
            return [content if isinstance(content, str) else "" if content is None else str(content)]
    return [""]


def _choice(face: Face, index: int, text: str, finish_reason: str | None = "stop") -> Body:
    said: Body = {"message": {"role": "assistant", "content": text}} if face == "chat" else {"text": text}
    return {"index": index, **said, "logprobs": None, "finish_reason": finish_reason}


def _part(index: int, delta: Body, finish_reason: str | None = None) -> Body:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _usage(asked: list[str], answers: list[str]) -> Body:
    prompt = sum(len(text.split()) for text in asked)
    completion = sum(len(text.split()) for text in answers)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _embeddings(target: Target, body: Body) -> Body:
    given = body.get("input")
    if not given or not isinstance(given, str | list):
        raise ProviderError(
            f"input is {given!r:.80}, but must be a text, or a list of texts.",
            status=400,
            code="invalid_value",
            param="input",
        )
    texts: list[Any] = [given] if isinstance(given, str) or isinstance(given[0], int) else given
    number = body.get("dimensions") or DIMENSIONS
    if not isinstance(number, int) or not 1 <= number <= MOST_DIMENSIONS:
        raise ProviderError(
            f"dimensions is {number!r:.80}, but must be a whole number from 1 to {MOST_DIMENSIONS}.",
            status=400,
            code="invalid_value",
            param="dimensions",
        )
    as_base64 = body.get("encoding_format") == "base64"
    data = []
    for index, text in enumerate(texts):
        vector = _vector(str(text), number)
        shown = base64.b64encode(struct.pack(f"<{number}f", *vector)).decode() if as_base64 else vector
        data.append({"object": "embedding", "index": index, "embedding": shown})
    tokens = sum(len(str(text).split()) for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": target.model, "data": data, "usage": usage}


def _vector(text: str, number: int) -> list[float]:
    """Return a vector of length 1 that follows from the text."""
    raw = hashlib.shake_256(text.encode("utf-8", "surrogatepass")).digest(4 * number)
    numbers = [one / 0xFFFFFFFF - 0.5 for one in struct.unpack(f"<{number}I", raw)]
    length = sum(one * one for one in numbers) ** 0.5 or 1.0
    return [one / length for one in numbers]
