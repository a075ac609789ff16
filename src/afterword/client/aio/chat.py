"""Calling models: chat, streamed or not, and embeddings."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Literal, overload
from uuid import UUID

from afterword.client.core import Request, encode, path
from afterword.client.streaming import read_chunk
from afterword.types import ChatChunk, ChatCompletion, EmbeddingList, Message

if TYPE_CHECKING:
    from afterword.client.aio import AsyncAfterword


class AsyncChat:
    """Calls of language models, which the server logs: `client.chat`."""

    def __init__(self, client: AsyncAfterword) -> None:
        self._client = client

    @overload
    async def create(
        self,
        messages: Sequence[Message],
        model: str | None = None,
        *,
        stream: Literal[False] = False,
        project: str | None = None,
        labels: Mapping[str, str] | None = None,
        session_id: str | UUID | None = None,
        user: str | None = None,
        store: bool | None = None,
        ab_campaign: str | None = None,
        stream_include_usage: bool | None = None,
        **parameters: Any,
    ) -> ChatCompletion: ...

    @overload
    async def create(
        self,
        messages: Sequence[Message],
        model: str | None = None,
        *,
        stream: Literal[True],
        project: str | None = None,
        labels: Mapping[str, str] | None = None,
        session_id: str | UUID | None = None,
        user: str | None = None,
        store: bool | None = None,
        ab_campaign: str | None = None,
        stream_include_usage: bool | None = None,
        **parameters: Any,
    ) -> AsyncGenerator[ChatChunk, None]: ...

    async def create(
        self,
        messages: Sequence[Message],
        model: str | None = None,
        *,
        stream: bool = False,
        project: str | None = None,
        labels: Mapping[str, str] | None = None,
        session_id: str | UUID | None = None,
        user: str | None = None,
        store: bool | None = None,
        ab_campaign: str | None = None,
        stream_include_usage: bool | None = None,
        **parameters: Any,
    ) -> ChatCompletion | AsyncGenerator[ChatChunk, None]:
        """Call a model of a project by its key; without `model`, the default model or one of the project's A/B test.

        `parameters` are OpenAI's: `temperature`, `max_tokens`, `n`, `tools`, `response_format` and so on. With `stream`
        the answer is a generator of chunks; the last has the usage if `stream_include_usage` is true. Closing the
        generator cancels the call. Raises the provider's errors as the server reports them; those of a broken stream
        come from the generator. `store=False` logs nothing. `ab_campaign` makes the call part of this A/B test.

        >>> response = await client.chat.create([{"role": "user", "content": "Good day"}], labels={"app": "demo"})
        >>> response.choices[0].completion_id, response.choices[0].message.content
        >>> async for chunk in await client.chat.create([{"role": "user", "content": "Good day"}], stream=True):
        ...     print(chunk.choices[0].delta.content if chunk.choices else "", end="")
        """
        body = encode(
            {
                "model": _name(self._client.project_or_default(project), model),
                "messages": messages,
                "stream": stream or None,
                "labels": labels,
                "session_id": session_id,
                "user": user,
                "store": store,
                "ab_campaign": ab_campaign,
                "stream_options": {"include_usage": True} if stream_include_usage else None,
                **parameters,
            }
        )
        request = Request(method="POST", path=path("chat", "completions"), body=body)
        if stream:
            return self._chunks(request)
        return await self._client.call(request, ChatCompletion)

    async def _chunks(self, request: Request) -> AsyncGenerator[ChatChunk, None]:
        async with aclosing(self._client.events(request)) as events:
            async for data in events:
                yield read_chunk(data)


class AsyncEmbeddings:
    """Vectors of texts: `client.embeddings`."""

    def __init__(self, client: AsyncAfterword) -> None:
        self._client = client

    async def create(
        self, input: str | Sequence[str], model: str | None = None, *, project: str | None = None, **parameters: Any
    ) -> EmbeddingList:
        """Return the vectors of texts. The call is logged, without the vectors.

        >>> response = await client.embeddings.create(["one text", "another"])
        >>> response.data[0].embedding
        """
        name = _name(self._client.project_or_default(project), model)
        body = encode({"model": name, "input": input, **parameters})
        return await self._client.call(Request(method="POST", path=path("embeddings"), body=body), EmbeddingList)


def _name(project: str | None, model: str | None) -> str | None:
    """Return the `model` of a request: PROJECT/MODEL, or the form for one of them alone."""
    return "/".join(part for part in (project, model) if part) or None
