"""Calls of Google's generateContent: the model, and whether to stream, stand in the path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from afterword.api.calls import CallEndpoint
from afterword.api.formats import FormatRequest, TokenCountCall
from afterword.api.rest import Scope
from afterword.errors import NotFound
from afterword.gateway.provider import Body

METHODS: Mapping[str, bool] = {"generateContent": False, "streamGenerateContent": True}
"""Whether the answer is a stream, for each method that calls a model."""


class GenerateContentCall(FormatRequest):
    """A call at `/v1beta/models/MODEL:METHOD`."""

    def __init__(self, endpoint: CallEndpoint, scope: Scope, *arguments: Any) -> None:
        super().__init__(endpoint, scope, *arguments)
        self._method = self.path_parameters["method"]
        # Without `alt=sse` Google's API sends a stream as one JSON array. It is sent whole.
        self._is_array = METHODS.get(self._method, False) and parse_qs(scope["query_string"]).get(b"alt") != [b"sse"]

    def read_body(self, raw: bytes | bytearray) -> Body:
        """Return the body, with the model and whether to stream as in other forms. Raises `NotFound`."""
        if self._method not in METHODS:
            raise NotFound(
                f"Afterword does not serve the method {self._method!r:.80} of models.",
                code="not_served",
                hint=f"It serves {', '.join(METHODS)} and countTokens.",
            )
        is_stream = METHODS[self._method] and not self._is_array
        return {**super().read_body(raw), "model": self.path_parameters["model"], "stream": is_stream}

    async def reply(self, answer: Body | list[Body]) -> None:
        """Send a whole answer."""
        await super().reply([answer] if self._is_array and isinstance(answer, dict) else answer)


class ContentTokenCountCall(TokenCountCall):
    """A request to count tokens at `/v1beta/models/MODEL:countTokens`."""

    def read_body(self, raw: bytes | bytearray) -> Body:
        """Return the body, with the model."""
        return {**super().read_body(raw), "model": self.path_parameters["model"]}

    def count_body(self, tokens: int) -> Body:
        """Return an estimate."""
        return {"totalTokens": tokens}
