"""Whatever a provider does to a call in any form: the caller gets the right error, the row tells the truth, and nothing
is left behind. What only one form has stands in its own file."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any, NamedTuple

import httpx
import pytest

pytestmark = pytest.mark.thorough

TEXT = "Hello there"
MESSAGES = [{"role": "user", "content": TEXT}]
Event = dict[str, Any]


class Face(NamedTuple):
    """One form of calls. `fields` stand in the body beside the model; `text`, `error` and `is_end` read one event."""

    name: str
    path: str
    """Of a call that is not streamed."""
    fields: dict[str, Any]
    providers: tuple[str, ...]
    """Kinds of providers (see `new_model`): the first speaks the form itself."""
    id_at: Callable[[Event], str]
    """Where the first event of a stream has the completion's id."""
    text: Callable[[Event], str]
    error: Callable[[Event], str | None]
    """The word by which clients choose the class of an error; None for another event."""
    error_word: Callable[[int, str], str]
    """That word for the status that an error has in this form, and its code."""
    is_end: Callable[[Event], bool]
    statuses: Mapping[int, int] = {}
    """Statuses for which this form has others."""
    stream_path: str | None = None

    def address(self, model: str, *, stream: bool) -> tuple[str, dict[str, Any]]:
        """Return the path and the body of a call."""
        if self.stream_path is None:
            return self.path, {"model": model, "stream": stream, **self.fields}
        return (self.stream_path if stream else self.path).format(model=model), self.fields

    def call(self, http: httpx.Client, model: str, *, stream: bool = False) -> httpx.Response:
        """Make a call, and read its whole answer."""
        path, body = self.address(model, stream=stream)
        return http.post(path, json=body)

    def stream(self, http: httpx.Client, model: str) -> Generator[Event]:
        """Make a streamed call; yield its events as they come. To close the iterator hangs up."""
        path, body = self.address(model, stream=True)
        with http.stream("POST", path, json=body) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream"), answer.read()
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    yield {"done": True} if line == "data: [DONE]" else json.loads(line[6:])

    def text_of(self, events: list[Event]) -> str:
        """Return the answer's text. Some providers of the tests end each word with a space."""
        return "".join(map(self.text, events)).strip()


def new_model(gateway: Any, behaviour: str, provider: str, **more: Any) -> str:
    """Register a model that behaves so, of a kind of provider; `chat_only` has OpenAI's API without Responses."""
    if provider == "chat_only":
        return gateway.model(behaviour, endpoint=f"{gateway.upstream.url}/chat-only/v1", **more)
    return gateway.model(behaviour, provider=provider, **more)


def _chat_text(event: Event) -> str:
    return "".join(choice["delta"].get("content") or "" for choice in event.get("choices", ()))


def _message_text(event: Event) -> str:
    return event["delta"].get("text", "") if event["type"] == "content_block_delta" else ""


def _response_text(event: Event) -> str:
    return event["delta"] if event["type"] == "response.output_text.delta" else ""


def _content_text(event: Event) -> str:
    parts = [part for candidate in event.get("candidates", ()) for part in candidate["content"]["parts"]]
    return "".join(part["text"] for part in parts if "text" in part and not part.get("thought"))


def _code(event: Event) -> str | None:
    return event["error"]["code"] if event.get("error") else None


TYPES_OF_ANTHROPIC = {
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    529: "overloaded_error",
}
STATUSES_OF_GOOGLE = {
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "INTERNAL",
    503: "UNAVAILABLE",
}
_MODELS_OF_GOOGLE = "/v1beta/models/{model}"

