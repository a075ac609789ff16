"""Turns of conversations, of which the text index holds each message once.

Each call of a chat or an agent sends all messages before it again. A turn is indexed without its first messages, if an
earlier turn of its conversation has the same words in its prompt, or in its prompt and its completion. No payload is
read for this: the index stores hashes of each turn, chained message by message.

Which earlier turn is chosen decides only where a word is found. A turn for which none is found is indexed whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from afterword.store.engine.partitions import partition_key
from afterword.store.engine.text_search import IndexedTexts
from afterword.store.schema import hash63

# Earlier turns that a turn is compared with, from the longest on. Mostly the first one is it.
MAX_COMPARED_TURNS = 100
# Turns that are placed again at once.
MAX_PLACED_TURNS = 200

Run = Callable[[str, Sequence[Any]], Any]
"""Runs a statement of the text index with `?` for parameters; returns a cursor."""


class MessageTexts(NamedTuple):
    """What a message says, and its reasoning."""

    words: str
    reasoning: str


class Place(NamedTuple):
    """The place of a turn in its conversation, by the columns that the text index stores."""

    conversation: int
    """The hash of what all turns of the conversation share."""
    created_at: int
    message_count: int
    prompt_hash: int
    answer_hash: int
    """The hash of the prompt and the completion."""
    bare_answer_hash: int
    """The same without the completion's reasoning, which many clients do not send again."""


class Repetition(NamedTuple):
    """What a turn repeats of an earlier one, by the columns that the text index stores."""

    earlier_id: UUID | None = None
    repeated: int = 0
    """The number of its first messages that are not indexed with it."""
    resends_answer: bool = False
    """Whether the last of these is the completion of the earlier turn."""


COLUMNS = (*Place._fields, *Repetition._fields)


class TurnTexts(NamedTuple):
    """The texts of an interaction, message by message."""

    messages: Sequence[MessageTexts]
    completion: MessageTexts
    details: str

    def indexed(self, repeated: int = 0) -> IndexedTexts:
        """Return the texts to index without the first messages. To remove them from the index, the same are passed
        again."""
        messages = self.messages[repeated:]
        reasoning = [message.reasoning for message in (*messages, self.completion)]
        return IndexedTexts(
            _joined([message.words for message in messages]), self.completion.words, _joined(reasoning), self.details
        )


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn of a session. `hashes` are those of its first messages, from none of them to all."""

    session_id: UUID
    place: Place
    hashes: Sequence[int]

    @classmethod
    def of(
        cls,
        texts: TurnTexts,
        roles: Sequence[str],
        *,
        interaction_id: UUID,
        project: int,
        session_id: UUID,
        created_at: int,
    ) -> Turn:
        """Return the turn with these texts. The messages up to the first one that is not the system's tell apart
        conversations of one session; so does the partition of the id, since partitions are dropped."""
        hashes = [hash63(str(project), session_id.bytes, str(partition_key(interaction_id)))]
        for message in texts.messages:
            hashes.append(_chained(hashes[-1], message))
        opening = next((index for index, role in enumerate(roles) if role not in ("system", "developer")), len(roles))
        answers = (texts.completion, texts.completion._replace(reasoning=""))
        answer_hash, bare_answer_hash = (_chained(hashes[-1], answer) for answer in answers)
        conversation = hashes[min(opening + 1, len(roles))]
        return cls(
            session_id,
            Place(conversation, created_at, len(roles), hashes[-1], answer_hash, bare_answer_hash),
            hashes,
        )


class Change(NamedTuple):
    """What is to be done about an interaction in the text index. Without texts, it was deleted meanwhile."""

    interaction_id: UUID
    texts: TurnTexts | None
    is_removed: bool = False
    turn: Turn | None = None

    @property
    def is_alone(self) -> bool:
        """Return whether this adds the texts of an interaction that is no turn of a session."""
        return self.texts is not None and self.turn is None and not self.is_removed


def in_order(changes: Iterable[Change]) -> list[Change]:
    """Return the changes that have texts, as they are to be applied: removals first, then turns by their time."""
    return sorted(
        (change for change in changes if change.texts is not None),
        key=lambda change: (
            not change.is_removed,
            change.turn.place.created_at if change.turn else 0,
            change.interaction_id.bytes,
        ),
    )


class Turns:
    """The turns that a text index holds. `table` is its table of them."""

    def __init__(self, run: Run, table: str) -> None:
        self._run = run
        self._table = table

    def repetition(self, change: Change) -> Repetition:
        """Return what a turn repeats of the earlier turn of which it repeats the most."""
        best = Repetition()
        if change.turn is None:
            return best
        place, hashes = change.turn.place, change.turn.hashes
        earlier_turns = self._run(
            f"SELECT interaction_id, message_count, prompt_hash, answer_hash, bare_answer_hash FROM {self._table} "
            "WHERE conversation = ? AND message_count <= ? AND (created_at, interaction_id) < (?, ?) "
            "ORDER BY message_count DESC, created_at, interaction_id LIMIT ?",
            (place.conversation, place.message_count, place.created_at, change.interaction_id, MAX_COMPARED_TURNS),
        )
        for earlier_id, count, prompt_hash, *answer_hashes in earlier_turns.fetchall():
            if count < best.repeated:
                break
            if count < place.message_count and hashes[count + 1] in answer_hashes and count + 1 > best.repeated:
                best = Repetition(_uuid(earlier_id), count + 1, True)
            elif count > best.repeated and hashes[count] == prompt_hash:
                best = Repetition(_uuid(earlier_id), count)
        return best

    def improved_by(self, change: Change) -> list[UUID]:
        """Return later turns that were indexed before a turn of which they may repeat more."""
        if change.turn is None or change.is_removed:
            return []
        place = change.turn.place
        count = place.message_count
        later_turns = self._run(
            f"SELECT interaction_id FROM {self._table} WHERE conversation = ? AND message_count >= ? "
            "AND (created_at, interaction_id) > (?, ?) AND (repeated < ? OR repeated = ? AND message_count > ?) "
            "LIMIT ?",
            (
                place.conversation,
                count,
                place.created_at,
                change.interaction_id,
                count,
                count,
                count,
                MAX_PLACED_TURNS,
            ),
        )
        return [_uuid(id) for (id,) in later_turns.fetchall()]

    def repeating(self, ids: Sequence[UUID]) -> list[UUID]:
        """Return some of the turns that are indexed without what they repeat of these."""
        marks = ", ".join("?" * len(ids))
        query = f"SELECT interaction_id FROM {self._table} WHERE earlier_id IN ({marks}) LIMIT {MAX_PLACED_TURNS}"
        return [_uuid(id) for (id,) in self._run(query, ids).fetchall()] if ids else []

    def openers(self, session_ids: Sequence[UUID]) -> list[UUID]:
        """Return the interactions with these ids that are not known to have opened a session."""
        marks = ", ".join("?" * len(session_ids))
        query = f"SELECT interaction_id FROM {self._table} WHERE interaction_id IN ({marks}) AND conversation IS NULL"
        return [_uuid(id) for (id,) in self._run(query, session_ids).fetchall()] if session_ids else []


def _chained(hash_before: int, message: MessageTexts) -> int:
    return hash63(hash_before.to_bytes(8, "little"), message.words, message.reasoning)


def _joined(texts: Iterable[str]) -> str:
    return "\n\n".join(filter(None, texts))


def _uuid(value: UUID | bytes) -> UUID:
    return UUID(bytes=value) if isinstance(value, bytes) else value
