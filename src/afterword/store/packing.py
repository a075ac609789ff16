"""Packing: the turns of a conversation are stored once.

Each call of a chat or an agent sends all turns before it again, so that a conversation of sixty turns is logged as
sixty payloads, each with most of the one before. Of turns that repeat each other, the largest, mostly the last, is
stored in full and is the base; the others are compressed with its JSON as the dictionary, to some hundred bytes.

A base is stored in full, so that a turn is read with one other payload, and a turn is never packed against a base much
larger than itself. The later turn is the base, because retention deletes the earlier ones first. Before a base is
deleted, what is packed against it is stored anew (`release`).

Only `plan` decides what is packed; store/background/packing.py runs it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import zstandard
from sqlalchemy import ColumnElement, select

from afterword.store.compression import COMPRESSION_LEVEL, as_dictionary, compress_in_full, decompress, size_of
from afterword.store.engine import Transaction, Update
from afterword.store.engine.dialect import any_of
from afterword.store.payloads import StoredPayload, read_undamaged_json
from afterword.store.schema import payloads

# Upper bounds on a base with all that is packed against it: a deletion of the base stores these anew, and other writes
# wait for it.
MAX_GROUP_TURNS = 64
MAX_GROUP_BYTES = 64 << 20
# A turn is read together with its base: that may be this many times as large as the turn, or have SMALL_BASE_BYTES.
# Turns grow by and by, so that this costs a third more space at most: 1 + 1/4 + 1/16 and so on.
MAX_BASE_FACTOR = 4
SMALL_BASE_BYTES = 16 << 10
# What is packed takes at most this share of the space that it took, and took this many bytes: otherwise it is not worth
# the write.
MAX_PACKED_FACTOR = 0.5
MIN_STORED_BYTES = 400
# Larger turns are left as they are: the JSON of bases is held in memory.
MAX_TURN_BYTES = 8 << 20
# Bases that a turn is compared with. A session may hold several conversations, such as those of an agent's helpers.
MAX_OPEN_BASES = 6
# A base with all that is packed against it moves to a larger base if that takes at most this many times as many writes
# as there are new turns: each turn is then written a few times, however slowly its conversation grows.
MAX_MOVE_FACTOR = 2

REPACK = Update(payloads, "interaction_id", "payload", "base")


@dataclass(slots=True)
class _Base:
    """A payload that others are packed against, with its JSON."""

    interaction_id: UUID
    raw: bytes
    turns: int
    """The number of turns that are packed against it."""
    bytes: int
    """The size of the JSON of these."""
    _compressor: zstandard.ZstdCompressor | None = None

    def compress(self, raw: bytes) -> bytes:
        """Compress a payload's JSON against this one."""
        if self._compressor is None:
            self._compressor = packing_compressor(self.raw)
        return self._compressor.compress(raw)

    def has_room(self, sizes: Sequence[int]) -> bool:
        """Return whether payloads of these sizes may be packed against it."""
        largest = max(SMALL_BASE_BYTES, MAX_BASE_FACTOR * min(sizes))
        return (
            len(self.raw) <= largest
            and self.turns + len(sizes) < MAX_GROUP_TURNS
            and self.bytes + sum(sizes) + len(self.raw) <= MAX_GROUP_BYTES
        )


def packing_compressor(base: bytes) -> zstandard.ZstdCompressor:
    """Return a compressor against the JSON of a base. Its frames have a checksum: with another base than theirs, they
    would be decompressed to another text without an error."""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        COMPRESSION_LEVEL,
        source_size=len(base),
        dict_size=len(base),
        # Matches reach back over the payload and its base.
        window_log=max(17, (2 * len(base)).bit_length()),
        write_checksum=True,
        write_content_size=True,
    )
    return zstandard.ZstdCompressor(dict_data=as_dictionary(base), compression_params=parameters)


