"""Forms of other tools' logs of model calls: a request, its answer, and facts about both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from afterword.call_forms.turns import (
    Turn,
    anthropic_message,
    conversation,
    from_json_text,
    is_conversation,
    is_turn,
    iterate_numbered,
    message_of_responses,
)
from afterword.cli.forms.parts import (
    CONVERSATIONS,
    SYSTEM,
    Line,
    Parts,
    is_value,
    ratings_of,
    split_answer,
    turns_of,
)
from afterword.cli.forms.training import with_rating_feedback
from afterword.json_text import LineError

REQUEST_RESPONSE_NAMES = (
    ("request_body", "response_body"),
    ("requestBody", "responseBody"),
    ("request", "response"),
    ("inputs", "outputs"),
    ("inputs", "output"),
    ("input", "output"),
    ("input", "outputs"),
    ("messages", "response"),
    ("prompt", "response"),
)
"""Names of the request and the answer in logs."""
_FACT_NAMES = {
    "created_at": (
        "created_at",
        "startTime",
        "start_time",
        "request_created_at",
        "datetime_utc",
        "createdAt",
        "timestamp",
        "created",
        "tstamp",
        "startTimeUnixNano",
        "start_time_unix_nano",
    ),
    "model": ("model", "model_name", "model_id", "modelId", "ls_model_name"),
    "session_id": ("session_id", "sessionId", "conversation_id", "conversationId", "thread_id", "session"),
    "user": ("user", "user_id", "userId", "end_user"),
    "usage": ("usage", "usageDetails", "usageMetadata"),
}
"""Names in logs of an interaction's fields."""
_TOKEN_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
"""Usage members of logs without a usage object, such as LiteLLM's."""
_LOG_MEMBERS = frozenset(
    [
        "startTime",
        "start_time",
        "call_type",
        "request_id",
        "traceId",
        "trace_id",
        "run_type",
        "datetime_utc",
        "spend",
        "request_body",
        "response_body",
        "requestBody",
        "responseBody",
        "conversation_id",
        "sessionId",
        "userId",
        "request",
        "response_cost",
    ]
)
"""Members that distinguish a log from a training file."""
_NON_CALL_KINDS = frozenset(["span", "event", "tool", "retriever", "embedding", "evaluator", "guardrail", "parser"])
"""Kinds of observations that are not model calls."""
_FAILURE_STATUSES = ("failure", "error", "failed", "ERROR")


def log_of_call(line: Line) -> list[Line] | None:
    """Read a log of a call; None for any other line."""
    if line.get("object") == "chat.completion" and "messages" in line:
        return _lines_of_pair(
            line, {"messages": line["messages"], "model": line.get("model")}, line, {"messages", "choices"}
        )
    attributes = _attributes(line)
    if attributes:
        return _lines_of_span(line, attributes)
    if isinstance(line.get("fields"), dict):
        return _lines_of_argilla(line)
    pair = next((names for names in REQUEST_RESPONSE_NAMES if names[0] in line and names[1] in line), None)
    if pair is None:
        return None
    request, answer = from_json_text(line[pair[0]]), from_json_text(line[pair[1]])
    if "instruction" in line:
        return None
    observed = next((line[name] for name in ("type", "run_type") if isinstance(line.get(name), str)), "")
    if observed.lower() in _NON_CALL_KINDS and _LOG_MEMBERS & line.keys():
        raise LineError(f"is a {observed.lower()} of a trace, and no call of a model")
    structured = isinstance(answer, dict) or (isinstance(request, dict) and "messages" in request)
    if not structured and not _LOG_MEMBERS & line.keys():
        return None
    system_members = {name: line[name] for name in SYSTEM if name in line} if isinstance(request, str | list) else {}
    if system_members:
        request = {**system_members, "prompt": request}
    return _lines_of_pair(line, request, answer, {*pair, *system_members})


