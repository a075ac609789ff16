"""Calls with hostile values, drawn from the tables and the schema, so that what is new there is called by itself."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import quote_from_bytes

import graphql
import hostile_values as values
import httpx
import msgspec
import msgspec.inspect as mi
from hypothesis import strategies as st

from afterword.api import openapi
from afterword.api.graphql.resolving import schema
from afterword.api.routes import Route

Strategy = st.SearchStrategy[Any]
JSON, NDJSON = "application/json", "application/x-ndjson"
GRAPHQL = schema()


class Call(NamedTuple):
    """A call as it is drawn: `query` are pairs of a name and a value, `body` is a body or the lines of one."""

    method: str
    path: tuple[Any, ...]
    query: tuple[tuple[str, Any], ...] = ()
    body: Any = None
    is_ndjson: bool = False

    def send(self, client: httpx.Client, things: Mapping[str, str], *, is_endless: bool = False) -> httpx.Response:
        """Send it, and read the answer; of a stream of events without an end, its head."""
        path = b"/".join(quoted(part, things) for part in self.path)
        if self.query:
            path += b"?" + b"&".join(name.encode() + b"=" + quoted(value, things) for name, value in self.query)
        content = self.body if isinstance(self.body, bytes) else None
        if self.is_ndjson and isinstance(self.body, list):
            content = b"\n".join(values.encode(line, things).replace(b"\n", b" ") for line in self.body)
        elif content is None and self.body is not None:
            content = values.encode(self.body, things)
        url = client.base_url.copy_with(raw_path=path)
        headers = {"content-type": NDJSON if self.is_ndjson else JSON} if content is not None else {}
        with client.stream(self.method, url, content=content, headers=headers) as answer:
            if not (is_endless and answer.status_code == 200):
                answer.read()
        return answer


def quoted(value: Any, things: Mapping[str, str]) -> bytes:
    """Return a part of an address: a text in percent signs, also one that is no UTF-8."""
    if isinstance(value, values.Real):
        value = things[value.name]
    elif isinstance(value, values.Raw):
        value = value.content.strip(b'"')
    elif not isinstance(value, str):
        value = json.dumps(value)
    raw = value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
    return quote_from_bytes(raw[:20_000], safe="").encode()


# ------------------------------------------------------------------------------------------------ REST


@cache
def rest_calls(route: Route) -> Strategy:
    """Calls of a route."""
    steps = [
        st.one_of(values.real(match[1]), st.just(values.Real(match[1])))
        if (match := re.fullmatch(r"{(\w+)}", step))
        else st.just(step)
        for step in route.path.split("/")
    ]
    query = st.just(()) if route.query is None else queries(route.query)
    body = st.none()
    if route.raw:
        body = st.one_of(st.binary(max_size=40), dataset_lines())
    elif route.body is not None:
        body = values.disturbed(values.of_type(route.body))
        if "upload" in route.path:
            body = st.one_of(body, st.just({"session_id": values.Real("upload")}))
    is_ndjson = st.booleans() if route.streams else st.just(False)
    if route.streams:
        body = st.lists(body, max_size=3)
    return st.tuples(st.just(route.method), st.tuples(*steps), query, body, is_ndjson).map(lambda parts: Call(*parts))


def queries(kind: type[msgspec.Struct]) -> Strategy:
    """Queries with a few of the parameters that a route takes, some of them given twice."""

    def value_of(field: msgspec.structs.FieldInfo) -> Strategy:
        name, info = field.encode_name, mi.type_info(field.type)
        info = info.type if isinstance(info, mi.Metadata) else info
        if name == "filter":
            return (
                values.disturbed(values.of_type(filter_type(), "filter"))
                .map(lambda tree: values.encode(tree, NOTHING))
                .map(values.Raw)
            )
        if isinstance(info, mi.ListType):
            return values.of_info(info.item_type, name)
        return values.of_type(field.type, name)

    fields = msgspec.structs.fields(kind)
    required = [st.tuples(st.just(field.encode_name), value_of(field)) for field in fields if field.required]
    pair = st.one_of(*(st.tuples(st.just(field.encode_name), value_of(field)) for field in fields))
    return st.builds(lambda some, more: (*some, *more), st.tuples(*required), st.lists(pair, max_size=4))


NOTHING: dict[str, str] = dict.fromkeys(values.BY_NAME, "x")


def filter_type() -> Any:
    """Return the type of a filter's tree."""
    from afterword.types import Filter

    return Filter


