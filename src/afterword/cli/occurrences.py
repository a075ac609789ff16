"""How often a line came before, without keeping the lines."""

from __future__ import annotations


class Occurrences:
    """Counts how often each of many things came before, in 4 bytes for each: Bloom filters, each four times the last.

    A thing that came never before is taken for a repetition once in 100,000 times. Its id is then another, and just as
    steady from one import of the same file to the next.
    """

    def __init__(self, initial_capacity: int = 1 << 18) -> None:
        self._filters: list[bytearray] = []
        self._free_slots = 0
        self._next_capacity = initial_capacity
        self._repetitions: dict[bytes, int] = {}

    def add(self, digest: bytes) -> int:
        """Return how often these 16 bytes came before."""
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
