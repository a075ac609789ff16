"""OpenAI's Responses API as a form of calls. Source: OpenAI's API reference (Responses), and its client's types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afterword.errors import AfterwordError
from afterword.gateway.call_format import AnswerIds, ChatProviderRequest, EventLog, EventWriter, FormatError
from afterword.gateway.formats.responses.answers import ID_PREFIX, whole_response
from afterword.gateway.formats.responses.errors import error_object, find_error
from afterword.gateway.formats.responses.event_log import ResponseEventLog, chat_answer
from afterword.gateway.formats.responses.events import ResponseEventWriter
from afterword.gateway.formats.responses.requests import chat_request, native_request, provider_request
from afterword.gateway.provider import Body, Operation


class Responses:
    """The form of the Responses API; see `CallFormat`."""

    operation: Operation = "responses"
    id_prefix = ID_PREFIX
    store_is_providers = True
    forwarded_headers = frozenset({"openai-beta", "openai-organization", "openai-project"})
    request_id_header = ""
    statuses: Mapping[int, int] = {}

    def chat_request(self, body: Body) -> Body:
        """Return a request in the form of chat."""
        return chat_request(body)

    def provider_request(self, body: Body, chat_request: Body) -> ChatProviderRequest:
        """Return the request for a provider of chat."""
        return provider_request(body, chat_request)

    def native_request(self, body: Body) -> Body:
        """Return the request for a provider of this form."""
        return native_request(body)

    def answer(self, chat_answer: Body, request: Body, ids: AnswerIds) -> Body:
        """Return a whole answer of chat as a response."""
        return whole_response(chat_answer, request, ids)

    def event_writer(self, request: Body, ids: AnswerIds) -> EventWriter:
        """Return the writer of one stream."""
        return ResponseEventWriter(request, ids)

    def find_error(self, body: Body) -> FormatError | None:
        """Return the error that a provider's response or event tells of."""
        return find_error(body)

    def chat_answer(self, answer: Body) -> Body:
        """Return a provider's response as an answer of chat."""
        return chat_answer(answer)

    def event_log(self) -> EventLog:
        """Return the reader of one stream of a provider."""
        return ResponseEventLog()

    def put_ids(self, answer: Body, ids: AnswerIds) -> None:
        """Put Afterword's ids into a provider's response, or into an event that has one."""
        response: Any = answer.get("response", answer)
        if isinstance(response, dict) and response.get("object") == "response":
            completion_id = ids.completion_id(0)
            response["id"] = f"{ID_PREFIX}{completion_id}"
            response["completion_id"] = str(completion_id)
            response["session_id"] = str(ids.session_id)

    def error(self, error: AfterwordError, status: int, request_id: str) -> dict[str, Any]:
        """Return an error as OpenAI's clients read it."""
        return {"error": error_object(error)}