def refuse_known(line: Line) -> None:
    """Raise `LineError` for lines of a known form that do not hold a prompt with its answer."""
    keys = line.keys()
    if "message_tree_id" in keys:
        raise LineError("is a message or a tree of OASST; make a line of each path from a prompt to an answer first")
    if keys <= {"text", "meta", "id", "metadata", "source", "url"} and "text" in keys:
        raise LineError("has a string, but neither messages nor a completion: it does not say which part is the answer")
    wrapped = [name for name, value in line.items() if is_list_of_objects(value) and name not in _OWN_LISTS]
    if len(wrapped) == 1 and not keys & {"messages", "prompt", "input", "completion", "instruction"}:
        raise LineError(
            f"is one object whose lines stand under {wrapped[0]!r}. Take them out: "
            f"jq -c '.{wrapped[0]}[]' FILE | afterword import -"
        )


def refuse_batch(line: Line) -> None:
    """Raise `LineError` for a line of a provider's batch, which holds either the request or the result."""
    keys = line.keys()
    if "custom_id" in keys and keys & {"response", "result"} and not keys & {"request", "messages"}:
        raise LineError(
            "is a result of a batch, without the request that it answers. Put each request's body beside its result "
            'as {"request": ..., "response": ...}; they share the custom_id'
        )
    if {"custom_id", "body"} <= keys:
        raise LineError("is a request of a batch, without an answer")


_OWN_LISTS = frozenset((*CONVERSATIONS, "tools", "functions", "feedback", "feedbacks", "labels", "answers"))


def is_list_of_objects(value: Any) -> bool:
    """Tell whether this is a list of one or more objects."""
    return isinstance(value, list) and bool(value) and all(isinstance(element, dict) for element in value)


def _lines_of_pair(line: Line, request: Any, answer: Any, names: set[str]) -> list[Line]:
    prompt_and_parameters = _prompt_and_parameters(request)
    if prompt_and_parameters is None:
        raise LineError("is the log of a call whose request has no messages and no prompt")
    messages, parameters = prompt_and_parameters
    parts = Parts({name: value for name, value in line.items() if name not in names})
    statuses = (line.get(name) for name in ("status", "level", "status_code"))
    failure_status = next((status for status in statuses if status in _FAILURE_STATUSES), None)
    answers = list(_answers(answer))
    response_members = _response_members(answer)
    if not answers or failure_status is not None:
        error = line.get("error") or line.get("statusMessage") or line.get("error_str") or failure_status
        raise LineError(f"is the log of a call without an answer{f': {error!s:.100}' if error else ''}")
    facts = _facts_of_pair(parts, answer, parameters)
    fact_names = {member for alternative_names in _FACT_NAMES.values() for member in alternative_names}
    parameters = {name: value for name, value in parameters.items() if name not in fact_names}
    feedback = [
        feedback_row
        for name in ("scores", "feedback", "feedback_stats")
        for feedback_row in _feedback_rows(parts, name)
    ]
    model_parameters = parts.take("modelParameters", "model_parameters", "invocation_params")
    parameters |= model_parameters if isinstance(model_parameters, dict) else {}
    tags = parts.take("tags", "request_tags")
    if isinstance(tags, list) and tags and all(isinstance(tag, str) for tag in tags):
        facts["labels"] = {f"tag.{tag}"[:128]: "true" for tag in tags}
    elif tags:
        parts.members["tags"] = tags
    if feedback:
        facts["feedbacks"] = feedback
    line_parameters = parts.take("parameters")
    parameters |= line_parameters if isinstance(line_parameters, dict) else {}
    if response_members:
        parameters["unmapped"] = {"response": response_members}
    if parameters:
        facts["parameters"] = parameters
    return [
        with_rating_feedback({**parts.members, **facts, "messages": messages, "completion": choice})
        for choice in answers
    ]