FACES = (
    Face(
        name="chat",
        path="/api/v1/chat/completions",
        fields={"messages": MESSAGES},
        providers=("open_ai", "anthropic"),
        id_at=lambda event: event["id"],
        text=_chat_text,
        error=_code,
        error_word=lambda status, code: code,
        is_end=lambda event: "done" in event,
    ),
    Face(
        name="messages",
        path="/api/v1/messages",
        fields={"messages": MESSAGES, "max_tokens": 64},
        providers=("anthropic", "open_ai"),
        id_at=lambda event: event["message"]["completion_id"],
        text=_message_text,
        error=lambda event: event["error"]["type"] if event["type"] == "error" else None,
        error_word=lambda status, code: TYPES_OF_ANTHROPIC.get(status, "invalid_request_error"),
        is_end=lambda event: event["type"] == "message_stop",
        statuses={503: 529},
    ),
    Face(
        name="responses",
        path="/api/v1/responses",
        fields={"input": TEXT},
        providers=("open_ai", "chat_only"),
        id_at=lambda event: event["response"]["completion_id"],
        text=_response_text,
        error=_code,
        error_word=lambda status, code: code,
        is_end=lambda event: event["type"] == "response.completed",
    ),
    Face(
        name="generate_content",
        path=f"{_MODELS_OF_GOOGLE}:generateContent",
        stream_path=f"{_MODELS_OF_GOOGLE}:streamGenerateContent?alt=sse",
        fields={"contents": [{"role": "user", "parts": [{"text": TEXT}]}]},
        providers=("google", "open_ai"),
        id_at=lambda event: event["responseId"],
        text=_content_text,
        error=lambda event: event["error"]["status"] if event.get("error") else None,
        error_word=lambda status, code: STATUSES_OF_GOOGLE.get(status, "INVALID_ARGUMENT"),
        is_end=lambda event: bool(event["candidates"][0].get("finishReason")),
    ),
)

# How the provider behaves, and what a call is answered with: whole or streamed, nothing has left before.
FAILS = [
    ("error-400", 400, "some_code"),
    ("error-401", 502, "provider_refused_key"),
    ("error-403", 403, "some_code"),
    ("error-404", 404, "some_code"),
    ("error-422", 422, "some_code"),
    ("error-429", 429, "some_code"),
    ("error-500", 500, "some_code"),
    ("error-502", 502, "some_code"),
    ("error-503", 503, "some_code"),
    ("error-529", 503, "some_code"),
    ("garbage", 502, "provider_answer_unreadable"),
    ("html", 502, "provider_answer_unreadable"),
    ("list", 502, "provider_answer_unreadable"),
    ("redirect", 502, "provider_redirected"),
    ("drop", 502, "provider_hung_up"),
]
# What goes wrong after the first words of a stream, and the code of its error. None: it is the provider's own.
CUTS = {
    "cut-after-3": "provider_hung_up",
    "no-done": "provider_hung_up",
    "error-after-3": None,
    "garbage-in-stream": "provider_answer_unreadable",
}
# Odd, and still a whole answer. Some of it only a provider with OpenAI's API does.
ODD = ["split", "gzip", "slow-5"]
ODD_OF_OPENAI = ["plain", "finished-no-done", "hang-after-done", "preface", "running-usage", "unasked", "no-usage"]
# The behaviour after which "You said: Hello" has come.
HANGS = {"open_ai": "hang-after-4", "chat_only": "hang-after-4", "anthropic": "hang-after-3", "google": "hang-after-3"}

PAIRS = [(face, provider) for face in FACES for provider in face.providers]
of_each_face = pytest.mark.parametrize(
    ("face", "provider"), PAIRS, ids=[f"{face.name}-{provider}" for face, provider in PAIRS]
)


@pytest.fixture(autouse=True)
def nothing_is_left_behind(gateway: Any):
    """After each test no call is under way, neither here nor at the provider."""
    yield
    gateway.wait_until_quiet()


def state_of(row: dict[str, Any]) -> tuple[str, str]:
    return row["call"]["state"], row["call"]["finish_reason"]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("behaviour", "status", "code"), FAILS, ids=[one[0] for one in FAILS])
@of_each_face
def test_a_call_that_fails_before_its_first_word_is_an_error_of_its_own(
    gateway, face: Face, provider: str, behaviour: str, status: int, code: str, streamed: bool
):
    answer = face.call(gateway.http, new_model(gateway, behaviour, provider), stream=streamed)
    expected_status = face.statuses.get(status, status)
    if (behaviour, provider) == ("error-529", "anthropic"):
        code = "overloaded_error"
    row = gateway.newest()
    error = row["call"]["error"]
    assert (error["status"], error["code"]) == (status, code)
    assert (answer.status_code, face.error(answer.json())) == (expected_status, face.error_word(expected_status, code))
    assert answer.json()["error"]["message"] == error["message"]
    if behaviour in ("error-429", "error-503"):
        assert answer.headers["retry-after"] == "7"
    if code == "some_code":
        assert f"The provider says {behaviour[-3:]}." in error["message"]
    assert state_of(row) == ("failed", "error")
    assert (row["completion"], row["messages"]) == ("", MESSAGES)


