"""Rules for training sets: splits that stay when a set grows, and rows that repeat others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from afterword.service.studies.dataset_rules import DuplicateFinder, minhash, split_of
from afterword.types import Split

SENTENCE = " ".join(f"word{number}" for number in range(200))


@given(
    st.lists(st.uuids(), min_size=1, max_size=50),
    st.integers(0, 2**53 - 1),
    st.sampled_from(["session", "user", "prompt"]),
    st.tuples(st.floats(0, 0.5), st.floats(0, 0.5)),
)
def test_rows_keep_their_side_when_a_set_grows(ids: Any, seed: int, by: Any, shares: tuple[float, float]):
    rows: list[Any] = [
        SimpleNamespace(session_id=row_id, user=str(row_id) if index % 2 else None, prompt_hash=str(row_id))
        for index, row_id in enumerate(ids)
    ]
    split = Split(by=by, validation=shares[0], test=shares[1])
    before = [split_of(row, split, seed) for row in rows[: len(rows) // 2]]
    assert [split_of(row, split, seed) for row in rows][: len(before)] == before
    # A greater share for the test takes rows and gives none back.
    more = Split(by=by, validation=0, test=shares[1] + 0.1)
    assert all(split_of(row, more, seed) == "test" for row in rows if split_of(row, split, seed) == "test")


def test_splits_have_about_the_shares_that_were_requested():
    rows: list[Any] = [SimpleNamespace(session_id=number, user=None, prompt_hash="") for number in range(4000)]
    sides = [split_of(row, Split(validation=0.2, test=0.1), 7) for row in rows]
    assert 700 < sides.count("validation") < 900
    assert 320 < sides.count("test") < 480


def test_duplicates_are_found_exactly_or_nearly():
    near = SENTENCE.replace("word100", "other")
    texts = [("Why?", SENTENCE), ("Why?", SENTENCE), ("Why?", near), ("Why?", "No."), (SENTENCE, "A"), (near, "B")]
    exact, similar = DuplicateFinder("exact"), DuplicateFinder("near")
    assert [exact.find(*text) for text in texts] == [None, "duplicate", None, None, None, None]
    # The last two share their prompt nearly, as turns of an agent do, and not their answer.
    assert [similar.find(*text) for text in texts] == [None, "duplicate", "near_duplicate", None, None, None]
    assert minhash(SENTENCE) == minhash(f" {SENTENCE.upper()}!")
