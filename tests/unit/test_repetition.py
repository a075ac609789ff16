"""Repetitions: hashes that are on disk stay what they are, whatever fields come later."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from afterword import types as t
from afterword.service.repetition import FIRST_FIELDS, request_hash

ID = "0192d3a4-5b6c-7d8e-9f00-112233445566"
HI = [{"role": "user", "content": "Hi"}]
BODIES: dict[type[msgspec.Struct], dict[str, Any]] = {
    t.NewInteraction: {
        "messages": HI,
        "completion": "Ho",
        "feedbacks": [{"metric": "CSAT", "value": 4}],
        "labels": {"b": "2", "a": "1"},
        "completion_id": ID,
    },
    t.NewFeedback: {"completion_id": ID, "metric": "CSAT", "value": 4.5, "feedback_id": ID},
    t.NewPreference: {
        "metric": "better",
        "preferred_completion": {"text": "Ho"},
        "other_completion": ID,
        "messages": HI,
        "comparison_id": ID,
    },
}
ON_DISK = {
    t.NewInteraction: 7386083799989001417,
    t.NewFeedback: 6128227888929484855,
    t.NewPreference: 4093062848404146343,
}
NEWER_FIELDS = {"null": None, "unset": msgspec.UNSET, "empty": msgspec.field(default_factory=list), "no": False}


@pytest.mark.parametrize("kind", BODIES, ids=lambda kind: kind.__name__)
def test_a_hash_is_the_one_that_is_on_disk(kind: type[msgspec.Struct]):
    assert request_hash(msgspec.convert(BODIES[kind], kind)) == ON_DISK[kind]


@pytest.mark.parametrize("newer", NEWER_FIELDS)
@pytest.mark.parametrize("kind", BODIES, ids=lambda kind: kind.__name__)
def test_a_new_optional_field_changes_no_hash_until_it_is_set(kind: type[msgspec.Struct], newer: str):
    later = msgspec.defstruct("Later", [("newer", Any, NEWER_FIELDS[newer])], bases=(kind,), kw_only=True)
    before = request_hash(msgspec.convert(BODIES[kind], kind))
    assert request_hash(msgspec.convert(BODIES[kind], later)) == before
    assert request_hash(msgspec.convert({**BODIES[kind], "newer": "x"}, later)) != before


def test_the_first_fields_exist():
    for kind, names in FIRST_FIELDS.items():
        assert names <= {field.name for field in msgspec.structs.fields(kind)}
