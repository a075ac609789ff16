"""Says messages in words: the one rule for list previews, the text index and other places that show a message as text.

A message may have no text at all: it may call tools, refuse, or carry sound, files or images. web/src/rules/words.ts is
the same rule for the page; tests/message_words.json holds both to the same answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple, TypeAlias, TypeGuard

PartKind: TypeAlias = Literal["text", "refusal", "reasoning", "tool", "image", "audio", "file", "other"]

MAX_PARSED_CHARACTERS = 200_000
"""Arguments of a tool call beyond this are taken as they are, and not parsed."""
MAX_DEPTH = 50
"""Levels of a tool's arguments beyond this are written as `…`."""

MAX_CONTENTS = 100
MAX_TOOL_CHARACTERS = 200
"""The name of a tool beyond this is not compared."""

_CONTENTS_ANYWHERE: dict[PartKind, str] = {"image": "images", "audio": "audio", "file": "files"}
_CONTENTS: dict[PartKind, str] = {
    **_CONTENTS_ANYWHERE, "tool": "tools", "reasoning": "reasoning", "refusal": "refusal",
}  # fmt: skip
CONTENTS = tuple(_CONTENTS.values())
"""The values of `has`."""

VECTOR_NUMBER_BYTES = 4
"""The size of a number in a vector that is given as base64."""

_THINK = re.compile(r"\s*<think>")
_IMAGE_TYPES = frozenset({"image_url", "input_image", "image"})
_AUDIO_TYPES = frozenset({"input_audio", "audio"})
_FILE_TYPES = frozenset({"file", "input_file"})
_THOUGHT_TYPES = frozenset({"thinking", "reasoning"})
_TOOL_USE_TYPES = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
_ITEM_FACTS = frozenset({
    "id", "type", "status", "name", "server_label", "container_id",
    "output", "outputs", "results", "result", "sources", "error",
})  # fmt: skip
"""The members of the call of a hosted tool that are not its arguments."""


class MessagePart(NamedTuple):
    """A part of a message. `words` are its own words: empty for an image, or for sound without a transcript."""

    kind: PartKind
    words: str
    name: str = ""
    """The name of a tool, or the type of a part that is shown by it."""


def message_words(message: dict[str, Any]) -> str:
    """Return a message as text, one line or more for each part, such as `weather(city: "Paris")` or `[image]`.

    Reasoning is left out, unless the message has nothing else; then it is marked as such.
    """
    if (text := _plain_text(message)) is not None:
        return text
    parts = list(message_parts(message))
    texts = [part.words or f"[{part.name or part.kind}]" for part in parts if part.kind != "reasoning"]
    return "\n".join(texts or [f"[reasoning] {part.words}" for part in parts])


def searchable_words(message: dict[str, Any]) -> tuple[str, str]:
    """Return the words of a message by which a search finds it: all but reasoning, and reasoning."""
    if (text := _plain_text(message)) is not None:
        return text, ""
    words: list[str] = []
    reasoning: list[str] = []
    for part in message_parts(message):
        if part.words:
            (reasoning if part.kind == "reasoning" else words).append(part.words)
    return "\n\n".join(words), "\n\n".join(reasoning)


def message_contents(messages: Iterable[dict[str, Any]], completion: dict[str, Any]) -> list[str]:
    """Return what an interaction holds beside plain text, such as `["images", "tool:weather", "tools"]`.

    Images, sound and files count wherever they are. Tool calls, reasoning and refusals count in the completion only: an
    agent repeats those of earlier turns in its messages.
    """
    contents: set[str] = set()
    for message in messages:
        if may_hold_media(message):
            kinds = {part.kind for part in message_parts(message)}
            contents.update(name for kind, name in _CONTENTS_ANYWHERE.items() if kind in kinds)
    for part in message_parts(completion) if _plain_text(completion) is None else ():
        if name := _CONTENTS.get(part.kind):
            contents.add(name)
        if part.kind == "tool" and len(contents) < MAX_CONTENTS:
            contents.add(f"tool:{part.name[:MAX_TOOL_CHARACTERS]}")
    return sorted(contents)


def may_hold_media(message: dict[str, Any]) -> bool:
    """Return whether a message has what images, sound and files stand in. Most have a text."""
    return isinstance(message.get("content"), list) or "audio" in message or "images" in message


