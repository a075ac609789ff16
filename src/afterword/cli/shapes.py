"""What a line of a file may be, and what it becomes on the wire.

An interaction: the prompt is `messages` or `input` (messages), or `prompt` (`[[role, text], ...]` or a text);
`completion` is a text, `[role, text]` or an assistant message. Without `completion`, a last message by the assistant is
taken for it (the lines of OpenAI's chat fine-tuning). Further members: `feedbacks` ({key: value}, or a list of
objects), `labels`, `metadata`, `model`, `project`, `user`, `session_id`, `created_at`, `completion_id`, `usage`,
`timings`, `parameters`, `tools`. Also an interaction as `afterword export` writes it, with feedback and preferences.

A preference: `preferred_completion` and `other_completion`, each a completion_id, or a text together with the prompt;
`feedback_key` (or `metric`), `tied`, `details`, `user`, `created_at`, `comparison_id`.

Feedback: `completion_id`, `feedback_key` (or `metric`), `value`, `details`, `reason`, `user`, `created_at`,
`feedback_id`.

A metric, as `afterword metrics list --json` writes it: `key`, `kind`, `scoring_type`, `name`, `description`, `unit`.

Lines of the field's other forms (training files, logs of calls: cli/forms) are turned into these first.

Nothing is dropped: members of `metadata` that can be labels become labels (numbers and booleans as their JSON text),
the others are kept in `parameters.metadata`, and members with a name that is not listed here in
`parameters.unmapped`. Null stands for a member that is not there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any
from uuid import UUID

import msgspec

from afterword.cli.forms import in_own_form, refuse_spoken
from afterword.cli.forms.turns import conversation
from afterword.cli.forms.turns import kind as _kind
from afterword.cli.occurrences import Occurrences
from afterword.config import SETTINGS
from afterword.ids import id_of_text
from afterword.json_text import LineError, read_line
from afterword.types import Interaction, NewCall, NewInteraction

_LIMITS: dict[str, Any] = {setting.name: setting.default for setting in SETTINGS}
_UUID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.I)
_KEPT = ("user", "session_id", "created_at", "usage", "timings", "model", "project")
_SETTINGS_OF_MODEL = ("tools", "tool_choice", "parallel_tool_calls", "functions", "response_format")
_NAMES = {"feedback_key": "metric", "user_id": "user", "use_case": "project", "model_service": "model"}
_FEEDBACK = ("metric", "value", "details", "reason", "user", "created_at")
_PREFERENCE = ("tied", "details", "user", "created_at", "project")
_OUTCOME = ("session_id", "metric", "value", "details", "user", "created_at", "project")
_OF_EXPORTS = ("actor", "mine")
"""What an export tells of whoever gave a feedback; it is given anew by whoever imports it."""
_METRIC = ("key", "name", "kind", "scoring_type", "description", "unit", "project")
_EXPORTED = frozenset(Interaction.__struct_fields__)
_TAKEN_BACK = _EXPORTED & frozenset(NewInteraction.__struct_fields__) - {
    "completion",
    "labels",
    "parameters",
    "ab_campaign",
}
"""What of an exported interaction is logged as it stands. The rest is derived, has a call of its own, or names what is
not there on another server."""
MOST_ID = 200
"""The longest id of another system, in characters."""


@dataclass(frozen=True, slots=True)
class Options:
    """What holds for every line: `project` before the line's own; `labels` and `model` after them."""

    project: str | None = None
    model: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    new_ids: bool = False


@dataclass(slots=True)
class Line:
    """What one line asks for, as the bodies of calls. `exported` says that `afterword export` wrote it."""

    interactions: list[dict[str, Any]] = field(default_factory=list)
    feedback: list[dict[str, Any]] = field(default_factory=list)
    preferences: list[dict[str, Any]] = field(default_factory=list)
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    exported: bool = False


