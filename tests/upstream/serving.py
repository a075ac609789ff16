"""The provider itself. The name of the model says how it behaves, as OpenAI and as Anthropic:

good               answers "You said: ..." and the last text of the user
tools, json        calls a tool get_weather; answers an object
agent              calls the tools that it is given by turns, nine times, and then answers
ends-REASON        answers, with this finish_reason
reasoning          thinks first, then answers
search             searches the web first, then answers with a citation (as Anthropic alone)
no-usage           tells no usage
plain              answers a whole answer, also where a stream is asked for
unasked            answers a stream, also where none is asked for
preface            begins a stream with a chunk of no choice, as Azure does; its usage comes in one without `choices`
running-usage      tells the usage so far in every chunk, as vLLM can
slow-MS            waits so many milliseconds before each part
hang               never begins to answer
hang-after-N       falls silent after N chunks; in the middle of a whole answer
hang-after-done    says [DONE], and keeps the connection
cut-after-N        drops the connection after N chunks; in the middle of a whole answer
drop               drops the connection before it answers anything
empty              answers nothing, with status 200
no-done            ends without [DONE] and without a finish_reason
finished-no-done   ends without [DONE], after a finish_reason
garbage, html      answers what is no JSON, with status 200
list, strange      answers JSON that is no object; an object that is no answer
garbage-in-stream  sends what is no JSON as a chunk
error-STATUS       answers this status; 429 and 503 with Retry-After: 7
busy               answers 429 with Retry-After: 0
error-in-stream    two chunks, then an error; where nothing is streamed, an error with status 200
error-after-N      N chunks, then an error
tells-key-STATUS   answers this status, and repeats the key that it was given
escapes-key-STATUS the same, with all its headers, escaped as JSON and URLs may; the status 200 is that of a stream
says               answers the bytes that the request's `says` has: {status, type, body}
huge-BYTES         a chunk of so many bytes
gzip               compresses its answers
flaky-N-NAME       503 with Retry-After: 0 for the first N calls of this name
split              its bytes in pieces of three, with CRLF and comments
redirect           sends the caller elsewhere
strict-BEHAVIOUR   refuses fields of messages that OpenAI's API does not know

What follows a colon is for telling models apart: good:1, good:2.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import struct
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import anthropic_answers
import anthropic_rules
import beside_text
import framing
import google_answers
import message_rules
import tool_calls
import uvicorn
from disturbances import disturbed
from escapes import escaped
from framing import Cut, event
from responses_api import Responses
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from uvicorn.protocols.http.auto import AutoHTTPProtocol

seen: list[dict[str, Any]] = []
under_way: Counter[str] = Counter()
calls: Counter[str] = Counter()
scripts: dict[str, Response] = {}  # What is answered below /scripted/NAME.
connections: dict[int, asyncio.Transport] = {}
"""The connections with callers, by the callers' ports."""

USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
FELL_OVER = {"message": "The model fell over.", "type": "server_error", "code": "fell_over"}


def text_of(body: dict[str, Any]) -> str:
    """Return what is answered."""
    if "prompt" in body:
        return f"You said: {body['prompt']}"
    for message in reversed(body["messages"]):
        if message["role"] == "user":
            content = message["content"]
            if isinstance(content, list):
                content = " ".join(str(part.get("text", part)) for part in content)
            return f"You said: {content}"
    return "You said nothing."