def message_parts(message: dict[str, Any]) -> Iterator[MessagePart]:
    """Yield the parts of a message: its reasoning, its content, then what stands beside the content."""
    yield from _reasoning_beside(message)
    content = message.get("content")
    if isinstance(content, str):
        yield from _text_parts(content, is_answer=message.get("role") == "assistant")
    elif isinstance(content, list):
        for part in content:
            if not _is_tool_use(part) and not _is_hosted_result(part):
                yield from _content_parts(part)
    if refusal := _text(message.get("refusal")):
        yield MessagePart("refusal", refusal)
    if isinstance(audio := message.get("audio"), dict):
        yield MessagePart("audio", _text(audio.get("transcript")))
    if isinstance(images := message.get("images"), list):
        for image in images:
            if isinstance(image, dict):
                yield from _content_parts(image)
    yield from _tool_parts(message)


def _plain_text(message: dict[str, Any]) -> str | None:
    """Return the text of a message that has nothing else, as most have; None for all others."""
    content = message.get("content")
    is_plain = isinstance(content, str) and len(message) == 1 + ("role" in message) and not _THINK.match(content)
    return content if is_plain else None


def _tool_parts(message: dict[str, Any]) -> Iterator[MessagePart]:
    calls, content = message.get("tool_calls"), message.get("content")
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, dict):
            yield _tool_part(call)
    if isinstance(call := message.get("function_call"), dict):
        yield _tool_part({"function": call})
    for parts in (content, message.get("provider_blocks")):
        yield from (_tool_part(part) for part in (parts if isinstance(parts, list) else ()) if _is_tool_use(part))
    items = message.get("response_items")
    yield from (_hosted_tool_part(item) for item in (items if isinstance(items, list) else ()) if _is_hosted_call(item))


def _is_hosted_call(item: Any) -> TypeGuard[dict[str, Any]]:
    """Return whether an item of OpenAI's Responses API calls a tool that the provider runs.

    Calls that the caller answers have a `call_id`, and stand in the message's `tool_calls`.
    """
    return isinstance(item, dict) and _text(item.get("type")).endswith("_call") and "call_id" not in item


