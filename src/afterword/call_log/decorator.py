"""A decorator that logs what a function asks a model, and what the function returns."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar, overload
from uuid import UUID

import msgspec

from afterword.call_log.call_log import CallLog, default_log
from afterword.call_log.exchange import error_object
from afterword.client.encoding import encode_value
from afterword.ids import uuid7

F = TypeVar("F", bound=Callable[..., Any])

PROMPT_NAMES = ("prompt", "question", "query", "input", "message", "text")
"""Arguments that hold the prompt, the most likely first. Without one, it is the first text among the arguments."""
SYSTEM_NAMES = ("system", "system_prompt", "instructions")
SIMPLE_TYPES = (str, int, float, bool)
MAX_PARAMETER_CHARACTERS = 1000
OPERATIONS = {
    "chat.completion": "chat",
    "text_completion": "completions",
    "response": "responses",
    "message": "messages",
}
"""The API of an answer, by its `object` or `type`."""


class _RunningCall(NamedTuple):
    completion_id: UUID
    session_id: str


_last_id: ContextVar[UUID | None] = ContextVar("afterword_last_completion_id", default=None)
_outer_call: ContextVar[_RunningCall | None] = ContextVar("afterword_outer_call", default=None)


def last_completion_id() -> UUID:
    """Return the completion_id of the logged function that this thread or task called last. Raises `LookupError`.

    >>> from afterword import last_completion_id
    """
    completion_id = _last_id.get()
    if completion_id is None:
        raise LookupError("No function with @afterword.log was called here yet.")
    return completion_id


@overload
def log(function: F, /) -> F: ...


@overload
def log(
    *,
    model: str | None = None,
    labels: Mapping[str, str] | None = None,
    session_id: str | None = None,
    user: str | None = None,
    call_log: CallLog | None = None,
) -> Callable[[F], F]: ...


def log(function: Any = None, /, **options: Any) -> Any:
    """Log each call of a function as an interaction. The function may be async, and may return a generator of texts.

    The prompt is its argument `messages`, else a text among its arguments (`prompt`, `question`, ...), after a `system`
    prompt if it has one. Its other simple arguments are parameters. The completion is what it returns: a text, an
    assistant message, or the answer object of OpenAI's or Anthropic's client. An exception is logged as a failed call.
    Logged functions that it calls become steps of it. `last_completion_id()` is the id, for feedback.

    `model`, `labels`, `session_id` and `user` are those of each call; an argument `model` or `session_id` of the
    function wins. `call_log` is the log; by default the one of the server that the environment names.

        >>> @log(model="my-agent")
        ... def answer(question: str) -> str:
        ...     return "In Paris."
    """
    if function is None:
        return functools.partial(_logged, **options)
    return _logged(function, **options)


def _logged(function: Any, **options: Any) -> Any:
    signature = inspect.signature(function)

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def logged_async(*args: Any, **kwargs: Any) -> Any:
            call = _Call(function, signature, args, kwargs, **options)
            with call:
                return call.take(await function(*args, **kwargs))

        return logged_async

    @functools.wraps(function)
    def logged(*args: Any, **kwargs: Any) -> Any:
        call = _Call(function, signature, args, kwargs, **options)
        with call:
            return call.take(function(*args, **kwargs))

    return logged


class _Call:
    """One call of a logged function. As a context it logs the function's exception, and marks inner calls as steps."""

    def __init__(
        self,
        function: Any,
        signature: inspect.Signature,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        model: str | None = None,
        labels: Mapping[str, str] | None = None,
        session_id: str | None = None,
        user: str | None = None,
        call_log: CallLog | None = None,
    ) -> None:
        self._log = call_log or default_log()
        self._started = time.perf_counter()
        self._first_part_at: float | None = None
        try:
            arguments = dict(signature.bind(*args, **kwargs).arguments)
        except TypeError:
            # The function itself raises the error.
            arguments = {}
        arguments |= arguments.pop("kwargs", {}) if isinstance(arguments.get("kwargs"), dict) else {}
        completion_id = uuid7()
        outer = _outer_call.get()
        session = arguments.pop("session_id", None) or session_id or (outer and outer.session_id)
        self._running = _RunningCall(completion_id, str(session or completion_id))
        messages = _messages(arguments)
        fields = {
            "completion_id": str(completion_id),
            "model": arguments.pop("model", None) or model,
            "labels": {**self._log.labels, **(labels or {})} or None,
            "session_id": session and str(session),
            "user": user,
            "step": function.__name__[:200] if outer else None,
            "parent": outer and str(outer.completion_id),
        }
        self._fields = {name: value for name, value in fields.items() if value is not None}
        self._messages = messages
        self._parameters = {
            name: value
            for name, value in arguments.items()
            if isinstance(value, SIMPLE_TYPES) and len(str(value)) <= MAX_PARAMETER_CHARACTERS
        }
        self._created_at = datetime.now(UTC).isoformat()

    def __enter__(self) -> None:
        self._token = _outer_call.set(self._running)
        _last_id.set(self._running.completion_id)

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        _outer_call.reset(self._token)
        # Logged functions that this one called have ids of their own.
        _last_id.set(self._running.completion_id)
        if error is not None:
            self._finish("", error=error)

    def take(self, result: Any) -> Any:
        """Log what the function returned; return it, or a generator that logs what it yields."""
        if inspect.isasyncgen(result):
            return self._logged_parts_async(result)
        if inspect.isgenerator(result):
            return self._logged_parts(result)
        self._finish(result)
        return result

    def _logged_parts(self, parts: Iterator[Any]) -> Iterator[Any]:
        with self._joined_texts() as texts:
            for part in parts:
                self._note(part, texts)
                yield part

    async def _logged_parts_async(self, parts: AsyncIterator[Any]) -> AsyncIterator[Any]:
        with self._joined_texts() as texts:
            async for part in parts:
                self._note(part, texts)
                yield part

    @contextmanager
    def _joined_texts(self) -> Iterator[list[str]]:
        """Give a list for the texts of a generator, and log them when it ends, fails or is closed."""
        texts: list[str] = []
        try:
            yield texts
        except GeneratorExit:
            self._finish("".join(texts), state="cancelled")
            raise
        except Exception as error:
            self._finish("".join(texts), error=error)
            raise
        self._finish("".join(texts))

    def _note(self, part: Any, texts: list[str]) -> None:
        if self._first_part_at is None:
            self._first_part_at = time.perf_counter()
        texts.append(part if isinstance(part, str) else str(part))

    def _finish(self, result: Any, *, error: BaseException | None = None, state: str = "complete") -> None:
        seconds = {"latency": time.perf_counter() - self._started}
        if self._first_part_at is not None:
            seconds["ttft"] = self._first_part_at - self._started
        answer = _json_value(result)
        if error is not None:
            state = "failed"
        outcome = {"state": state, "error": error and error_object(error), "streamed": "ttft" in seconds}
        kind = OPERATIONS.get(answer.get("object") or answer.get("type") or "") if isinstance(answer, dict) else None
        if kind is not None:
            completion_id = self._fields.pop("completion_id")
            request = {**self._parameters, **self._fields, "messages": self._messages}
            request.setdefault("model", answer.get("model"))
            self._append(
                "calls",
                {"completion_id": completion_id, "operation": kind, "request": request, "answer": answer, **outcome}
                | seconds,
            )
            return
        self._append(
            "interactions",
            {
                **self._fields,
                "messages": self._messages,
                "completion": answer,
                "parameters": self._parameters or None,
                "timings": {name: round(value * 1000) for name, value in seconds.items()},
                "source": "LIVE",
                "call": outcome,
            },
        )

    def _append(self, kind: str, line: dict[str, Any]) -> None:
        self._log.append(kind, line | {"created_at": self._created_at})


def _messages(arguments: dict[str, Any]) -> list[Any]:
    """Take the prompt out of the arguments, as messages."""
    messages = arguments.pop("messages", None)
    if not isinstance(messages, list):
        name = next((name for name in PROMPT_NAMES if isinstance(arguments.get(name), str)), None) or next(
            (name for name, value in arguments.items() if isinstance(value, str) and name not in SYSTEM_NAMES), None
        )
        texts = {name: value for name, value in arguments.items() if isinstance(value, SIMPLE_TYPES)}
        content = arguments.pop(name) if name else msgspec.json.encode(texts).decode()
        messages = [{"role": "user", "content": content}]
    system = next((name for name in SYSTEM_NAMES if isinstance(arguments.get(name), str)), None)
    if system:
        messages = [{"role": "system", "content": arguments.pop(system)}, *messages]
    return [_json_value(message) for message in messages]


def _json_value(value: Any) -> Any:
    """Return a text, or an object in JSON's types; anything else in words."""
    if value is None or isinstance(value, str):
        return value or ""
    try:
        value = msgspec.json.decode(encode_value(value))
    except Exception:
        return str(value)
    return value if isinstance(value, dict) else msgspec.json.encode(value).decode()
