"""From bytes to structs, and from what is wrong with them to words."""

from __future__ import annotations

import contextlib
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from afterword import types as t
from afterword.api.decoding import read_call, read_json, read_query
from afterword.errors import BadRequest, Invalid
from afterword.json_text import MAX_DEPTH
from afterword.types.queries import ListQuery

INTERACTION = msgspec.json.Decoder(t.NewInteraction)
SEARCH = msgspec.json.Decoder(t.Search)
START = '"messages": [{"role": "user", "content": "x"}], "completion": "y"'


class Query(t.Input):
    """A query with a parameter of each kind."""

    name: str | None = None
    many: list[str] = msgspec.field(default_factory=list)
    few: list[Literal["a", "b"]] = msgspec.field(default_factory=list)
    number: Annotated[int, Meta(ge=1, le=5)] = 3
    flag: bool = False


# ------------------------------------------------------------------------------------------------ bodies


@pytest.mark.parametrize(
    ("raw", "param", "code", "words"),
    [
        ("{}", "messages", "missing_field", "'messages' is missing."),
        ('{"messages": []}', "completion", "missing_field", "'completion' is missing."),
        (f'{{{START}, "complettion": 1}}', "complettion", "unknown_field", "no field 'complettion'"),
        (f'{{{START}, "a`b": 1}}', "a`b", "unknown_field", "no field 'a`b'"),
        (f'{{{START}, "model": 7}}', "model", "invalid_value", "model is 7, but must be a string or null."),
        (f'{{{START}, "model": ""}}', "model", "invalid_value", "model is ''"),
        (f'{{{START}, "user": {{"a": 1}}}}', "user", "invalid_value", "is an object, but must be a string or null."),
        (f'{{{START}, "session_id": 5}}', "session_id", "invalid_value", "session_id is 5, but must be a string"),
        (f'{{{START}, "labels": {{"a": "b", "c": 5}}}}', "labels.c", "invalid_value", "labels.c is 5"),
        (f'{{{START}, "labels": {{"a": null}}}}', "labels.a", "invalid_value", "is null, but must be a string."),
        ('{"messages": ["a"], "completion": ""}', "messages[0]", "invalid_value", "messages[0] is 'a'"),
        (f'{{{START}, "feedbacks": [{{"metric": "m"}}]}}', "feedbacks[0].value", "missing_field", "has no 'value'"),
        (
            f'{{{START}, "feedbacks": [{{"metric": "m", "value": 1}}, {{"metric": "m", "value": "1"}}]}}',
            "feedbacks[1].value", "invalid_value", "feedbacks[1].value is '1'",
        ),
        (
            f'{{{START}, "feedbacks": [{{"metric": "m", "value": 1, "note": ""}}]}}',
            "feedbacks[0].note", "unknown_field", "no field 'note' in feedbacks[0]",
        ),
        (f'{{{START}, "user": {"[" * 50}1{"]" * 50}}}', "user", "invalid_value", "user is an array"),
        ("[]", None, "invalid_value", "The body is an array, but must be an object."),
        ("null", None, "invalid_value", "The body is null"),
        ('"x"', None, "invalid_value", "The body is 'x'"),
        (f'{{{START}, "usage": {{"n": 1e999}}}}', "usage.n", "invalid_value", "a number that is out of range"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_body_is_told_by_its_place(raw: str, param: str | None, code: str, words: str):
    with pytest.raises(Invalid) as caught:
        read_json(INTERACTION, raw.encode())
    assert (caught.value.param, caught.value.code) == (param, code)
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("filter_", "param"),
    [
        ('{"colour": 1}', "filter.colour"),
        ('{"and": [{"model": {"eq": 1}}]}', "filter.and[0].model.eq"),
        ('{"and": [{"model": {"eq": "a"}}, {"not": {"label": {}}}]}', "filter.and[1].not.label.key"),
        ('{"not": {"or": [{"text": "a"}, {"feedback": {"metric": "m", "value": {"gt": "x"}}}]}}',
         "filter.not.or[1].feedback.value.gt"),
        ('{"model": {"in": ["a", 5]}}', "filter.model.in[1]"),
        ('{"timerange": {"from": {}}}', "filter.timerange.from"),
    ],
)  # fmt: skip
def test_a_place_deep_in_a_tree_is_found(filter_: str, param: str):
    with pytest.raises(Invalid) as caught:
        read_json(SEARCH, f'{{"filter": {filter_}}}'.encode())
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "empty_body"),
        (b" \n", "empty_body"),
        (b"{", "malformed_json"),
        (b"{]", "malformed_json"),
        (b"nonsense", "malformed_json"),
        (b'{"messages": NaN}', "malformed_json"),
        (b'{"messages": [], "completion": "\xff"}', "malformed_json"),
        (b'{"messages": [], "completion": "x"} {}', "malformed_json"),
    ],
    ids=range(8),
)
def test_what_is_no_json_is_told(raw: bytes, code: str):
    with pytest.raises(BadRequest) as caught:
        read_json(INTERACTION, raw)
    assert caught.value.code == code
    assert caught.value.hint


