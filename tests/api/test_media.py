"""Audio and files: out of the messages, kept once, played or saved from their link, and given back byte for byte."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

HTML = b"<html><script>alert(1)</script></html>"


def wav() -> bytes:
    return b"RIFF\x24\0\0\0WAVEfmt " + uuid4().bytes * 20


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def data_uri(content: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{encoded(content)}"


def link(project: str, content: bytes, extension: str) -> str:
    return f"/media/{project}/{hashlib.sha256(content).hexdigest()}.{extension}"


def messages_with(audio: str, file: str, plain_file: str) -> list[dict[str, Any]]:
    content = [
        {"type": "text", "text": "Listen and read."},
        {"type": "input_audio", "input_audio": {"data": audio, "format": "wav"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": file}, "cache_control": {"type": "ephemeral"}},
        {"type": "input_file", "filename": "b.html", "file_data": plain_file},
        {"type": "file", "file": {"file_id": "file-1"}},
    ]
    return [{"role": "user", "content": content}]


def answer_with(audio: str) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "audio": {"id": "audio_1", "data": audio, "transcript": "Hello"}}


def log(http: httpx.Client, project: str, **body: Any) -> dict[str, Any]:
    return http.post("/api/v1/interactions", json={"project": project, **body}).raise_for_status().json()


def show(http: httpx.Client, completion_id: str, **query: str) -> dict[str, Any]:
    return http.get(f"/api/v1/interactions/{completion_id}", params=query).raise_for_status().json()


def test_audio_and_files_are_shown_as_links_and_given_back_as_sent(http: httpx.Client, project: str):
    sound, answer, pdf, page = wav(), wav(), b"%PDF-1.7" + uuid4().bytes, HTML + uuid4().bytes
    sent = messages_with(encoded(sound), data_uri(pdf, "application/pdf"), data_uri(page, "text/html"))
    made = log(http, project, messages=sent, completion=answer_with(encoded(answer)))["completion_id"]
    links = (link(project, sound, "wav"), link(project, pdf, "pdf"), link(project, page, "bin"))
    shown = show(http, made)
    assert shown["messages"] == messages_with(*links)
    assert shown["message"] == answer_with(link(project, answer, "wav"))
    assert shown["image_urls"] == []
    assert shown["size"] > len(sound) + len(answer) + len(pdf) + len(page)
    for query in ({"media": "inline"}, {"images": "inline"}):
        inline = show(http, made, **query)
        assert (inline["messages"], inline["message"]) == (sent, answer_with(encoded(answer)))
    parameters = {"project": project, "view": "full", "media": "inline"}
    [listed] = http.get("/api/v1/interactions", params=parameters).json()["interactions"]
    assert listed["messages"] == sent
    found = http.post("/api/v1/interactions/search", json=parameters).raise_for_status().json()["interactions"]
    assert found[0]["messages"] == sent


@pytest.mark.parametrize(
    ("content", "extension", "media_type", "is_saved"),
    [
        (wav(), "wav", "audio/wav", False),
        (b"ID3" + uuid4().bytes, "mp3", "audio/mpeg", False),
        (b"fLaC" + uuid4().bytes, "flac", "audio/flac", False),
        (b"OggS" + uuid4().bytes, "ogg", "audio/ogg", False),
        (b"%PDF-1.7" + uuid4().bytes, "pdf", "application/pdf", True),
        (HTML, "bin", "application/octet-stream", True),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "bin", "application/octet-stream", True),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bytes_decide_the_type_and_nothing_is_run(
    http: httpx.Client, project: str, content: bytes, extension: str, media_type: str, is_saved: bool
):
    part = {"type": "file", "file": {"filename": "x", "file_data": data_uri(content, "text/html")}}
    log(http, project, messages=[{"role": "user", "content": [part]}], completion="So.")
    answer = http.get(link(project, content, extension))
    assert answer.status_code == 200
    assert answer.content == content
    assert answer.headers["content-type"] == media_type
    assert answer.headers.get("content-disposition", "").startswith("attachment") == is_saved
    assert http.head(link(project, content, extension)).headers["content-length"] == str(len(content))
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


def test_equal_bytes_are_kept_until_the_last_interaction_is_deleted(http: httpx.Client, project: str):
    sound = wav()
    part = {"type": "input_audio", "input_audio": {"data": encoded(sound), "format": "wav"}}
    body: dict[str, Any] = {"messages": [{"role": "user", "content": [part]}], "completion": "So."}
    first, second = (log(http, project, **body)["completion_id"] for _ in range(2))
    http.delete(f"/api/v1/interactions/{first}").raise_for_status()
    assert http.get(link(project, sound, "wav")).content == sound
    http.delete(f"/api/v1/interactions/{second}").raise_for_status()
    assert http.get(link(project, sound, "wav")).status_code == 404


def test_media_of_another_project_is_not_found(http: httpx.Client, project: str, refused: Any):
    sound = wav()
    part = {"type": "input_audio", "input_audio": {"data": encoded(sound), "format": "wav"}}
    log(http, project, messages=[{"role": "user", "content": [part]}], completion="So.")
    refused(http.get(link("default", sound, "wav")), 404, "image_not_found", "file")
    refused(http.get(link(project, sound, "pdf")), 404, "image_not_found", "file")


def test_what_is_no_base64_stays_and_references_are_refused(http: httpx.Client, project: str, refused: Any):
    odd = messages_with("https://example.com/a.wav", "not base64!", "")
    made = log(http, project, messages=odd, completion="So.")["completion_id"]
    assert show(http, made)["messages"] == odd
    forged = messages_with(f"afterword-media:{'0' * 64}.wav;", "", "")
    answer = http.post("/api/v1/interactions", json={"project": project, "messages": forged, "completion": "So."})
    refused(answer, 422, "invalid_media", "messages[0].content[1].input_audio.data")


def test_media_over_the_limit_is_refused_and_left_out_of_calls(new_server: Any, refused: Any):
    running = new_server("--max-media", "100")
    with running.client() as http:
        part = {"type": "input_audio", "input_audio": {"data": encoded(bytes(200)), "format": "wav"}}
        messages = [{"role": "user", "content": [part]}]
        answer = http.post("/api/v1/interactions", json={"messages": messages, "completion": "So."})
        refused(answer, 413, "media_too_large", "messages[0].content[0].input_audio.data")
        answer = http.post("/api/v1/chat/completions", json={"model": "echo", "messages": messages})
        made = answer.raise_for_status().json()["choices"][0]["completion_id"]
        assert "[left out: 268 characters" in json.dumps(show(http, made)["messages"])


def test_exports_are_imported_and_exported_the_same(http: httpx.Client, project: str):
    other = f"other-{uuid4().hex[:12]}"
    http.post("/api/v1/projects", json={"key": other}).raise_for_status()
    sent = messages_with(encoded(wav()), data_uri(b"%PDF-1.7" + uuid4().bytes, "application/pdf"), encoded(HTML))
    log(http, project, messages=sent, completion=answer_with(encoded(wav())))

    def exported(key: str) -> dict[str, Any]:
        query = {"project": key, "view": "full", "media": "inline"}
        [interaction] = http.get("/api/v1/interactions", params=query).raise_for_status().json()["interactions"]
        return {name: interaction[name] for name in ("messages", "message", "size", "prompt_hash")}

    first = exported(project)
    log(http, other, messages=first["messages"], completion=first["message"])
    assert exported(other) == first
