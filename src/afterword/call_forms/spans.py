"""Translates spans of OpenTelemetry to calls of models, whatever convention their attributes follow.

A call is one interaction for each of its choices. The id of the first follows from the span by a fixed rule: it is the
id of the text `TRACE-SPAN` (`ids.id_of_text`). The ids of further choices follow it (`ids.id_of_choice`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from afterword.call_forms import conventions
from afterword.call_forms.content import CallContent, LoggedChoice, SpanEvent, as_text, finish_reason, read_content
from afterword.call_forms.timings import call_timings
from afterword.call_forms.turns import from_json_text, iterate_numbered
from afterword.ids import id_of_choice, id_of_text
from afterword.types import NewCall, NewInteraction

MILLISECOND_NANOSECONDS = 1_000_000
MAX_ID_CHARACTERS = 200
"""Longer ids of other systems are not kept as ids."""

_BLANK_ID = re.compile("0*")
_ERROR_EVENT = "exception"


class ReceivedSpan(msgspec.Struct, frozen=True, kw_only=True):
    """A span as the wire has it. Ids are hexadecimal digits, times nanoseconds since 1970."""

    trace_id: str
    span_id: str
    parent_id: str = ""
    name: str = ""
    start: int = 0
    end: int = 0
    attributes: dict[str, Any]
    resource: dict[str, Any] = {}
    events: Sequence[SpanEvent] = ()
    links: Sequence[str] = ()
    """The keys of the spans that it links to."""
    is_error: bool = False
    error_message: str = ""

    @property
    def key(self) -> str:
        """Return the text that identifies the span, and the call that it is."""
        return span_key(self.trace_id, self.span_id)

    @property
    def parent_key(self) -> str | None:
        """Return the key of the span that this one is part of."""
        return span_key(self.trace_id, self.parent_id) if is_id(self.parent_id) else None


def span_key(trace_id: str, span_id: str) -> str:
    """Return the text that identifies a span."""
    return f"{trace_id}-{span_id}"


def is_id(text: str) -> bool:
    """Tell whether this is the id of a trace or span: an empty one, or one of zeros, is none."""
    return _BLANK_ID.fullmatch(text) is None


class SpanCall(msgspec.Struct):
    """A call of a model, as a span tells it."""

    key: str
    interaction: NewInteraction
    """The interaction of the first choice, without its messages and completion, its ids and its parent."""
    content: CallContent
    finish_reasons: list[str]

    @property
    def response_id(self) -> str | None:
        """Return the id of the provider's answer."""
        return self.interaction.call.response_id if self.interaction.call else None

    def interactions(self, content: CallContent, project_key: str) -> list[NewInteraction]:
        """Return an interaction for each choice, with this content."""
        choices = content.choices or [LoggedChoice()]
        choices += [LoggedChoice() for _ in range(len(self.finish_reasons) - len(choices))]
        return [self._interaction(content, index, choice, project_key) for index, choice in enumerate(choices)]

    def _interaction(self, content: CallContent, index: int, choice: LoggedChoice, project_key: str) -> NewInteraction:
        call = self.interaction.call
        assert call is not None
        reasons = self.finish_reasons[index : index + 1] or self.finish_reasons[:1]
        reason = choice.finish_reason or call.finish_reason or (reasons[0] if reasons else None)
        return msgspec.structs.replace(
            self.interaction,
            completion_id=id_of_choice(id_of_text(project_key, self.key), index),
            messages=content.messages,
            completion=choice.completion,
            call=msgspec.structs.replace(call, finish_reason=reason),
            # The tokens of a call are counted once, however many completions it made.
            usage=None if index else self.interaction.usage,
        )


def is_model_call(attributes: Mapping[str, Any]) -> bool:
    """Tell whether a span with these attributes is the call of a model that has messages and a completion."""
    if operation := attributes.get("gen_ai.operation.name"):
        return operation in conventions.CALL_OPERATIONS
    for name, kinds in conventions.CALL_KINDS.items():
        if kind := from_json_string(attributes.get(name)):
            return str(kind).lower() in kinds
    return any(name in attributes for name in ("gen_ai.request.model", "gen_ai.response.model", "llm.request.model"))