class Shaper:
    """Turns lines into what they ask for.

    Ids that a line does not give follow from the options, the line and how often the same line came before: whoever
    imports the same again repeats the same ids, and the server stores nothing twice.
    """

    def __init__(self, options: Options, seed: str = "") -> None:
        self.options = options
        where = [seed, options.project]
        self._default_project = options.project or seed or "default"
        self._project = blake2b(msgspec.json.encode(where), digest_size=16).digest()
        settled = [*where, options.model, sorted(options.labels.items())]
        self._space = blake2b(msgspec.json.encode(settled), digest_size=16).digest()
        self._seen = Occurrences()
        self._outcomes_seen = Occurrences()

    def shape(self, raw: bytes) -> Line:
        """Return what a line asks for. Raises `LineError`."""
        raw = raw.strip()
        said = read_line(raw)
        if not isinstance(said, dict):
            raise LineError(f"is {_kind(said)}, but must be an object")
        said = _renamed(said)
        if self.options.project is not None:
            said.pop("project", None)
        digest = blake2b(raw, digest_size=16, key=self._space).digest()
        if times := self._seen.add(digest):
            digest = blake2b(digest + str(times).encode(), digest_size=16).digest()
        if "prompt_hash" in said and "completion_id" in said:
            return self._exported(said)
        if "completion_id" in said and "value" in said and not _prompt_name(said):
            return Line(feedback=[self._feedback(said, digest)])
        if "session_id" in said and "value" in said and not _prompt_name(said):
            return Line(outcomes=[self._outcome(said, digest)])
        if "key" in said and "kind" in said and "scoring_type" in said:
            return Line(metrics=[{name: said[name] for name in _METRIC if name in said}])
        made = [said] if "preferred_completion" in said or "other_completion" in said else in_own_form(said)
        line = Line()
        for index, one in enumerate(made):
            own = blake2b(digest + str(index).encode(), digest_size=16).digest() if index else digest
            if "preferred_completion" in one or "other_completion" in one:
                shaped = self._preference(one, own)
                line.interactions += shaped.interactions
                line.preferences += shaped.preferences
            else:
                line.interactions.append(self._interaction(one, own))
        return line

    # ------------------------------------------------------------------------------------------------ the shapes

    def _interaction(self, said: dict[str, Any], digest: bytes) -> dict[str, Any]:
        messages = _messages(said)
        completion = said.get("completion")
        if completion is None and messages and messages[-1].get("role") == "assistant":
            *messages, completion = messages
        elif completion is None:
            raise LineError("has no completion")
        given = said.get("completion_id")
        made = self._common(said, messages, completion, {"completion", "completion_id", "feedbacks"})
        if given is None:
            made["completion_id"] = _id(digest)
        else:
            made["completion_id"] = self._kept_id(given, said)
            if not _is_uuid(given):
                _keep(made.setdefault("parameters", {}), "completion_id", given)
        if "feedbacks" in said:
            made["feedbacks"] = _inline_feedback(said["feedbacks"])
        return made

    def _common(
        self, said: dict[str, Any], messages: list[dict[str, Any]], completion: Any, known: set[str]
    ) -> dict[str, Any]:
        """Return the interaction with everything but its id."""
        refuse_spoken({name: value for name, value in said.items() if name not in known})
        made: dict[str, Any] = {"messages": messages, "completion": _completion(completion)}
        made |= {name: said[name] for name in _KEPT if name in said}
        if self.options.model is not None:
            made.setdefault("model", self.options.model)
        labels = _labels(said.get("labels", {}))
        parameters = said.get("parameters", {})
        if not isinstance(parameters, dict):
            raise LineError(f"has parameters that are {_kind(parameters)}, but must be an object")
        parameters = dict(parameters)
        unmapped = {}
        for name, value in said.items():
            if name in _SETTINGS_OF_MODEL and name not in parameters:
                parameters[name] = value
            elif name == "metadata":
                more, rest = _labels_of_metadata(value, labels, len(self.options.labels))
                labels = {**more, **labels}
                if rest:
                    _keep(parameters, "metadata", rest)
            elif name not in _KEPT and name not in known and name not in ("labels", "parameters", _prompt_name(said)):
                unmapped[name] = value
        if unmapped:
            _keep(parameters, "unmapped", unmapped)
        if labels or self.options.labels:
            made["labels"] = {**self.options.labels, **labels}
        if parameters:
            made["parameters"] = parameters
        if "session_id" in made:
            made["session_id"] = self._kept_session(made["session_id"])
        return made

    def _preference(self, said: dict[str, Any], digest: bytes) -> Line:
        if "metric" not in said:
            raise LineError("has no feedback_key")
        given = said.get("comparison_id")
        line = Line()
        made: dict[str, Any] = {"metric": said["metric"]}
        made |= {name: said[name] for name in _PREFERENCE if name in said}
        made["comparison_id"] = _id(digest) if given is None else self._kept_id(given, said)
        known = {"preferred_completion", "other_completion", "comparison_id", "metric", "tied", "details"}
        for name in ("preferred_completion", "other_completion"):
            side = said.get(name)
            if side is None:
                raise LineError(f"has no {name}")
            has_prompt = _prompt_name(said) is not None
            if isinstance(side, str) and (_is_uuid(side) or (not has_prompt and not re.search(r"\s", side))):
                made[name] = self._kept_id(side, said)
                continue
            if not has_prompt:
                raise LineError(
                    f"has the {name} {side!r:.60}, which is no completion_id; a text needs the messages that it answers"
                )
            mine, text = said, side
            if isinstance(side, dict) and ("text" in side or "completion" in side):
                # With messages of its own where it does not answer the same as the other.
                text = side["text"] if "text" in side else side["completion"]
                own = ("model", "messages", "feedbacks")
                mine = {**said, **{one: side[one] for one in own if side.get(one) is not None}}
            interaction = self._common(mine, _messages(mine), text, {*known, "feedbacks"})
            if isinstance(side, dict) and "feedbacks" in side:
                interaction["feedbacks"] = _inline_feedback(side["feedbacks"])
            interaction["completion_id"] = made[name] = _id(blake2b(digest + name.encode(), digest_size=16).digest())
            line.interactions.append(interaction)
        if not line.interactions:
            derived = {"messages", "input", "prompt", "prompt_mismatch"}
            _refuse_unknown(said, {*known, *_PREFERENCE, *_OF_EXPORTS} | derived)
        line.preferences.append(made)
        return line

    def _feedback(self, said: dict[str, Any], digest: bytes) -> dict[str, Any]:
        if "metric" not in said:
            raise LineError("has no feedback_key")
        _refuse_unknown(said, {*_FEEDBACK, "completion_id", "feedback_id", "project", "kind", *_OF_EXPORTS})
        given = said.get("feedback_id")
        told = {name: said[name] for name in _FEEDBACK if name in said}
        if said.get("kind") == "bool" and said.get("value") in (0, 1):
            # An export has 0.0 and 1.0; by true and false the feedback key is registered as what it was.
            told["value"] = bool(said["value"])
        return {
            **told,
            "completion_id": self._kept_id(said["completion_id"], said),
            "feedback_id": _id(digest) if given is None else self._kept_id(given, said),
        }

    def _outcome(self, said: dict[str, Any], digest: bytes) -> dict[str, Any]:
        if "metric" not in said:
            raise LineError("has no feedback_key")
        _refuse_unknown(said, {*_OUTCOME, "outcome_id", "id", *_OF_EXPORTS})
        given = said.get("outcome_id", said.get("id"))
        return {
            **{name: said[name] for name in _OUTCOME if name in said},
            "session_id": self._kept_session(said["session_id"]),
            "outcome_id": _id(digest) if given is None else self._kept_id(given, said),
        }

    def _exported(self, said: dict[str, Any]) -> Line:
        if not said.get("messages"):
            raise LineError("is an interaction in its short view, without messages; export it with view=full")
        made = {name: said[name] for name in _TAKEN_BACK if name in said}
        made["completion"] = said.get("message", said.get("completion", ""))
        made["completion_id"] = self._kept_id(said["completion_id"], said)
        if made.get("session_id") == said["completion_id"]:
            del made["session_id"]
        elif "session_id" in made:
            # By the name that its caller gave it, where that is no UUID.
            made["session_id"] = self._kept_session(said.get("session") or made["session_id"])
        if self.options.model is not None:
            made.setdefault("model", self.options.model)
        if labels := {**self.options.labels, **_labels(said.get("labels", {}))}:
            made["labels"] = labels
        parameters = dict(said["parameters"]) if isinstance(said.get("parameters"), dict) else {}
        if unmapped := {name: value for name, value in said.items() if name not in (*_EXPORTED, "session")}:
            _keep(parameters, "unmapped", unmapped)
        if parameters or isinstance(said.get("parameters"), dict):
            made["parameters"] = parameters
        if isinstance(made.get("call"), dict):
            made["call"] = _call(made["call"])
        line = Line(interactions=[made], exported=True)
        for one in said.get("feedback") or ():
            line.feedback.append(self._feedback(_renamed(one), b""))
        for one in said.get("preferences") or ():
            line.preferences += self._preference(_renamed(one), b"").preferences
        for outcome in said.get("outcomes") or ():
            # Each interaction of the session shows it.
            if not self._outcomes_seen.add(blake2b(str(outcome.get("outcome_id")).encode(), digest_size=16).digest()):
                line.outcomes.append({**self._outcome(_renamed(outcome), b""), "project": made.get("project")})
        return line

    def _kept_session(self, given: Any) -> Any:
        """Return the id of a session, with `new_ids` the one that always stands for it. A name stays: it stands for
        another session in each project anyway."""
        return self._kept_id(given) if self.options.new_ids and _is_uuid(given) else given

    def _kept_id(self, given: Any, said: Mapping[str, Any] = {}) -> str:
        """Return an id that the line gives, with `new_ids` the one that always stands for it.

        A text that is no UUID has the UUID that stands for it in the line's project. Raises `LineError`.
        """
        if isinstance(given, int) and not isinstance(given, bool):
            given = str(given)
        if not isinstance(given, str) or not 1 <= len(given) <= MOST_ID:
            raise LineError(f"has the id {given!r:.60}, but an id is a text of 1 to {MOST_ID} characters")
        if self.options.new_ids:
            text = str(UUID(given)) if _is_uuid(given) else given
            return _id(blake2b(text.encode(), digest_size=16, key=self._project).digest())
        if _is_uuid(given):
            return given
        project = said.get("project")
        return str(id_of_text(project if isinstance(project, str) else self._default_project, given))