def dataset_lines() -> Strategy:
    """Files of datasets: a line each for a prompt, a completion, feedback, a preference."""
    lines = values.disturbed(
        values.drawn_object(
            {"messages": st.lists(values.messages(), min_size=1, max_size=2)},
            {
                "completion": st.one_of(values.texts(), values.messages()),
                "feedback": values.anything(),
                "metric": values.texts(),
                "value": values.numbers(),
                "labels": values.mapping(),
                "good_completion": values.texts(),
                "bad_completion": values.texts(),
            },
        )
    )
    return st.lists(lines, max_size=3).map(
        lambda drawn: b"\n".join(values.encode(line, NOTHING).replace(b"\n", b" ") for line in drawn)
    )


def documented_statuses(route: Route) -> set[int]:
    """Return the statuses beyond 499 that a route is documented to answer."""
    return {status for status in openapi.statuses(route) if status >= 500}


# ------------------------------------------------------------------------------------------------ GraphQL


def graphql_fields() -> list[tuple[str, str]]:
    """Return the fields of the schema: which kind of operation, and which field."""
    kinds = {"query": GRAPHQL.query_type, "mutation": GRAPHQL.mutation_type}
    return [(kind, name) for kind, root in kinds.items() if root is not None for name in root.fields]


@cache
def graphql_calls(kind: str, name: str) -> Strategy:
    """Calls of a field of the schema, with variables for some of its arguments."""
    root = GRAPHQL.query_type if kind == "query" else GRAPHQL.mutation_type
    assert root is not None
    field = root.fields[name]
    required = {key: argument for key, argument in field.args.items() if graphql.is_required_argument(argument)}
    optional = {key: argument for key, argument in field.args.items() if key not in required}
    variables = values.drawn_object(
        {key: of_input(argument.type, key) for key, argument in required.items()},
        {key: of_input(argument.type, key) for key, argument in optional.items()},
    )

    def call(chosen: Any, drawn: Any) -> Call:
        arguments = {key: field.args[key] for key in chosen if key in field.args}
        declared = ", ".join(f"${key}: {argument.type}" for key, argument in arguments.items())
        given = ", ".join(f"{key}: ${key}" for key in arguments)
        heading = f"{kind}({declared})" if declared else kind
        text = f"{heading} {{ {name}{f'({given})' if given else ''} {selection(field.type)} }}"
        return Call("POST", ("", "api", "graphql"), body={"query": text, "variables": drawn})

    # The document declares the variables as they were drawn, before these are disturbed.
    return variables.flatmap(lambda drawn: values.disturbed(st.just(drawn)).map(lambda other: call(list(drawn), other)))


def of_input(kind: Any, name: str, depth: int = 4) -> Strategy:
    """Values of an input type."""
    if isinstance(kind, graphql.GraphQLNonNull):
        return of_input(kind.of_type, name, depth)
    if isinstance(kind, graphql.GraphQLList):
        return st.lists(of_input(kind.of_type, name, depth), max_size=2)
    if isinstance(kind, graphql.GraphQLEnumType):
        return st.one_of(values.one(sorted(kind.values)), values.one(sorted(kind.values)), values.texts())
    if isinstance(kind, graphql.GraphQLInputObjectType):
        if depth == 0:
            return st.none()
        required = {
            key: of_input(field.type, key, depth)
            for key, field in kind.fields.items()
            if graphql.is_required_input_field(field)
        }
        optional = {
            key: st.deferred(lambda field=field, key=key: of_input(field.type, key, depth - 1))
            for key, field in kind.fields.items()
            if key not in required
        }
        return values.drawn_object(required, optional, 1 if kind.name in ONE_OF else 3)
    return of_scalar(kind.name, name)


ONE_OF = {"CompletionFilterExpression", "CompletionSelectionQuery", "ModelProviderDataInput"}
# What arguments and members are called whose values are ids of things that exist.
IDS = {
    "id": "completion_id", "completionId": "completion_id", "metricId": "metric", "scoreId": "feedback_id",
    "comparisonId": "comparison_id", "idOrKey": "project", "projectIdOrKey": "project", "metricIdOrKey": "metric",
    "useCase": "project", "projectId": "project", "project": "project", "metric": "metric", "model": "model",
    "models": "model", "modelService": "model", "user": "user", "team": "team", "role": "role",
    "include": "completion_id", "exclude": "completion_id", "selectOnly": "completion_id", "sessionId": "session_id",
    "input": "test", "groupId": "model",
}  # fmt: skip


