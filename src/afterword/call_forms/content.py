"""Reads the messages and completions of a call from the attributes and events of its span, as OpenAI's messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from afterword.call_forms import conventions
from afterword.call_forms.turns import (
    Turn,
    anthropic_message,
    conversation,
    from_json_text,
    is_conversation,
    is_responses_input,
    is_turn,
    iterate_numbered,
    message_of_responses,
    messages_of_responses,
    text_of_parts,
    tool_calls,
)
from afterword.json_text import LineError

Attributes = Mapping[str, Any]


class SpanEvent(msgspec.Struct, frozen=True):
    """An event of a span, or a log record. `time` is in nanoseconds since 1970; `body` is that of a log record."""

    name: str
    time: int
    attributes: dict[str, Any]
    body: Any = None


class LoggedChoice(msgspec.Struct):
    """A completion: a text, or a whole message of the assistant."""

    completion: str | Turn = ""
    finish_reason: str | None = None


class CallContent(msgspec.Struct):
    """What was said in a call."""

    messages: list[Turn] = msgspec.field(default_factory=list)
    choices: list[LoggedChoice] = msgspec.field(default_factory=list)

    def completed_by(self, other: CallContent) -> CallContent:
        """Return this content, with what it lacks taken from another one."""
        return CallContent(self.messages or other.messages, self.choices or other.choices)


def read_content(attributes: Attributes, events: Sequence[SpanEvent]) -> CallContent:
    """Return the content that a span tells. Of several conventions the first that says something counts, for the
    messages and for the completions."""
    content = CallContent()
    for read in _ATTRIBUTE_READERS:
        content = content.completed_by(read(attributes))
        if content.messages and content.choices:
            return content
    return content.completed_by(read_events(events))


def read_events(events: Iterable[SpanEvent]) -> CallContent:
    """Return the content that events tell: those of a span, or log records of one."""
    details, messages, choices = CallContent(), list[Turn](), dict[int, LoggedChoice]()
    for event in sorted(events, key=lambda event: event.time):
        if event.name == conventions.DETAILS_EVENT:
            members = {**event.attributes, **(event.body if isinstance(event.body, dict) else {})}
            details = details.completed_by(_current(members))
        elif event.name == conventions.CHOICE_EVENT:
            body = _body(event)
            index = body.get("index")
            choices[index if isinstance(index, int) else len(choices)] = _choice_of_event(body)
        elif event.name == conventions.PROMPT_EVENT:
            messages += messages_of_value(event.attributes.get("gen_ai.prompt"))
        elif event.name == conventions.COMPLETION_EVENT:
            for choice in choices_of_value(event.attributes.get("gen_ai.completion")):
                choices[len(choices)] = choice
        elif event.name in conventions.ROLE_OF_EVENT:
            messages.append(_message_of_event(event.name, _body(event)))
    return details.completed_by(CallContent(messages, [choices[index] for index in sorted(choices)]))


# ------------------------------------------------------------------------------------------------ OpenTelemetry


def _current(attributes: Attributes) -> CallContent:
    """Read OpenTelemetry's current convention: messages of parts, as JSON or as structured attributes."""
    instructions = from_json_text(attributes.get("gen_ai.system_instructions"))
    messages: list[Turn] = []
    if instructions:
        parts = instructions if isinstance(instructions, list) else [{"type": "text", "content": instructions}]
        messages += _messages_of_parts({"role": "system", "parts": parts})
    for turn in _listed(from_json_text(attributes.get("gen_ai.input.messages"))):
        messages += _messages_of_parts(turn)
    choices: list[LoggedChoice] = []
    for turn in _listed(from_json_text(attributes.get("gen_ai.output.messages"))):
        for message in _messages_of_parts(turn):
            reason = turn.get("finish_reason") if isinstance(turn, dict) else None
            message.pop("finish_reason", None)
            choices.append(LoggedChoice(bare_completion(message), finish_reason(reason)))
    return CallContent(messages, choices)


