"""A LangChain callback handler that logs the calls of chat models and language models.

>>> from afterword.langchain import AfterwordCallbackHandler, completion_id
>>> handler = AfterwordCallbackHandler()

Give it as `config={"callbacks": [handler]}`. The completion_id of a call is LangChain's own id of the run, which is in
the `id` of each message: `completion_id(message)` takes it from there.
"""

# The library is not among the dependencies of this package.
# pyright: reportMissingImports=false
from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage, convert_to_openai_messages
from langchain_core.outputs import ChatGeneration, LLMResult

from afterword.call_log.call_log import CallLog, default_log
from afterword.call_log.exchange import error_object
from afterword.ids import id_of_choice

__all__ = ["AfterwordCallbackHandler", "completion_id"]

SESSION_KEYS = ("session_id", "conversation_id", "thread_id")
"""Members of LangChain's metadata that name the session, the first that is there."""
NON_LABEL_PREFIXES = ("ls_", "langgraph_", "lc_", "__", "checkpoint_")
"""Members of LangChain's metadata that it adds itself."""


_RUN_ID = re.compile(r"(?:lc_)?run-{1,2}([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:-(\d+))?")


def completion_id(message: BaseMessage) -> UUID:
    """Return the completion_id of a message that a logged model returned. Raises `ValueError` for any other message."""
    noted_id = message.response_metadata.get("completion_id")
    if noted_id is not None:
        return UUID(noted_id)
    match = _RUN_ID.fullmatch(message.id or "")
    if match is None:
        raise ValueError(
            f"The message's id is {message.id!r}, which holds no id of a run. Give the call a run_id of your own, as "
            "config={'run_id': uuid4(), ...}: it is the completion_id."
        )
    return id_of_choice(UUID(match[1]), int(match[2] or 0))


class AfterwordCallbackHandler(BaseCallbackHandler):
    """Logs each call of a model. `call_log` is the log; by default that of the server that the environment names.

    Metadata of the call become labels, but for `session_id` (or `conversation_id`, `thread_id`) and `user_id`. Tags
    become the label `tags`. `labels` are those of each call.
    """

    run_inline = True

    def __init__(self, call_log: CallLog | None = None, *, labels: dict[str, str] | None = None) -> None:
        self.call_log = call_log or default_log()
        self.labels = labels or {}
        self._running: dict[UUID, dict[str, Any]] = {}
        self._started: dict[UUID, float] = {}
        self._first_token_at: dict[UUID, float] = {}

    def on_chat_model_start(
        self, serialized: dict[str, Any] | None, messages: list[list[BaseMessage]], *, run_id: UUID, **options: Any
    ) -> None:
        """Note the messages of a call."""
        self._start(run_id, convert_to_openai_messages(messages[0]), options)

    def on_llm_start(
        self, serialized: dict[str, Any] | None, prompts: list[str], *, run_id: UUID, **options: Any
    ) -> None:
        """Note the text of a call."""
        self._start(run_id, [{"role": "user", "content": prompts[0]}], options)

    def on_llm_new_token(self, token: str, *, run_id: UUID, **options: Any) -> None:
        """Note when the first token came."""
        self._first_token_at.setdefault(run_id, time.perf_counter())

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **options: Any) -> None:
        """Log a call that was answered."""
        line, timings = self._finished(run_id)
        if line is None:
            return
        for index, generation in enumerate(response.generations[0]):
            message = generation.message if isinstance(generation, ChatGeneration) else None
            id_of_generation = str(id_of_choice(run_id, index))
            facts: dict[str, Any] = getattr(message, "response_metadata", None) or generation.generation_info or {}
            model = facts.get("model_name") or line.get("model")
            call = {
                "finish_reason": facts.get("finish_reason") or facts.get("stop_reason"),
                "provider_model": facts.get("model_name") or facts.get("model"),
                "response_id": facts.get("id"),
                "streamed": "ttft" in timings,
            }
            self.call_log.append(
                "interactions",
                {
                    **line,
                    "completion_id": id_of_generation,
                    "model": line.get("model") or model,
                    "completion": _completion(message) if message is not None else generation.text,
                    "usage": _usage(message) if index == 0 else None,
                    "timings": timings,
                    "call": {name: value for name, value in call.items() if value not in (None, "")},
                },
            )
            if message is not None:
                message.response_metadata["completion_id"] = id_of_generation

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **options: Any) -> None:
        """Log a call that failed."""
        line, timings = self._finished(run_id)
        if line is not None:
            call = {"state": "failed", "error": error_object(error)}
            self.call_log.append("interactions", {**line, "completion": "", "timings": timings, "call": call})

    def _start(self, run_id: UUID, messages: Any, options: dict[str, Any]) -> None:
        metadata = options.get("metadata") or {}
        parameters = dict(options.get("invocation_params") or {})
        models = [parameters.pop(name, None) for name in ("model", "model_name")]
        session = next((metadata[name] for name in SESSION_KEYS if metadata.get(name)), None)
        labels = {
            name: str(value)
            for name, value in metadata.items()
            if isinstance(value, str | int | float)
            and name not in (*SESSION_KEYS, "user_id")
            and not name.startswith(NON_LABEL_PREFIXES)
        }
        if tags := [tag for tag in options.get("tags") or () if not tag.startswith("seq:step")]:
            labels["tags"] = ", ".join(tags)
        user = metadata.get("user_id")
        fields = {
            "completion_id": str(run_id),
            "messages": messages,
            "model": models[0] or models[1] or metadata.get("ls_model_name"),
            "labels": {**self.call_log.labels, **self.labels, **labels} or None,
            "session_id": None if session is None else str(session),
            "user": None if user is None else str(user),
            "parameters": {
                name: value for name, value in parameters.items() if value is not None and not name.startswith("_")
            }
            or None,
            "created_at": datetime.now(UTC).isoformat(),
            "source": "LIVE",
        }
        self._running[run_id] = {name: value for name, value in fields.items() if value is not None}
        self._started[run_id] = time.perf_counter()

    def _finished(self, run_id: UUID) -> tuple[dict[str, Any] | None, dict[str, int]]:
        now = time.perf_counter()
        started, first_at = self._started.pop(run_id, now), self._first_token_at.pop(run_id, None)
        seconds = {"latency": now - started, **({"ttft": first_at - started} if first_at is not None else {})}
        return self._running.pop(run_id, None), {name: round(value * 1000) for name, value in seconds.items()}


def _completion(message: BaseMessage) -> Any:
    """Return a text, or a message in OpenAI's form, with the reasoning that OpenAI's form leaves out."""
    converted: Any = convert_to_openai_messages(message)
    reasoning = message.additional_kwargs.get("reasoning_content")
    body = {**converted, "reasoning_content": reasoning} if reasoning else converted
    return body["content"] if set(body) == {"role", "content"} and isinstance(body["content"], str) else body


def _usage(message: BaseMessage | None) -> dict[str, Any] | None:
    usage = getattr(message, "usage_metadata", None)
    if not usage:
        return None
    return {
        "prompt_tokens": usage["input_tokens"],
        "completion_tokens": usage["output_tokens"],
        "total_tokens": usage["total_tokens"],
        **{
            name: dict(usage[source])
            for name, source in (
                ("prompt_tokens_details", "input_token_details"),
                ("completion_tokens_details", "output_token_details"),
            )
            if usage.get(source)
        },
    }
