"""A driver keeps each statement that it compiled, so there are few of them, however many rows they carry."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy.dialects import sqlite

from afterword.store.engine.dialect import any_of
from afterword.store.engine.statements import Delete, RowLookup, Update, driver_statements
from afterword.store.feedback import FIND_COMPLETION, INSERT_FEEDBACK
from afterword.store.schema import feedback, interactions

DIALECT = sqlite.dialect()
ROWS = {
    "insert": (INSERT_FEEDBACK, lambda number: (number, *(None,) * (len(feedback.columns) - 1))),
    "update": (Update(interactions, "id", "labels"), lambda number: (number, "{}")),
    "delete": (Delete(feedback, "id"), lambda number: (number,)),
}


@pytest.mark.parametrize("kind", ROWS)
def test_rows_of_any_number_share_few_statements(kind: str) -> None:
    change, row = ROWS[kind]
    texts = set[str]()
    for number in range(1, 300):
        statements = driver_statements(DIALECT, {change: [row(index) for index in range(number)]})
        texts |= {text for text, _ in statements}
        written = [value for _, values in statements for value in values[:: len(row(0))]]
        assert written == list(range(number))
    assert len(texts) <= 14


def test_lookups_of_any_number_share_few_statements() -> None:
    texts = set[str]()
    for number in range(1, 300):
        lookup = RowLookup(DIALECT, [(FIND_COMPLETION, UUID(int=index)) for index in range(number)])
        texts |= {text for text, _ in lookup.statements}
    assert len(texts) <= 14


def test_lists_of_any_length_are_padded_to_few_lengths() -> None:
    lengths = set[int]()
    for number in range(3_000):
        clause = any_of(interactions.c.id, list(range(number)))
        padded = clause.right.value  # pyright: ignore[reportAttributeAccessIssue]
        assert set(padded) == set(range(number))
        lengths.add(len(padded))
    assert len(lengths) <= 14