def _listed(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return [] if value in (None, "") else [value]


def _messages_of_parts(turn: Any) -> list[Turn]:
    """Return the messages of a turn whose parts have the types of OpenTelemetry: one, or one for each tool's result."""
    if not isinstance(turn, dict) or not isinstance(turn.get("parts"), list):
        return messages_of_value([turn] if is_turn(turn) else turn)
    members = {name: value for name, value in turn.items() if name not in ("parts", "finish_reason")}
    message: Turn = {"role": "user", **members, "content": None}
    texts: list[Any] = []
    calls: list[dict[str, Any]] = []
    results: list[Turn] = []
    for part in turn["parts"]:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "tool_call":
            calls += tool_calls(part) or [part]
        elif kind == "tool_call_response":
            result = part.get("response", part.get("result"))
            results.append({"role": "tool", "tool_call_id": part.get("id"), "content": as_text(result)})
        elif kind == "reasoning":
            message["reasoning_content"] = message.get("reasoning_content", "") + as_text(part.get("content"))
        else:
            texts.append(_content_part(part))
    text = text_of_parts(texts) if len(texts) == 1 else None
    message["content"] = text if text is not None else texts or None
    if calls:
        message["tool_calls"] = calls
    is_said = texts or calls or "reasoning_content" in message
    return [*([message] if is_said or not results else []), *results]


def _content_part(part: Any) -> Any:
    """Return a part of a message as OpenAI has it; a part of another type stays as it is."""
    if not isinstance(part, dict):
        return {"type": "text", "text": as_text(part)}
    kind, modality, media_type = part.get("type"), part.get("modality"), str(part.get("mime_type") or "")
    if kind == "text":
        return {"type": "text", "text": as_text(part.get("content"))}
    if kind == "uri" and (modality == "image" or media_type.startswith("image/")):
        return {"type": "image_url", "image_url": {"url": part.get("uri")}}
    if kind != "blob":
        return part
    data = part.get("content", part.get("data"))
    if modality == "image" or media_type.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": f"data:{media_type or 'image/png'};base64,{data}"}}
    if modality == "audio" or media_type.startswith("audio/"):
        audio_format = media_type.partition("/")[2].removeprefix("x-") or "wav"
        return {"type": "input_audio", "input_audio": {"data": data, "format": audio_format}}
    return {"type": "file", "file": {"file_data": f"data:{media_type};base64,{data}"}}


def _body(event: SpanEvent) -> dict[str, Any]:
    """Return what a message event says: the body of a log record, or the attributes of a span's event."""
    for value in (event.body, event.attributes.get("gen_ai.event.content")):
        value = from_json_text(value)
        if isinstance(value, dict):
            return value
    return {name: from_json_text(value) for name, value in event.attributes.items() if not name.startswith("gen_ai.")}


def _message_of_event(name: str, body: dict[str, Any]) -> Turn:
    role = body.get("role") or conventions.ROLE_OF_EVENT[name]
    members = {member: value for member, value in body.items() if member not in ("role", "content", "id")}
    if role == "tool":
        members["tool_call_id"] = body.get("id", body.get("tool_call_id"))
    return {"role": role, "content": body.get("content"), **members}


def _choice_of_event(body: dict[str, Any]) -> LoggedChoice:
    message = from_json_text(body.get("message"))
    if isinstance(message, str):
        message = {"content": message}
    elif not isinstance(message, dict):
        message = {name: body[name] for name in ("content", "tool_calls") if name in body}
    completion = bare_completion({"role": "assistant", "content": None, **message})
    return LoggedChoice(completion, finish_reason(body.get("finish_reason")))


# ------------------------------------------------------------------------------------------------ other conventions


def _indexed(attributes: Attributes) -> CallContent:
    """Read the numbered attributes of OpenLLMetry, `gen_ai.prompt.0.content`."""
    turns = [_numbered_turn(members) for members in iterate_numbered(dict(attributes), "gen_ai.prompt")]
    answers = [_numbered_turn(members) for members in iterate_numbered(dict(attributes), "gen_ai.completion")]
    return CallContent(_conversation(turns), [_choice_of_message({"role": "assistant", **turn}) for turn in answers])


def _numbered_turn(members: dict[str, Any]) -> Turn:
    """Return a turn of numbered attributes. A list of parts and the calls of tools are flattened, or JSON."""
    turn = {name: value for name, value in members.items() if not name.startswith(("tool_calls.", "contents."))}
    calls = [_numbered_call(call) for call in iterate_numbered(members, "tool_calls")]
    if calls:
        turn["tool_calls"] = calls
    contents = [_numbered_part(part) for part in iterate_numbered(members, "contents")]
    content = from_json_text(turn.get("content"))
    if contents:
        turn["content"] = contents if (text := text_of_parts(contents)) is None or len(contents) > 1 else text
    elif isinstance(content, list) and all(isinstance(part, dict) and "type" in part for part in content):
        turn["content"] = content
    return {"content": None, **turn}


def _numbered_call(members: dict[str, Any]) -> dict[str, Any]:
    names = {name.removeprefix("tool_call.").removeprefix("function."): value for name, value in members.items()}
    calls = tool_calls(names)
    return calls[0] if calls else names


def _numbered_part(members: dict[str, Any]) -> Any:
    part = {name.removeprefix("message_content."): value for name, value in members.items()}
    if part.get("type") == "image":
        return {"type": "image_url", "image_url": {"url": part.get("image.image.url", part.get("image.url"))}}
    return part


def _openinference(attributes: Attributes) -> CallContent:
    """Read the numbered attributes of OpenInference, `llm.input_messages.0.message.content`."""
    sides: list[list[Turn]] = []
    for prefix in ("llm.input_messages", "llm.output_messages"):
        numbered = iterate_numbered(dict(attributes), prefix)
        sides.append(
            [
                _numbered_turn({name.removeprefix("message."): value for name, value in members.items()})
                for members in numbered
            ]
        )
    return CallContent(
        _conversation(sides[0]), [_choice_of_message({"role": "assistant", **turn}) for turn in sides[1]]
    )


def _vercel(attributes: Attributes) -> CallContent:
    """Read the attributes of Vercel's AI SDK."""
    prompt = attributes.get("ai.prompt.messages", attributes.get("ai.prompt"))
    text = attributes.get("ai.response.text", attributes.get("ai.response.object"))
    calls = tool_calls(
        [
            {**call, "id": call.get("toolCallId"), "name": call.get("toolName")}
            for call in _listed(from_json_text(attributes.get("ai.response.toolCalls")))
            if isinstance(call, dict)
        ]
    )
    choices: list[LoggedChoice] = []
    if text is not None or calls:
        message: Turn = {"role": "assistant", "content": text, **({"tool_calls": calls} if calls else {})}
        choices.append(LoggedChoice(bare_completion(message)))
    return CallContent(messages_of_value(prompt), choices)


def _reader_of_values(request_name: str, answer_name: str) -> Callable[[Attributes], CallContent]:
    """Return the reader of a convention that has the request and the answer as JSON of any form."""

    def read(attributes: Attributes) -> CallContent:
        return CallContent(
            messages_of_value(attributes.get(request_name)), choices_of_value(attributes.get(answer_name))
        )

    return read


_ATTRIBUTE_READERS: tuple[Callable[[Attributes], CallContent], ...] = (
    _current,
    _indexed,
    _openinference,
    _reader_of_values("langfuse.observation.input", "langfuse.observation.output"),
    _vercel,
    _reader_of_values("mlflow.spanInputs", "mlflow.spanOutputs"),
    _reader_of_values("input.value", "output.value"),
)


# ------------------------------------------------------------------------------------------------ values of any form


def messages_of_value(value: Any) -> list[Turn]:
    """Return the messages of a request in any form: messages, an object that holds them, or a text."""
    value = from_json_text(value)
    if value in (None, "", [], {}):
        return []
    if is_responses_input(value):
        return messages_of_responses(value)
    if is_conversation(value):
        return _conversation(value)
    if isinstance(value, dict):
        system = value.get("system") or value.get("instructions")
        for name in ("messages", "input", "contents", "prompt", "kwargs", "body"):
            if value.get(name) and (messages := messages_of_value(value[name])):
                return [{"role": "system", "content": system}, *messages] if system else messages
        if is_turn(value):
            return _conversation([value])
    return [{"role": "user", "content": as_text(value)}]


def choices_of_value(value: Any) -> list[LoggedChoice]:
    """Return the completions of an answer in any form: a response, a message, or a text."""
    value = from_json_text(value)
    if value in (None, "", [], {}):
        return []
    if isinstance(value, dict):
        if isinstance(value.get("choices"), list):
            return [choice for element in value["choices"] for choice in _choice_of_response(element)]
        if isinstance(value.get("output"), list):
            return [LoggedChoice(bare_completion(message_of_responses(value["output"])))]
        if value.get("type") == "message" and isinstance(value.get("content"), list):
            message = anthropic_message(value["content"])
            return [LoggedChoice(bare_completion(message), finish_reason(value.get("stop_reason")))]
        if is_turn(value):
            return [_choice_of_message({**message, "role": "assistant"}) for message in _conversation([value])]
        for name in ("text", "completion", "response", "content"):
            if value.get(name):
                return choices_of_value(value[name])
    if isinstance(value, list) and value and all(isinstance(part, dict) and "type" in part for part in value):
        return [LoggedChoice(bare_completion(message_of_responses(value)))]
    if is_conversation(value):
        return choices_of_value(value[-1])
    return [LoggedChoice(as_text(value))]


def _choice_of_response(choice: Any) -> list[LoggedChoice]:
    if not isinstance(choice, dict):
        return choices_of_value(choice)
    read = choices_of_value(choice.get("message") or choice.get("text")) or [LoggedChoice()]
    return [LoggedChoice(turn.completion, finish_reason(choice.get("finish_reason"))) for turn in read]


def _conversation(turns: list[Any]) -> list[Turn]:
    """Return turns as messages; one that cannot be read becomes the text of its JSON."""
    try:
        return conversation(turns, "messages")
    except LineError:
        return [{"role": "user", "content": as_text(turn)} for turn in turns]


def _choice_of_message(message: Turn) -> LoggedChoice:
    reason = message.pop("finish_reason", None)
    return LoggedChoice(bare_completion(message), finish_reason(reason))


def bare_completion(message: Turn) -> str | Turn:
    """Return the text of an assistant's message, or the message if it is more than a text."""
    members = {name: value for name, value in message.items() if value not in (None, [], {}) and name != "role"}
    if members.keys() <= {"content"} and isinstance(members.get("content", ""), str):
        return members.get("content", "")
    return {"role": "assistant", "content": None, **members}


def finish_reason(value: Any) -> str | None:
    """Return why the model ended, in OpenAI's words where they have one."""
    return conventions.FINISH_REASON_WORDS.get(value, value) if isinstance(value, str) and value else None


def as_text(value: Any) -> str:
    """Return a text as it is, and any other value as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
