"""Google's generateContent as a form of calls. Source: the reference of the Gemini API (v1beta), its client's types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afterword.errors import AfterwordError
from afterword.gateway.call_format import AnswerIds, ChatProviderRequest, EventLog, EventWriter, FormatError
from afterword.gateway.formats.generate_content import answers, requests
from afterword.gateway.formats.generate_content.errors import error_body, find_error
from afterword.gateway.formats.generate_content.streams import GenerateContentLog, GenerateContentWriter
from afterword.gateway.provider import Body, Operation

LOG_FIELDS = frozenset({"model", "stream", "user", "metadata", "store"})
"""Members that the path of a call has for Google, and fields of chat that Afterword reads in each form."""


class GenerateContentFormat:
    """The form of generateContent; see `CallFormat`. The model and whether to stream stand in the path of a call."""

    operation: Operation = "generate_content"
    id_prefix = ""
    store_is_providers = False
    forwarded_headers = frozenset({"x-goog-user-project"})
    request_id_header = ""
    statuses: Mapping[int, int] = {}

    def chat_request(self, body: Body) -> Body:
        """Return a request in the form of chat."""
        return requests.chat_request(body)

    def provider_request(self, body: Body, chat_request: Body) -> ChatProviderRequest:
        """Return the request for a provider of chat."""
        return requests.provider_request(body, chat_request)

    def native_request(self, body: Body) -> Body:
        """Return the request for Google."""
        return {name: value for name, value in body.items() if name not in LOG_FIELDS}

    def answer(self, chat_answer: Body, request: Body, ids: AnswerIds) -> Body:
        """Return a whole answer of chat in this form."""
        return answers.whole_answer(chat_answer, request, ids)

    def event_writer(self, request: Body, ids: AnswerIds) -> EventWriter:
        """Return the writer of one stream."""
        return GenerateContentWriter(request, ids)

    def find_error(self, body: Body) -> FormatError | None:
        """Return the error that an answer or event of Google tells of."""
        return find_error(body)

    def chat_answer(self, answer: Body) -> Body:
        """Return Google's answer as one of chat."""
        return answers.chat_answer(answer)

    def event_log(self) -> EventLog:
        """Return the reader of one stream of Google."""
        return GenerateContentLog()

    def put_ids(self, answer: Body, ids: AnswerIds) -> None:
        """Put Afterword's ids into an answer or event of Google."""
        answers.put_ids(answer, ids)

    def error(self, error: AfterwordError, status: int, request_id: str) -> dict[str, Any]:
        """Return an error as Google's clients read it."""
        return error_body(error, status)


class ContentTokenCountFormat(GenerateContentFormat):
    """Requests to count tokens: contents, or a whole request as `generateContentRequest`, which no model answers."""

    operation: Operation = "count_content_tokens"

    def chat_request(self, body: Body) -> Body:
        """Return a request in the form of chat, whose messages are those that are counted. Raises `Invalid`."""
        inner = body.get("generateContentRequest")
        return super().chat_request({**body, **inner} if isinstance(inner, dict) else body)

    def chat_answer(self, answer: Body) -> Body:
        """Return the count as the usage of an answer of chat. Raises `KeyError` for another answer."""
        return {"choices": [], "usage": {"prompt_tokens": answer["totalTokens"]}}