def plan(rows: Iterable[StoredPayload], new_ids: Collection[UUID]) -> list[StoredPayload]:
    """Return the rows to write, so that turns of one session are packed.

    `rows` are payloads that are stored in full, with all that is packed against these. Those with `new_ids` are new:
    older ones were compared with each other before.
    """
    packed_by_base: dict[UUID, list[StoredPayload]] = defaultdict(list)
    full: list[StoredPayload] = []
    for row in rows:
        if row.base is not None:
            packed_by_base[row.base].append(row)
        elif size_of(row.payload) <= MAX_TURN_BYTES:
            full.append(row)
    # From the largest on: a base is larger than what is packed against it.
    full.sort(key=lambda row: size_of(row.payload), reverse=True)
    new_turns = sum(1 for row in full if row.interaction_id not in packed_by_base)
    bases: list[_Base] = []
    changes: list[StoredPayload] = []
    for row in full:
        packed = packed_by_base.get(row.interaction_id, [])
        raw = decompress(row.payload)
        sizes = [len(raw), *(size_of(packed_row.payload) for packed_row in packed)]
        is_worth_moving = len(row.payload) >= MIN_STORED_BYTES and (
            not packed or len(sizes) <= MAX_MOVE_FACTOR * new_turns
        )
        untried = [base for base in bases if not {row.interaction_id, base.interaction_id}.isdisjoint(new_ids)]
        base = _best_base(untried, raw, sizes) if is_worth_moving else None
        moved = _moved(base, row, raw, packed) if base is not None else []
        if base is not None and moved:
            changes += moved
            base.turns += len(moved)
            base.bytes += sum(sizes)
            if packed:
                new_turns += len(moved)
            bases.remove(base)
        else:
            base = _Base(row.interaction_id, raw, len(packed), sum(sizes[1:]))
        bases.append(base)
        del bases[:-MAX_OPEN_BASES]
    return changes


def _best_base(bases: Sequence[_Base], raw: bytes, sizes: Sequence[int]) -> _Base | None:
    """Return the base that begins as a payload does for the longest part of it: the one of the same conversation."""
    roomy = [base for base in bases if base.has_room(sizes)]
    return max(roomy, key=lambda base: _common_prefix(base.raw, raw), default=None)


def _moved(base: _Base, row: StoredPayload, raw: bytes, packed: Sequence[StoredPayload]) -> list[StoredPayload]:
    """Return a row, and those packed against it, packed against `base`; none if that saves too little."""
    moved = [StoredPayload(row.interaction_id, base.compress(raw), base.interaction_id)]
    dictionary = as_dictionary(raw)
    for packed_row in packed:
        packed_raw = decompress(packed_row.payload, dictionary)
        moved.append(StoredPayload(packed_row.interaction_id, base.compress(packed_raw), base.interaction_id))
    before = sum(len(old.payload) for old in (row, *packed))
    after = sum(len(new.payload) for new in moved)
    return moved if after <= MAX_PACKED_FACTOR * before else []


def _common_prefix(left: bytes, right: bytes) -> int:
    """Return the number of bytes with which both begin."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


# ------------------------------------------------------------------------------------------------ deletion


def lock_payloads(transaction: Transaction, ids: Sequence[UUID]) -> list[UUID]:
    """Lock the payloads of interactions until the transaction ends, so that nothing more is packed against them; return
    the ids of those that are packed."""
    rows = transaction.connection.execute(
        select(payloads.c.interaction_id, payloads.c.base)
        .where(any_of(payloads.c.interaction_id, ids))
        .order_by(payloads.c.interaction_id)
        .with_for_update()
    ).all()
    return [row.interaction_id for row in rows if row.base is not None]


def release(transaction: Transaction, is_deleted_base: ColumnElement[bool], stays: ColumnElement[bool]) -> None:
    """Store what is packed against payloads that are about to be deleted against another base, or in full.

    `is_deleted_base` is a condition on `payloads.base`, `stays` one on `payloads.interaction_id`. The bases are locked
    before (`lock_payloads`): a row that another transaction has packed against them meanwhile is found here.
    """
    rows = transaction.connection.execute(
        select(payloads.c.interaction_id, payloads.c.base)
        .where(is_deleted_base, stays)
        .order_by(payloads.c.interaction_id)
        .with_for_update()
    ).all()
    ids_by_base: dict[UUID, list[UUID]] = defaultdict(list)
    for row in rows:
        ids_by_base[row.base].append(row.interaction_id)
    for ids in ids_by_base.values():
        # What is damaged stays as it is, unreadable.
        transaction.put(REPACK, _repacked(dict(read_undamaged_json(transaction.connection, ids))))


def _repacked(raw_payloads: dict[UUID, bytes]) -> list[StoredPayload]:
    """Return payloads as they are stored: packed against the largest of them, or in full where that saves little."""
    if not raw_payloads:
        return []
    base_id = max(raw_payloads, key=lambda interaction_id: len(raw_payloads[interaction_id]))
    base = _Base(base_id, raw_payloads.pop(base_id), 0, 0)
    repacked = [StoredPayload(base_id, compress_in_full(base.raw), None)]
    for interaction_id, raw in raw_payloads.items():
        in_full, packed = compress_in_full(raw), base.compress(raw)
        if base.has_room([len(raw)]) and len(packed) <= MAX_PACKED_FACTOR * len(in_full):
            repacked.append(StoredPayload(interaction_id, packed, base_id))
        else:
            repacked.append(StoredPayload(interaction_id, in_full, None))
    return repacked