def message_of(behaviour: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the whole message."""
    if behaviour == "tools":
        return tool_calls.weather_message()
    if behaviour == "agent":
        return tool_calls.agent_message(body)
    if behaviour == "json":
        names = body["response_format"]["json_schema"]["schema"]["properties"]
        return {"role": "assistant", "content": json.dumps(dict.fromkeys(names, "x"))}
    said = {"role": "assistant", "content": text_of(body), "refusal": None, "annotations": []}
    return {**said, "reasoning_content": "Let me think."} if behaviour == "reasoning" else said


def reason_of(behaviour: str, body: dict[str, Any]) -> str:
    """Return the finish reason."""
    if behaviour.startswith("ends-"):
        return behaviour.removeprefix("ends-")
    return (
        "tool_calls" if behaviour in ("tools", "agent") and message_of(behaviour, body)["content"] is None else "stop"
    )


def deltas_of(behaviour: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the message in parts."""
    message = message_of(behaviour, body)
    parts: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    if message.get("reasoning_content"):
        parts += [{"reasoning_content": "Let me "}, {"reasoning_content": "think."}]
    if calls_made := message.get("tool_calls"):
        parts += tool_calls.parts_of(calls_made)
    elif message["content"]:
        words = message["content"].split(" ")
        parts += [{"content": word if place == 0 else f" {word}"} for place, word in enumerate(words)]
    return parts


async def stream(behaviour: str, body: dict[str, Any], legacy: bool) -> AsyncIterator[bytes]:
    """Yield the stream's bytes."""
    head = {"id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 1760000000, "model": "upstream-1"}
    asked = bool((body.get("stream_options") or {}).get("include_usage"))
    sent = 0
    if behaviour == "empty":
        return
    if behaviour == "strange":
        yield event({"choices": ["what is this?"], "usage": "much"})
        return
    if behaviour == "preface":
        yield event({"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": []})
    for index in range(body.get("n") or 1):
        parts = deltas_of(behaviour, body)
        if behaviour.startswith("huge-"):
            parts[1] = {"content": "x" * int(behaviour[5:])}
        for part in parts:
            if last := await disturbed(behaviour, sent, event({"error": FELL_OVER})):
                yield last
                return
            said = {"text": part.get("content", "")} if legacy else {"delta": part}
            choice = {"index": index, **said, "finish_reason": None, "logprobs": None}
            so_far = {**USAGE, "completion_tokens": sent} if behaviour == "running-usage" else None
            yield event({**head, "choices": [choice], **({"usage": so_far} if asked else {})})
            sent += 1
        if behaviour == "no-done":
            return
        reason = reason_of(behaviour, body)
        said = {"text": ""} if legacy else {"delta": {}}
        yield event({**head, "choices": [{"index": index, **said, "finish_reason": reason}]})
    if asked and behaviour != "no-usage":
        yield event({**head, **({} if behaviour == "preface" else {"choices": []}), "usage": USAGE})
    if behaviour != "finished-no-done":
        yield event(b"[DONE]")
    if behaviour == "hang-after-done":
        await asyncio.sleep(3600)


async def half(behaviour: str, raw: bytes) -> AsyncIterator[bytes]:
    """Yield half of an answer, then fall silent or break off."""
    yield raw[: len(raw) // 2]
    if behaviour.startswith("cut-after"):
        raise Cut
    await asyncio.sleep(3600)


class Counted(StreamingResponse):
    """An answer in parts that is counted while it is under way."""

    def __init__(self, model: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.model = model

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        under_way[self.model] += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            under_way[self.model] -= 1


async def answer(request: Request) -> Response:
    """Answer chat and old completions."""
    body = await request.json()
    legacy = request.url.path.endswith("/v1/completions")
    behaviour = body["model"].partition(":")[0].removeprefix("strict-")
    if refusal := await met(request, body):
        return refusal
    if behaviour == "unasked" or (body.get("stream") and behaviour != "plain"):
        return streamed(body["model"], stream(behaviour, body, legacy))
    return at_once(body["model"], whole_answer(behaviour, body, legacy))


async def met(request: Request, body: dict[str, Any]) -> Response | None:
    """Note a request; return the answer where the behaviour is the same for all kinds of them."""
    note(request, body)
    model = body["model"]
    behaviour = model.partition(":")[0]
    name, _, number = behaviour.rpartition("-")
    if behaviour.startswith("strict-") and (places := message_rules.unknown_fields(body)):
        error = {"message": f"Extra inputs are not permitted: {', '.join(places)}", "type": "invalid_request_error"}
        return JSONResponse({"error": error}, 400)
    if behaviour == "hang":
        under_way[model] += 1
        try:
            await request.receive()
        finally:
            under_way[model] -= 1
        return Response(status_code=499)
    if behaviour == "drop":
        assert request.client is not None
        connections[request.client.port].abort()
        return Response(status_code=499)
    if behaviour == "busy":
        error = {"message": "The provider is busy.", "type": "rate_limit_error"}
        return JSONResponse({"error": error}, 429, headers={"Retry-After": "0"})
    if behaviour == "garbage":
        return Response("{this is no JSON", media_type="application/json")
    if behaviour == "html":
        return Response("<html>Sign in first</html>", media_type="text/html")
    if behaviour == "list":
        return JSONResponse(["a", "list"])
    if behaviour == "redirect":
        return RedirectResponse("http://127.0.0.1:9/elsewhere")
    if behaviour.startswith("flaky-"):
        calls[model] += 1
        if calls[model] <= int(behaviour.split("-")[1]):
            return JSONResponse({"error": {"message": "busy"}}, 503, headers={"Retry-After": "0"})
    if behaviour == "says":
        script = body["says"]
        return Response(script["body"].encode(), script.get("status", 200), media_type=script["type"])
    if name == "escapes-key":
        return escaped(request, int(number))
    if name in ("error", "tells-key") and number.isdigit():
        headers = {"Retry-After": "7"} if number in ("429", "503") else None
        error = {"message": f"The provider says {number}.", "type": "some_error", "code": "some_code"}
        if name == "tells-key":
            key = request.headers.get("x-api-key") or request.headers.get("authorization")
            error["message"] = f"Incorrect API key provided: {key}."
        return JSONResponse({"error": error}, int(number), headers=headers)
    if name == "slow" and not body.get("stream"):
        await asyncio.sleep(int(number) / 1000)
    return None


def streamed(model: str, parts: AsyncIterator[bytes]) -> Response:
    """Return a stream, its bytes as the behaviour has them."""
    behaviour = model.partition(":")[0]
    headers = {"Content-Encoding": "gzip"} if behaviour == "gzip" else None
    if behaviour == "split":
        parts = framing.in_threes(parts)
    elif behaviour == "gzip":
        parts = framing.compressed(parts)
    return Counted(model, parts, media_type="text/event-stream", headers=headers)


def at_once(model: str, found: dict[str, Any]) -> Response:
    """Return a whole answer, its bytes as the behaviour has them."""
    behaviour = model.partition(":")[0]
    raw = json.dumps(found).encode()
    if behaviour == "empty":
        return Response(media_type="application/json")
    if behaviour.startswith(("cut-after-", "hang-after-")) and behaviour != "hang-after-done":
        headers = {"Content-Length": str(len(raw))}
        return Counted(model, half(behaviour, raw), media_type="application/json", headers=headers)
    if behaviour == "gzip":
        return Response(gzip.compress(raw), media_type="application/json", headers={"Content-Encoding": "gzip"})
    return Response(raw, media_type="application/json")


def whole_answer(behaviour: str, body: dict[str, Any], legacy: bool) -> dict[str, Any]:
    """Return a whole answer."""
    if behaviour == "error-in-stream" or behaviour.startswith("error-after-"):
        return {"error": FELL_OVER}
    if behaviour == "strange":
        return {"choices": ["what is this?"], "usage": "much"}
    reason = reason_of(behaviour, body)
    said = {"text": text_of(body)} if legacy else {"message": message_of(behaviour, body)}
    choices = [
        {"index": index, **said, "finish_reason": reason, "logprobs": None} for index in range(body.get("n") or 1)
    ]
    found = {
        "id": "chatcmpl-up",
        "object": "text_completion" if legacy else "chat.completion",
        "created": 1760000000,
        "model": "upstream-1",
        "choices": choices,
        "system_fingerprint": "fp_1",
    }
    return found if behaviour == "no-usage" else {**found, "usage": USAGE}


async def embed(request: Request) -> Response:
    """Answer embeddings."""
    body = await request.json()
    if refusal := await met(request, body):
        return refusal
    texts = body["input"] if isinstance(body.get("input"), list) else [body.get("input")]
    vector: Any = [0.5, -0.5, 0.25]
    if body.get("encoding_format") == "base64":
        vector = base64.b64encode(struct.pack("<3f", *vector)).decode()
    data = [{"object": "embedding", "index": index, "embedding": vector} for index in range(len(texts))]
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    return JSONResponse({"object": "list", "data": data, "model": "upstream-1", "usage": usage})


async def operate(request: Request) -> Response:
    """Answer operations beside texts."""
    return await beside_text.answer(request, met)


async def messages(request: Request) -> Response:
    """Answer as Anthropic does."""
    body = await request.json()
    behaviour = body["model"].partition(":")[0]
    if behaviour == "error-529":
        return JSONResponse({"type": "error", "error": anthropic_answers.OVERLOADED}, 529)
    if refusal := await met(request, body):
        return refusal
    if message := anthropic_rules.complaint(body):
        error = {"type": "invalid_request_error", "message": message}
        return JSONResponse({"type": "error", "error": error, "request_id": "req_up"}, 400)
    message = anthropic_answers.message_of(behaviour, body)
    if body.get("stream"):
        return streamed(body["model"], anthropic_answers.stream(behaviour, message))
    if behaviour == "strange":
        return JSONResponse({"content": ["what is this?"], "usage": "much"})
    if behaviour == "error-in-stream":
        return JSONResponse({"type": "error", "error": anthropic_answers.OVERLOADED})
    return at_once(body["model"], message)


async def count_tokens(request: Request) -> Response:
    """Count tokens as Anthropic does: as many as the request has bytes, so that a test can tell."""
    body = await request.json()
    note(request, body)
    if message := anthropic_rules.complaint({"max_tokens": 1, **body}):
        return JSONResponse({"type": "error", "error": {"type": "invalid_request_error", "message": message}}, 400)
    return JSONResponse({"input_tokens": len(json.dumps(body["messages"]))})


async def generate_content(request: Request) -> Response:
    """Answer as Google does: the model and what is asked of it stand in the path."""
    body = await request.json()
    model, _, method = request.path_params["call"].rpartition(":")
    behaviour = model.partition(":")[0]
    if method == "countTokens":
        note(request, body)
        return JSONResponse({"totalTokens": len(json.dumps(body["contents"]))})
    if refusal := await met(request, {**body, "model": model}):
        return refusal
    if message := google_answers.complaint(body):
        return JSONResponse({"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}, 400)
    if method == "streamGenerateContent":
        return streamed(model, google_answers.stream(behaviour, body))
    if behaviour == "error-in-stream":
        return JSONResponse({"error": google_answers.FELL_OVER})
    return at_once(model, google_answers.whole(behaviour, body))


def note(request: Request, body: Any) -> None:
    """Keep a request for /seen."""
    url, headers = request.url, dict(request.headers)
    if "says" in body:
        # It may hold what JSON lacks: kept as a text.
        body = {"raw": json.dumps(body)}
    seen.append({"method": request.method, "path": url.path, "query": url.query, "headers": headers, "body": body})


async def models(request: Request) -> Response:
    """Answer GET /v1/models and /v1/models/{model}."""
    return JSONResponse({"object": "list", "data": [{"id": "good", "object": "model"}]})


async def show_seen(_: Request) -> Response:
    return JSONResponse(seen)


async def forget(_: Request) -> Response:
    seen.clear()
    return JSONResponse(None)


async def script(request: Request) -> Response:
    """Keep a body as the answer of a name, or give that answer."""
    name = request.path_params["name"]
    if request.method == "PUT":
        head = {"content-type": request.headers["content-type"]}
        scripts[name] = Response(await request.body(), int(request.query_params["status"]), head)
    return scripts[name]


async def show_connections(_: Request) -> Response:
    return JSONResponse(len(connections))


async def show_open(_: Request) -> Response:
    return JSONResponse({model: number for model, number in under_way.items() if number})


app = Starlette(
    routes=[
        Route("/v1/chat/completions", answer, methods=["POST"]),
        Route("/v1/completions", answer, methods=["POST"]),
        Route("/v1/embeddings", embed, methods=["POST"]),
        *(Route(f"/v1/{path}", operate, methods=["POST"]) for path in beside_text.PATHS),
        *(Route(f"/openai/{{place:path}}/{path}", operate, methods=["POST"]) for path in beside_text.PATHS),
        Route("/v1/messages", messages, methods=["POST"]),
        Route("/v1/responses", Responses(met, streamed, at_once).answer, methods=["POST"]),
        # A server that knows chat alone.
        Route("/chat-only/v1/chat/completions", answer, methods=["POST"]),
        Route("/v1/messages/count_tokens", count_tokens, methods=["POST"]),
        Route("/v1/models/{call:path}", generate_content, methods=["POST"]),
        # Azure has a path for each deployment.
        Route("/openai/{place:path}/chat/completions", answer, methods=["POST"]),
        Route("/openai/{place:path}/embeddings", embed, methods=["POST"]),
        Route("/v1/models", models),
        Route("/v1/models/{model}", models),
        Route("/scripted/{name}", script, methods=["PUT"]),
        Route("/scripted/{name}/{place:path}", script, methods=["POST"]),
        Route("/seen", show_seen),
        Route("/seen", forget, methods=["DELETE"]),
        Route("/open", show_open),
        Route("/connections", show_connections),
    ]
)


class Connection(AutoHTTPProtocol):
    """A connection that can be found again."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.port = transport.get_extra_info("peername")[1]
        connections[self.port] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        connections.pop(self.port, None)


class Announcing(uvicorn.Server):
    """Says where it is once it can be reached."""

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        print(f"http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}", flush=True)


if __name__ == "__main__":
    Announcing(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", lifespan="off", http=Connection)
    ).run()
