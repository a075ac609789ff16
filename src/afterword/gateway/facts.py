"""Provider facts: the data beside the text of an answer, collected from a whole answer or its chunks.

Examples are citations, log probabilities, results of content filters and the fingerprint. Members that are stored
elsewhere (text, usage, finish reason) are left out by name, so that members that providers add later are kept.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from afterword import json_text
from afterword.gateway.provider import Body
from afterword.gateway.response import MAX_ID_CHARACTERS

# Members of an answer that are stored under their own names, or carry no information. `obfuscation` is padding that
# hides the length of a chunk.
STORED_ELSEWHERE = frozenset({"id", "object", "created", "model", "choices", "usage", "obfuscation", "error"})
CHOICE_STORED_ELSEWHERE = frozenset({"index", "delta", "message", "text", "finish_reason", "error"})
SEVERITIES = ("safe", "low", "medium", "high")

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")


class FactsAccumulator:
    """Accumulates the facts of one answer. `max_bytes` bounds the facts of each choice, as JSON.

    `origin` holds `response_id` and `provider_model`: the first values that are not empty, because Azure begins a
    stream with a chunk that has neither.
    """

    def __init__(self, max_bytes: int) -> None:
        self.origin: dict[str, str] = {}
        self._max_bytes = max_bytes
        self._answer = _Members(max_bytes)
        self._choices: dict[int, _Members] = defaultdict(lambda: _Members(max_bytes))

    def take(self, answer: Body) -> None:
        """Add a whole answer, or a chunk of one, as the provider sent it."""
        for name, column in (("id", "response_id"), ("model", "provider_model")):
            if column not in self.origin and (identifier := _identifier(answer.get(name))):
                self.origin[column] = identifier
        for name, value in answer.items():
            if name not in STORED_ELSEWHERE:
                self._answer.take(name, value)
        choices: Any = answer.get("choices") or ()
        for position, choice in enumerate(choices):
            index = choice.get("index")
            for name, value in choice.items():
                if name not in CHOICE_STORED_ELSEWHERE and not _is_empty(value):
                    self._choices[position if index is None else index].take(name, value)

    def choice_facts(self, index: int) -> dict[str, Any] | None:
        """Return the facts of a choice: `{answer, choice}`, with the members of the answer and of the choice.

        Beyond the bound the largest members are left out; `left_out` has their names, with their sizes in bytes.
        """
        parts = {"answer": self._answer, "choice": self._choices.get(index) or _Members(0)}
        members = {part: dict(part_members.values) for part, part_members in parts.items()}
        left_out = {
            f"{part}.{name}": size
            for part, part_members in parts.items()
            for name, size in part_members.left_out.items()
        }
        sizes = {
            (part, name): _json_bytes(value)
            for part, part_values in members.items()
            for name, value in part_values.items()
        }
        while sum(sizes.values()) > self._max_bytes:
            part, name = max(sizes, key=lambda key: sizes[key])
            left_out[f"{part}.{name}"] = sizes.pop((part, name))
            del members[part][name]
        facts = {
            **{part: part_values for part, part_values in members.items() if part_values},
            **({"left_out": left_out} if left_out else {}),
        }
        return facts or None


class _Members:
    """Members of an answer or a choice, by name. A member beyond `max_bytes` is dropped but still counted."""

    def __init__(self, max_bytes: int) -> None:
        self.values: dict[str, Any] = {}
        self.left_out: dict[str, int] = {}
        self._max_bytes = max_bytes
        self._sizes: dict[str, int] = defaultdict(int)

    def take(self, name: str, value: Any) -> None:
        if _is_empty(value):
            return
        join = JOIN_FUNCTIONS.get(name)
        if join is None:
            self.values[name] = value
            return
        self._sizes[name] += _json_bytes(value)
        if self._sizes[name] > self._max_bytes:
            self.values.pop(name, None)
            self.left_out[name] = self._sizes[name]
        else:
            self.values[name] = join(self.values.get(name), value)


def trace_id_of(traceparent: str) -> str | None:
    """Return the trace id in a `traceparent` (https://www.w3.org/TR/trace-context/); None if it is malformed."""
    match = _TRACEPARENT.fullmatch(traceparent.strip().lower())
    return match[1] if match and match[1].strip("0") and not match[0].startswith("ff") else None


def _identifier(value: Any) -> str | None:
    """Return an identifier that can be stored and looked up; None for anything else."""
    if not isinstance(value, str) or "\0" in value:
        return None
    return value[:MAX_ID_CHARACTERS] or None


def _json_bytes(value: Any) -> int:
    """Return how many bytes a value takes as JSON."""
    return len(json_text.encode(value))


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", [], {})


# ------------------------------------------------------------------------------------------------ joining


def _append(existing: Any, addition: Any) -> Any:
    """Append lists, also those within objects; replace any other value.

    `addition` is not modified, because it is still to be sent to the caller.
    """
    if isinstance(addition, list):
        joined = existing if isinstance(existing, list) else []
        joined.extend(addition)
        return joined
    if isinstance(addition, dict):
        members = existing if isinstance(existing, dict) else {}
        for name, value in addition.items():
            if not _is_empty(value):
                members[name] = _append(members.get(name), value)
        return members
    return addition


def _strictest(existing: Any, addition: Any) -> Any:
    """Join results of content filters: keep the one of each category that filtered, or else the more severe one."""
    if not isinstance(existing, dict) or not isinstance(addition, dict):
        return addition
    return {
        **existing,
        **{name: value for name, value in addition.items() if _rank(value) >= _rank(existing.get(name))},
    }


def _rank(result: Any) -> tuple[bool, int]:
    if not isinstance(result, dict):
        return False, -1
    severity = result.get("severity")
    return (
        bool(result.get("filtered") or result.get("detected")),
        SEVERITIES.index(severity) if severity in SEVERITIES else -1,
    )


JOIN_FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "logprobs": _append,
    "token_ids": _append,
    "content_filter_results": _strictest,
    "content_filter_result": _strictest,
}
"""How the chunks of these members are joined. Of other members the last value that is not empty counts: providers
repeat citations whole, and send the fingerprint in each chunk."""
