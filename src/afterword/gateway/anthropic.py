"""Anthropic's Messages API, in OpenAI's form.

Source of the forms: Anthropic's API reference (Messages, Streaming, Structured outputs), version 2023-06-01.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Any
from urllib.parse import quote

import msgspec

from afterword.gateway import jsontext
from afterword.gateway.events import Event
from afterword.gateway.failures import error_in_answer, hung_up, read_object, unreadable
from afterword.gateway.http import Address, Http
from afterword.gateway.openai import environment, fitted
from afterword.gateway.provider import Body, Face, ProviderError
from afterword.types import Target

VERSION = "2023-06-01"
ENDPOINT = "https://api.anthropic.com"
# The API wants a bound; this is what callers get who give none.
MAX_TOKENS = 4096
# What `reasoning_effort` is worth in tokens of thinking.
THINKING = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768}
STOPPED = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
# The statuses that errors in the middle of a stream would have had before it.
STATUSES = {"overloaded_error": 529, "rate_limit_error": 429, "api_error": 500, "timeout_error": 504}
# Of OpenAI's request: what is translated here, and what the API would refuse.
TRANSLATED = frozenset(
    {
        "messages", "prompt", "tools", "tool_choice", "parallel_tool_calls", "max_tokens", "max_completion_tokens",
        "stop", "response_format", "reasoning_effort", "stream", "stream_options", "n",
    }
)  # fmt: skip
UNKNOWN_THERE = frozenset(
    {
        "frequency_penalty", "presence_penalty", "logit_bias", "logprobs", "top_logprobs", "seed", "modalities",
        "audio", "prediction", "functions", "function_call", "best_of", "echo", "suffix", "verbosity",
        "web_search_options",
    }
)  # fmt: skip

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()


class Anthropic:
    """The provider `anthropic`."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def answer(self, target: Target, face: Face, body: Body) -> Body:
        """Return the whole answer; several choices are as many calls at once."""
        address = _address(target, face)
        request = _translated(target, body)
        calls = [self._http.post(address, request) for _ in range(body.get("n") or 1)]
        said = [_read(address, one, face) for one in await _all(calls)]
        whole = said[0]
        for index, one in enumerate(said[1:], 1):
            whole["choices"].append({**one["choices"][0], "index": index})
            for name in ("completion_tokens", "total_tokens"):
                whole["usage"][name] += one["usage"][name]
        return whole

    async def stream(self, target: Target, face: Face, body: Body) -> AsyncGenerator[Body, None]:
        """Yield the chunks as they come."""
        if (body.get("n") or 1) > 1:
            raise ProviderError(
                f"n is {body['n']}, but {target.key!r} streams one choice at a time.",
                status=400,
                code="unsupported_value",
                param="n",
                hint="Leave n out, or call without stream.",
            )
        address = _address(target, face)
        request = _translated(target, body, stream=True)
        translation = Translation(address, face)
        async with aclosing(self._http.events(address, request, _is_last)) as events:
            async for event in events:
                if isinstance(event, dict):
                    raise hung_up(address, "a whole answer where a stream was asked for")
                for chunk in _parts(translation, address, event.data):
                    yield chunk
        if not translation.ended:
            raise hung_up(address)

    async def check(self, target: Target) -> None:
        """Ask for the model."""
        status, _ = await self._http.look(_at(target, f"/v1/models/{quote(target.model, safe='')}"))
        if status in (401, 403):
            raise ProviderError(
                f"The provider of {target.key!r} refused the API key.", status=502, code="provider_refused_key"
            )
        if status == 404 or status >= 500:
            raise ProviderError(
                f"The provider of {target.key!r} answered {status}.", status=502, code="provider_failed"
            )

    async def close(self) -> None:
        """The connections are the session's."""


