"""Reads a line of a file, and turns it into the bodies of API calls. The forms of a line:

An interaction: the prompt is `messages` or `input` (messages), or `prompt` (`[[role, text], ...]` or a text);
`completion` is a text, `[role, text]` or an assistant message. Without `completion`, a last message by the assistant is
the completion, as in OpenAI's chat fine-tuning. Further members: `feedbacks` ({key: value}, or a list of objects),
`labels`, `metadata`, `model`, `project`, `user`, `session_id`, `created_at`, `completion_id`, `parent`, `step`,
`usage`, `timings`, `parameters`, `tools`. Also an interaction as `afterword export` writes it, with feedback and
preferences, or a call as LiteLLM's generic logger writes it.

A preference: `preferred_completion` and `other_completion`, each a completion_id, or a text together with the prompt;
`feedback_key` (or `metric`), `tied`, `details`, `user`, `created_at`, `comparison_id`.

Feedback: `completion_id`, `feedback_key` (or `metric`), `value`, `details`, `reason`, `user`, `created_at`,
`feedback_id`.

A metric, as `afterword metrics list --json` writes it: `key`, `kind`, `scoring_type`, `name`, `description`, `unit`.

Lines of other common forms (training files, logs of calls: cli/forms) are first converted to these.

Nothing is dropped. Members of `metadata` that can be labels become labels (numbers and booleans as their JSON text);
the others are kept in `parameters.metadata`. Members that are not listed here are kept in `parameters.unmapped`. A null
member counts as missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any
from uuid import UUID

import msgspec

from afterword.call_forms.turns import conversation
from afterword.call_forms.turns import kind as _kind
from afterword.cli.forms import own_form_lines, refuse_leftover_answers
from afterword.cli.forms.litellm import interactions_of_call, is_call_of_litellm
from afterword.cli.import_labels import labels_of, labels_of_metadata
from afterword.cli.occurrences import Occurrences
from afterword.ids import find_uuid_of_answer, id_of_text
from afterword.json_text import LineError, read_line
from afterword.types import Interaction, NewCall, NewInteraction
from afterword.types.fields import TEXT_FIELDS

_UUID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.I)
_TEXTS = tuple(field.name for field in TEXT_FIELDS)
_COPIED_FIELDS = (*_TEXTS, "session_id", "parent", "created_at", "usage", "timings", "model", "project")
_MODEL_SETTINGS = ("tools", "tool_choice", "parallel_tool_calls", "functions", "response_format")
_CURRENT_NAMES = {"feedback_key": "metric", "user_id": "user", "use_case": "project", "model_service": "model"}
_FEEDBACK = ("metric", "value", "details", "reason", "user", "created_at")
_PREFERENCE = ("tied", "details", "user", "created_at", "project")
_OUTCOME = ("session_id", "metric", "value", "details", "user", "created_at", "project")
_EXPORT_ONLY_FIELDS = ("actor", "mine")
"""Members of an export about the giver of a feedback. An import drops them: the importing key becomes the giver."""
_METRIC = ("key", "name", "kind", "scoring_type", "description", "unit", "project")
_EXPORTED = frozenset(Interaction.__struct_fields__)
_REIMPORTED_FIELDS = _EXPORTED & frozenset(NewInteraction.__struct_fields__) - {
    "completion",
    "labels",
    "parameters",
    "ab_campaign",
}
"""Members of an exported interaction that are logged unchanged. The others are derived, have their own API call, or
name objects that do not exist on another server."""
MAX_ID_CHARACTERS = 200
"""The longest id of another system, in characters."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options for all lines. `project` overrides a line's; the `labels` and `model` of a line override the options."""

    project: str | None = None
    model: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    new_ids: bool = False


@dataclass(slots=True)
class ImportLine:
    """The bodies of the API calls that import one line. `exported` says that the line has ids of its own, as one of
    `afterword export` does: what exists already is left as it is."""

    interactions: list[dict[str, Any]] = field(default_factory=list)
    feedback: list[dict[str, Any]] = field(default_factory=list)
    preferences: list[dict[str, Any]] = field(default_factory=list)
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    exported: bool = False