def _facts_of_pair(parts: Parts, answer: Any, parameters: Line) -> Line:
    """Return model, usage, user and so on: taken from the line, else read from the answer or the request."""
    facts: Line = {}
    for name, alternative_names in _FACT_NAMES.items():
        fits = dict if name == "usage" else str if name == "model" else str | int | float
        member = next(
            (member_name for member_name in alternative_names if isinstance(parts.members.get(member_name), fits)), None
        )
        value = None if member is None else parts.take(member)
        if value is None:
            value = next(
                (
                    source[alternative_name]
                    for source in (answer, parameters)
                    if isinstance(source, dict)
                    for alternative_name in alternative_names
                    if isinstance(source.get(alternative_name), fits)
                ),
                None,
            )
        if value is not None:
            facts[name] = str(value) if name in ("user", "session_id") else value
    counts = {name: count for name in _TOKEN_COUNTS if isinstance(count := parts.members.get(name), int)}
    if counts and "usage" not in facts:
        facts["usage"] = counts
        for name in counts:
            parts.take(name)
    return facts


_ANSWERS = ("choices", "candidates", "generations", "output", "message", "content", "body", "outputBodyJson", "text")


def _response_members(answer: Any) -> dict[str, Any]:
    """Return the members of a response beside the answer itself."""
    if not isinstance(answer, dict) or "messages" in answer:
        return {}
    members = {name: value for name, value in answer.items() if name not in (*_ANSWERS, "role", "type") and value != ""}
    choices = answer.get("choices")
    if isinstance(choices, list) and len(choices) == 1 and isinstance(choices[0], dict):
        members |= {name: value for name, value in choices[0].items() if name not in ("index", "message", "text")}
    return {name: value for name, value in members.items() if value is not None}


def _feedback_rows(parts: Parts, name: str) -> list[dict[str, Any]]:
    value = parts.members.get(name)
    if name == "feedback_stats":
        # LangSmith aggregates feedback: with a count of 1, the mean is the value.
        key_statistics = value if isinstance(value, dict) else {}
        if not key_statistics or not all(
            isinstance(statistic, dict) and statistic.get("n") == 1 for statistic in key_statistics.values()
        ):
            return []
        value = {key: statistic.get("avg") for key, statistic in key_statistics.items()}
    feedback_rows = ratings_of(value)
    if feedback_rows:
        del parts.members[name]
    return feedback_rows


def _prompt_and_parameters(value: Any) -> tuple[list[Turn], dict[str, Any]] | None:
    """Return the messages and the parameters of a request; None without messages."""
    value = from_json_text(value)
    if isinstance(value, str):
        return [{"role": "user", "content": value}], {}
    if isinstance(value, list):
        return (turns_of(value, "messages"), {}) if value else None
    if not isinstance(value, dict):
        return None
    for name in ("body", "kwargs", "inputBodyJson"):
        if isinstance(value.get(name), dict) and "messages" not in value:
            return _prompt_and_parameters(value[name])
    parts = Parts(value)
    messages = parts.prompt()
    return (messages, parts.members) if messages else None


def _answers(value: Any) -> Iterator[Turn | str]:
    """Yield the answers in a response of any known model API."""
    value = from_json_text(value)
    if isinstance(value, str):
        if value:
            yield value
    elif is_conversation(value):
        earlier_messages, answer = split_answer(conversation(value, "output"))
        if earlier_messages or answer is None:
            raise LineError("has an answer of several messages, or by another than the assistant")
        yield answer
    elif isinstance(value, list):
        for element in value:
            yield from _answers(element)
    elif isinstance(value, dict):
        yield from _answers_in(value)


def _answers_in(value: dict[str, Any]) -> Iterator[Turn | str]:
    if isinstance(value.get("choices"), list):
        for choice in value["choices"]:
            yield from _answers(choice.get("message") or choice.get("text") if isinstance(choice, dict) else choice)
    elif isinstance(value.get("candidates"), list):
        for candidate in value["candidates"]:
            yield from _answers(candidate.get("content") if isinstance(candidate, dict) else None)
    elif isinstance(value.get("generations"), list):
        for generation in value["generations"]:
            yield from _answers(generation)
    elif value.get("type") == "message" and isinstance(value.get("content"), list):
        yield anthropic_message(value["content"])
    elif isinstance(value.get("output"), list) and value.get("object") == "response":
        yield message_of_responses(value["output"])
    elif isinstance(value.get("message"), dict) and "role" not in value:
        yield from _answers(value["message"])
    elif is_turn(value):
        [message] = conversation([value], "output")
        yield {**message, "role": "assistant"}
    else:
        for name in ("body", "outputBodyJson", "text", "completion", "response", "output", "output_text", "content",
                     "generated_text", "answer", "messages"):  # fmt: skip
            if value.get(name):
                yield from _answers(value[name])
                return