def read_call(span: ReceivedSpan) -> SpanCall | None:
    """Return the call that a span is; None for a span that is no call of a model."""
    if not is_model_call(span.attributes):
        return None
    attributes = _Attributes(span)
    request, response = attributes.take_object(*conventions.REQUESTS), attributes.take_object(*conventions.ANSWERS)
    facts = {name: attributes.take(*names) for name, names in conventions.FACTS.items()}
    reasons = _finish_reasons(attributes)
    usage = _token_usage(attributes)
    labels, unfit_metadata = _labels(attributes, facts["provider"])
    invocation = attributes.take_object(*conventions.PARAMETER_OBJECTS)
    parameters = _parameters(attributes, invocation, request)
    if unfit_metadata:
        parameters["metadata"] = unfit_metadata
    if attributes.rest:
        parameters["attributes"] = attributes.rest
    error = _error(span, facts["error"])
    call = NewCall(
        state="failed" if error else "complete",
        finish_reason="error" if error and not reasons else None,
        error=error,
        response_id=find_identifier(facts["response_id"] or response.get("id")),
        provider_model=find_identifier(facts["provider_model"]),
        trace_id=find_identifier(span.trace_id),
        streamed=facts["streamed"] if isinstance(facts["streamed"], bool) else None,
    )
    interaction = NewInteraction(
        messages=[],
        completion="",
        project=_text(facts["project"]),
        model=find_identifier(
            facts["model"] or invocation.get("model") or request.get("model") or facts["provider_model"]
        ),
        labels=labels or None,
        user=_text(facts["user"]),
        environment=_text(facts["environment"]),
        step=span.name[:MAX_ID_CHARACTERS] or None,
        session_id=find_identifier(facts["session"]) or (span.trace_id if is_id(span.trace_id) else None),
        created_at=span.start or None,
        usage=usage or None,
        timings=_timings(span, usage) or None,
        parameters=parameters or None,
        source="LIVE",
        call=call,
    )
    return SpanCall(span.key, interaction, read_content(span.attributes, span.events), reasons)


class _Attributes:
    """The attributes of a span, and of its resource where the span has none of that name. `rest` are those that were
    not taken, without those that hold what was said."""

    def __init__(self, span: ReceivedSpan) -> None:
        self.span = span
        self._taken: set[str] = {
            "gen_ai.operation.name",
            *conventions.CALL_KINDS,
            *conventions.FIRST_TOKEN_SECONDS,
            *conventions.FIRST_TOKEN_MILLISECONDS,
            *conventions.FIRST_TOKEN_TIMES,
        }

    def take(self, *names: str) -> Any:
        """Return the value of the first of these names that has one."""
        self._taken.update(names)
        for members in (self.span.attributes, self.span.resource):
            for name in names:
                if (value := members.get(name)) not in (None, ""):
                    return from_json_string(value)
        return None

    def take_object(self, *names: str) -> dict[str, Any]:
        """Return the first of these attributes that is a JSON object."""
        self._taken.update(names)
        values = (from_json_text(self.span.attributes.get(name)) for name in names)
        return next((value for value in values if isinstance(value, dict)), {})

    def take_prefixed(self, prefixes: Sequence[str]) -> Iterator[tuple[str, Any]]:
        """Yield the attributes that begin with one of these prefixes, without it."""
        for name, value in self.span.attributes.items():
            prefix = next((prefix for prefix in prefixes if name.startswith(prefix)), None)
            if prefix is not None and name not in self._taken:
                self._taken.add(name)
                yield name.removeprefix(prefix), value

    @property
    def rest(self) -> dict[str, Any]:
        return {
            name: value
            for name, value in self.span.attributes.items()
            if name not in self._taken and not name.startswith(conventions.CONTENT_PREFIXES)
        }


def from_json_string(value: Any) -> Any:
    """Decode a text that holds a JSON string, as Langfuse and MLflow write; return any other value unchanged."""
    if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"':
        try:
            return msgspec.json.decode(value)
        except msgspec.MsgspecError:
            return value
    return value


def _text(value: Any) -> str | None:
    return None if value is None else as_text(value)


def find_identifier(value: Any) -> str | None:
    """Return an id of another system, if it can be kept as one."""
    text = _text(value)
    return text if text and len(text) <= MAX_ID_CHARACTERS else None


def _finish_reasons(attributes: _Attributes) -> list[str]:
    value = attributes.take(*conventions.FINISH_REASONS)
    reasons = map(finish_reason, value if isinstance(value, list) else [value])
    return [reason for reason in reasons if reason]


def _token_usage(attributes: _Attributes) -> dict[str, Any]:
    usage: dict[str, Any] = {}
    for name, count in attributes.take_object(*conventions.USAGE_OBJECTS).items():
        if isinstance(count, int | float | dict):
            usage[conventions.USAGE_OBJECT_NAMES.get(name, name)] = count
    for name, names in conventions.USAGE.items():
        count = attributes.take(*names)
        if isinstance(count, int | float):
            usage[name] = count
    for (details_name, name), names in conventions.USAGE_DETAILS.items():
        count = attributes.take(*names)
        if isinstance(count, int | float) and count:
            usage.setdefault(details_name, {})[name] = count
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if isinstance(prompt, int) and isinstance(completion, int):
        usage.setdefault("total_tokens", prompt + completion)
    return usage


