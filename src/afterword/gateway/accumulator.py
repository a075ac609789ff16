"""Assembling the message of one choice from the deltas of a stream.

The same rules hold for all providers, whichever members their deltas have:

- null and "" never overwrite. Strings are joined, except labels such as `id` and `type`: their last value counts.
  Objects are merged; numbers and booleans are replaced.
- A piece of a list belongs to the part with its id; without an id, to the newest part of its index; without an index,
  to the newest part. It starts a new part if that part has another id or type, or is a complete call already.
- Text after a list of parts, and an object after text, become new parts, so that neither replaces the earlier value.
"""

from __future__ import annotations

import binascii
from typing import Any

import msgspec

from afterword.gateway.provider import Body, ProviderError

MAX_PARTS = 1024
"""Bound on the parts of one list, such as tool calls."""
MAX_VALUES = 1 << 18
"""Bound on the values of a message: members of objects and elements of lists."""
MAX_CHARACTERS = 64 << 20
"""Bound on all texts of a message together."""

# Strings that always arrive whole: a repetition is not the next piece of a longer string.
LABELS = frozenset(
    {
        "id", "type", "role", "object", "model", "format", "status", "state", "phase", "channel", "recipient", "title",
        "url", "uri", "detail", "voice", "language", "source", "provider",
    }
)  # fmt: skip
LABEL_ENDINGS = ("_id", "_type", "_at", "_url", "_uri", "_format", "_status")
# Labels that identify an object.
IDENTITIES = ("id", "url", "uri", "title")
# Members to skip: Afterword sets them itself, or every delta repeats them.
IGNORED = frozenset({"role", "id"})
# Lists whose parts keep their index in the whole answer. In other lists it only assigns pieces to parts.
LISTS_WITH_INDEX = frozenset({"reasoning_details", "images"})
# Lists whose elements always arrive whole.
LISTS_OF_WHOLE_PARTS = frozenset({"response_items"})

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()


class MessageAccumulator:
    """Accumulates the deltas of one choice of a stream."""

    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self._content: _Text | None = None
        self._members: dict[str, Any] = {}
        self._budget = _Budget()

    def take(self, choice: Body) -> bool:
        """Add a chunk's choice; return whether it contains output of the model.

        Its tool calls are rewritten in place for clients that assemble them by index, such as OpenAI's own: each call
        gets an index of its own, and its id, type and name appear only once. Raises `ProviderError` beyond the bounds.
        """
        if reason := choice.get("finish_reason"):
            self.finish_reason = reason
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            # /completions has its text on the choice itself.
            text = choice.get("text")
            if text:
                self._add_content(text)
            return bool(text)
        has_words = False
        for name, value in delta.items():
            if value is None or name in IGNORED:
                continue
            has_words = has_words or bool(value)
            if name == "content" and isinstance(value, str) and "content" not in self._members:
                self._add_content(value)
            elif name == "tool_calls" and value:
                delta[name] = self._add_calls(value)
            else:
                if name == "content" and self._content is not None:
                    self._members[name], self._content = self._content, None
                if (existing := self._members.get(name)) is None:
                    self._budget.take_values(1)
                if name == "function_call" and isinstance(value, dict):
                    value = _with_text_arguments(value)
                    delta[name] = _without_repeated_name(value, existing if isinstance(existing, dict) else {})
                self._members[name] = _merged(existing, value, name, self._budget)
        return has_words

    @property
    def text(self) -> str:
        """The text so far."""
        if self._content is not None:
            return self._content.joined()
        content = self._members.get("content")
        if not isinstance(content, _Parts):
            return ""
        texts = [part.get("text") for part in content.parts if isinstance(part, dict)]
        return "".join(text.joined() for text in texts if isinstance(text, _Text))

    def message(self) -> Body | None:
        """Return the whole message; None if it has nothing but text."""
        members = {name: _json_value(value, name) for name, value in self._members.items()}
        members = {name: value for name, value in members.items() if value not in ("", [], {})}
        if not members:
            return None
        content = None if self._content is None else self._content.joined()
        return {"role": "assistant", "content": content, **members}

    def _add_content(self, text: str) -> None:
        if self._content is None:
            self._content = _Text()
        self._budget.take_text(text)
        self._content.add(text)

    def _add_calls(self, calls: Any) -> list[Body]:
        """Add pieces of tool calls; return them in the form for the caller."""
        existing = self._members.get("tool_calls")
        if not isinstance(existing, _Parts):
            existing = self._members["tool_calls"] = _Parts("tool_calls")
        rewritten: list[Body] = []
        for piece in calls if isinstance(calls, list) else [calls]:
            if not isinstance(piece, dict):
                existing.append(piece, self._budget)
                continue
            function = piece.get("function")
            piece = {**piece, "function": _with_text_arguments(function) if isinstance(function, dict) else {}}
            position = existing.find(piece)
            existing_call = existing.parts[position] if position is not None else {}
            for_caller: Body = {
                name: value
                for name, value in piece.items()
                if name not in ("id", "type", "index")
                or (name != "index" and value and not _text_of(existing_call, name))
            }
            existing_function = existing_call.get("function")
            for_caller["function"] = _without_repeated_name(
                piece["function"], existing_function if isinstance(existing_function, dict) else {}
            )
            if _repeats_arguments(existing_call, piece):
                piece["function"] = {**piece["function"], "arguments": ""}
                for_caller["function"] = {**for_caller["function"], "arguments": ""}
            for_caller["index"] = existing.merge(position, piece, self._budget)
            rewritten.append(for_caller)
        return rewritten


