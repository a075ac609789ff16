"""Operations beside texts are passed on as they came, and logged with their media by hash."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from tests.upstream.media import MP3, PNG

WAV = b"RIFF" + (36).to_bytes(4, "little") + b"WAVEfmt " + bytes(40)
FORMS = ("audio/transcriptions", "audio/translations", "images/edits", "images/variations")


def post(gateway: Any, path: str, **arguments: Any) -> Any:
    return gateway.http.post(f"/api/v1/{path}", **arguments)


def sent(gateway: Any) -> dict[str, Any]:
    """Return the body that the provider of the newest model got last."""
    return gateway.upstream.seen(gateway.external[-1])[-1]["body"]


def logged(gateway: Any, answer: Any) -> dict[str, Any]:
    answer.raise_for_status()
    completion_id = answer.headers["x-afterword-completion-id"]
    if "json" in answer.headers["content-type"]:
        assert answer.json()["completion_id"] == completion_id
    path = f"/api/v1/interactions/{completion_id}"
    return gateway.http.get(path, params={"media": "inline"}).raise_for_status().json()


def test_moderations_are_logged_with_what_was_flagged(gateway):
    body = {"model": gateway.model(), "input": "I will kill you", "labels": {"env": "prod"}}
    answer = post(gateway, "moderations", json=body)
    assert answer.json()["results"][0]["flagged"] is True
    interaction = logged(gateway, answer)
    assert (interaction["operation"], interaction["prompt"]) == ("moderations", "I will kill you")
    assert interaction["completion"] == "flagged: violence"
    assert interaction["labels"] == {"env": "prod"}
    assert interaction["facts"]["answer"]["results"][0]["category_scores"]["violence"] == 0.9
    assert interaction["call"]["response_id"] == "modr-1"
    fine = post(gateway, "moderations", json={"model": gateway.model(), "input": ["Hello"]})
    assert logged(gateway, fine)["completion"] == "not flagged"


def test_speech_is_streamed_through_and_kept(gateway):
    body = {"model": gateway.model(), "input": "Good day", "voice": "alloy", "session_id": "talk"}
    answer = post(gateway, "audio/speech", json=body)
    assert (answer.content, answer.headers["content-type"]) == (MP3, "audio/mpeg")
    interaction = logged(gateway, answer)
    assert (interaction["operation"], interaction["prompt"], interaction["session"]) == ("speech", "Good day", "talk")
    assert base64.b64decode(interaction["message"]["audio"]["data"]) == MP3
    assert interaction["message"]["audio"]["format"] == "mp3"
    assert interaction["parameters"] == {"voice": "alloy"}
    assert "session_id" not in sent(gateway)
    page = {"project": gateway.project, "has": "audio", "operation": "speech"}
    assert len(gateway.http.get("/api/v1/interactions", params=page).json()["interactions"]) == 1


def test_speech_as_events_is_kept(gateway):
    body = {"model": gateway.model(), "input": "Good day", "stream_format": "sse"}
    answer = post(gateway, "audio/speech", json=body)
    assert answer.text.count("speech.audio.delta") == 2
    interaction = logged(gateway, answer)
    assert base64.b64decode(interaction["message"]["audio"]["data"]) == MP3
    assert interaction["usage"]["prompt_tokens"] == 14


@pytest.mark.parametrize("operation", ["transcriptions", "translations"])
def test_audio_that_is_written_down_is_kept_with_its_text(gateway, operation: str):
    model = gateway.model()
    fields = {"model": model, "prompt": "Names: Ann", "user": "anna", "temperature": "0"}
    files = {"file": ("a.wav", WAV, "audio/wav")}
    headers = {"x-afterword-label-env": "prod"}
    answer = post(gateway, f"audio/{operation}", data=fields, files=files, headers=headers)
    assert answer.json()["text"] == "Good day."
    interaction = logged(gateway, answer)
    assert (interaction["operation"], interaction["completion"], interaction["user"]) == (
        operation,
        "Good day.",
        "anna",
    )
    [audio, text] = interaction["messages"][0]["content"]
    assert base64.b64decode(audio["input_audio"]["data"]) == WAV
    assert text == {"type": "text", "text": "Names: Ann"}
    assert interaction["labels"] == {"env": "prod"}
    assert interaction["parameters"]["temperature"] == "0"
    assert (interaction["usage"]["prompt_tokens"], interaction["usage"]["completion_tokens"]) == (14, 5)
    form = sent(gateway)
    assert form["model"].startswith("good:")
    assert form["files"] == [["file", "a.wav", "audio/wav", len(WAV), "524946"]]
    assert form["temperature"] == "0"
    plain = post(gateway, f"audio/{operation}", data={"model": model, "response_format": "text"}, files=files)
    assert plain.text == "Good day.\n"
    assert logged(gateway, plain)["completion"] == "Good day.\n"


def test_a_streamed_transcript_is_kept(gateway):
    answer = post(
        gateway,
        "audio/transcriptions",
        data={"model": gateway.model(), "stream": "true"},
        files={"file": ("a.wav", WAV)},
    )
    assert "transcript.text.done" in answer.text
    assert logged(gateway, answer)["completion"] == "Good day."


def test_generated_images_are_kept(gateway):
    model = gateway.model()
    answer = post(gateway, "images/generations", json={"model": model, "prompt": "A blue sky", "n": 2})
    assert len(answer.json()["data"]) == 2
    interaction = logged(gateway, answer)
    assert (interaction["operation"], interaction["prompt"]) == ("image_generations", "A blue sky")
    uri = "data:image/png;base64," + base64.b64encode(PNG).decode()
    parts = interaction["message"]["content"]
    assert [part["image_url"]["url"] for part in parts if part["type"] == "image_url"] == [uri, uri]
    assert interaction["parameters"] == {"n": 2}
    address = post(gateway, "images/generations", json={"model": model, "prompt": "x", "response_format": "url"})
    [part] = logged(gateway, address)["message"]["content"]
    assert part["image_url"]["url"] == "https://images.example/1.png"
    stream = post(gateway, "images/generations", json={"model": model, "prompt": "x", "stream": True})
    assert "partial_image" in stream.text
    assert logged(gateway, stream)["message"]["content"][0]["image_url"]["url"] == uri


@pytest.mark.parametrize("operation", ["edits", "variations"])
def test_images_that_are_changed_are_kept_with_the_result(gateway, operation: str):
    files = [("image[]", ("a.png", PNG, "image/png")), ("image[]", ("b.png", PNG + b"x", "image/png"))]
    fields = {"model": gateway.model(), "prompt": "More clouds"}
    answer = post(gateway, f"images/{operation}", data=fields, files=files)
    interaction = logged(gateway, answer)
    assert interaction["operation"] == f"image_{operation}"
    kinds = [part["type"] for part in interaction["messages"][0]["content"]]
    assert kinds == ["image_url", "image_url", "text"]
    assert interaction["message"]["content"][0]["type"] == "image_url"
    assert [file[:2] for file in sent(gateway)["files"]] == [
        ["image[]", "a.png"],
        ["image[]", "b.png"],
    ]


@pytest.mark.parametrize("base", ["/v1", "/openai/v1"])
def test_operations_are_served_below_each_base_address(gateway, base: str):
    answer = gateway.http.post(f"{base}/moderations", json={"model": gateway.model(), "input": "x"})
    assert logged(gateway, answer)["operation"] == "moderations"


@pytest.mark.parametrize("provider", ["anthropic", "google", "echo"])
def test_a_provider_without_the_operation_is_told_so(gateway, provider: str):
    model = gateway.model(provider=provider) if provider != "echo" else "default/echo"
    answer = post(gateway, "audio/speech", json={"model": model, "input": "x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported")
    assert "has no speech" in answer.json()["error"]["message"]


def test_errors_of_the_provider_are_logged_and_passed_on(gateway):
    answer = post(gateway, "audio/speech", json={"model": gateway.model("error-429"), "input": "x"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    page = {"project": gateway.project, "state": "failed", "operation": "speech"}
    assert len(gateway.http.get("/api/v1/interactions", params=page).json()["interactions"]) == 1


def test_audio_that_is_cut_off_is_logged_as_failed(gateway):
    import httpx

    with pytest.raises(httpx.RemoteProtocolError):
        post(gateway, "audio/speech", json={"model": gateway.model("cut-after-1"), "input": "x"})
    page = {"project": gateway.project, "state": "failed"}
    [failed] = gateway.http.get("/api/v1/interactions", params=page).json()["interactions"]
    assert (failed["operation"], failed["call"]["error"]["code"]) == ("speech", "provider_hung_up")


def test_a_form_that_is_malformed_is_refused(gateway):
    model = gateway.model()
    for path in FORMS:
        none = post(gateway, path, data={"model": model})
        assert (none.status_code, none.json()["error"]["code"]) == (400, "invalid_header")
    headers = {"content-type": "multipart/form-data; boundary=x"}
    cut = post(
        gateway, FORMS[0], content=b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nm', headers=headers
    )
    assert (cut.status_code, cut.json()["error"]["code"]) == (400, "malformed_form")


def test_store_false_keeps_nothing_of_speech(gateway):
    answer = post(gateway, "audio/speech", json={"model": gateway.model(), "input": "x", "store": False})
    assert answer.content == MP3
    assert gateway.count() == 0