@of_each_face
def test_an_answer_without_a_byte_is_an_error(gateway, face: Face, provider: str):
    model = new_model(gateway, "empty", provider)
    for streamed in (False, True):
        answer = face.call(gateway.http, model, stream=streamed)
        assert (answer.status_code, face.error(answer.json())) == (
            502,
            face.error_word(502, "provider_hung_up" if streamed else "provider_answer_unreadable"),
        )
        assert state_of(gateway.newest()) == ("failed", "error")


@pytest.mark.parametrize("behaviour", CUTS)
@of_each_face
def test_a_stream_that_breaks_off_ends_in_an_error(gateway, face: Face, provider: str, behaviour: str):
    *events, last = face.stream(gateway.http, new_model(gateway, behaviour, provider))
    row = gateway.logged(face.id_at(events[0]))
    error = row["call"]["error"]
    own_code = "overloaded_error" if provider == "anthropic" else None if provider == "google" else "fell_over"
    assert error["code"] == (CUTS[behaviour] or own_code or error["code"])
    assert face.error(last) == face.error_word(face.statuses.get(error["status"], error["status"]), error["code"])
    assert not any(map(face.is_end, events))
    assert row["completion"].strip() == face.text_of(events) != ""
    assert state_of(row) == ("failed", "error")


@of_each_face
def test_an_odd_stream_is_passed_on_whole(gateway, face: Face, provider: str):
    for behaviour in ODD if provider in ("anthropic", "google") else ODD + ODD_OF_OPENAI:
        events = list(face.stream(gateway.http, new_model(gateway, behaviour, provider)))
        assert face.is_end(events[-1]), behaviour
        assert face.text_of(events) == "You said: Hello there", behaviour
        row = gateway.logged(face.id_at(events[0]))
        assert row["completion"].strip() == "You said: Hello there", behaviour
        assert row["usage"]["completion_tokens"] > 0, behaviour
        assert state_of(row) == ("complete", "stop"), behaviour


@of_each_face
def test_a_caller_who_hangs_up_leaves_what_was_heard(gateway, face: Face, provider: str):
    stream = face.stream(gateway.http, new_model(gateway, HANGS[provider], provider))
    heard = [next(stream)]
    while "Hello" not in face.text_of(heard):
        heard.append(next(stream))
    stream.close()
    gateway.wait_until_quiet()
    row = gateway.logged(face.id_at(heard[0]))
    assert row["completion"].strip() == "You said: Hello"
    assert state_of(row) == ("cancelled", "cancelled")


@of_each_face
def test_a_fallback_stands_in_whatever_its_form(gateway, face: Face, provider: str):
    second = new_model(gateway, "good", face.providers[-1]).partition("/")[2]
    model = new_model(gateway, "error-500", provider, fallback=second)
    events = list(face.stream(gateway.http, model))
    assert face.is_end(events[-1])
    row = gateway.logged(face.id_at(events[0]))
    assert (row["model"], row["completion"].strip()) == (second, "You said: Hello there")
    assert [attempt["model"] for attempt in row["parameters"]["attempts"]] == [model.partition("/")[2]]


@pytest.mark.every_store
def test_what_was_heard_of_streams_of_each_form_is_there_after_a_kill(new_server, gateway):
    server = new_server()
    doomed = type(gateway)(server, "default", gateway.upstream)
    http = doomed.http
    # Kept until after the kill: a stream that is let go hangs up.
    streams, heard = [], []
    for face, provider in PAIRS:
        stream = face.stream(http, new_model(doomed, HANGS[provider], provider))
        events = [next(stream)]
        while not face.text_of(events):
            events.append(next(stream))
        streams.append(stream)
        heard.append(face.id_at(events[0]))
    server.kill()
    server.start()
    doomed.http = server.client()
    rows = {completion_id: doomed.logged(completion_id) for completion_id in heard}
    assert len(rows) == len(PAIRS)
    # Where others may work over the same database, a server is given up some time later.
    end = time.monotonic() + 90
    while server.database_url and any(row["call"]["state"] == "open" for row in rows.values()):
        assert time.monotonic() < end, "calls of a server that is no more are still open"
        rows = {completion_id: doomed.logged(completion_id) for completion_id in heard}
    for row in rows.values():
        assert state_of(row) == ("interrupted", "interrupted")
        assert row["messages"] == MESSAGES
    http.close()
    doomed.http.close()
