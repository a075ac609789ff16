"""A provider within the server, whose models repeat the prompt: deterministic, for demos, tests and benchmarks."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
import time
from collections.abc import AsyncGenerator
from typing import Any

from afterword.gateway.provider import Body, Operation, ProviderError, ProviderSpec
from afterword.gateway.response import ProviderResponse
from afterword.types import Target

DEFAULT_DIMENSION_COUNT = 64
MAX_DIMENSION_COUNT = 4096
MAX_CHOICE_COUNT = 128

_WORDS = re.compile(r"\s*\S+\s*?")


class Echo:
    """The adapter of the provider `echo`: it answers with the user's last message, one token and one chunk per word."""

    async def answer(self, target: Target, operation: Operation, body: Body, response: ProviderResponse) -> Body:
        """Return the whole answer."""
        if operation == "embeddings":
            return _embeddings(target, body)
        head, prompts = _head(target, operation, body), _prompts(operation, body)
        answers = [text for text in prompts for _ in range(_choice_count(body))]
        return {
            **head,
            "choices": [_choice(operation, index, text) for index, text in enumerate(answers)],
            "usage": _usage(prompts, answers),
        }

    async def stream(
        self, target: Target, operation: Operation, body: Body, response: ProviderResponse
    ) -> AsyncGenerator[Body, None]:
        """Yield a chunk for each word."""
        prompts = _prompts(operation, body)
        answers = [text for text in prompts for _ in range(_choice_count(body))]
        head = _head(target, operation, body)
        if operation == "chat":
            head["object"] = "chat.completion.chunk"
        for index, text in enumerate(answers):
            if operation == "chat":
                yield {**head, "choices": [_chunk_choice(index, {"role": "assistant", "content": ""})]}
            for word in _WORDS.findall(text):
                part = (
                    _chunk_choice(index, {"content": word})
                    if operation == "chat"
                    else _choice(operation, index, word, None)
                )
                yield {**head, "choices": [part]}
            end = _chunk_choice(index, {}, "stop") if operation == "chat" else _choice(operation, index, "")
            yield {**head, "choices": [end]}
        yield {**head, "choices": [], "usage": _usage(prompts, answers)}

    async def check(self, target: Target) -> None:
        """Do nothing: this provider is always reachable."""

    async def close(self) -> None:
        """Do nothing: there are no connections."""


def _head(target: Target, operation: Operation, body: Body) -> Body:
    name = hashlib.blake2b(repr((time.time_ns(), id(body))).encode(), digest_size=12).hexdigest()
    prefix, kind = ("chatcmpl", "chat.completion") if operation == "chat" else ("cmpl", "text_completion")
    return {"id": f"{prefix}-{name}", "object": kind, "created": int(time.time()), "model": target.model}


def _choice_count(body: Body) -> int:
    number = body.get("n")
    if number is None:
        return 1
    if not isinstance(number, int) or not 1 <= number <= MAX_CHOICE_COUNT:
        raise ProviderError(
            f"n is {number!r:.80}, but must be an integer from 1 to {MAX_CHOICE_COUNT}.",
            status=400,
            code="invalid_value",
            param="n",
        )
    return number


def _prompts(operation: Operation, body: Body) -> list[str]:
    """Return the text to repeat, for each prompt."""
    if operation == "completions":
        prompt = body.get("prompt", "")
        return [str(element) for element in prompt] if isinstance(prompt, list) else [str(prompt)]
    for message in reversed(body["messages"]):
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, list):
                texts = [part.get("text") for part in content if isinstance(part, dict)]
                return ["\n".join(text for text in texts if isinstance(text, str))]
            return [content if isinstance(content, str) else "" if content is None else str(content)]
    return [""]


def _choice(operation: Operation, index: int, text: str, finish_reason: str | None = "stop") -> Body:
    choice_content: Body = (
        {"message": {"role": "assistant", "content": text}} if operation == "chat" else {"text": text}
    )
    return {"index": index, **choice_content, "logprobs": None, "finish_reason": finish_reason}


def _chunk_choice(index: int, delta: Body, finish_reason: str | None = None) -> Body:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _usage(prompts: list[str], answers: list[str]) -> Body:
    prompt = sum(len(text.split()) for text in prompts)
    completion = sum(len(text.split()) for text in answers)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _embeddings(target: Target, body: Body) -> Body:
    input_value = body.get("input")
    if not input_value or not isinstance(input_value, str | list):
        raise ProviderError(
            f"input is {input_value!r:.80}, but must be a string, or an array of strings.",
            status=400,
            code="invalid_value",
            param="input",
        )
    texts: list[Any] = [input_value] if isinstance(input_value, str) or isinstance(input_value[0], int) else input_value
    number = body.get("dimensions") or DEFAULT_DIMENSION_COUNT
    if not isinstance(number, int) or not 1 <= number <= MAX_DIMENSION_COUNT:
        raise ProviderError(
            f"dimensions is {number!r:.80}, but must be an integer from 1 to {MAX_DIMENSION_COUNT}.",
            status=400,
            code="invalid_value",
            param="dimensions",
        )
    as_base64 = body.get("encoding_format") == "base64"
    data = []
    for index, text in enumerate(texts):
        vector = _vector(str(text), number)
        embedding = base64.b64encode(struct.pack(f"<{number}f", *vector)).decode() if as_base64 else vector
        data.append({"object": "embedding", "index": index, "embedding": embedding})
    tokens = sum(len(str(text).split()) for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": target.model, "data": data, "usage": usage}


def _vector(text: str, number: int) -> list[float]:
    """Return a vector of length 1, computed from a hash of the text."""
    raw = hashlib.shake_256(text.encode("utf-8", "surrogatepass")).digest(4 * number)
    numbers = [integer / 0xFFFFFFFF - 0.5 for integer in struct.unpack(f"<{number}I", raw)]
    length = sum(component * component for component in numbers) ** 0.5 or 1.0
    return [component / length for component in numbers]


SPEC = ProviderSpec(
    name="echo",
    title="echo: says again what it is told",
    adapter=lambda http, spec: Echo(),
    otel_name="echo",
    fields=(),
)
