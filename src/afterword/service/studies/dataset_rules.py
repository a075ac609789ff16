"""Rules for training sets: which side of a split a row is on, and which rows repeat others."""

from __future__ import annotations

import re
from array import array
from hashlib import blake2b
from itertools import pairwise
from typing import Literal

from afterword.types import Duplicates, Interaction, Split, SplitName

SIGNATURE_BINS = 64
BAND_BINS = 8
"""A pair of texts is compared if all bins of one band are equal: at a similarity of 0.9 that is so for 99 % of them."""
MIN_SIMILARITY_RATIO = 0.85
MAX_NEAR_ROWS = 100_000
"""With near duplicates, rows take about 2 kB of memory each while a dataset is made."""
EMPTY_BIN_CODE = 0xFFFFFFFF


def split_of(interaction: Interaction, split: Split, seed: int) -> SplitName:
    """Return the side of an interaction. It depends on nothing but the seed, the shares and what `by` names, so that no
    row changes sides when others are added."""
    identities = {
        "session": str(interaction.session_id),
        "user": interaction.user or str(interaction.session_id),
        "prompt": interaction.prompt_hash,
    }
    key = seed.to_bytes(8, "big")
    digest = blake2b(identities[split.by].encode(), key=key, person=b"split", digest_size=8).digest()
    share = int.from_bytes(digest, "big") / 2**64
    if share < split.test:
        return "test"
    return "validation" if share < split.test + split.validation else "train"


class DuplicateFinder:
    """Tells whether a row repeats an earlier one: exactly, or nearly in its prompt and in its answer alike.

    Near duplicates are found by MinHash with one permutation: words in pairs are hashed into bins, each of which keeps
    its least hash. Both parts must be alike, because the turns of an agent share nearly all of their prompts.
    """

    def __init__(self, duplicates: Duplicates) -> None:
        self._is_near = duplicates == "near"
        self._digests: set[bytes] = set()
        self._signatures: list[tuple[array[int], array[int]]] = []
        self._rows_by_band: dict[tuple[int, bytes], int] = {}

    def find(self, prompt: str, answer: str) -> Literal["duplicate", "near_duplicate"] | None:
        """Return what a row is to the earlier ones, and remember it if it is new."""
        digest = blake2b(f"{len(prompt)} {prompt}{answer}".encode(), digest_size=16).digest()
        if digest in self._digests:
            return "duplicate"
        self._digests.add(digest)
        return "near_duplicate" if self._is_near and self._find_near(prompt, answer) else None

    def _find_near(self, prompt: str, answer: str) -> bool:
        signatures = (minhash(prompt), minhash(answer))
        bands = [
            (start, b"".join(signature[start : start + BAND_BINS].tobytes() for signature in signatures))
            for start in range(0, SIGNATURE_BINS, BAND_BINS)
        ]
        for row in {self._rows_by_band[band] for band in bands if band in self._rows_by_band}:
            if all(map(_is_similar, signatures, self._signatures[row])):
                return True
        for band in bands:
            self._rows_by_band.setdefault(band, len(self._signatures))
        self._signatures.append(signatures)
        return False


def minhash(text: str) -> array[int]:
    """Return the signature of a text: for each bin the least hash of the word pairs in it."""
    words = re.findall(r"\w+", text.lower())
    signature = array("I", [EMPTY_BIN_CODE]) * SIGNATURE_BINS
    for shingle in {f"{word} {next_word}" for word, next_word in pairwise(["", *words, ""])}:
        hashed = int.from_bytes(blake2b(shingle.encode(), digest_size=8).digest(), "big")
        index, value = hashed % SIGNATURE_BINS, hashed >> 32
        signature[index] = min(signature[index], value)
    return signature


def _is_similar(signature: array[int], other_signature: array[int]) -> bool:
    """Tell whether the share of equal bins reaches MIN_SIMILARITY_RATIO; bins that are empty in both do not count."""
    bins = [
        (left, right)
        for left, right in zip(signature, other_signature, strict=True)
        if (left, right) != (EMPTY_BIN_CODE, EMPTY_BIN_CODE)
    ]
    return sum(left == right for left, right in bins) >= MIN_SIMILARITY_RATIO * len(bins)