def _translated(target: Target, body: Body, **more: Any) -> bytes:
    """Return the request's bytes. Raises `ProviderError` for one that is no chat of OpenAI's."""
    try:
        return jsontext.encode(fitted(target, {**asked(body), **more}))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ProviderError(
            f"The call cannot be put into the form of Anthropic's API: {type(error).__name__}: {error}.",
            status=422,
            code="untranslatable",
            hint="Check messages, tools and response_format against OpenAI's reference.",
            sent=False,
        ) from None


def _read(address: Address, message: Body, face: Face) -> Body:
    """Return an answer in OpenAI's form. Raises `ProviderError` for one that tells of a failure, or is none."""
    if message.get("type") == "error":
        error = message.get("error")
        raise error_in_answer(address, error, STATUSES.get(error.get("type", "")) if isinstance(error, dict) else None)
    try:
        return answered(message, face)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise unreadable(address, "a message of another form", _encoder.encode(message)) from None


def _parts(translation: Translation, address: Address, data: bytes) -> Iterable[Body]:
    """Return the chunks that an event stands for. Raises `ProviderError`."""
    try:
        return list(translation.take(read_object(address, data)))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise unreadable(address, "an event of another form", data) from None


async def _all(calls: list[Any]) -> list[Body]:
    if len(calls) == 1:
        return [await calls[0]]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in calls]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


def _is_last(event: Event) -> bool:
    return event.name == b"message_stop"


def _at(target: Target, path: str) -> Address:
    endpoint = target.endpoint or environment(["ANTHROPIC_BASE_URL"]) or ENDPOINT
    key = target.api_key or environment(["ANTHROPIC_API_KEY"])
    own = {"anthropic-version": VERSION, **({"x-api-key": key} if key else {})}
    return Address.of(target, endpoint.rstrip("/").removesuffix("/v1") + path, key, own)


def _address(target: Target, face: Face) -> Address:
    if face == "embeddings":
        raise ProviderError(
            f"The provider of {target.key!r} has no embeddings.", status=400, code="unsupported", param="model"
        )
    return _at(target, "/v1/messages")


# ------------------------------------------------------------------------------------------------ requests