@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1, 969, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a": ', "}")])
def test_levels_beyond_the_bound_are_refused(opening: str, closing: str, depth: int):
    # Brackets within a string are no levels.
    text = '"' + "[{" * 300 + '"'
    raw = f"{opening * depth}{text}{closing * depth}".encode()
    decoder = msgspec.json.Decoder(Any)
    if depth <= MAX_DEPTH:
        assert read_json(decoder, raw)
        return
    for cut in (raw, raw[:-1]):
        with pytest.raises(Invalid, match=f"more than {MAX_DEPTH} levels") as caught:
            read_json(decoder, cut)
        assert caught.value.code == "nested_too_deeply"


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        (t.NewMetric, {"key": "m", "kind": "int"}, "kind is 'int', but must be one of 'scalar', 'bool'."),
        (t.NewMetric, {"key": ""}, "key is '', but must be a string of at least 1 character."),
        (t.NewMetric, {"key": "m" * 201}, "but must be a string of at most 200 characters."),
        (t.NewFeedback, {"metric": "m", "completion_id": "c", "value": None},
         "value is null, but must be true, false or a number."),
        (t.Search, {"limit": 0}, "limit is 0, but must be an integer, at least 1."),
        (t.Search, {"limit": True}, "limit is true, but must be an integer."),
        (t.Search, {"order": "newest"}, "order is 'newest', but must be one of '-created_at', 'created_at'."),
        (ListQuery, {"source": ["LIVE", "DEAD"]}, "source[1] is 'DEAD', but must be one of 'LIVE', 'OFFLINE', "),
        (t.NewABTest, {"key": "k", "metric": "m", "models": ["a"]}, "but must be an array of at least 2 elements."),
        (t.NewABTest, {"key": "k", "metric": "m", "models": ["a", "b"], "traffic_split": 2},
         "traffic_split is 2, but must be a number, at most 1."),
    ],
)  # fmt: skip
def test_what_a_value_must_be_is_told_in_the_words_of_json(kind: type[msgspec.Struct], body: Any, words: str):
    with pytest.raises(Invalid) as caught:
        read_json(msgspec.json.Decoder(kind), msgspec.json.encode(body))
    assert words in caught.value.message


def test_a_long_value_is_told_in_short():
    with pytest.raises(Invalid) as caught:
        read_json(INTERACTION, f'{{{START}, "session_id": "{"x" * 100_000}"}}'.encode())
    assert len(caught.value.message) < 400
    with pytest.raises(Invalid) as caught:
        read_json(INTERACTION, f'{{{START}, "{"x" * 100_000}": 1}}'.encode())
    assert len(caught.value.message) < 400
    assert len(caught.value.param or "") < 100


@settings(deadline=None, database=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from([*t.NewInteraction.__struct_fields__, "metric", "value", "a.b", "[0]", ""]), inner
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_read_or_refused_with_words(body: Any):
    # What is refused is refused in our words: another exception fails the test.
    with contextlib.suppress(BadRequest, Invalid):
        read_json(INTERACTION, msgspec.json.encode(body))


# ------------------------------------------------------------------------------------------------ queries


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("", Query()),
        ("name=a+b%20c&number=5", Query(name="a b c", number=5)),
        ("name=", Query(name="")),
        ("name", Query(name="")),
        ("many=a&many=b&many=", Query(many=["a", "b", ""])),
        ("few=b", Query(few=["b"])),
        ("flag=true", Query(flag=True)),
        ("flag=1", Query(flag=True)),
        ("flag=false&name=%C3%A9%F0%9F%99%82", Query(name="é🙂")),
        ("name=a=b&many=c;d", Query(name="a=b", many=["c;d"])),
    ],
)
def test_a_query_is_read(raw: str, expected: Query):
    assert read_query(Query, raw.encode()) == expected