class Shaper:
    """Turns lines into the bodies of API calls.

    Missing ids are derived from the options, the line, and how often the same line came before. A repeated import
    therefore has the same ids, and the server stores nothing twice.
    """

    def __init__(self, options: Options, seed: str = "") -> None:
        self.options = options
        project_parts = [seed, options.project]
        self._default_project = options.project or seed or "default"
        self._project = blake2b(msgspec.json.encode(project_parts), digest_size=16).digest()
        identity_parts = [*project_parts, options.model, sorted(options.labels.items())]
        self._space = blake2b(msgspec.json.encode(identity_parts), digest_size=16).digest()
        self._line_occurrences = Occurrences()
        self._outcome_occurrences = Occurrences()

    def line_of(self, raw: bytes) -> ImportLine:
        """Return the bodies for a line. Raises `LineError`."""
        raw = raw.strip()
        body = read_line(raw)
        if not isinstance(body, dict):
            raise LineError(f"is {_kind(body)}, but must be an object")
        body = _with_current_names(body)
        if self.options.project is not None:
            body.pop("project", None)
        digest = blake2b(raw, digest_size=16, key=self._space).digest()
        if times := self._line_occurrences.add(digest):
            digest = blake2b(digest + str(times).encode(), digest_size=16).digest()
        if "prompt_hash" in body and "completion_id" in body:
            return self._line_of_export(body)
        if "completion_id" in body and "value" in body and not _prompt_name(body):
            return ImportLine(feedback=[self._feedback(body, digest)])
        if "session_id" in body and "value" in body and not _prompt_name(body):
            return ImportLine(outcomes=[self._outcome(body, digest)])
        if "key" in body and "kind" in body and "scoring_type" in body:
            return ImportLine(metrics=[{name: body[name] for name in _METRIC if name in body}])
        if is_call_of_litellm(body):
            return self._line_of_litellm(body)
        bodies = [body] if "preferred_completion" in body or "other_completion" in body else own_form_lines(body)
        line = ImportLine()
        for index, part_body in enumerate(bodies):
            part_digest = blake2b(digest + str(index).encode(), digest_size=16).digest() if index else digest
            if "preferred_completion" in part_body or "other_completion" in part_body:
                shaped = self._preference(part_body, part_digest)
                line.interactions += shaped.interactions
                line.preferences += shaped.preferences
            else:
                line.interactions.append(self._interaction(part_body, part_digest))
        return line

    # ------------------------------------------------------------------------------------------------ the shapes

    def _interaction(self, body: dict[str, Any], digest: bytes) -> dict[str, Any]:
        messages = _prompt_messages(body)
        completion = body.get("completion")
        if completion is None and messages and messages[-1].get("role") == "assistant":
            *messages, completion = messages
        elif completion is None:
            raise LineError("has no completion")
        completion_id = body.get("completion_id")
        interaction = self._interaction_without_id(
            body, messages, completion, {"completion", "completion_id", "feedbacks"}
        )
        if completion_id is None:
            interaction["completion_id"] = _id(digest)
        else:
            interaction["completion_id"] = self._imported_id(completion_id, body)
            if not _is_uuid(completion_id):
                _add_parameter(interaction.setdefault("parameters", {}), "completion_id", completion_id)
        if "feedbacks" in body:
            interaction["feedbacks"] = _inline_feedback(body["feedbacks"])
        return interaction

    def _interaction_without_id(
        self, body: dict[str, Any], messages: list[dict[str, Any]], completion: Any, handled_names: set[str]
    ) -> dict[str, Any]:
        """Return the interaction with everything but its id."""
        refuse_leftover_answers({name: value for name, value in body.items() if name not in handled_names})
        interaction: dict[str, Any] = {"messages": messages, "completion": _completion(completion)}
        interaction |= {name: body[name] for name in _COPIED_FIELDS if name in body}
        # A step is often a number in logs.
        interaction |= {name: str(body[name]) for name in _TEXTS if type(body.get(name)) is int}
        if self.options.model is not None:
            interaction.setdefault("model", self.options.model)
        labels = labels_of(body.get("labels", {}))
        parameters = body.get("parameters", {})
        if not isinstance(parameters, dict):
            raise LineError(f"has parameters that are {_kind(parameters)}, but must be an object")
        parameters = dict(parameters)
        unmapped = {}
        for name, value in body.items():
            if name in _MODEL_SETTINGS and name not in parameters:
                parameters[name] = value
            elif name == "metadata":
                metadata_labels, remaining_metadata = labels_of_metadata(value, labels, len(self.options.labels))
                labels = {**metadata_labels, **labels}
                if remaining_metadata:
                    _add_parameter(parameters, "metadata", remaining_metadata)
            elif (
                name not in _COPIED_FIELDS
                and name not in handled_names
                and name not in ("labels", "parameters", _prompt_name(body))
            ):
                unmapped[name] = value
        if unmapped:
            _add_parameter(parameters, "unmapped", unmapped)
        if labels or self.options.labels:
            interaction["labels"] = {**self.options.labels, **labels}
        if parameters:
            interaction["parameters"] = parameters
        if "session_id" in interaction:
            interaction["session_id"] = self._imported_session_id(interaction["session_id"])
        if "parent" in interaction:
            interaction["parent"] = self._named_completion(interaction["parent"], body)
        return interaction

    def _preference(self, body: dict[str, Any], digest: bytes) -> ImportLine:
        if "metric" not in body:
            raise LineError("has no feedback_key")
        comparison_id = body.get("comparison_id")
        line = ImportLine()
        preference: dict[str, Any] = {"metric": body["metric"]}
        preference |= {name: body[name] for name in _PREFERENCE if name in body}
        preference["comparison_id"] = _id(digest) if comparison_id is None else self._imported_id(comparison_id, body)
        handled_names = {"preferred_completion", "other_completion", "comparison_id", "metric", "tied", "details"}
        for name in ("preferred_completion", "other_completion"):
            side = body.get(name)
            if side is None:
                raise LineError(f"has no {name}")
            has_prompt = _prompt_name(body) is not None
            if isinstance(side, str) and (_is_id(side) or (not has_prompt and not re.search(r"\s", side))):
                preference[name] = self._named_completion(side, body)
                continue
            if not has_prompt:
                raise LineError(
                    f"has the {name} {side!r:.60}, which is no completion_id; a string needs messages that it answers"
                )
            side_body, text = body, side
            if isinstance(side, dict) and ("text" in side or "completion" in side):
                # A side has its own messages if it does not answer the same prompt as the other.
                text = side["text"] if "text" in side else side["completion"]
                side_members = ("model", "messages", "feedbacks")
                side_body = {
                    **body,
                    **{member: side[member] for member in side_members if side.get(member) is not None},
                }
            interaction = self._interaction_without_id(
                side_body, _prompt_messages(side_body), text, {*handled_names, "feedbacks"}
            )
            if isinstance(side, dict) and "feedbacks" in side:
                interaction["feedbacks"] = _inline_feedback(side["feedbacks"])
            interaction["completion_id"] = preference[name] = _id(
                blake2b(digest + name.encode(), digest_size=16).digest()
            )
            line.interactions.append(interaction)
        if not line.interactions:
            derived = {"messages", "input", "prompt", "prompt_mismatch"}
            _refuse_unknown(body, {*handled_names, *_PREFERENCE, *_EXPORT_ONLY_FIELDS} | derived)
        line.preferences.append(preference)
        return line

    def _feedback(self, body: dict[str, Any], digest: bytes) -> dict[str, Any]:
        if "metric" not in body:
            raise LineError("has no feedback_key")
        _refuse_unknown(body, {*_FEEDBACK, "completion_id", "feedback_id", "project", "kind", *_EXPORT_ONLY_FIELDS})
        feedback_id = body.get("feedback_id")
        feedback = {name: body[name] for name in _FEEDBACK if name in body}
        if body.get("kind") == "bool" and body.get("value") in (0, 1):
            # An export has 0.0 and 1.0; with true and false the feedback key is registered as bool again.
            feedback["value"] = bool(body["value"])
        return {
            **feedback,
            "completion_id": self._named_completion(body["completion_id"], body),
            "feedback_id": _id(digest) if feedback_id is None else self._imported_id(feedback_id, body),
        }

    def _outcome(self, body: dict[str, Any], digest: bytes) -> dict[str, Any]:
        if "metric" not in body:
            raise LineError("has no feedback_key")
        _refuse_unknown(body, {*_OUTCOME, "outcome_id", "id", *_EXPORT_ONLY_FIELDS})
        outcome_id = body.get("outcome_id", body.get("id"))
        return {
            **{name: body[name] for name in _OUTCOME if name in body},
            "session_id": self._imported_session_id(body["session_id"]),
            "outcome_id": _id(digest) if outcome_id is None else self._imported_id(outcome_id, body),
        }

    def _line_of_export(self, body: dict[str, Any]) -> ImportLine:
        if not body.get("messages"):
            raise LineError("is an interaction in its short view, without messages; export it with view=full")
        interaction = {name: body[name] for name in _REIMPORTED_FIELDS if name in body}
        interaction["completion"] = body.get("message", body.get("completion", ""))
        interaction["completion_id"] = self._imported_id(body["completion_id"], body)
        if interaction.get("session_id") == body["completion_id"]:
            del interaction["session_id"]
        elif "session_id" in interaction:
            # `session` is the caller's name of the session, if that is not a UUID.
            interaction["session_id"] = self._imported_session_id(body.get("session") or interaction["session_id"])
        if "parent" in interaction:
            interaction["parent"] = self._named_completion(interaction["parent"], body)
        if self.options.model is not None:
            interaction.setdefault("model", self.options.model)
        if labels := {**self.options.labels, **labels_of(body.get("labels", {}))}:
            interaction["labels"] = labels
        parameters = dict(body["parameters"]) if isinstance(body.get("parameters"), dict) else {}
        if unmapped := {name: value for name, value in body.items() if name not in (*_EXPORTED, "session")}:
            _add_parameter(parameters, "unmapped", unmapped)
        if parameters or isinstance(body.get("parameters"), dict):
            interaction["parameters"] = parameters
        if isinstance(interaction.get("call"), dict):
            interaction["call"] = _reimported_call(interaction["call"])
        line = ImportLine(interactions=[interaction], exported=True)
        for row in body.get("feedback") or ():
            line.feedback.append(self._feedback(_with_current_names(row), b""))
        for row in body.get("preferences") or ():
            line.preferences += self._preference(_with_current_names(row), b"").preferences
        for outcome in body.get("outcomes") or ():
            # Each interaction of the session repeats the outcome.
            if not self._outcome_occurrences.add(
                blake2b(str(outcome.get("outcome_id")).encode(), digest_size=16).digest()
            ):
                line.outcomes.append(
                    {**self._outcome(_with_current_names(outcome), b""), "project": interaction.get("project")}
                )
        return line

    def _line_of_litellm(self, body: dict[str, Any]) -> ImportLine:
        interactions = interactions_of_call(
            body, project=self._default_project, model=self.options.model, labels=self.options.labels
        )
        if self.options.new_ids:
            for interaction in interactions:
                interaction["completion_id"] = self._imported_id(interaction["completion_id"])
        return ImportLine(interactions=interactions, exported=True)

    def _imported_session_id(self, session_id: Any) -> Any:
        """Return the id of a session; with `new_ids`, the new id derived from it. A name stays, because it stands for a
        different session in each project."""
        return self._imported_id(session_id) if self.options.new_ids and _is_uuid(session_id) else session_id

    def _imported_id(self, id_value: Any, body: Mapping[str, Any] = {}) -> str:
        """Return an id of the line; with `new_ids`, the new id derived from it.

        A text that is not a UUID becomes the UUID that stands for it in the line's project. Raises `LineError`.
        """
        if isinstance(id_value, int) and not isinstance(id_value, bool):
            id_value = str(id_value)
        if not isinstance(id_value, str) or not 1 <= len(id_value) <= MAX_ID_CHARACTERS:
            raise LineError(f"has the id {id_value!r:.60}, but an id has 1 to {MAX_ID_CHARACTERS} characters")
        answer_uuid = find_uuid_of_answer(id_value)
        if self.options.new_ids:
            text = str(answer_uuid or (UUID(id_value) if _is_uuid(id_value) else id_value))
            return _id(blake2b(text.encode(), digest_size=16, key=self._project).digest())
        if answer_uuid is not None or _is_uuid(id_value):
            return str(answer_uuid or id_value)
        project = body.get("project")
        return str(id_of_text(project if isinstance(project, str) else self._default_project, id_value))

    def _named_completion(self, id_value: Any, body: Mapping[str, Any]) -> str:
        """Return the id of a completion that the line is about. The id of an answer is left to the server, which knows
        whether it had several choices."""
        is_of_answer = isinstance(id_value, str) and find_uuid_of_answer(id_value) is not None
        return id_value if is_of_answer and not self.options.new_ids else self._imported_id(id_value, body)


