"""Payloads: the messages and the completion of an interaction, as compressed JSON.

Messages hold references to images (service/interactions/content.py extracts the images), so that a payload is text.

A payload may be compressed against another one, its base, whose JSON is the dictionary: the turns of a conversation
repeat each other (store/packing.py). `read_json` and `read_payloads` read payloads by id; no caller sees bases.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Connection, select

from afterword.message_words import message_words, searchable_words
from afterword.store.compression import Damaged, as_dictionary, damaged, decompress
from afterword.store.engine.dialect import any_of
from afterword.store.engine.statements import Find, find_rows
from afterword.store.engine.turns import MessageTexts, TurnTexts
from afterword.store.schema import payloads
from afterword.types import Message


class StoredPayload(NamedTuple):
    """A row of `payloads`."""

    interaction_id: UUID
    payload: bytes
    base: UUID | None


class Payload(msgspec.Struct, omit_defaults=True):
    """The messages, the completion, and what was logged about the call.

    `message` is the whole assistant message if more than its text was logged.
    """

    messages: list[Message]
    completion: str
    message: Message | None = None
    usage: dict[str, Any] | None = None
    timings: dict[str, Any] | None = None
    parameters: dict[str, Any] | None = None
    facts: dict[str, Any] | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Payload)

# For payloads above this size, a list shows the preview in the row instead of reading the payload.
PREVIEW_ABOVE_BYTES = 32 << 10
PREVIEW_CHARACTERS = 300
# Up to so many rows are looked up by the driver: SQLAlchemy takes a third of the time of reading a turn and its base.
MAX_LOOKUP_IDS = 8
FIND_PAYLOAD = Find(payloads.c.interaction_id, payloads.c.payload, payloads.c.base)


def encode(payload: Payload) -> bytes:
    """Return the payload as JSON."""
    return _encoder.encode(payload)


def unpack(raw: bytes) -> Payload:
    """Return the payload of its JSON. Raises `Unavailable` if that is damaged."""
    try:
        return _decoder.decode(raw)
    except msgspec.DecodeError as error:
        raise damaged(error) from None


def read_payloads(connection: Connection, ids: Collection[UUID]) -> dict[UUID, Payload]:
    """Return the payloads of these interactions; those without one are skipped. Raises `Unavailable` if one is
    damaged."""
    return {interaction_id: unpack(raw) for interaction_id, raw in read_json(connection, ids)}


def read_json(connection: Connection, ids: Collection[UUID]) -> Iterator[tuple[UUID, bytes]]:
    """Yield the JSON of these interactions' payloads, in any order; those without one are skipped.

    It takes a query, and another one for bases that are not among `ids`. Raises `Unavailable` if a payload is damaged.
    """
    if not ids:
        return
    requested_rows = _rows_by_id(connection, ids)
    rows = dict(requested_rows)
    # A base has a base of its own only if two servers packed one conversation at the same time.
    while missing := {row.base for row in rows.values() if row.base is not None} - rows.keys():
        bases = _rows_by_id(connection, missing)
        if len(bases) < len(missing):
            raise damaged("what it was compressed against is missing")
        rows |= bases
    packed_by_base: dict[UUID, list[StoredPayload]] = defaultdict(list)
    for row in rows.values():
        if row.base is not None:
            packed_by_base[row.base].append(row)
    # Depth first, so that few bases are in memory at once.
    stack = [(row, None) for row in rows.values() if row.base is None]
    while stack:
        row, dictionary = stack.pop()
        raw = decompress(row.payload, dictionary)
        if row.interaction_id in requested_rows:
            yield row.interaction_id, raw
        if packed := packed_by_base.get(row.interaction_id):
            base_dictionary = as_dictionary(raw)
            stack += [(packed_row, base_dictionary) for packed_row in packed]


def read_undamaged_json(connection: Connection, ids: Collection[UUID]) -> list[tuple[UUID, bytes]]:
    """Return what `read_json` yields, without the payloads that are damaged."""
    try:
        return list(read_json(connection, ids))
    except Damaged:
        if len(ids) == 1:
            return []
    return [pair for interaction_id in ids for pair in read_undamaged_json(connection, [interaction_id])]


def _rows_by_id(connection: Connection, ids: Collection[UUID]) -> dict[UUID, StoredPayload]:
    if len(ids) > MAX_LOOKUP_IDS:
        rows = connection.execute(select(payloads).where(any_of(payloads.c.interaction_id, ids)))
        return {row.interaction_id: StoredPayload(*row) for row in rows}
    rows_by_key = find_rows(connection, [(FIND_PAYLOAD, interaction_id) for interaction_id in ids])
    return {interaction_id: stored_payload(interaction_id, row) for (_, interaction_id), row in rows_by_key.items()}


def stored_payload(interaction_id: UUID, row: Sequence[Any]) -> StoredPayload:
    """Return a row that `FIND_PAYLOAD` found, as the database's driver returns it."""
    payload, base = row
    return StoredPayload(interaction_id, payload, UUID(bytes=base) if isinstance(base, bytes) else base)


def message_text(message: Message) -> str:
    """Return the text of a message: its content, or the texts of its parts line by line."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict)]
        return "\n".join(text for text in texts if isinstance(text, str))
    return ""


def prompt_message(messages: list[Message]) -> Message:
    """Return the message that is the `prompt`: the user's last one, or the last one if none is the user's."""
    for message in reversed(messages):
        if message.get("role") == "user":
            return message
    return messages[-1] if messages else {}


def prompt_text(messages: list[Message]) -> str:
    """Return the text of the `prompt`."""
    return message_text(prompt_message(messages))


def completion_message(text: str, message: Message | None) -> Message:
    """Return the completion as a message of the assistant: the whole one, if more than a text was logged."""
    return {**message, "role": "assistant"} if message else {"role": "assistant", "content": text}


def preview(payload: Payload, size: int) -> str | None:
    """Return prompt and completion in words, shortened, as JSON; None if the payload is so small that a list reads it.

    `size` is that of the payload's JSON in bytes.
    """
    if size <= PREVIEW_ABOVE_BYTES:
        return None
    prompt, completion = prompt_message(payload.messages), completion_message(payload.completion, payload.message)
    words = {"prompt": message_words(prompt), "completion": message_words(completion)}
    return msgspec.json.encode({name: text[:PREVIEW_CHARACTERS] for name, text in words.items()}).decode()


def searchable_texts(payload: Payload, details: str = "") -> TurnTexts:
    """Return the texts to index: all that the messages and the completion say in words, and `details`.

    To remove words from the index, the same text is passed again: a change here needs a new index version.
    """
    answer = completion_message(payload.completion, payload.message)
    *messages, completion = (MessageTexts(*searchable_words(message)) for message in (*payload.messages, answer))
    return TurnTexts(messages, completion, details)
