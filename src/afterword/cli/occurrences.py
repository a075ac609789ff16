"""Counts how often a line came before, without keeping the lines."""

from __future__ import annotations


class Occurrences:
    """Counts occurrences of digests in Bloom filters, with 4 bytes for each digest. Each filter is 4 times the last.

    About one new digest in 100,000 is mistaken for a repetition. Its line then gets a different id, but the same one
    in each import of the same file.
    """

    def __init__(self, initial_capacity: int = 1 << 18) -> None:
        self._filters: list[bytearray] = []
        self._free_slots = 0
        self._next_capacity = initial_capacity
        self._repetitions: dict[bytes, int] = {}

    def add(self, digest: bytes) -> int:
        """Count this digest of 16 bytes; return how often it came before."""
        start, step = int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:16], "big") | 1
        for bits in self._filters:
            size = len(bits) * 8
            bit_sum = start
            for _ in range(8):
                bit_index = bit_sum % size
                if not bits[bit_index >> 3] & 1 << (bit_index & 7):
                    break
                bit_sum += step
            else:
                self._repetitions[digest] = times = self._repetitions.get(digest, 0) + 1
                return times
        if not self._free_slots:
            self._filters.append(bytearray(self._next_capacity * 4))
            self._free_slots, self._next_capacity = self._next_capacity, self._next_capacity * 4
        self._free_slots -= 1
        bits = self._filters[-1]
        size = len(bits) * 8
        for turn in range(8):
            bit_index = (start + turn * step) % size
            bits[bit_index >> 3] |= 1 << (bit_index & 7)
        return 0