class _Budget:
    """Counts down the values and characters that a message may still add."""

    def __init__(self) -> None:
        self._values = MAX_VALUES
        self._characters = MAX_CHARACTERS

    def take_values(self, number: int) -> None:
        self._values -= number
        if self._values < 0:
            raise _size_error(f"{MAX_VALUES:,} values")

    def take_text(self, text: str) -> None:
        self._characters -= len(text)
        if self._characters < 0:
            raise _size_error(f"{MAX_CHARACTERS:,} characters")


class _Text:
    """A string as a list of pieces: joining at each piece would copy the whole string each time."""

    __slots__ = ("pieces", "size")

    def __init__(self, text: str = "") -> None:
        self.pieces = [text] if text else []
        self.size = len(text)

    def add(self, text: str) -> None:
        self.pieces.append(text)
        self.size += len(text)

    def joined(self) -> str:
        if len(self.pieces) > 1:
            self.pieces = ["".join(self.pieces)]
        return self.pieces[0] if self.pieces else ""


class _Parts:
    """A list of parts, with the position of the part for each id and index."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.parts: list[Any] = []
        self._by_id: dict[Any, int] = {}
        self._by_index: dict[Any, int] = {}

    def extend(self, pieces: list[Any], budget: _Budget) -> None:
        """Merge each piece into its part, or append it as a new part."""
        if self.name in LISTS_OF_WHOLE_PARTS:
            budget.take_text(_encoder.encode(pieces).decode())
            self.parts += pieces
            return
        for piece in pieces[self._repeated(pieces) :]:
            if isinstance(piece, dict):
                self.merge(self.find(piece), piece, budget)
            elif piece is not None:
                self.append(piece, budget)

    def find(self, piece: Body) -> int | None:
        """Return the position of the part that a piece belongs to; None if it starts a new part."""
        id_, index = _part_key(piece.get("id")), _part_key(piece.get("index"))
        newest = len(self.parts) - 1 if self.parts else None
        if id_ is not None and id_ in self._by_id:
            position = self._by_id[id_]
            part = self.parts[position]
            # Some providers use a function's name as the id of all its calls: only the indexes differ.
            has_another_index = index is not None and _part_key(part.get("index")) not in (None, index)
            if has_another_index and _name_of(piece) and _has_arguments(part) and _is_whole(_arguments_of(part)):
                return None
            return position if _is_same_type(part, piece) else None
        if index is not None:
            position = self._by_index.get(index)
            if position is None and id_ is None and self.name == "tool_calls" and not _name_of(piece):
                # Some providers number a call's first piece differently from the pieces of its arguments.
                position = newest
        else:
            position = newest
        if position is None or not isinstance(part := self.parts[position], dict):
            return None
        if not _is_same_type(part, piece) or _holds_another(part, piece):
            return None
        if id_ is not None and (_text_of(part, "id") or _has_arguments(part)):
            # An id arrives with the first piece, or after empty ones. Later it starts a new part.
            return None
        if self.name == "tool_calls":
            return None if _begins_another_call(part, piece) else position
        return position if index is not None or _is_continuation(part, piece) else None

    def merge(self, position: int | None, piece: Body, budget: _Budget) -> int:
        """Merge a piece into the part at a position, or append it; return its position."""
        if position is None:
            position = self.append(piece, budget)
        else:
            self.parts[position] = _merged(self.parts[position], piece, "", budget)
        for positions, value in ((self._by_id, piece.get("id")), (self._by_index, piece.get("index"))):
            if (key := _part_key(value)) is not None:
                positions[key] = position
        return position

    def append(self, part: Any, budget: _Budget) -> int:
        """Add a part; return its position."""
        if isinstance(part, dict) and len(self.parts) >= MAX_PARTS:
            raise _size_error(f"{MAX_PARTS:,} parts in {self.name or 'a list'}")
        budget.take_values(1)
        self.parts.append(_merged(None, part, "", budget))
        return len(self.parts) - 1

    def _repeated(self, pieces: list[Any]) -> int:
        """Return how many pieces repeat the existing parts: some providers send the whole list each time."""
        number = len(self.parts)
        if not number or len(pieces) < number:
            return 0
        first_piece = pieces[0]
        is_whole = isinstance(first_piece, str) or (isinstance(first_piece, dict) and not _is_piece(first_piece))
        if not is_whole or _json_value(self.parts[0], "", self.name) != first_piece:
            return 0
        return number if [_json_value(part, "", self.name) for part in self.parts] == pieces[:number] else 0


# ------------------------------------------------------------------------------------------------ merging


def _merged(existing: Any, addition: Any, name: str, budget: _Budget) -> Any:
    """Return `existing` with `addition` merged into it."""
    if addition is None or (addition == "" and existing is not None):
        return existing
    if name == "arguments" and isinstance(addition, dict | list):
        addition = _encoder.encode(addition).decode()
    if isinstance(addition, str):
        budget.take_text(addition)
        return _with_text(existing, addition, name, budget)
    if isinstance(addition, dict):
        if isinstance(existing, _Parts):
            existing.extend([addition], budget)
            return existing
        if isinstance(existing, _Text):
            return _as_parts(existing, [addition], name, budget)
        if isinstance(existing, dict) and _is_different_object(existing, addition):
            return _as_parts(existing, [addition], name, budget)
        members = existing if isinstance(existing, dict) else {}
        budget.take_values(len(addition) if members is not existing else sum(key not in members for key in addition))
        for key, value in addition.items():
            members[key] = _merged(members.get(key), value, key, budget)
        return members
    if isinstance(addition, list):
        return _as_parts(existing, addition, name, budget)
    return addition


def _with_text(existing: Any, text: str, name: str, budget: _Budget) -> Any:
    if isinstance(existing, _Text):
        if name in LABELS or name.endswith(LABEL_ENDINGS):
            return _Text(text)
        if name == "name":
            # Providers send a name once, in each piece, as the prefix so far, or in pieces.
            name_so_far = existing.joined()
            return _Text(
                text
                if text.startswith(name_so_far)
                else name_so_far
                if name_so_far.startswith(text)
                else name_so_far + text
            )
        is_repeated = name.endswith("signature") and existing.size == len(text) and existing.joined() == text
        if not is_repeated:
            existing.add(text)
        return existing
    if isinstance(existing, _Parts | dict):
        return _as_parts(existing, [{"type": "text", "text": text}], name, budget)
    return _Text(text)


def _as_parts(existing: Any, additions: list[Any], name: str, budget: _Budget) -> _Parts:
    """Return a list of the existing value and the additions."""
    if isinstance(existing, _Parts):
        parts = existing
    else:
        parts = _Parts(name)
        if isinstance(existing, _Text) and existing.size:
            parts.parts.append({"type": _Text("text"), "text": existing})
        elif isinstance(existing, dict):
            parts.parts.append(existing)
    parts.extend(additions, budget)
    return parts


def _json_value(value: Any, name: str, list_name: str | None = None) -> Any:
    """Return an accumulated value as plain JSON. `list_name` is the name of the list that contains it."""
    if isinstance(value, _Text):
        return _joined_base64(value) if name == "data" else value.joined()
    if isinstance(value, _Parts):
        return [_json_value(part, "", value.name) for part in value.parts]
    if isinstance(value, dict):
        drops_index = list_name is not None and list_name not in LISTS_WITH_INDEX
        return {key: _json_value(part, key) for key, part in value.items() if not (drops_index and key == "index")}
    return value


def _joined_base64(text: _Text) -> str:
    """Return pieces of base64 as one text. Each piece may have padding of its own."""
    if not any(piece.endswith("=") for piece in text.pieces[:-1]):
        return text.joined()
    try:
        raw = b"".join(binascii.a2b_base64(piece, strict_mode=True) for piece in text.pieces if piece)
    except (binascii.Error, ValueError):
        return text.joined()
    return binascii.b2a_base64(raw, newline=False).decode()


# ------------------------------------------------------------------------------------------------ matching pieces


def _part_key(value: Any) -> Any:
    """Return an id or index as a dictionary key, digits as an integer; None if it is empty or of another type."""
    if isinstance(value, str):
        return (int(value) if value.isascii() and value.isdigit() and len(value) < 10 else value) if value else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _text_of(part: Body, name: str) -> str:
    value = part.get(name)
    return value.joined() if isinstance(value, _Text) else value if isinstance(value, str) else ""


def _name_of(call: Body) -> str:
    function = call.get("function")
    return _text_of(function, "name") if isinstance(function, dict) else ""


def _arguments_of(call: Body) -> Any:
    function = call.get("function")
    return function.get("arguments") if isinstance(function, dict) else None


def _has_arguments(call: Body) -> bool:
    arguments = _arguments_of(call)
    return isinstance(arguments, _Text) and arguments.size > 0


def _is_same_type(part: Any, piece: Body) -> bool:
    part_type, type_ = _text_of(part, "type") if isinstance(part, dict) else "", _text_of(piece, "type")
    return not part_type or not type_ or part_type == type_


def _begins_another_call(call: Body, piece: Body) -> bool:
    """Tell whether a piece with the same index, or without one, starts another call than `call`."""
    name, existing_name = _name_of(piece), _name_of(call)
    if not name or not existing_name or not _has_arguments(call):
        return False
    if not name.startswith(existing_name) and not existing_name.startswith(name):
        return True
    # The same function again is another call only if the arguments so far are complete and more arrive.
    return bool(_arguments_of(piece)) and _is_whole(_arguments_of(call))


def _repeats_arguments(call: Body, piece: Body) -> bool:
    """Tell whether a piece repeats all arguments: nothing can follow a complete object."""
    arguments, existing_arguments = _arguments_of(piece), _arguments_of(call)
    if (
        not isinstance(arguments, str)
        or not isinstance(existing_arguments, _Text)
        or len(arguments) != existing_arguments.size
    ):
        return False
    return _is_whole(existing_arguments) and arguments == existing_arguments.joined()


def _is_whole(arguments: _Text) -> bool:
    if not arguments.pieces or not arguments.pieces[-1].endswith("}"):
        return False
    try:
        _decoder.decode(arguments.joined())
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return True


def _is_piece(part: Body) -> bool:
    """Tell whether a part can be continued: apart from labels it has only texts and lists of objects."""
    values = [value for name, value in part.items() if not _is_label(name) and not isinstance(value, bool | None)]
    return bool(values) and all(
        isinstance(value, str) or (isinstance(value, list) and all(isinstance(element, dict) for element in value))
        for value in values
    )


def _is_continuation(part: Body, piece: Body) -> bool:
    """Tell whether a piece without id and index continues a part."""
    if not _is_piece(piece) or (piece.get("type") and not _text_of(part, "type")):
        return False
    return all(
        not value or not (existing_value := _text_of(part, name)) or existing_value == value
        for name, value in piece.items()
        if _is_label(name) and isinstance(value, str)
    )


def _is_different_object(existing_object: dict[str, Any], addition: Body) -> bool:
    """Tell whether an addition is another object than the existing one, by their IDENTITIES."""
    return any(
        (value := _text_of(addition, name))
        and (existing_value := _text_of(existing_object, name))
        and value != existing_value
        for name in IDENTITIES
    )


def _holds_another(part: Body, piece: Body) -> bool:
    """Tell whether a member of a piece is another object, such as an image, than the part's member of that name."""
    return any(
        isinstance(value, dict) and isinstance(before := part.get(name), dict) and _is_different_object(before, value)
        for name, value in piece.items()
    )


def _is_label(name: str) -> bool:
    return name in LABELS or name in ("index", "name") or name.endswith(LABEL_ENDINGS)


def _with_text_arguments(function: Body) -> Body:
    """Return a function with its arguments as JSON text, as in OpenAI's API."""
    arguments = function.get("arguments")
    if not isinstance(arguments, dict | list):
        return function
    return {**function, "arguments": _encoder.encode(arguments).decode()}


def _without_repeated_name(function: Body, existing_function: Body) -> Body:
    """Return a piece of a function without the part of its name that arrived earlier."""
    if "name" not in function:
        return function
    name, existing_name = function["name"], _text_of(existing_function, "name")
    if isinstance(name, str) and existing_name and (name.startswith(existing_name) or existing_name.startswith(name)):
        name = name[len(existing_name) :]
    function = {**function, "name": name}
    if not name:
        del function["name"]
    return function


def _size_error(limit: str) -> ProviderError:
    return ProviderError(
        f"The provider's answer has more than {limit}, and is not read on.",
        status=502,
        code="provider_answer_too_large",
    )
