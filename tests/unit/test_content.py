"""What messages may hold, and how images go out of them and back."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afterword.config import Settings, load
from afterword.errors import Invalid, TooLarge
from afterword.service.interactions import content
from afterword.service.interactions.media import Media, media_text

SETTINGS = load({}, {})
BYTES = {
    "png": b"\x89PNG\r\n\x1a\n....",
    "jpeg": b"\xff\xd8\xff....",
    "gif": b"GIF87a....",
    "webp": b"RIFF\4\0\0\0WEBP....",
}
FORMS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "flat": lambda address: {"type": "image_url", "image_url": address},
    "object": lambda address: {"type": "image_url", "image_url": {"url": address, "detail": "high"}, "more": 1},
    "input_image": lambda address: {"type": "input_image", "image_url": address},
    "dataset": lambda address: {"type": "image", "url": address},
}


def uri(raw: bytes = BYTES["png"], kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(raw).decode()}"


def user_message(*parts: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


def take_in(messages: Any, settings: Settings = SETTINGS) -> tuple[list[dict[str, Any]], list[Media]]:
    return content.extract_images(messages, settings)


# ------------------------------------------------------------------------------------------------ messages

TEXT = {"type": "text", "text": "x"}


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": "x"},
        {"role": "user", "content": ""},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "assistant"},
        {"role": "r" * 64, "content": []},
        {"role": "user", "content": [TEXT, {"type": "input_audio", "audio": {"data": "x"}}, {"type": "image"}]},
        {"role": "user", "content": "afterword-image:" + "0" * 64 + ".png;data:image/png;base64"},
    ],
)
def test_a_message_without_images_stays_as_it_is(message: dict[str, Any]):
    before = copy.deepcopy(message)
    kept, images = take_in([message])
    assert kept == [before]
    assert kept[0] is message
    assert images == []
    assert content.restore_images(kept, lambda *_: "never") == [before]


@pytest.mark.parametrize(
    ("message", "place"),
    [
        ({}, "role"),
        ({"content": "x"}, "role"),
        ({"role": 5}, "role"),
        ({"role": ""}, "role"),
        ({"role": "r" * 65}, "role"),
        ({"role": "user", "content": 5}, "content"),
        ({"role": "user", "content": {"type": "text"}}, "content"),
        ({"role": "user", "content": ["x"]}, "content[0]"),
        ({"role": "user", "content": [TEXT, {"text": "x"}]}, "content[1]"),
        ({"role": "user", "content": [{"type": None}]}, "content[0]"),
        ({"role": "user", "content": [TEXT, {"type": "image_url"}]}, "content[1].image_url"),
    ],
    ids=str,
)
def test_what_is_no_message_is_refused_by_its_place(message: dict[str, Any], place: str):
    with pytest.raises(Invalid) as caught:
        take_in([{"role": "system", "content": "fine"}, message])
    assert caught.value.param == f"messages[1].{place}"


def test_no_messages_at_all_are_refused():
    with pytest.raises(Invalid, match="messages is empty"):
        take_in([])


# ------------------------------------------------------------------------------------------------ images


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", BYTES)
def test_an_image_goes_out_of_its_place_and_back_into_it(form: str, kind: str):
    messages = user_message(TEXT, FORMS[form](uri(BYTES[kind], kind)), TEXT)
    before = copy.deepcopy(messages)
    kept, [image] = take_in(messages)
    assert messages == before
    assert image == (hashlib.sha256(BYTES[kind]).digest(), kind, BYTES[kind])
    assert base64.b64encode(BYTES[kind]).decode() not in json.dumps(kept)
    assert content.image_hashes(kept) == {image.hash}
    shown: list[tuple[str, ...]] = []
    content.restore_images(kept, lambda *found: shown.append(found) or "")
    assert shown == [(image.hash.hex(), kind, f"data:image/{kind};base64")]
    assert content.restore_images(kept, lambda _, __, header: media_text(header, image.content)) == before


@settings(deadline=None, database=None)
@given(
    st.lists(
        st.sampled_from(sorted(FORMS)).flatmap(
            lambda form: st.sampled_from(sorted(BYTES)).map(lambda kind: FORMS[form](uri(BYTES[kind], kind)))
        )
        | st.just(TEXT)
    )
)
def test_any_parts_come_back_as_they_were(parts: list[dict[str, Any]]):
    messages = user_message(*parts)
    kept, images = take_in(messages)
    contents = {image.hash.hex(): image.content for image in images}
    assert len(images) == sum(part is not TEXT and part != TEXT for part in parts)
    assert content.restore_images(kept, lambda found, _, header: media_text(header, contents[found])) == messages


@pytest.mark.parametrize("header", ["data:image/jpg;base64", "DATA:IMAGE/JPEG;BASE64", "data:image/Jpeg;base64"])
def test_the_header_is_kept_as_it_was_written(header: str):
    address = f"{header},{base64.b64encode(BYTES['jpeg']).decode()}"
    kept, [image] = take_in(user_message(FORMS["flat"](address)))
    assert image.extension == "jpeg"
    assert content.restore_images(kept, lambda _, __, header: media_text(header, image.content)) == user_message(
        FORMS["flat"](address)
    )


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (None, "must be a base64 data URI"),
        (5, "must be a base64 data URI"),
        ("", "must be a base64 data URI"),
        ("data:image/png;charset=x;base64,AAAA", "must be a base64 data URI"),
        ("data:text/html;base64,AAAA", "must be a base64 data URI"),
        (" " + uri(), "must be a base64 data URI"),
        ("data:image/png;base64,", "no PNG"),
        (uri(BYTES["png"], "gif"), "declared as image/gif, but its bytes are image/png"),
        (uri(b"<svg/>", "svg+xml"), "declared as image/svg+xml"),
        (uri(BYTES["png"], "svg+xml"), "declared as image/svg+xml"),
        (uri(b"RIFF\4\0\0\0WAVE....", "webp"), "no PNG"),
        (uri() + "=", "not plain base64"),
        (uri(BYTES["png"] + b".").rstrip("="), "not plain base64"),
        (uri() + " ", "not plain base64"),
        (uri().replace("iVBOR", "iVB\nOR"), "not plain base64"),
        ("data:image/png;base64,iVBORw0KGgp=", "not plain base64"),
        ("data:image/png;base64,é" + "A" * 11, "not plain base64"),
    ],
    ids=range(17),
)
@pytest.mark.parametrize("form", FORMS)
def test_what_is_no_image_is_refused(form: str, address: Any, words: str):
    with pytest.raises(Invalid) as caught:
        take_in(user_message(FORMS[form](address)))
    assert words in caught.value.message
    assert (caught.value.param or "").startswith("messages[0].content[0].")


def test_an_image_beyond_the_limit_is_refused_before_it_is_decoded():
    limit = load({"max_image": "12"}, {})
    assert take_in(user_message(FORMS["flat"](uri(b"\x89PNG\r\n\x1a\n" + bytes(4)))), limit)[1]
    for size in (13, 14, 15, 1000):
        with pytest.raises(TooLarge) as caught:
            take_in(user_message(FORMS["flat"](uri(b"\x89PNG\r\n\x1a\n".ljust(size, b"\0")))), limit)
        assert caught.value.param == "messages[0].content[0].image_url"


# ------------------------------------------------------------------------------------------------ the same prompt


def prompt_hash(*messages: dict[str, Any]) -> int:
    return content.prompt_hash(take_in(list(messages))[0])


SAME = [
    ({"role": "user", "content": "x"}, {"content": "x", "role": "user"}),
    ({"role": "user", "content": "x"}, {"role": "user", "content": [TEXT]}),
    ({"role": "assistant", "content": None}, {"role": "assistant", "content": ""}),
    ({"role": "user", "content": "x", "a": {"b": 1, "c": 2}}, {"a": {"c": 2, "b": 1}, "role": "user", "content": "x"}),
]
OTHER = [
    ({"role": "user", "content": "x"}, {"role": "system", "content": "x"}),
    ({"role": "user", "content": "x"}, {"role": "user", "content": "X"}),
    ({"role": "user", "content": "x"}, {"role": "user", "content": "x", "name": "ann"}),
    ({"role": "user", "content": [TEXT]}, {"role": "user", "content": [TEXT, FORMS["flat"](uri())]}),
    (
        {"role": "user", "content": [FORMS["flat"](uri())]},
        {"role": "user", "content": [FORMS["flat"](uri(BYTES["png"] + b"."))]},
    ),
]


@pytest.mark.parametrize(("one", "two"), SAME, ids=range(len(SAME)))
def test_the_same_prompt_has_one_hash(one: dict[str, Any], two: dict[str, Any]):
    assert prompt_hash(one) == prompt_hash(two)


@pytest.mark.parametrize(("one", "two"), OTHER, ids=range(len(OTHER)))
def test_another_prompt_has_another_hash(one: dict[str, Any], two: dict[str, Any]):
    assert prompt_hash(one) != prompt_hash(two)


def test_where_one_message_ends_makes_a_difference():
    ab, c = {"role": "user", "content": "ab"}, {"role": "user", "content": "c"}
    a, bc = {"role": "user", "content": "a"}, {"role": "user", "content": "bc"}
    assert len({prompt_hash(ab, c), prompt_hash(a, bc), prompt_hash(c, ab)}) == 3