# ------------------------------------------------------------------------------------------------ the parts


def _renamed(said: dict[str, Any]) -> dict[str, Any]:
    """Return what is there, under today's names; an old name stays where today's is there too."""
    return {
        _NAMES[name] if name in _NAMES and said.get(_NAMES[name]) is None else name: value
        for name, value in said.items()
        if value is not None
    }


def _prompt_name(said: dict[str, Any]) -> str | None:
    return "messages" if "messages" in said else "input" if "input" in said else "prompt" if "prompt" in said else None


def _messages(said: dict[str, Any]) -> list[dict[str, Any]]:
    name = _prompt_name(said)
    if name is None:
        raise LineError("has no messages (nor input, nor prompt)")
    given = said[name]
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    if not isinstance(given, list):
        raise LineError(f"has {name} that are {_kind(given)}, but must be a list")
    return [_with_image_parts(message) for message in conversation(given, name)]


def _message(given: Any, place: str) -> dict[str, Any]:
    [message] = conversation([given], place)
    return _with_image_parts(message)


def _with_image_parts(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if isinstance(content, list) and any(_is_bare_image(part) for part in content):
        return {**message, "content": [_image_part(part) if _is_bare_image(part) else part for part in content]}
    return message


def _call(given: dict[str, Any]) -> dict[str, Any]:
    """Return how an exported call went. One that was under way is over for whoever has the export."""
    call = {name: given[name] for name in NewCall.__struct_fields__ if given.get(name) is not None}
    if call.get("state") == "open":
        call |= {"state": "interrupted", "finish_reason": call.get("finish_reason", "interrupted")}
    return call


def _is_uuid(given: Any) -> bool:
    return isinstance(given, str) and _UUID.fullmatch(given) is not None


def _is_bare_image(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "image" and "url" in part


def _image_part(part: dict[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in part.items() if name not in ("type", "url")}
    return {"type": "image_url", "image_url": part["url"], **rest}


def _completion(given: Any) -> Any:
    """A message that is nothing but a text is that text."""
    if isinstance(given, str):
        return given
    message = _message(given, "the completion")
    if message.keys() == {"role", "content"} and message["role"] == "assistant" and isinstance(message["content"], str):
        return message["content"]
    return message


def _inline_feedback(given: Any) -> list[dict[str, Any]]:
    if isinstance(given, dict):
        return [{"metric": key, "value": value} for key, value in given.items() if value is not None]
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise LineError(f"has feedbacks that are {_kind(given)}, but must be an object of keys and values")
    return [_renamed(one) for one in given]


def _labels(given: Any) -> dict[str, str]:
    if isinstance(given, dict):
        pairs = list(given.items())
    elif isinstance(given, list):
        pairs = [(one.get("key"), one.get("value")) if isinstance(one, dict) else one for one in given]
    else:
        raise LineError(f"has labels that are {_kind(given)}, but must be an object")
    labels: dict[str, str] = {}
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not isinstance(pair[0], str):
            raise LineError("has labels that are neither an object nor a list of {key, value}")
        key, value = str(pair[0]), pair[1]
        if not isinstance(value, str | int | float | None):
            raise LineError(f"has the label {key!r} with {_kind(value)} as its value, but it must be a text")
        if key in labels:
            raise LineError(f"has the label {key!r} twice; an interaction has one value a label")
        if value is not None:
            labels[key] = _label_text(value)
    return labels


def _labels_of_metadata(given: Any, labels: dict[str, str], more: int) -> tuple[dict[str, str], Any]:
    """Part metadata into what can be labels beside these, and the rest."""
    if not isinstance(given, dict):
        return {}, given
    made: dict[str, str] = {}
    rest: dict[str, Any] = {}
    for key, value in given.items():
        text = _label_text(value) if isinstance(value, str | int | float) else None
        fits = (
            text is not None
            and 0 < len(key) <= _LIMITS["max_label_key"]
            and len(text.encode()) <= _LIMITS["max_label_value"]
            and "\0" not in key + text
            and labels.get(key, text) == text
            and len(made) + len(labels) + more < _LIMITS["max_labels"]
        )
        if fits and text is not None:
            made[key] = text
        else:
            rest[key] = value
    return made, rest


def _label_text(value: str | int | float) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _keep(parameters: dict[str, Any], name: str, rest: Any) -> None:
    """Put under `name`, beside what the line's own parameters hold there."""
    there = parameters.get(name)
    if there is None:
        parameters[name] = rest
    elif isinstance(there, dict) and isinstance(rest, dict) and not there.keys() & rest.keys():
        parameters[name] = {**there, **rest}
    else:
        raise LineError(f"has both {name} of its own and parameters.{name}")


def _refuse_unknown(said: dict[str, Any], known: set[str]) -> None:
    if unknown := said.keys() - known:
        raise LineError(f"has the unknown member {min(unknown)!r}")


def _id(digest: bytes) -> str:
    return str(UUID(bytes=digest, version=5))
