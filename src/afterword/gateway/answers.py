"""Checking the answers of providers that speak OpenAI's API: their form, their size, and errors within them.

Every whole answer passes through `check_answer`, every chunk of a stream through `ChunkReader.read`.
"""

from __future__ import annotations

from typing import Any

from afterword import json_text
from afterword.gateway.events import Event
from afterword.gateway.failures import error_in_answer, out_of_bounds, read_object, unreadable
from afterword.gateway.http import Address
from afterword.gateway.provider import Body, Operation, ProviderError

MAX_CHOICE_COUNT = 128
"""Bound on the choices of an answer. It is OpenAI's bound on n."""
# Finish reasons that mean a failure, at OpenRouter, Mistral, vLLM, SGLang, DeepSeek and Zhipu.
FAILED_REASONS = frozenset({"error", "abort", "aborted", "insufficient_system_resource", "network_error"})


class ChunkReader:
    """Reads the chunks of one stream, and tracks which of its choices have finished."""

    def __init__(self, address: Address, body: Body) -> None:
        self._address = address
        self._max_choices = max_choices(body)
        self._begun: set[int] = set()
        self._ended: set[int] = set()

    @property
    def is_finished(self) -> bool:
        """Whether there was a choice, and each has a finish reason."""
        return bool(self._begun) and self._begun <= self._ended

    @property
    def unfinished(self) -> list[int]:
        """The choices without a finish reason."""
        return sorted(self._begun - self._ended)

    def read(self, event: Event) -> Body:
        """Return the chunk in an event. Raises `ProviderError` if it is an error or not a chunk."""
        address = self._address
        try:
            chunk = read_object(address, event.data)
        except ProviderError:
            if event.name != b"error":
                raise
            raise error_in_answer(address, event.data.decode("utf-8", "replace")) from None
        choices = chunk.get("choices")
        if event.name == b"error" or is_error(chunk):
            raise error_in_answer(address, chunk)
        if not choices:
            return chunk
        if not isinstance(choices, list):
            raise unreadable(address, "a chunk with malformed choices", event.data)
        _check_choice_count(address, choices, self._max_choices)
        for choice in choices:
            if not isinstance(choice, dict):
                raise unreadable(address, "a chunk with malformed choices", event.data)
            index = choice["index"] = _index(address, choice, 0, self._max_choices)
            if "delta" not in choice and isinstance(choice.get("message"), dict) and index not in self._begun:
                _move_message_to_delta(choice)
            if not _is_choice(choice, "delta"):
                raise unreadable(address, "a chunk with malformed choices", event.data)
            _check_end(address, choice)
            self._begun.add(index)
            if choice.get("finish_reason"):
                self._ended.add(index)
        return chunk


def check_answer(address: Address, operation: Operation, answer: Body, body: Body) -> Body:
    """Return a whole answer after checking it. Raises `ProviderError`."""
    # Some providers report an error with status 200.
    if is_error(answer):
        raise error_in_answer(address, answer)
    if operation == "embeddings":
        if not isinstance(answer.get("data"), list):
            raise _not_an_answer_error(address, answer)
        return answer
    choices = answer.get("choices")
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        raise _not_an_answer_error(address, answer)
    choice_limit = max_choices(body)
    _check_choice_count(address, choices, choice_limit)
    indexes = [_index(address, choice, position, choice_limit) for position, choice in enumerate(choices)]
    if len(set(indexes)) < len(indexes):
        indexes = range(len(choices))
    for index, choice in zip(indexes, choices, strict=True):
        choice["index"] = index
        if not _is_choice(choice, "message"):
            raise _not_an_answer_error(address, answer)
        _check_end(address, choice)
        if operation == "chat" and choice.get("message") is None:
            # A content filter or the token limit ended the answer before its first word.
            if choice.get("finish_reason") is None:
                raise _not_an_answer_error(address, answer, "a choice that has no message and no finish_reason")
            choice["message"] = {"role": "assistant", "content": None}
    return answer


def as_chunk(answer: Body) -> Body:
    """Return a whole answer as the one chunk of a stream."""
    for choice in answer.get("choices") or []:
        _move_message_to_delta(choice)
    kind = "chat.completion.chunk" if answer.get("object") == "chat.completion" else answer.get("object")
    return {**answer, "object": kind}


def max_choices(body: Body) -> int:
    """Return how many choices an answer to this request may have."""
    number, prompts = body.get("n"), body.get("prompt")
    choices_per_prompt = number if isinstance(number, int) and number > 0 else 1
    return max(MAX_CHOICE_COUNT, choices_per_prompt * (len(prompts) if isinstance(prompts, list) else 1))


def choice_message(choice: Body) -> Any:
    """Return the message of a choice, or only its text if the message holds nothing else."""
    message = choice.get("message")
    if not isinstance(message, dict):
        return choice.get("text") or ""
    other_members = {
        name: value
        for name, value in message.items()
        if value not in (None, [], {}) and name not in ("role", "content", "id")
    }
    content = message.get("content")
    return (
        {"role": "assistant", "content": content, **other_members}
        if other_members or isinstance(content, list)
        else content or ""
    )


def _not_an_answer_error(
    address: Address, answer: Body, description: str = "something that is not an answer"
) -> ProviderError:
    return unreadable(address, description, json_text.encode(answer))


def is_error(answer: Body) -> bool:
    """Tell whether an answer or a chunk is an error, in any of the forms that providers use."""
    if answer.get("error"):
        return True
    if answer.get("choices") or "data" in answer:
        return False
    is_text_alone = "choices" not in answer and "usage" not in answer and "id" not in answer
    return answer.get("object") == "error" or (
        is_text_alone and any(isinstance(answer.get(name), str) for name in ("message", "detail", "msg"))
    )


def _check_end(address: Address, choice: Body) -> None:
    """Make the finish reason a string. Raises `ProviderError` if it means a failure."""
    reason = choice.get("finish_reason")
    if reason is not None and not isinstance(reason, str):
        reason = choice["finish_reason"] = str(reason)[:100]
    if error := choice.get("error"):
        raise error_in_answer(address, error)
    if reason and reason.casefold() in FAILED_REASONS:
        raise error_in_answer(address, {"message": f"its finish_reason is {reason!r}", "code": reason})


def _check_choice_count(address: Address, choices: list[Any], choice_limit: int) -> None:
    if len(choices) > choice_limit:
        raise out_of_bounds(address, f"{len(choices):,} choices at once; {choice_limit:,} are taken")


def _index(address: Address, choice: Body, default: int, choice_limit: int) -> int:
    """Return a choice's index. Raises `ProviderError` if it is out of bounds."""
    index = choice.get("index")
    if index is None:
        return default
    is_digits = isinstance(index, str) and index.isascii() and index.isdigit() and len(index) < 10
    if is_digits or (isinstance(index, float) and index.is_integer()):
        index = int(index)
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < choice_limit:
        raise out_of_bounds(
            address, f"a choice of index {index!r:.80}; an integer from 0 to {choice_limit - 1:,} is taken"
        )
    return index


def _is_choice(choice: Body, name: str) -> bool:
    """Tell whether a choice has the form that our code relies on. Its content is not checked."""
    return isinstance(choice.get(name) or {}, dict) and isinstance(choice.get("text") or "", str)


def _move_message_to_delta(choice: Body) -> None:
    message = choice.pop("message", None)
    if message is None:
        return
    calls = message.get("tool_calls")
    if isinstance(calls, list):
        numbered = [{"index": position, **call} for position, call in enumerate(calls) if isinstance(call, dict)]
        message = {**message, "tool_calls": numbered}
    choice["delta"] = message