def _timings(span: ReceivedSpan, usage: dict[str, Any]) -> dict[str, Any]:
    if not 0 < span.start <= span.end:
        return {}
    latency = (span.end - span.start) / MILLISECOND_NANOSECONDS
    return call_timings(latency, _time_to_first_token(span), usage.get("completion_tokens"))


def _time_to_first_token(span: ReceivedSpan) -> float | None:
    attributes = span.attributes
    for names, factor in ((conventions.FIRST_TOKEN_SECONDS, 1000), (conventions.FIRST_TOKEN_MILLISECONDS, 1)):
        for name in names:
            if isinstance(value := attributes.get(name), int | float):
                return value * factor
    times = [event.time for event in span.events if event.name in conventions.FIRST_TOKEN_EVENTS]
    for name in conventions.FIRST_TOKEN_TIMES:
        try:
            moment = datetime.fromisoformat(str(from_json_string(attributes.get(name))))
        except ValueError:
            continue
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        times.append(round(moment.timestamp() * 1000) * MILLISECOND_NANOSECONDS)
    return (min(times) - span.start) / MILLISECOND_NANOSECONDS if times else None


def _labels(attributes: _Attributes, provider: Any) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the labels of a call, and the metadata that is no text, number or truth value."""
    labels: dict[str, str] = {}
    unfit: dict[str, Any] = {}
    if provider:
        labels["provider"] = as_text(provider)
    for name in conventions.LABELLED_RESOURCES:
        value = attributes.span.resource.get(name)
        if value and not str(value).startswith(conventions.UNNAMED_SERVICE):
            labels[name] = as_text(value)
    tags = attributes.take(*conventions.TAGS)
    for tag in tags if isinstance(tags, list) else ():
        labels[f"tag.{as_text(tag)}"] = "true"
    metadata = attributes.take_object(*conventions.METADATA_OBJECTS)
    for name, value in [*metadata.items(), *attributes.take_prefixed(conventions.METADATA_PREFIXES)]:
        value = from_json_string(value)
        if isinstance(value, str | int | float):
            labels[name] = as_text(value)
        elif value is not None:
            unfit[name] = value
    return labels, unfit


def _parameters(attributes: _Attributes, invocation: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    # MLflow has the members of the request as attributes of the same names.
    parameters = {name: request[name] for name in attributes.rest if name in request} | invocation
    attributes.take(*request)
    for name, value in attributes.take_prefixed(conventions.PARAMETER_PREFIXES):
        parameters[conventions.PARAMETER_NAMES.get(name, name)] = value
    tools = _tools(attributes) or request.get("tools")
    parameters = {name: value for name, value in parameters.items() if name not in conventions.NON_PARAMETERS}
    return {**parameters, **({"tools": [*map(_openai_tool, tools)]} if isinstance(tools, list) and tools else {})}


def _tools(attributes: _Attributes) -> list[Any]:
    value = from_json_text(attributes.take(*conventions.TOOLS))
    if isinstance(value, list):
        return [from_json_text(tool) for tool in value]
    for prefix, definition in conventions.NUMBERED_TOOLS.items():
        numbered = list(iterate_numbered(attributes.span.attributes, prefix))
        if numbered:
            return [
                from_json_text(members.get(definition)) if definition else
                {name: from_json_text(member) for name, member in members.items()}
                for members in numbered
            ]  # fmt: skip
    return []


def _openai_tool(tool: Any) -> Any:
    """Return the definition of a tool as OpenAI's chat has it: with its function as a member."""
    if not isinstance(tool, dict) or "function" in tool or not isinstance(tool.get("name"), str):
        return tool
    if tool.get("type", "function") != "function":
        return tool
    return {"type": "function", "function": {name: value for name, value in tool.items() if name != "type"}}


def _error(span: ReceivedSpan, error_type: Any) -> dict[str, Any] | None:
    """Return why a call failed; None if it did not."""
    if not span.is_error:
        return None
    exception = next((event.attributes for event in reversed(span.events) if event.name == _ERROR_EVENT), {})
    code = as_text(error_type or exception.get("exception.type") or "error")
    return {
        "type": "provider_error",
        "code": code,
        "message": span.error_message or as_text(exception.get("exception.message")),
    }