@pytest.mark.parametrize(
    ("raw", "param", "code"),
    [
        ("nome=a", "nome", "unknown_parameter"),
        ("name=a&name=a", "name", "repeated_parameter"),
        ("few=c", "few[0]", "invalid_value"),
        ("few=a&few=c", "few[1]", "invalid_value"),
        ("number=0", "number", "invalid_value"),
        ("number=6", "number", "invalid_value"),
        ("number=two", "number", "invalid_value"),
        ("number=", "number", "invalid_value"),
        ("flag=perhaps", "flag", "invalid_value"),
    ],
)
def test_what_is_wrong_with_a_query_is_told_by_its_parameter(raw: str, param: str, code: str):
    with pytest.raises(Invalid) as caught:
        read_query(Query, raw.encode())
    assert (caught.value.param, caught.value.code) == (param, code)


def test_an_unknown_parameter_is_answered_with_the_known_ones():
    with pytest.raises(Invalid) as caught:
        read_query(ListQuery, b"form=2024")
    assert "from" in (caught.value.hint or "").split("are ")[1].replace(".", "").split(", ")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("session.solved=true", "solved=true"),
        ("session.score>=4", "score>=4"),
        ("session.score%3E%3D4", "score>=4"),
        ("session.score!=4", "score!=4"),
        ("session.score", "score"),
        ("session.%22a%3Db%22=1", '"a=b"=1'),
    ],
)
def test_a_parameter_of_the_session_is_one_of_its_outcome(raw: str, expected: str):
    assert read_query(ListQuery, raw.encode()).outcome == [expected]
    with pytest.raises(Invalid, match=r"Unknown parameter 'session\."):
        read_query(Query, raw.encode())


@pytest.mark.parametrize("raw", [b"name=%ff", b"name=\xff", b"&".join([b"many=x"] * 1001)])
def test_a_query_that_cannot_be_read_is_refused(raw: bytes):
    with pytest.raises(BadRequest) as caught:
        read_query(Query, raw)
    assert caught.value.code == "malformed_query"


@settings(deadline=None, database=None)
@given(st.text(), st.lists(st.text()))
def test_any_text_travels_through_a_query(name: str, many: list[str]):
    raw = urlencode([("name", name), *(("many", one) for one in many)]).encode()
    assert read_query(Query, raw) == Query(name=name, many=many)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (rb"Cut \ud83d", "Cut \ufffd"),
        (rb"\ude00 cut", "\ufffd cut"),
        (rb"\ud83d\ude00 whole, \uD83D half", "\U0001f600 whole, \ufffd half"),
        (rb"\\ud83d is a text, \ud83d is none", "\\ud83d is a text, \ufffd is none"),
        (rb"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
    ],
)
def test_half_a_surrogate_pair_is_read_as_a_replacement_character(sent: bytes, kept: str):
    body = read_json(INTERACTION, b'{"messages": [], "completion": "' + sent + b'"}')
    assert body.completion == kept


def test_a_byte_order_mark_before_a_body_is_passed_over():
    raw = b'\xef\xbb\xbf{"messages": [], "completion": "x"}'
    assert read_json(INTERACTION, raw).completion == "x"
    request, body, kept, replaced = read_call(INTERACTION, bytearray(raw), None)
    assert (request.completion, body, kept, replaced) == ("x", kept, {"messages": [], "completion": "x"}, [])


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_is_none_is_refused_by_its_place(number: str):
    with pytest.raises(BadRequest) as caught:
        read_json(INTERACTION, f'{{"messages": [], "completion": "x", "usage": {{"cost": [1, {number}]}}}}'.encode())
    assert (caught.value.code, caught.value.param) == ("malformed_json", "usage.cost[1]")
    assert number in caught.value.message