# ------------------------------------------------------------------------------------------------ the parts


def _with_current_names(body: dict[str, Any]) -> dict[str, Any]:
    """Rename members to their current names. An old name stays if the line also has the current one."""
    return {
        _CURRENT_NAMES[name] if name in _CURRENT_NAMES and body.get(_CURRENT_NAMES[name]) is None else name: value
        for name, value in body.items()
        if value is not None
    }


def _prompt_name(body: dict[str, Any]) -> str | None:
    return "messages" if "messages" in body else "input" if "input" in body else "prompt" if "prompt" in body else None


def _prompt_messages(body: dict[str, Any]) -> list[dict[str, Any]]:
    name = _prompt_name(body)
    if name is None:
        raise LineError("has no messages (nor input, nor prompt)")
    messages = body[name]
    if isinstance(messages, str):
        return [{"role": "user", "content": messages}]
    if not isinstance(messages, list):
        raise LineError(f"has {name} that are {_kind(messages)}, but must be an array")
    return [_with_image_parts(message) for message in conversation(messages, name)]


def _message(message_value: Any, path: str) -> dict[str, Any]:
    [message] = conversation([message_value], path)
    return _with_image_parts(message)


def _with_image_parts(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if isinstance(content, list) and any(_is_bare_image(part) for part in content):
        return {**message, "content": [_image_part(part) if _is_bare_image(part) else part for part in content]}
    return message


def _reimported_call(exported_call: dict[str, Any]) -> dict[str, Any]:
    """Return the `call` of an exported interaction. An open call becomes interrupted: the import never sees its end."""
    call = {name: exported_call[name] for name in NewCall.__struct_fields__ if exported_call.get(name) is not None}
    if call.get("state") == "open":
        call |= {"state": "interrupted", "finish_reason": call.get("finish_reason", "interrupted")}
    return call


def _is_uuid(value: Any) -> bool:
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def _is_id(text: str) -> bool:
    return _is_uuid(text) or find_uuid_of_answer(text) is not None


def _is_bare_image(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "image" and "url" in part


def _image_part(part: dict[str, Any]) -> dict[str, Any]:
    other_members = {name: value for name, value in part.items() if name not in ("type", "url")}
    return {"type": "image_url", "image_url": part["url"], **other_members}


def _completion(value: Any) -> Any:
    """Return a completion; an assistant message that holds only a text becomes that text."""
    if isinstance(value, str):
        return value
    message = _message(value, "the completion")
    if message.keys() == {"role", "content"} and message["role"] == "assistant" and isinstance(message["content"], str):
        return message["content"]
    return message


def _inline_feedback(feedbacks: Any) -> list[dict[str, Any]]:
    if isinstance(feedbacks, dict):
        return [{"metric": key, "value": value} for key, value in feedbacks.items() if value is not None]
    if not isinstance(feedbacks, list) or not all(isinstance(element, dict) for element in feedbacks):
        raise LineError(f"has feedbacks that are {_kind(feedbacks)}, but must be an object of keys and values")
    return [_with_current_names(row) for row in feedbacks]


def _add_parameter(parameters: dict[str, Any], name: str, value: Any) -> None:
    """Add `value` to `parameters` under `name`, merged with existing members. Raises `LineError` on a conflict."""
    existing = parameters.get(name)
    if existing is None:
        parameters[name] = value
    elif isinstance(existing, dict) and isinstance(value, dict) and not existing.keys() & value.keys():
        parameters[name] = {**existing, **value}
    else:
        raise LineError(f"has both {name} of its own and parameters.{name}")


def _refuse_unknown(body: dict[str, Any], known_names: set[str]) -> None:
    if unknown := body.keys() - known_names:
        raise LineError(f"has the unknown member {min(unknown)!r}")


def _id(digest: bytes) -> str:
    return str(UUID(bytes=digest, version=5))
