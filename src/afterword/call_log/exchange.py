"""One call of a provider's API as it goes over the wire: what is logged of it, and the ids that its answer gets."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import msgspec

from afterword.call_log.call_log import CallLog
from afterword.ids import find_uuid, id_of_choice, uuid7
from afterword.types import OWN_FIELDS

OPERATIONS = {
    "/chat/completions": "chat",
    "/completions": "completions",
    "/responses": "responses",
    "/messages": "messages",
}
"""The operation of a POST, by the end of its path. The first that matches counts."""
OWN_HEADER_PREFIX = "x-afterword-"
HEADER_FIELDS = ("session", "user", "environment", "parent", "step")
"""Headers (after the prefix) that say what a field of the same name says; `session` is `session_id`."""
REQUEST_ID_HEADERS = ("x-request-id", "request-id", "apim-request-id")
MAX_ERROR_CHARACTERS = 2000
LAST_EVENT_TYPES = frozenset({"message_stop", "response.completed", "response.incomplete", "response.failed"})


def find_operation(method: str, path: str) -> str | None:
    """Return the operation of a request to a provider; None if it is no call of a model."""
    if method != "POST":
        return None
    return next((operation for end, operation in OPERATIONS.items() if path.endswith(end)), None)


class Exchange:
    """A call under way. `body` and `headers` are what goes to the provider: without what is for the log alone."""

    def __init__(self, log: CallLog, operation: str, content: bytes, headers: Sequence[tuple[str, str]]) -> None:
        """Read a request. Raises `ValueError` if its body is no JSON object."""
        request = msgspec.json.decode(content)
        if not isinstance(request, dict):
            raise ValueError(f"the body is {type(request).__name__}")
        self._log = log
        self._started = time.perf_counter()
        self._first_event_at: float | None = None
        self._events: list[msgspec.Raw] = []
        self._is_finished = False
        self._is_ended = False
        own_headers = {
            name.lower().removeprefix(OWN_HEADER_PREFIX): unquote(text)
            for name, text in headers
            if name.lower().startswith(OWN_HEADER_PREFIX)
        }
        self.is_logged = own_headers.get("store", "").lower() != "false"
        self.first_id = find_uuid(own_headers.get("completion-id", "")) or uuid7()
        own_fields = {name: request.pop(name) for name in OWN_FIELDS if name in request}
        self.body = msgspec.json.encode(request) if own_fields else content
        self.headers = [(name, text) for name, text in headers if not name.lower().startswith(OWN_HEADER_PREFIX)]
        labels = {name.removeprefix("label-"): text for name, text in own_headers.items() if name.startswith("label-")}
        header_fields = {
            "session_id" if name == "session" else name: own_headers[name]
            for name in HEADER_FIELDS
            if own_headers.get(name)
        }
        body_labels = own_fields.pop("labels", None)
        labels = {**log.labels, **labels, **(body_labels if isinstance(body_labels, dict) else {})}
        self._operation = operation
        self._line: dict[str, Any] = {
            "completion_id": str(self.first_id),
            "operation": operation,
            "request": {**request, **header_fields, **own_fields, **({"labels": labels} if labels else {})},
            "created_at": datetime.now(UTC).isoformat(),
        }

    def put_ids(self, answer: Any) -> None:
        """Put the completion_id where this API's clients keep members that they do not know, in place."""
        if not isinstance(answer, dict):
            return
        if self._operation in ("chat", "completions"):
            choices = answer.get("choices")
            for position, choice in enumerate(choices if isinstance(choices, list) else ()):
                if isinstance(choice, dict):
                    index = choice.get("index")
                    choice["completion_id"] = str(
                        id_of_choice(self.first_id, index if isinstance(index, int) else position)
                    )
            return
        # An event of a stream carries the answer as a member, or is a part of it.
        nested = answer.get("response", answer.get("message")) if "type" in answer else None
        if isinstance(nested, dict):
            nested["completion_id"] = str(self.first_id)
        elif answer.get("object") == "response" or answer.get("type") == "message":
            answer["completion_id"] = str(self.first_id)

    def take_event(self, data: bytes) -> bytes:
        """Note the data of one event; return it with the ids."""
        if data == b"[DONE]":
            self._is_ended = True
            return data
        try:
            event = msgspec.json.decode(data)
        except ValueError:
            return data
        if isinstance(event, dict) and event.get("type") in LAST_EVENT_TYPES:
            self._is_ended = True
        if self._first_event_at is None:
            self._first_event_at = time.perf_counter()
        self._events.append(msgspec.Raw(data))
        self.put_ids(event)
        return msgspec.json.encode(event)

    def finish_answer(self, status: int, headers: Mapping[str, str], content: bytes) -> bytes:
        """Log a whole answer; return it with the ids. Answers of errors are returned unchanged."""
        try:
            answer = msgspec.json.decode(content)
        except ValueError:
            answer = None
        if status >= 400 or not isinstance(answer, dict):
            text = content.decode("utf-8", "replace")[:MAX_ERROR_CHARACTERS]
            self._finish(headers, state="failed", error={"status": status, "message": text})
            return content
        logged_answer = msgspec.Raw(content)
        self.put_ids(answer)
        self._finish(headers, answer=logged_answer)
        return msgspec.json.encode(answer)

    def finish_stream(
        self, headers: Mapping[str, str], error: Exception | None = None, *, is_closed: bool = False
    ) -> None:
        """Log a stream that has ended, failed, or was closed by the application. Only the first call counts."""
        if error is not None and not self._is_ended:
            self._finish(headers, state="failed", error=error_object(error), streamed=True)
        else:
            # Clients close a stream once they have read its last event.
            is_cut = is_closed and not self._is_ended
            self._finish(headers, state="cancelled" if is_cut else "complete", streamed=True)

    def fail(self, error: BaseException) -> None:
        """Log a call that got no answer."""
        self._finish({}, state="failed", error=error_object(error))

    def _finish(self, headers: Mapping[str, str], **outcome: Any) -> None:
        # The gateway has logged the call itself if the provider's address is that of an Afterword server.
        is_logged_there = f"{OWN_HEADER_PREFIX}completion-id" in headers
        if self._is_finished or not self.is_logged or is_logged_there:
            return
        self._is_finished = True
        now = time.perf_counter()
        line = self._line | outcome | {"latency": now - self._started}
        if self._first_event_at is not None:
            line["ttft"] = self._first_event_at - self._started
        if self._events:
            line["events"] = self._events
        request_id = next((headers[name] for name in REQUEST_ID_HEADERS if headers.get(name)), None)
        if request_id:
            line["provider_request_id"] = request_id[:200]
        self._log.append("calls", msgspec.json.format(msgspec.json.encode(line), indent=-1))


def error_object(error: BaseException) -> dict[str, str]:
    """Return an exception as the log keeps it."""
    return {"type": type(error).__name__, "message": str(error)[:MAX_ERROR_CHARACTERS]}


class EventRewriter:
    """Passes a stream of server-sent events on, with the ids put into the data of each event."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._partial_line = b""

    def take(self, raw: bytes) -> bytes:
        """Return the whole lines that these bytes complete."""
        *lines, self._partial_line = (self._partial_line + raw).split(b"\n")
        return b"".join(self._rewritten(line) + b"\n" for line in lines)

    def end(self) -> bytes:
        """Return what stands after the last line's end."""
        last_line, self._partial_line = self._partial_line, b""
        return self._rewritten(last_line)

    def _rewritten(self, line: bytes) -> bytes:
        if not line.startswith(b"data:"):
            return line
        return b"data: " + self._exchange.take_event(line[5:].strip())