def of_scalar(kind: str, name: str) -> Strategy:
    """Values of a scalar."""
    if name in ("after", "before"):
        return values.cursors()
    if kind in ("Int", "Float"):
        return values.numbers()
    if kind == "Boolean":
        return st.booleans()
    if kind == "InputDatetime":
        return values.times()
    if kind == "JSON":
        return st.one_of(values.mapping(), values.anything())
    if kind == "Upload":
        return values.anything()
    return values.real(IDS[name], "dataset", "test") if name in IDS else st.one_of(st.just("x"), values.texts())


@cache
def selection(kind: Any, depth: int = 2) -> str:
    """Return what is asked for of a type: all that needs no arguments, to some depth."""
    kind = graphql.get_named_type(kind)
    if not isinstance(kind, graphql.GraphQLObjectType):
        return ""
    names = ["__typename"]
    for name, field in kind.fields.items():
        if any(graphql.is_required_argument(argument) for argument in field.args.values()):
            continue
        is_object = isinstance(graphql.get_named_type(field.type), graphql.GraphQLObjectType)
        if not is_object or depth > 1:
            names.append(f"{name} {selection(field.type, depth - 1)}" if is_object else name)
    return f"{{ {' '.join(names)} }}"


# ------------------------------------------------------------------------------------------------ models


@cache
def model_calls(name: str, path: str) -> Strategy:
    """Requests of a model: what OpenAI's API has, and what it does not."""
    tool = values.drawn_object({"type": st.just("function"), "function": values.mapping()}, {"x": values.anything()})
    texts = st.one_of(st.just("Hi"), values.texts())
    inputs = st.one_of(texts, st.lists(texts, max_size=3), values.anything())
    messages = st.lists(values.messages(), min_size=1, max_size=3)
    part = st.one_of(values.drawn_object({"text": texts}, {"x": values.anything()}), values.anything())
    content = values.drawn_object({"parts": st.lists(part, max_size=3)}, {"role": values.one(["user", "model"])})
    contents = st.one_of(st.lists(content, max_size=3), values.anything())
    required = {"model": st.just(values.Real("called_model"))} | {
        "chat": {"messages": messages},
        "completions": {"prompt": inputs},
        "embeddings": {"input": inputs},
        "responses": {"input": st.one_of(inputs, messages)},
        "messages": {"messages": messages, "max_tokens": st.just(64)},
        "count_tokens": {"messages": messages},
        "generate_content": {"contents": contents},
        "count_content_tokens": {"contents": contents},
        "moderations": {"input": inputs},
        "speech": {"input": texts, "voice": texts},
        "transcriptions": {"file": inputs},
        "translations": {"file": inputs},
        "image_generations": {"prompt": texts},
        "image_edits": {"prompt": texts, "image": inputs},
        "image_variations": {"image": inputs},
    }[name]
    some = st.one_of(values.numbers(), values.anything())
    optional = {
        "stream": st.booleans(),
        "stream_options": st.one_of(st.just({"include_usage": True}), values.anything()),
        "n": st.one_of(values.one([1, 2, 0, -1]), some),
        "labels": st.one_of(st.dictionaries(values.keys(), values.texts(), max_size=3), values.anything()),
        "metadata": values.anything(),
        "session_id": texts,
        "user": texts,
        "store": st.one_of(st.booleans(), values.anything()),
        "ab_campaign": values.real("ab_campaign", "test"),
        "tools": st.one_of(st.lists(tool, max_size=2), values.anything()),
        "response_format": st.one_of(values.mapping(), values.anything()),
        **dict.fromkeys(
            ("max_tokens", "temperature", "top_p", "seed", "dimensions", "max_completion_tokens", "logprobs"), some
        ),
        **dict.fromkeys(
            ("tool_choice", "stop", "reasoning_effort", "encoding_format", "thinking", "logit_bias", "x"),
            values.anything(),
        ),
    }
    body = values.disturbed(values.drawn_object(required, optional, 4))
    # Google's paths name the model.
    steps = tuple(values.Real("called_path") if "{model}" in step else step for step in path.split("/"))
    return body.map(lambda drawn: Call("POST", steps, body=drawn))


