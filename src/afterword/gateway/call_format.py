"""The forms in which applications call language models: OpenAI's Responses, Anthropic's Messages, Google's
generateContent. The gateway itself works in the form of OpenAI's chat API.

A call whose provider speaks the caller's form is passed on unchanged, and translated for the log alone. Any other call
is translated to chat, and its answer back. Both directions stand in one `CallFormat`, each a package of
`gateway/formats/`, so that the routes, the relay and the log know no form but chat.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from afterword.errors import AfterwordError
from afterword.gateway.provider import Body, Operation


class FormatEvent(NamedTuple):
    """One server-sent event of a stream in some form. `name` is empty where the form has no names."""

    name: str
    body: Body


class AnswerIds(NamedTuple):
    """The ids that an answer carries. `completion_id` gives that of a choice, by its index."""

    session_id: UUID
    completion_id: Callable[[int], UUID]


class ChatProviderRequest(NamedTuple):
    """A request for providers of chat, and the names of the caller's fields that it does not carry."""

    body: Body
    left_out: Sequence[str] = ()


class FormatError(NamedTuple):
    """An error within a provider's answer or event, and its HTTP status if the form tells one."""

    error: Any
    status: int | None = None


class EventWriter(Protocol):
    """Writes the events of one stream from the chunks of a chat stream, in the order that the form's clients expect."""

    def take(self, chunk: Body) -> Sequence[FormatEvent]:
        """Return the events that a chunk of chat adds; the first call also returns the events that open a stream."""
        ...

    def end(self, usage: Body | None) -> Sequence[FormatEvent]:
        """Return the events that end a complete stream. `usage` is in the form of chat."""
        ...

    def fail(self, error: AfterwordError) -> Sequence[FormatEvent]:
        """Return the events that tell of an error after the stream has begun."""
        ...


class EventLog(Protocol):
    """Reads a provider's events in the caller's own form into chunks of chat, from which the log is assembled."""

    is_finished: bool
    """Whether the event that ends a complete stream has arrived."""

    def take(self, event: FormatEvent) -> Sequence[Body]:
        """Return the chunks of chat that an event stands for; none for an event of an unknown type.

        Raises `AttributeError`, `KeyError`, `TypeError` or `ValueError` if it is not an event of the form.
        """
        ...

    def fail(self, error: AfterwordError) -> Sequence[FormatEvent]:
        """Return the events that tell of an error after the events that were taken."""
        ...


class CallFormat(Protocol):
    """One form of calls. Its instances have no state."""

    operation: Operation
    """The path's name, by which providers that speak the form themselves are found."""
    id_prefix: str
    """What stands before the completion_id in the id of an answer, such as `resp_`."""
    store_is_providers: bool
    """Whether `store` in a request is about the provider's store alone: such a call is logged whatever it says."""
    forwarded_headers: frozenset[str]
    """Headers of the caller that a provider of this form gets, in lower case, such as `anthropic-beta`."""
    request_id_header: str
    """The header in which the form's clients look for the id of the request, beside `x-request-id`; empty if none."""

    statuses: Mapping[int, int]
    """HTTP statuses of errors for which the form has others, such as 529 for 503."""

    def chat_request(self, body: Body) -> Body:
        """Return a request in the form of chat: messages, tools, and the parameters that have a word there.

        Afterword's own fields (`labels`, `session_id`, ...) keep their names. What chat has no word for stays under its
        own name, for the log. Raises `Invalid` that names the field.
        """
        ...

    def provider_request(self, body: Body, chat_request: Body) -> ChatProviderRequest:
        """Return the request for a provider of chat. `chat_request` is that of the caller's `body`, without Afterword's
        own fields. Raises `Invalid` for what no provider of chat can do."""
        ...

    def native_request(self, body: Body) -> Body:
        """Return the caller's request for a provider that speaks the form. `body` has none of Afterword's own fields;
        ids that Afterword made may be within it."""
        ...

    def answer(self, chat_answer: Body, request: Body, ids: AnswerIds) -> Body:
        """Return a whole answer of chat in this form. `request` is the caller's, in this form."""
        ...

    def event_writer(self, request: Body, ids: AnswerIds) -> EventWriter:
        """Return the writer of one stream."""
        ...

    def find_error(self, body: Body) -> FormatError | None:
        """Return the error that a provider's whole answer or event tells of. It is not read any further."""
        ...

    def chat_answer(self, answer: Body) -> Body:
        """Return a provider's whole answer in this form as one of chat, for the log. Raises as `EventLog.take` does."""
        ...

    def event_log(self) -> EventLog:
        """Return the reader of one stream of a provider that speaks this form."""
        ...

    def put_ids(self, answer: Body, ids: AnswerIds) -> None:
        """Put Afterword's ids into a provider's answer or event in this form, in place: its `id` where it has one, and
        `completion_id` and `session_id` beside it where the form's clients keep unknown members."""
        ...

    def error(self, error: AfterwordError, status: int, request_id: str) -> dict[str, Any]:
        """Return an error as the form's clients read it."""
        ...


class FormatCall(NamedTuple):
    """A call in a form beside chat: the caller's `body` without Afterword's own fields, the same in the form of chat,
    and the headers that a provider of the form gets."""

    format: CallFormat
    body: Body
    chat_request: Body
    headers: Mapping[str, str]
