"""What the Python client makes of values that JSON does not have."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import afterword
from afterword.client.encoding import encode_value


class Scalar:
    """As numpy's: a number with a dtype."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def tolist(self) -> Any:
        return self.value

    def item(self) -> Any:
        return self.value


class Float64(float):
    """As numpy's float64, which is a float of Python, too."""

    def tolist(self) -> float:
        return float(self)


class Timestamp(datetime):
    """As pandas' Timestamp: a time with more digits than Python's."""

    def isoformat(self, *_: Any) -> str:
        return super().isoformat() + "123"


class NaTType:
    """As pandas' missing time."""


class NAType:
    """As pandas' missing value."""


class Model:
    """As a model of pydantic's: a message of the openai client."""

    def model_dump(self, **options: Any) -> dict[str, Any]:
        assert options == {"exclude_unset": True}
        return {"role": "assistant", "content": "Hi", "logprobs": [Scalar(-0.5)]}


class Colour(Enum):
    RED = "red"


class Word(str, Enum):  # noqa: UP042  (as users of older Pythons have it)
    YES = "yes"


@dataclass
class Turn:
    role: str
    content: Any


PNG = b"\x89PNG\r\n\x1a\n"
TAKEN = [
    (Scalar(0.25), 0.25),
    (Scalar(True), True),
    (Scalar([1, 2]), [1, 2]),
    (Float64(0.5), 0.5),
    (Decimal("0.25"), 0.25),
    (Decimal("3"), 3),
    (Fraction(1, 2), 0.5),
    (Colour.RED, "red"),
    (Word.YES, "yes"),
    (Turn("user", Scalar(1)), {"role": "user", "content": 1}),
    (Model(), {"role": "assistant", "content": "Hi", "logprobs": [-0.5]}),
    (date(2026, 11, 23), "2026-11-23"),
    (datetime(2026, 11, 23, 10), "2026-11-23T10:00:00"),
    (Timestamp(2026, 11, 23, 10, 0, 0, 1), "2026-11-23T10:00:00.000001123"),
    ((1, 2), [1, 2]),
    ({1}, [1]),
    (deque([1]), [1]),
    (PNG, "data:image/png;base64,iVBORw0KGgo="),
    (Path("a") / "b", "a/b"),
    ({Colour.RED: 1, 2: 3, Scalar("k"): 4}, {"red": 1, "2": 3, "k": 4}),
    ("Cut \ud83d", "Cut \ufffd"),
    ("\U0001f600", "\U0001f600"),
]
LOST = [
    float("nan"), float("inf"), Float64("nan"), Scalar([0.5, float("nan")]), Decimal("NaN"), NaTType(), NAType(),
    b"no image", object(), 1j, {object(): 1},
]  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), TAKEN, ids=lambda value: type(value).__name__)
def test_a_value_is_taken_for_what_it_is(value: Any, expected: Any):
    assert json.loads(encode_value({"parameters": {"p": value}})) == {"parameters": {"p": expected}}


@pytest.mark.parametrize("value", LOST, ids=lambda value: type(value).__name__)
def test_what_json_would_lose_is_refused_by_its_field(value: Any):
    with pytest.raises(afterword.Invalid) as caught:
        encode_value({"parameters": {"p": value}})
    assert str(caught.value.param).startswith("parameters.p")
    assert str(caught.value.param) in caught.value.message


def test_a_value_that_holds_itself_is_refused():
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(afterword.Invalid, match="nested too deeply"):
        encode_value({"parameters": endless})


def test_every_call_of_the_client_takes_them(client: afterword.Afterword, player: Any):
    ids = dict.fromkeys(("completion_id", "session_id"), "0192d3a4-5b6c-7d8e-9f00-000000000001")
    player.answers = [
        (201, {}, {**ids, "feedback_ids": []}),
        (201, {}, {"feedback_id": ids["session_id"]}),
        (200, {}, {"line": 1, "status": 201}),
    ]
    client.interactions.create(messages=[Turn("user", "Hi")], completion=Model(), usage={"total_tokens": Scalar(3)})  # type: ignore[arg-type,list-item]
    client.feedback.log_metric(Scalar(True), ids["completion_id"], "ok")  # type: ignore[arg-type]
    report = client.feedback.upload(
        [{"metric": "CSAT", "value": Scalar(4)}, {"metric": "CSAT", "value": float("nan")}], progress=False
    )
    created, rated, uploaded = (json.loads(body) for *_, body in player.seen)
    assert created["messages"] == [{"role": "user", "content": "Hi"}]
    assert (created["completion"]["content"], created["usage"]) == ("Hi", {"total_tokens": 3})
    assert (rated["value"], uploaded["value"]) == (True, 4)
    [failure] = report.failed
    assert (failure.index, failure.error.param) == (1, "value")