class Answer(NamedTuple):
    """What the provider is told to answer."""

    status: int
    content_type: str
    content: bytes


def provider_answers(provider: str, name: str) -> Strategy:
    """Answers of a provider, whole and streamed, whose values are as odd as a caller's."""
    make = _anthropic_events if provider == "anthropic" else _openai_events
    whole, event = _whole_answer(provider, name), make(name)
    documents = values.disturbed(whole).map(lambda body: values.encode(body, NOTHING))
    events = st.lists(st.one_of(*(values.disturbed(event, 1) for _ in range(3)), values.anything()), max_size=4)
    streams = st.builds(_stream, events, values.one([b"data: [DONE]\n\n", b"", b"data: \n\n", b"data: {", b"\xff\n\n"]))
    statuses = values.one([200] * 12 + [201, 204, 400, 401, 404, 413, 418, 422, 429, 503])
    kinds = values.one([JSON, "text/event-stream", "text/event-stream", "text/plain; charset=utf-16"])
    return st.tuples(statuses, kinds, st.one_of(documents, streams, streams)).map(lambda parts: Answer(*parts))


def _stream(events: list[Any], end: bytes) -> bytes:
    content = b""
    for event in events:
        if isinstance(event, dict) and isinstance(event.get("type"), str):
            content += b"event: " + event["type"].encode("utf-8", "surrogatepass").replace(b"\n", b"") + b"\n"
        content += b"data: " + values.encode(event, NOTHING).replace(b"\n", b" ") + b"\n\n"
    return content + end


def _usage() -> Strategy:
    counts = st.one_of(values.numbers(), values.numbers(), values.anything())
    names = [
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
    ]
    details = {"prompt_tokens_details": values.mapping(), "completion_tokens_details": values.anything()}
    counted = values.drawn_object({}, {**dict.fromkeys(names, counts), **details}, 5)
    return st.one_of(counted, counted, st.just({"prompt_tokens": 1, "completion_tokens": 1}), values.anything())


def _whole_answer(provider: str, name: str) -> Strategy:
    head = {"id": values.texts(), "model": values.texts(), "created": values.numbers(), "x": values.anything()}
    if provider == "anthropic":
        content = st.lists(st.one_of(_block(), values.anything()), max_size=3)
        reason = st.one_of(values.one(["end_turn", "tool_use", "refusal"]), values.anything())
        needed = {"type": st.just("message"), "role": st.just("assistant"), "content": content, "usage": _usage()}
        return values.drawn_object({**needed, "stop_reason": reason}, head)
    if name == "embeddings":
        vector = st.one_of(st.lists(values.numbers(), max_size=3), values.texts())
        data = st.lists(values.drawn_object({"embedding": vector, "index": indexes()}, {}), max_size=2)
        return values.drawn_object({"data": data, "usage": _usage()}, head)
    message = (
        st.fixed_dictionaries({"text": values.texts()})
        if name == "completions"
        else st.fixed_dictionaries({"message": values.messages()})
    )
    return values.drawn_object({"choices": st.lists(_choice(message), max_size=3), "usage": _usage()}, head)


def indexes() -> Strategy:
    """Mostly an index as it should be."""
    return st.one_of(st.just(0), st.just(0), values.indexes())


def _choice(said: Strategy) -> Strategy:
    reason = st.one_of(st.none(), values.one(["stop", "tool_calls", "length"]), values.anything())
    more = values.drawn_object(
        {"finish_reason": reason}, {"index": indexes(), "logprobs": values.anything(), "x": values.anything()}
    )
    return st.builds(lambda part, rest: {"index": 0, **part, **rest}, said, more)


