"""How often a line came before, without keeping the lines."""

from __future__ import annotations


class Occurrences:
    """Counts how often each of many things came before, in 4 bytes for each: Bloom filters, each four times the last.

    A thing that came never before is taken for a repetition once in 100,000 times. Its id is then another, and just as
    steady from one import of the same file to the next.
    """

    def __init__(self, first: int = 1 << 18) -> None:
        self._filters: list[bytearray] = []
        self._room = 0
        self._next = first
        self._again: dict[bytes, int] = {}

    def add(self, digest: bytes) -> int:
        """Return how often these 16 bytes came before."""
        start, step = int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:16], "big") | 1
        for bits in self._filters:
            size = len(bits) * 8
            at = start
            for _ in range(8):
                place = at % size
                if not bits[place >> 3] & 1 << (place & 7):
                    break
                at += step
            else:
                self._again[digest] = times = self._again.get(digest, 0) + 1
                return times
        if not self._room:
            self._filters.append(bytearray(self._next * 4))
            self._room, self._next = self._next, self._next * 4
        self._room -= 1
        bits = self._filters[-1]
        size = len(bits) * 8
        for turn in range(8):
            place = (start + turn * step) % size
            bits[place >> 3] |= 1 << (place & 7)
        return 0
