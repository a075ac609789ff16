"""The Messages API as one of the forms of calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afterword.errors import AfterwordError
from afterword.gateway.call_format import (
    AnswerIds,
    ChatProviderRequest,
    EventLog,
    EventWriter,
    FormatError,
)
from afterword.gateway.formats.messages.answers import ID_PREFIX, message_id, message_of_answer
from afterword.gateway.formats.messages.chat_answers import StreamTranslation, chat_completion
from afterword.gateway.formats.messages.chat_provider_requests import chat_provider_request
from afterword.gateway.formats.messages.chat_requests import chat_request
from afterword.gateway.formats.messages.errors import STATUSES, error_body, find_error
from afterword.gateway.formats.messages.event_writer import MessageEventWriter
from afterword.gateway.formats.messages.native_requests import native_request
from afterword.gateway.provider import Body, Operation


class MessagesFormat:
    """Anthropic's Messages API; see `CallFormat`."""

    operation: Operation = "messages"
    id_prefix = ID_PREFIX
    store_is_providers = False
    forwarded_headers = frozenset({"anthropic-beta", "anthropic-version"})
    request_id_header = "request-id"
    statuses: Mapping[int, int] = {503: STATUSES["overloaded_error"]}

    def chat_request(self, body: Body) -> Body:
        """Return a request in the form of chat. Raises `Invalid`."""
        return chat_request(body)

    def provider_request(self, body: Body, chat_request: Body) -> ChatProviderRequest:
        """Return the request for a provider of chat. Raises `Invalid` for what only Anthropic's API can do."""
        return chat_provider_request(chat_request)

    def native_request(self, body: Body) -> Body:
        """Return the caller's request for a provider that speaks the form."""
        return native_request(body)

    def answer(self, chat_answer: Body, request: Body, ids: AnswerIds) -> Body:
        """Return a whole answer of chat as a message."""
        return message_of_answer(chat_answer, request, ids)

    def event_writer(self, request: Body, ids: AnswerIds) -> EventWriter:
        """Return the writer of one stream."""
        return MessageEventWriter(request, ids)

    def find_error(self, body: Body) -> FormatError | None:
        """Return the error that a provider's whole answer or event tells of."""
        return find_error(body)

    def chat_answer(self, answer: Body) -> Body:
        """Return a provider's message as an answer of chat, for the log."""
        return chat_completion(answer, "chat")

    def event_log(self) -> EventLog:
        """Return the reader of one stream of a provider that speaks the form."""
        return StreamTranslation("chat")

    def put_ids(self, answer: Body, ids: AnswerIds) -> None:
        """Put Afterword's ids into a provider's message, or into the event that begins one."""
        message = answer.get("message") if answer.get("type") == "message_start" else answer
        if isinstance(message, dict) and message.get("type") == "message":
            completion_id = ids.completion_id(0)
            message |= {
                "id": message_id(completion_id),
                "completion_id": completion_id,
                "session_id": ids.session_id,
            }

    def error(self, error: AfterwordError, status: int, request_id: str) -> dict[str, Any]:
        """Return an error as Anthropic's clients read it."""
        return error_body(error, status, request_id)


class TokenCountFormat(MessagesFormat):
    """Requests to count tokens: those of the Messages API without `max_tokens`, which no model answers."""

    operation: Operation = "count_tokens"

    def chat_request(self, body: Body) -> Body:
        """Return a request in the form of chat, whose messages are those that are counted. Raises `Invalid`."""
        return chat_request({"max_tokens": 0, **body})

    def chat_answer(self, answer: Body) -> Body:
        """Return the count as the usage of an answer of chat. Raises `KeyError` for another answer."""
        return {"choices": [], "usage": {"prompt_tokens": answer["input_tokens"]}}