def _openai_events(name: str) -> Strategy:
    calls = st.lists(st.one_of(values.tool_calls(), values.anything()), max_size=2)
    delta = values.drawn_object(
        {"content": st.one_of(values.texts(), st.none())},
        {"role": values.texts(), "tool_calls": st.one_of(calls, calls, values.anything()),
         "function_call": values.anything(),
         "refusal": values.texts(), "reasoning_content": values.anything(),
         "reasoning_details": values.anything(), "thinking_blocks": values.anything(),
         "audio": values.mapping(), "images": values.anything(),
         "annotations": values.anything(), "x": values.anything()},
    )  # fmt: skip
    said = (
        st.fixed_dictionaries({"text": values.texts()})
        if name == "completions"
        else st.fixed_dictionaries({"delta": delta})
    )
    choices = st.lists(_choice(said), min_size=1, max_size=2)
    return values.drawn_object(
        {"choices": choices},
        {
            "usage": _usage(),
            "id": values.texts(),
            "model": values.texts(),
            "created": values.numbers(),
            "error": values.anything(),
        },
    )


def _block() -> Strategy:
    return st.one_of(
        st.fixed_dictionaries({"type": st.just("text"), "text": values.texts()}),
        st.fixed_dictionaries(
            {"type": st.just("tool_use"), "id": values.texts(), "name": values.texts(), "input": values.anything()}
        ),
        st.fixed_dictionaries({"type": st.just("thinking"), "thinking": values.texts(), "signature": values.texts()}),
        values.drawn_object({"type": values.texts()}, {"text": values.anything(), "data": values.anything()}),
    )


def _anthropic_events(_: str) -> Strategy:
    deltas = st.one_of(
        st.fixed_dictionaries({"type": st.just("text_delta"), "text": values.texts()}),
        st.fixed_dictionaries({"type": st.just("input_json_delta"), "partial_json": values.texts()}),
        st.fixed_dictionaries({"type": st.just("thinking_delta"), "thinking": values.texts()}),
        values.drawn_object({"type": values.texts()}, {"signature": values.anything(), "citation": values.anything()}),
    )
    kinds = {
        "message_start": {
            "message": st.one_of(st.fixed_dictionaries({"id": values.texts(), "usage": _usage()}), values.mapping())
        },
        "content_block_start": {"index": indexes(), "content_block": _block()},
        "content_block_delta": {"index": indexes(), "delta": deltas},
        "content_block_stop": {"index": indexes()},
        "message_delta": {"delta": st.fixed_dictionaries({"stop_reason": values.anything()}), "usage": _usage()},
        "message_stop": {},
        "error": {"error": values.anything()},
    }
    return st.one_of(*(st.fixed_dictionaries({"type": st.just(kind), **parts}) for kind, parts in kinds.items()))


# ------------------------------------------------------------------------------------------------ answers


def check(answer: httpx.Response, allowed: Collection[int] = (), *, needs_code: bool = True) -> None:
    """Check that an answer, and each line of one, is no fault of the server, and each refusal an error object."""
    kind = answer.headers.get("content-type", "").partition(";")[0]
    # A provider may name any charset for what is passed on.
    text = answer.content.decode("utf-8", "replace") if answer.is_stream_consumed else ""
    assert answer.status_code < 500 or answer.status_code in allowed, (answer.status_code, text[:2_000])
    assert "internal_error" not in text, text[:2_000]
    if answer.status_code >= 400 and not (kind == NDJSON and answer.status_code == 422):
        assert kind == JSON, kind
        check_error(json.loads(text, parse_constant=_refuse), needs_code=needs_code)
    elif kind == JSON:
        # Half surrogate pairs of a provider are passed on, as escapes.
        json.loads(text, parse_constant=_refuse)
    elif kind == NDJSON:
        for line in answer.content.splitlines():
            result = msgspec.json.decode(line)
            if result.get("status", 200) != 200 and "line" in result:
                assert result["status"] < 500, result
                if result["status"] >= 400:
                    check_error(result)


def _refuse(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


def check_error(body: dict[str, Any], *, needs_code: bool = True) -> None:
    """Check that this holds the one error object."""
    error = body["error"]
    assert isinstance(error["message"], str)
    assert error["message"], body
    assert error["code"] or not needs_code, body


def check_graphql(answer: httpx.Response) -> None:
    """Check that GraphQL's answer is data, or errors that say what they are."""
    assert answer.status_code == 200, (answer.status_code, answer.text[:2_000])
    assert "internal_error" not in answer.text, answer.text[:2_000]
    body = msgspec.json.decode(answer.content)
    assert body.get("data") is not None or body["errors"]
    for error in body.get("errors", ()):
        assert error["message"], body