# ------------------------------------------------------------------------------------------------ traces


def _attributes(line: Line) -> dict[str, Any]:
    """Return the attributes of a span by their dotted names; {} if the line is not a span of a model call."""
    attribute_tree = line.get("attributes")
    flat = dict(_flat(attribute_tree)) if isinstance(attribute_tree, dict) else {}
    flat |= {name.removeprefix("attributes."): value for name, value in line.items() if name.startswith("attributes.")}
    return flat if any(name.startswith(("llm.", "gen_ai.")) for name in flat) else {}


def _flat(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        if isinstance(inner, dict):
            yield from _flat(inner, f"{prefix}{name}.")
        else:
            yield prefix + name, inner


def _lines_of_span(line: Line, attributes: dict[str, Any]) -> list[Line]:
    sides: list[list[Turn]] = []
    for names in (
        ("llm.input_messages", "gen_ai.input.messages", "gen_ai.prompt"),
        ("llm.output_messages", "gen_ai.output.messages", "gen_ai.completion"),
    ):
        turns: list[Any] = []
        for name in names:
            attribute_value = from_json_text(attributes.get(name))
            turns = attribute_value if isinstance(attribute_value, list) else list(iterate_numbered(attributes, name))
            if turns:
                break
        sides.append(conversation([_typed_parts(turn) for turn in turns], "messages"))
    model = attributes.get("llm.model_name") or attributes.get("gen_ai.response.model")
    line_members = {name: value for name, value in line.items() if not name.startswith("attributes")}
    line_members["attributes"] = {name: value for name, value in attributes.items() if not name.endswith(
        ("input_messages", "output_messages", "input.messages", "output.messages"))}  # fmt: skip
    model = model or attributes.get("gen_ai.request.model")
    return _lines_of_pair(
        {**line_members, **({"model": model} if model else {})}, {"messages": sides[0]}, sides[1], set()
    )


def _typed_parts(turn: Any) -> Any:
    """Convert OpenTelemetry's message parts, which have their text under `content`."""
    parts = turn.get("parts") if isinstance(turn, dict) else None
    if not isinstance(parts, list):
        return turn
    return {**turn, "parts": [
        {"text": part["content"]} if isinstance(part, dict) and part.get("type") == "text" and "content" in part
        else {"functionCall": part} if isinstance(part, dict) and part.get("type") == "tool_call" else part
        for part in parts]}  # fmt: skip


def _lines_of_argilla(line: Line) -> list[Line]:
    """Read Argilla's form: prompt and answer are in `fields`, people's ratings in `responses`."""
    fields = Parts(line["fields"])
    answer = fields.take("response", "completion", "output", "answer", "generation")
    prompt = fields.prompt()
    if not prompt or not isinstance(answer, str):
        raise LineError("is a record of Argilla whose fields hold no prompt with its answer")
    feedback: list[dict[str, Any]] = []
    responses = line.get("responses")
    for question, question_answers in responses.items() if isinstance(responses, dict) else ():
        for response in question_answers if isinstance(question_answers, list) else ():
            if isinstance(response, dict) and is_value(response.get("value")):
                rater = {"user": str(response["user_id"])} if response.get("user_id") is not None else {}
                feedback.append({"metric": question, "value": response["value"], **rater})
    line_members = {
        name: value for name, value in line.items() if name != "fields" and (name != "responses" or not feedback)
    }
    if isinstance(line_members.get("responses"), dict | list):
        # These are not values. They are kept under a name that is not taken for an answer.
        line_members["argilla_responses"] = line_members.pop("responses")
    extra_members = {**fields.members, **line_members}
    return [
        {**extra_members, "messages": prompt, "completion": answer, **({"feedbacks": feedback} if feedback else {})}
    ]