def asked(body: Body) -> Body:
    """Return a request in the form of the Messages API."""
    messages = body.get("messages")
    if messages is None:
        prompt = body.get("prompt")
        messages = [{"role": "user", "content": prompt if isinstance(prompt, str) else str(prompt)}]
    system, turns = _turns(messages)
    request: Body = {name: value for name, value in body.items() if name not in TRANSLATED | UNKNOWN_THERE}
    request["messages"] = turns
    request["max_tokens"] = body.get("max_completion_tokens") or body.get("max_tokens") or MAX_TOKENS
    _ask_for_form(request, system, body.get("response_format"))
    if system:
        request["system"] = system
    if stop := body.get("stop"):
        request["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    if tools := body.get("tools"):
        request["tools"] = [_tool(one) for one in tools]
        if choice := _tool_choice(body.get("tool_choice"), body.get("parallel_tool_calls")):
            request["tool_choice"] = choice
    budget = THINKING.get(body.get("reasoning_effort") or "")
    if budget and "thinking" not in request:
        request["thinking"] = {"type": "enabled", "budget_tokens": budget}
        request["max_tokens"] += budget
    return request


def _ask_for_form(request: Body, system: list[Body], form: Any) -> None:
    kind = form.get("type") if isinstance(form, dict) else None
    if kind == "json_schema":
        schema = form.get("json_schema", {}).get("schema", {})
        request["output_config"] = {**request.get("output_config", {}), "format": {"type": kind, "schema": schema}}
    elif kind == "json_object":
        system.append({"type": "text", "text": "Answer with one JSON object and nothing else."})


def _turns(messages: Iterable[Body]) -> tuple[list[Body], list[Body]]:
    """Return the system's blocks, and the turns: neighbours of one role are one turn."""
    system: list[Body] = []
    turns: list[Body] = []
    for message in messages:
        role, blocks = message.get("role"), _blocks(message.get("content"))
        if role in ("system", "developer"):
            system += blocks
            continue
        if role == "tool":
            role = "user"
            blocks = [{"type": "tool_result", "tool_use_id": message.get("tool_call_id", ""), "content": blocks}]
        elif role == "assistant":
            thoughts = message.get("thinking_blocks") or []
            blocks = [*thoughts, *blocks, *map(_tool_use, message.get("tool_calls") or [])]
        else:
            # Roles such as `document` are material that the user brings.
            role = "user"
        if not blocks:
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    return system, turns


def _blocks(content: Any) -> list[Body]:
    if not content:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [_block(part) for part in content if part.get("type") != "text" or part.get("text")]


def _block(part: Body) -> Body:
    kind = part.get("type")
    if kind == "refusal":
        return {"type": "text", "text": part.get("refusal", "")}
    if kind == "image_url":
        address = part["image_url"]
        return {"type": "image", "source": _source(address["url"] if isinstance(address, dict) else address)}
    if kind == "file" and isinstance(part.get("file"), dict) and part["file"].get("file_data"):
        return {"type": "document", "source": _source(part["file"]["file_data"])}
    return part


def _source(address: str) -> Body:
    head, comma, data = address.partition(",")
    if comma and head.startswith("data:"):
        return {"type": "base64", "media_type": head[5:].partition(";")[0], "data": data}
    return {"type": "url", "url": address}


def _tool_use(call: Body) -> Body:
    function = call.get("function", {})
    try:
        arguments = _decoder.decode(function.get("arguments") or "{}")
    except msgspec.DecodeError:
        arguments = {"arguments": function.get("arguments")}
    return {"type": "tool_use", "id": call.get("id", ""), "name": function.get("name", ""), "input": arguments}


def _tool(tool: Body) -> Body:
    if tool.get("type") != "function":
        # One of the provider's own.
        return tool
    function = tool.get("function", {})
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    fit = {"name": function.get("name"), "input_schema": schema}
    if function.get("description"):
        fit["description"] = function["description"]
    if function.get("strict") is not None:
        fit["strict"] = function["strict"]
    return fit


def _tool_choice(choice: Any, parallel: bool | None) -> Body | None:
    fit: Body | None = None
    if isinstance(choice, str):
        fit = {"type": {"required": "any"}.get(choice, choice)}
    elif isinstance(choice, dict):
        fit = {"type": "tool", "name": choice.get("function", {}).get("name")}
    if parallel is False:
        fit = {**(fit or {"type": "auto"})}
        if fit["type"] != "none":
            fit["disable_parallel_tool_use"] = True
    return fit


# ------------------------------------------------------------------------------------------------ answers


def answered(message: Body, face: Face) -> Body:
    """Return a whole answer in OpenAI's form."""
    said: Body = {"role": "assistant", "content": None}
    texts = [block["text"] for block in message.get("content", ()) if block.get("type") == "text"]
    if texts:
        said["content"] = "".join(texts)
    thoughts = [block for block in message.get("content", ()) if block.get("type") in ("thinking", "redacted_thinking")]
    if thoughts:
        said["reasoning_content"] = "".join(block.get("thinking", "") for block in thoughts)
        said["thinking_blocks"] = thoughts
    uses = [block for block in message.get("content", ()) if block.get("type") == "tool_use"]
    if uses:
        said["tool_calls"] = [
            {
                "id": block.get("id"),
                "type": "function",
                "function": {"name": block.get("name"), "arguments": _encoder.encode(block.get("input", {})).decode()},
            }
            for block in uses
        ]
    reason = STOPPED.get(message.get("stop_reason") or "", message.get("stop_reason"))
    choice: Body = {"index": 0, "finish_reason": reason}
    choice |= {"text": said["content"] or ""} if face == "completions" else {"message": said}
    return {**_head(message, face), "choices": [choice], "usage": _usage(message.get("usage") or {})}


def _head(message: Body, face: Face, *, part: bool = False) -> Body:
    kind = "text_completion" if face == "completions" else f"chat.completion{'.chunk' if part else ''}"
    return {
        "id": message.get("id", ""),
        "object": kind,
        "created": int(time.time()),
        "model": message.get("model", ""),
    }


def _usage(usage: Body) -> Body:
    cached, made = usage.get("cache_read_input_tokens") or 0, usage.get("cache_creation_input_tokens") or 0
    prompt = (usage.get("input_tokens") or 0) + cached + made
    completion = usage.get("output_tokens") or 0
    fit: Body = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    if cached or made:
        fit["prompt_tokens_details"] = {"cached_tokens": cached, "cache_creation_tokens": made}
    return fit


class Translation:
    """A stream of events on its way to OpenAI's chunks."""

    def __init__(self, address: Address, face: Face) -> None:
        self.ended = False
        """Whether the provider said that this was all."""
        self._address = address
        self._face: Face = face
        self._head: Body = _head({}, face, part=True)
        self._usage: Body = {}
        # OpenAI counts tool calls, Anthropic all blocks.
        self._tools: dict[int, int] = {}

    def take(self, event: Body) -> Iterable[Body]:
        """Return the chunks that an event stands for. Raises `ProviderError` for one that tells of a failure."""
        match event.get("type"):
            case "message_start":
                message = event.get("message") or {}
                self._head = _head(message, self._face, part=True)
                self._usage = dict(message.get("usage") or {})
                return [self._chunk({"role": "assistant", "content": ""})]
            case "content_block_start":
                return self._begin(event.get("index", 0), event.get("content_block") or {})
            case "content_block_delta":
                return self._go_on(event.get("index", 0), event.get("delta") or {})
            case "message_delta":
                self._usage |= {k: v for k, v in (event.get("usage") or {}).items() if v is not None}
                reason = (event.get("delta") or {}).get("stop_reason")
                return [self._chunk({}, STOPPED.get(reason, reason))] if reason else []
            case "message_stop":
                self.ended = True
                return [{**self._head, "choices": [], "usage": _usage(self._usage)}]
            case "error":
                error = event.get("error") or {}
                raise error_in_answer(self._address, error, STATUSES.get(str(error.get("type"))))
            case None if event.get("error"):
                # A proxy before the API has its own form.
                raise error_in_answer(self._address, event)
        return ()

    def _begin(self, index: int, block: Body) -> Iterable[Body]:
        if block.get("type") == "tool_use":
            place = self._tools[index] = len(self._tools)
            function = {"name": block.get("name"), "arguments": ""}
            call = {"index": place, "id": block.get("id"), "type": "function", "function": function}
            return [self._chunk({"tool_calls": [call]})]
        if block.get("type") == "redacted_thinking":
            return [self._chunk({"thinking_blocks": [{"index": index, **block}]})]
        return [self._chunk({"content": block["text"]})] if block.get("text") else ()

    def _go_on(self, index: int, delta: Body) -> Iterable[Body]:
        match delta.get("type"):
            case "text_delta":
                return [self._chunk({"content": delta.get("text", "")})]
            case "thinking_delta":
                text = delta.get("thinking", "")
                block = {"index": index, "type": "thinking", "thinking": text}
                return [self._chunk({"reasoning_content": text, "thinking_blocks": [block]})]
            case "signature_delta":
                return [self._chunk({"thinking_blocks": [{"index": index, "signature": delta.get("signature", "")}]})]
            case "input_json_delta":
                function = {"arguments": delta.get("partial_json", "")}
                return [self._chunk({"tool_calls": [{"index": self._tools.get(index, 0), "function": function}]})]
        return ()

    def _chunk(self, delta: Body, finish_reason: str | None = None) -> Body:
        said = {"text": delta.get("content", "")} if self._face == "completions" else {"delta": delta}
        return {**self._head, "choices": [{"index": 0, **said, "finish_reason": finish_reason}]}
