"""Values that JSON and HTTP allow, or nearly allow, and that programs trip over, as strategies of hypothesis.

A body is a tree of Python's values with two more leaves: `Raw`, which are bytes that are sent as they are, and `Real`,
which stands for the id of a thing that exists. `encode` makes the bytes that are sent.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec.inspect as mi
from hypothesis import strategies as st

Strategy = st.SearchStrategy[Any]


class Raw(NamedTuple):
    """Bytes that are sent as they are in the place of a value or a key."""

    content: bytes


class Real(NamedTuple):
    """The id of a thing that exists, by the name that `things` have for it."""

    name: str


def encode(value: Any, things: Mapping[str, str]) -> bytes:
    """Return a body as JSON, or nearly: with NaN, with half surrogate pairs, with raw bytes."""
    match value:
        case Raw():
            return value.content
        case Real():
            return json.dumps(things[value.name]).encode()
        case dict():
            members = (encode(key, things) + b": " + encode(inner, things) for key, inner in value.items())
            return b"{" + b", ".join(members) + b"}"
        case list():
            return b"[" + b", ".join(encode(inner, things) for inner in value) + b"]"
    return json.dumps(value).encode()


def one(choices: Sequence[Any]) -> Strategy:
    """One of these. Its `repr` is short, unlike that of `sampled_from`, which hypothesis writes again and again."""
    return st.integers(0, len(choices) - 1).map(lambda index: choices[index])


# ------------------------------------------------------------------------------------------------ texts and keys

TEXTS = ["", " ", "\0", "x\0y", "\ud800", "x\udc00", "\ud83d and \ude00", "İ", "ı", "ſ", "ΣΑΣ", "ß", "OFFLİNE", "LıVE"]
TEXTS += [
    "%",
    "%s",
    "'",
    '"',
    "\\",
    "*",
    "a:b:c",
    ":",
    "=>",
    "..",
    "../..",
    "null",
    "NaN",
    "1e309",
    "-",
    "天",
    "🎉",
    "\u200b",
]
TEXTS += [
    "n" * 128,
    "n" * 129,
    "n" * 201,
    "n" * 5_000,
    "é" * 513,
    "a " * 3_000,
    "{0}",
    "{x}",
    "\x7f\x1b",
    "now",
    "true",
]
KEYS = ["", "\0", "\ud800", "İ", "a.b", "a[0]", "$", "__proto__", "k" * 128, "k" * 129, "k" * 5_000, "é" * 65, "label"]
RAW_TEXTS = [
    Raw(b'"\xff\xfe"'),
    Raw(b'"\xed\xa0\x80"'),
    Raw(b'"\xc3"'),
    Raw(b'"\\u0000"'),
    Raw(b'"\\ud83d"'),
    Raw(b'"a\nb"'),
]
NO_JSON = [
    Raw(b""),
    Raw(b"{"),
    Raw(b"]"),
    Raw(b'"'),
    Raw(b"nul"),
    Raw(b"\xef\xbb\xbf1"),
    Raw(b'{"a": 1, "a": 2}'),
    Raw(b"\0"),
]


@cache
def texts() -> Strategy:
    """Texts that programs trip over, some of them long, some no text at all as Unicode has it."""
    return st.one_of(one(TEXTS), one(TEXTS), st.text(max_size=8))


@cache
def keys() -> Strategy:
    """Names of members and of labels."""
    return st.one_of(one([*KEYS, Raw(b'"\\ud83d"')]), one("abc"))


# ------------------------------------------------------------------------------------------------ numbers and times

WHOLE_NUMBERS = [0, 1, 2, -1, 7, 2**31, -(2**31) - 1, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**30, 10**400]
FRACTIONS = [0.5, -0.0, 1e-320, 1e308, -1e308, 1.7976931348623157e308]
NO_NUMBERS = [float("nan"), float("inf"), float("-inf")]
RAW_NUMBERS = [
    Raw(b"1e309"),
    Raw(b"-1e309"),
    Raw(b"9" * 5_000),
    Raw(b"0." + b"0" * 400 + b"1"),
    Raw(b"1E+2"),
    Raw(b"01"),
]
TIMES = ["0001-01-01", "0000-00-00", "1969-12-31T23:59:59Z", "1970-01-01", "9999-12-31", "9999-12-31T23:59:59.999Z"]
TIMES += [
    "9999-12-31T23:59:59.9999999-14:00",
    "0001-01-01T00:00:00+14:00",
    "2026-11-01T24:00",
    "2026-W01-1",
    "2026-02-30",
]
TIMES += [
    "now",
    "now - 1 month",
    "now - 999999999 years",
    "now + 7973 years",
    "now - 1 day | Europe/Paris",
    "now | ../x",
]
TIMES += [
    "now | \0",
    "now | İ",
    "1e12",
    "٢٠٢٦-١١-٠١",
    "253402300799999",
    "253402300800000",
    "9" * 400,
    "+0",
    "",
    "n" * 300,
]
TIME_NUMBERS = [
    0,
    1,
    -1,
    10**8,
    10**11 - 1,
    253_402_300_799_999,
    253_402_300_800_000,
    2**62,
    2**63,
    1e300,
    1e12,
    1e20,
    True,
]
ZONES = [
    "UTC",
    "Europe/Paris",
    "",
    ".",
    "..",
    "../UTC",
    "/etc/passwd",
    "\0",
    "İ",
    "\ud800",
    "Pacific/Apia",
    "Etc/GMT+12",
    "a" * 300,
]


@cache
def numbers() -> Strategy:
    """Numbers at and beyond the ends of all ranges."""
    return st.one_of(one(WHOLE_NUMBERS), one(FRACTIONS), st.integers(-9, 9))


@cache
def times() -> Strategy:
    """Times at and beyond the ends of the range, in all forms."""
    return st.one_of(one(TIMES), one(TIME_NUMBERS), st.just("now - 1 day"))


# ------------------------------------------------------------------------------------------------ nesting

DEPTHS = [30, 150, 199, 200, 201, 969, 1_100, 20_000]


@cache
def nested() -> Strategy:
    """Lists and objects in each other, up to and beyond the bound, closed and not."""
    openings = one([(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]"), (b'{"not":', b"}"), (b'{"and":[', b"]}")])
    ends = one([b"", b"1", b"null", b'{"user":{"eq":"x"}}', b"1e309", b'"\\ud800"'])
    return st.builds(
        lambda depth, pair, end, open_ones: Raw(pair[0] * depth + (end or b"1") + pair[1] * (depth - open_ones)),
        one(DEPTHS), openings, ends, one([0, 0, 0, 1]),
    )  # fmt: skip


def drawn_object(required: dict[str, Strategy], optional: dict[str, Strategy], most: int = 3) -> Strategy:
    """Objects with a few of what they may have."""
    names = st.lists(one(sorted(optional)), unique=True, max_size=most) if optional else st.just([])

    @st.composite
    def draw_object(draw: Any) -> Any:
        strategies = required | {name: optional[name] for name in draw(names)}
        return {name: draw(strategy) for name, strategy in strategies.items()}

    return draw_object()


@cache
def anything() -> Strategy:
    """Any of all this, where something else is expected."""
    unreadable = one([*RAW_TEXTS, *RAW_NUMBERS, *NO_NUMBERS])
    leaf = st.one_of(st.none(), st.booleans(), numbers(), texts(), times(), unreadable)
    inner = st.one_of(leaf, st.lists(leaf, max_size=3), st.dictionaries(keys(), leaf, max_size=3))
    return st.one_of(st.none(), leaf, inner, nested(), one(NO_JSON), st.lists(inner, max_size=2))


@cache
def mapping() -> Strategy:
    """What may hold anything: usage, timings, parameters, facts."""
    names = st.one_of(
        one(["prompt_tokens", "completion_tokens", "total_tokens", "latency", "ttft", "tokens_per_second"]),
        keys(),
    )
    return st.dictionaries(names, st.one_of(numbers(), numbers(), texts(), anything()), max_size=4)


# ------------------------------------------------------------------------------------------------ words of the API

METRICS = [
    "score",
    "latency",
    "total_tokens",
    "prompt_tokens",
    "completion_tokens",
    "tokens_per_second",
    "ttft",
    "accepted",
]
PLACES = [
    0,
    -1,
    1,
    2**31,
    2**53,
    2**62 - 1,
    2**62,
    2**63 - 1,
    2**63,
    2**64,
    -(2**63),
    10**30,
    253_402_300_800_000,
    1.5,
    None,
    "x",
]
SOME_ID = "0192d3a4-5b6c-7d8e-9f00-112233445566"


@cache
def splits() -> Strategy:
    """By what groups and statistics are split."""
    labels = one(["label", "label:", *(f"label:{key}" for key in KEYS), "label:a", "label:b", "label:a:b"])
    return st.one_of(one(["model", "prompt", "session", "user", "MODEL", "prómpt"]), labels, labels, texts())


@cache
def cursors() -> Strategy:
    """Cursors that were never given out: of other lists, with impossible times, no cursors at all."""
    place, ids = one(PLACES), one([SOME_ID, "x", 1, None])
    forms = st.one_of(
        st.tuples(place, ids, st.booleans(), one(["created_at", "-created_at", "x"])),
        st.tuples(place, st.just(SOME_ID), st.booleans(), one(["created_at", "-created_at"])),
        st.tuples(st.one_of(one(["model", "prompt", "session", "label:a", "label:"]), splits()).filter(
            lambda split: isinstance(split, str)), st.one_of(place, one(TEXTS))),
        st.tuples(place, place, st.booleans()),
        st.fixed_dictionaries({"created_at": place, "outcome_id": ids}),
        one([[], {}, "", None, 0, [[]], {"created_at": 2**63, "outcome_id": SOME_ID}]),
    )  # fmt: skip
    forged = forms.map(lambda form: base64.urlsafe_b64encode(json.dumps(form).encode()).decode().rstrip("="))
    return st.one_of(forged, forged, forged, texts())


@cache
def messages() -> Strategy:
    """Messages of a conversation."""
    parts = st.one_of(
        st.fixed_dictionaries({"type": st.just("text"), "text": texts()}),
        st.fixed_dictionaries({"type": st.just("image_url"), "image_url": st.one_of(texts(), mapping())}),
        mapping(),
    )  # fmt: skip
    content = st.one_of(st.just("Hi"), texts(), st.none(), st.lists(parts, max_size=2))
    role = one(["user", "user", "assistant", "system", "tool", "developer", "", "İ"])
    more = {
        "name": texts(),
        "tool_call_id": texts(),
        "tool_calls": st.lists(tool_calls(), max_size=2),
        "refusal": texts(),
    }
    return drawn_object({"role": role, "content": content}, {**more, "reasoning_content": anything(), "x": anything()})


@cache
def tool_calls() -> Strategy:
    """Calls of tools, whole and in parts."""
    function = drawn_object({"name": texts(), "arguments": st.one_of(st.just('{"a": 1'), texts(), mapping())}, {})
    return drawn_object(
        {"id": texts(), "type": st.just("function"), "function": st.one_of(function, function, anything())},
        {"index": indexes()},
    )


@cache
def indexes() -> Strategy:
    """Indexes of choices and of calls."""
    return st.one_of(
        one([0, 0, 1, -1, 2**31, 2**63, 2**64, -(2**63) - 1, 10**30, None, "0", "x", 1.5, 1e308, True]),
        one([[], {}, [0], {"a": 1}, Raw(b"9" * 5_000), Raw(b"1e309"), Raw(b"NaN")]),
    )


@cache
def real(name: str, *others: str) -> Strategy:
    """The id of a thing that exists, and now and then a text that is none."""
    return st.one_of(*(st.just(Real(each)) for each in (name, name, name, *others)), texts())


BY_NAME: dict[str, Strategy] = {
    "cursor": cursors(),
    "group_by": splits(),
    "split_by": splits(),
    "only": st.one_of(splits(), one(["feedback:score", "preference:score", "source", "user"])),
    "timezone": one(ZONES),
    "metric": st.one_of(real("metric"), one(METRICS)),
    "message": messages(),
    "default_metric": real("metric"),
    "fallback": real("model"),
    "left": real("completion_id"),
    "right": real("other_completion"),
    "view_id": real("view_id"),
    "has_feedback": st.one_of(st.just("score"), texts()),
    "feedback": st.one_of(one(["score>=1e308", "score>=1e309", "score=nan", "score!=" + "9" * 400])),
    "label": st.one_of(one(["a", "a:b", ":", "a:", ":b", "\0:\0", "k" * 128 + ":" + "v" * 1024]), texts()),
    **{name: times() for name in ("from", "to", "created_at", "expires_at")},
    **{
        name: real(name)
        for name in (
            "project", "model", "team", "user", "role", "dataset", "test", "ab_campaign", "completion_id", "session_id",
            "preferred_completion", "other_completion", "outcome_id", "feedback_id", "comparison_id", "key_id", "file",
            "upload",
        )
    },
}  # fmt: skip
PLURALS = {
    "projects": "project",
    "models": "model",
    "teams": "team",
    "completion_ids": "completion_id",
    "metrics": "metric",
}
PLURALS |= {"messages": "message", "include": "completion_id", "exclude": "completion_id"}


# ------------------------------------------------------------------------------------------------ bodies of a type


@cache
def of_type(kind: Any, name: str = "", depth: int = 4) -> Strategy:
    """Bodies of a msgspec type: each value of the right kind, and many at the end of what that kind allows."""
    return of_info(mi.type_info(kind), name, depth)


def of_info(info: mi.Type, name: str = "", depth: int = 4) -> Strategy:
    """Bodies of a type as msgspec describes it."""
    match info:
        case mi.Metadata():
            return of_info(info.type, name, depth)
        case mi.StructType() if depth == 0:
            return st.none()
        case mi.StructType():
            required = {
                field.encode_name: of_info(field.type, field.encode_name, depth)
                for field in info.fields
                if field.required
            }
            optional = {
                field.encode_name: st.deferred(lambda field=field: of_info(field.type, field.encode_name, depth - 1))
                for field in info.fields
                if not field.required
            }
            # A node of a filter has exactly one condition.
            return drawn_object(required, optional, 1 if info.cls.__name__ == "Filter" else 3)
        case mi.UnionType():
            choices = [each for each in info.types if not isinstance(each, mi.NoneType)]
            others = [st.none()] if len(choices) < len(info.types) else []
            return st.one_of(*(of_info(each, name, depth) for each in choices for _ in (0, 1, 2)), *others)
        case mi.ListType():
            return st.lists(of_info(info.item_type, PLURALS.get(name, name), depth), max_size=3)
        case mi.DictType() if isinstance(info.value_type, mi.StrType):
            return st.dictionaries(keys(), texts(), max_size=3)
        case mi.DictType():
            return BY_NAME["message"] if name in ("message", "completion") else mapping()
    if name in BY_NAME and not isinstance(info, mi.LiteralType):
        return BY_NAME[name]
    match info:
        case mi.LiteralType():
            return st.one_of(one(info.values), one(info.values), texts())
        case mi.StrType():
            return st.one_of(st.integers(0, 10**9).map(lambda number: f"k{number}"), texts())
        case mi.UUIDType():
            return st.one_of(st.uuids().map(str), texts())
        case mi.BoolType():
            return st.booleans()
        case mi.IntType() | mi.FloatType():
            return numbers()
    return anything()


def _places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _places(inner, (*place, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _places(inner, (*place, index))


def _replaced(value: Any, place: tuple[Any, ...], other: Any) -> Any:
    """Return a body with another value in a place, which may be a member that it did not have."""
    if not place:
        return other
    copy = value.copy()
    copy[place[0]] = other if len(place) == 1 else _replaced(value[place[0]], place[1:], other)
    return copy


def disturbed(bodies: Strategy, most: int = 2) -> Strategy:
    """The bodies with something that does not belong there, or a member too many, in up to so many of their places."""

    @st.composite
    def draw_disturbed(draw: Any) -> Any:
        body = draw(bodies)
        # Half of the bodies stay as they are: of what is refused at once, nothing is stored or read.
        for _ in range(max(0, draw(st.integers(-most, most)))):
            place = draw(one(list(_places(body))))
            if draw(st.integers(0, 4)) == 0 and isinstance(_value_at(body, place), dict):
                place = (*place, draw(keys()))
            body = _replaced(body, place, draw(anything()))
        return body

    return draw_disturbed()


def _value_at(value: Any, place: tuple[Any, ...]) -> Any:
    for step in place:
        value = value[step]
    return value
