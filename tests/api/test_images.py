"""Images: out of the messages, kept once, shown in their place, gone with the last who shows them."""

from __future__ import annotations

import base64
import hashlib
import sqlite3
import struct
import zlib
from collections.abc import Callable
from contextlib import closing
from typing import Any
from uuid import uuid4

import httpx
import pytest

Call = Callable[..., dict[str, Any]]


def png(seed: str = "") -> bytes:
    """A PNG of one pixel; the text in it makes it one of its kind."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    text = chunk(b"tEXt", b"seed\0" + (seed or uuid4().hex).encode())
    return b"\x89PNG\r\n\x1a\n" + header + text + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")


def bytes_of(kind: str) -> bytes:
    """The smallest that begins as such an image does, and is one of its kind."""
    more = uuid4().bytes
    return {
        "png": png(),
        "jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF\0" + more + b"\xff\xd9",
        "gif": b"GIF89a\1\0\1\0\0\0\0" + more + b";",
        "webp": b"RIFF" + struct.pack("<I", 20) + b"WEBPVP8L" + more,
    }[kind]


def uri(content: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def question_with_images(*addresses: str) -> list[dict[str, Any]]:
    parts = [{"type": "image_url", "image_url": address} for address in addresses]
    return [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, *parts]}]


def link(project: str, content: bytes, extension: str = "png") -> str:
    return f"/images/{project}/{hashlib.sha256(content).hexdigest()}.{extension}"


@pytest.mark.parametrize(
    ("kind", "declared"),
    [("png", "png"), ("jpeg", "jpeg"), ("jpeg", "jpg"), ("gif", "gif"), ("webp", "webp"), ("png", "PNG")],
)
def test_an_image_is_shown_as_a_link_and_served_byte_for_byte(
    http: httpx.Client, log: Call, show: Call, project: str, kind: str, declared: str
):
    content = bytes_of(kind)
    made = log(messages=question_with_images(uri(content, declared)))
    shown = show(made["completion_id"])["messages"][0]["content"][1]["image_url"]
    assert shown == link(project, content, kind)
    answer = http.get(shown)
    assert answer.status_code == 200
    assert answer.content == content
    assert answer.headers["content-type"] == f"image/{kind}"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"].startswith("private")


def test_each_form_keeps_its_place_its_order_and_its_further_members(log: Call, show: Call, project: str):
    contents = [png() for _ in range(4)]
    one, two, three, four = (uri(content) for content in contents)

    def messages(one: str, two: str, three: str, four: str) -> list[dict[str, Any]]:
        return [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "before"},
                    {"type": "image_url", "image_url": one},
                    {"type": "text", "text": "between"},
                    {"type": "image_url", "image_url": {"url": two, "detail": "low"}, "cache_control": {"x": 1}},
                    {"type": "image", "url": three},
                ],
            },
            {
                "role": "user",
                "content": [{"type": "input_image", "image_url": four}, {"type": "text", "text": "after"}],
            },
        ]

    made = log(messages=messages(one, two, three, four))["completion_id"]
    links = [link(project, content) for content in contents]
    assert show(made)["messages"] == messages(*links)
    assert show(made, images="links")["messages"] == messages(*links)
    assert show(made, images="inline")["messages"] == messages(one, two, three, four)


def test_inline_gives_back_the_very_text_that_was_sent(log: Call, show: Call):
    content = bytes_of("jpeg")
    for sent in (uri(content, "jpeg"), uri(content, "JPG").replace("data:", "DATA:"), uri(content, "jpg")):
        made = log(messages=question_with_images(sent))["completion_id"]
        assert show(made, images="inline")["messages"] == question_with_images(sent)


def test_a_completion_may_show_an_image(http: httpx.Client, log: Call, show: Call, project: str):
    content = png()
    message = {"role": "assistant", "content": [{"type": "image_url", "image_url": {"url": uri(content)}}]}
    made = log(completion=message)["completion_id"]
    [part] = show(made)["message"]["content"]
    assert part["image_url"]["url"] == link(project, content)
    assert http.get(link(project, content)).content == content
    assert show(made, images="inline")["message"] == message


def test_full_lists_show_links_and_give_images_inline_when_asked(http: httpx.Client, log: Call, project: str):
    content = png()
    log(messages=question_with_images(uri(content)))
    for images, expected in (("links", link(project, content)), ("inline", uri(content))):
        query = {"project": project, "view": "full", "images": images}
        [shown] = http.get("/api/v1/interactions", params=query).json()["interactions"]
        assert shown["messages"] == question_with_images(expected)


def test_the_size_counts_the_image(log: Call, show: Call):
    content = png() + bytes(5_000)
    assert show(log(messages=question_with_images(uri(content)))["completion_id"])["size"] > 5_000


def test_the_same_prompt_has_the_same_images(log: Call, show: Call):
    first, second = png(), png()
    hashes = [
        show(log(messages=question_with_images(uri(content)))["completion_id"])["prompt_hash"]
        for content in (first, first, second)
    ]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.embedded
def test_an_image_is_kept_once_whoever_shows_it(new_server):
    running = new_server()
    content = png()
    with running.client() as http:
        http.post("/api/v1/projects", json={"key": "other"}).raise_for_status()
        for project in ("default", "default", "other"):
            body = {"project": project, "messages": question_with_images(uri(content), uri(content)), "completion": "x"}
            http.post("/api/v1/interactions", json=body).raise_for_status()
    running.stop()
    with closing(sqlite3.connect(running.directory / "afterword.db")) as store:
        assert store.execute("SELECT count(*), sum(length(content)) FROM images").fetchone() == (1, len(content))
        assert store.execute("SELECT count(*) FROM interaction_images").fetchone() == (3,)


# ------------------------------------------------------------------------------------------------ who may see it


def test_an_image_is_served_to_keys_of_its_project_only(
    server, http: httpx.Client, log: Call, project: str, refused: Call
):
    other = f"other-{uuid4().hex[:8]}"
    http.post("/api/v1/projects", json={"key": other}).raise_for_status()
    content = png()
    log(messages=question_with_images(uri(content)))
    path = link(project, content)

    def fetched(key: str | None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.get(server.url + path, headers=headers)

    def key(**fields: Any) -> str:
        return http.post("/api/v1/keys", json={"name": "viewer", **fields}).json()["api_key"]

    assert fetched(key(role="viewer", projects=[project])).content == content
    refused(fetched(key(role="viewer", projects=[other])), 404)
    refused(fetched(key(role="ingest", projects=[project])), 403)
    refused(fetched(None), 401)
    # The same bytes under a project where no interaction shows them.
    refused(http.get(link(other, content)), 404, "image_not_found")


@pytest.mark.parametrize(
    "file",
    ["{hash}.gif", "{hash}.svg", "{hash}", "{hash}.PNG", "{hash}.png.png", "{zeros}.png", "x.png", "..%2f{hash}.png"],
)
def test_no_other_name_of_an_image_leads_to_it(http: httpx.Client, log: Call, project: str, refused: Call, file: str):
    content = png()
    log(messages=question_with_images(uri(content)))
    named = file.format(hash=hashlib.sha256(content).hexdigest(), zeros="0" * 64)
    refused(http.get(f"/images/{project}/{named}"), 404)


# ------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (uri(bytes_of("gif"), "png"), "declared as image/png"),
        (uri(b"no image at all", "png"), "no PNG, JPEG, GIF or WebP"),
        (uri(b"", "png"), "no PNG, JPEG, GIF or WebP"),
        (uri(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "svg+xml"), "image/svg+xml"),
        (uri(png(), "svg+xml"), "image/svg+xml"),
        ("data:image/png,plain", "must be a base64 data URI"),
        ("afterword-image:" + "0" * 64 + ".png;data:image/png;base64", "must be a base64 data URI"),
        (uri(png())[:-3], "not plain base64"),
        (uri(png()) + "\n", "not plain base64"),
        (uri(png()).replace("base64,i", "base64, i"), "not plain base64"),
        (uri(b"\x89PNG\r\n\x1a\n\xff\xff\xff\xff").replace("//", "__"), "not plain base64"),
    ],
    ids=range(11),
)
@pytest.mark.parametrize("form", ["image_url", "url", "image"])
def test_what_is_no_image_is_refused_by_its_place(
    http: httpx.Client, project: str, refused: Call, form: str, address: str, words: str
):
    part: dict[str, Any] = {"type": "image_url", "image_url": address}
    if form == "url":
        part = {"type": "image_url", "image_url": {"url": address}}
    elif form == "image":
        part = {"type": "image", "url": address}
    messages = [{"role": "system", "content": "Look."}, {"role": "user", "content": [part]}]
    body = {"project": project, "messages": messages, "completion": "x"}
    error = refused(http.post("/api/v1/interactions", json=body), 422, "invalid_image")
    places = {"image_url": "image_url", "url": "image_url.url", "image": "url"}
    assert error["param"] == f"messages[1].content[0].{places[form]}"
    assert words in error["message"]
    assert http.get("/api/v1/interactions", params={"project": project}).json()["interactions"] == []


def test_an_image_beyond_the_limit_is_refused_and_one_at_it_is_taken(new_server, refused: Call):
    running = new_server("--max-image", "1000")
    with running.client() as http:
        for size, status in ((1000, 201), (1001, 413), (1002, 413), (5000, 413)):
            content = b"\x89PNG\r\n\x1a\n".ljust(size, b"\0")
            answer = http.post(
                "/api/v1/interactions", json={"messages": question_with_images(uri(content)), "completion": "x"}
            )
            if status == 201:
                assert answer.status_code == 201
            else:
                refused(answer, 413, "image_too_large", "messages[0].content[1].image_url")


# ------------------------------------------------------------------------------------------------ deletion


def test_deleting_interaction_deletes_own_images_and_keeps_shared_ones(
    http: httpx.Client, log: Call, project: str, refused: Call
):
    own, shared = png(), png()
    first = log(messages=question_with_images(uri(own), uri(shared)))["completion_id"]
    second = log(messages=question_with_images(uri(shared)))["completion_id"]
    http.delete(f"/api/v1/interactions/{first}").raise_for_status()
    refused(http.get(link(project, own)), 404, "image_not_found")
    assert http.get(link(project, shared)).content == shared
    http.delete(f"/api/v1/interactions/{second}").raise_for_status()
    refused(http.get(link(project, shared)), 404, "image_not_found")


def test_an_image_shared_with_another_project_stays_there(
    http: httpx.Client, log: Call, show: Call, project: str, refused: Call
):
    other = f"other-{uuid4().hex[:8]}"
    http.post("/api/v1/projects", json={"key": other}).raise_for_status()
    content = png()
    here = log(messages=question_with_images(uri(content)))["completion_id"]
    there = log(messages=question_with_images(uri(content)), project=other)["completion_id"]
    http.delete(f"/api/v1/interactions/{here}").raise_for_status()
    refused(http.get(link(project, content)), 404, "image_not_found")
    assert http.get(link(other, content)).content == content
    assert show(there, images="inline")["messages"] == question_with_images(uri(content))


def test_an_image_of_a_completion_is_deleted_with_it(http: httpx.Client, log: Call, project: str, refused: Call):
    content = png()
    message = {"content": [{"type": "image_url", "image_url": uri(content)}]}
    made = log(completion=message)["completion_id"]
    http.delete(f"/api/v1/interactions/{made}").raise_for_status()
    refused(http.get(link(project, content)), 404, "image_not_found")