def _is_tool_use(part: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(part, dict) and _text(part.get("type")) in _TOOL_USE_TYPES


def _is_hosted_result(part: Any) -> bool:
    """Return whether a block is what one of Anthropic's own tools returned, such as `web_search_tool_result`."""
    return isinstance(part, dict) and _text(part.get("type")).endswith("_tool_result")


def _reasoning_beside(message: dict[str, Any]) -> Iterator[MessagePart]:
    reasoning = _text(message.get("reasoning_content")) or _text(message.get("reasoning"))
    if reasoning:
        yield MessagePart("reasoning", reasoning)


def _text_parts(content: str, *, is_answer: bool) -> Iterator[MessagePart]:
    """Yield a text, and before it the reasoning that some models write between <think> tags."""
    end = content.find("</think>") if is_answer and _THINK.match(content) else -1
    if end < 0:
        if content:
            yield MessagePart("text", content)
        return
    reasoning = content[content.index("<think>") + len("<think>") : end].strip()
    if reasoning:
        yield MessagePart("reasoning", reasoning)
    if text := content[end + len("</think>") :].lstrip():
        yield MessagePart("text", text)


def _content_parts(part: Any) -> Iterator[MessagePart]:
    """Yield the parts that a part of the content has: one, but for what has contents of its own, such as results."""
    if isinstance(part, str):
        part = {"type": "text", "text": part}
    elif not isinstance(part, dict):
        part = {}
    kind = _text(part.get("type")) or "part"
    if kind == "refusal":
        yield MessagePart("refusal", _text(part.get("refusal")) or _text(part.get("text")))
    elif kind == "tool_result":
        content = part.get("content")
        for inner in content if isinstance(content, list) else [content or ""]:
            # A result holds no further results.
            if not isinstance(inner, dict) or inner.get("type") != "tool_result":
                yield from _content_parts(inner)
    elif kind in _THOUGHT_TYPES and (reasoning := _first_text(part, "thinking", "text", "reasoning")):
        yield MessagePart("reasoning", reasoning)
    elif kind in _IMAGE_TYPES:
        yield MessagePart("image", "")
    elif kind in _AUDIO_TYPES:
        inner = part.get("input_audio")
        yield MessagePart("audio", _text((inner if isinstance(inner, dict) else part).get("transcript")))
    elif kind in _FILE_TYPES or "fileData" in part:
        inner = part.get("fileData", part.get("file"))
        names = ("filename", "file_id", "fileUri")
        yield MessagePart("file", _first_text(inner if isinstance(inner, dict) else part, *names))
    elif kind == "document":
        yield from _document_parts(part)
    elif kind == "search_result":
        yield MessagePart("text", _first_text(part, "title", "source") or "[search_result]")
        yield from _inner_texts(part.get("content"))
    elif isinstance(part.get("text"), str):
        if part["text"]:
            yield MessagePart("text", part["text"])
    else:
        yield MessagePart("other", "", kind)


def _document_parts(document: dict[str, Any]) -> Iterator[MessagePart]:
    yield MessagePart("file", _first_text(document, "title"), "document")
    source = document.get("source")
    if isinstance(source, dict) and source.get("type") == "text" and (text := _text(source.get("data"))):
        yield MessagePart("text", text)


def _inner_texts(content: Any) -> Iterator[MessagePart]:
    for inner in content if isinstance(content, list) else ():
        if isinstance(inner, dict) and (text := _text(inner.get("text"))):
            yield MessagePart("text", text)


def _tool_part(call: dict[str, Any]) -> MessagePart:
    """Return the call of a tool in any of its forms: OpenAI's tools and functions, and Anthropic's blocks."""
    forms = (call.get("function"), call.get("custom"), call)
    form = next((form for form in forms if isinstance(form, dict) and _text(form.get("name"))), {})
    name = _text(form.get("name")) or _text(call.get("type")) or "tool"
    arguments = form.get("arguments")
    return MessagePart("tool", _call_words(name, form.get("input") if arguments is None else arguments), name)


def _hosted_tool_part(item: dict[str, Any]) -> MessagePart:
    name = _text(item.get("name")) or _text(item.get("type")).removesuffix("_call")
    arguments = item.get("arguments")
    if arguments is None:
        action = item.get("action")
        members = action if isinstance(action, dict) else item
        arguments = {key: value for key, value in members.items() if key not in _ITEM_FACTS and value is not None}
    return MessagePart("tool", _call_words(name, arguments), name)


def _call_words(name: str, arguments: Any) -> str:
    arguments = _parsed(arguments)
    if isinstance(arguments, dict):
        words = ", ".join(f"{key}: {_value_words(value)}" for key, value in arguments.items())
    else:
        words = "" if arguments is None or arguments == "" else _value_words(arguments)
    return f"{name}({words})"


def _parsed(arguments: Any) -> Any:
    if (
        not isinstance(arguments, str)
        or len(arguments) > MAX_PARSED_CHARACTERS
        or arguments.lstrip()[:1] not in ("[", "{")
    ):
        return arguments
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments


def _value_words(value: Any, depth: int = 1) -> str:
    """Return a value like JSON, but texts as they are: the words of an escaped text would not be found."""
    if depth > MAX_DEPTH:
        return "…"
    match value:
        case str():
            return f'"{value}"'
        case dict():
            return "{" + ", ".join(f"{key}: {_value_words(inner, depth + 1)}" for key, inner in value.items()) + "}"
        case list():
            return "[" + ", ".join(_value_words(inner, depth + 1) for inner in value) + "]"
        case float() if value.is_integer() and abs(value) < 1e16:
            return str(int(value))
        case _:
            return json.dumps(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _first_text(values: dict[str, Any], *names: str) -> str:
    return next((text for name in names if (text := _text(values.get(name)))), "")


def vectors_in_words(vectors: list[Any]) -> str:
    """Return how many vectors an answer has and how long they are, such as "3 embeddings of 1,536 dimensions"."""
    words = f"{len(vectors):,} embedding{'' if len(vectors) == 1 else 's'}"
    dimensions = {_dimension_count(vector) for vector in vectors}
    if len(dimensions) != 1 or (dimension := dimensions.pop()) is None:
        return words
    return f"{words} of {dimension:,} dimension{'' if dimension == 1 else 's'}"


def _dimension_count(vector: Any) -> int | None:
    """Return how many numbers a vector has: a list, or base64; None for anything else."""
    embedding = vector.get("embedding") if isinstance(vector, dict) else None
    if isinstance(embedding, list):
        return len(embedding)
    return len(embedding) * 3 // 4 // VECTOR_NUMBER_BYTES if isinstance(embedding, str) else None
