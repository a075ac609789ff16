"""The port to language models. Whatever a provider speaks, here it speaks OpenAI's form."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Literal, Protocol, TypeAlias

from afterword.errors import AfterwordError
from afterword.gateway.response import ProviderResponse
from afterword.types import Target

Operation: TypeAlias = Literal["chat", "completions", "embeddings"]
"""What is asked for: POST /chat/completions, /completions or /embeddings."""
Body: TypeAlias = dict[str, Any]
"""A request or an answer, as OpenAI's API has it."""


class ProviderError(AfterwordError):
    """The provider refused the call, failed, or could not be reached; `status` is what the caller is told.

    `sent` is false where the request surely did not reach it: it can be repeated. `retryable` says that the provider
    took nothing on (it was busy), or that another model may well do better. `type` is the provider's own, and
    `details` are the further members of its error object, which applications branch on.
    """

    type = "provider_error"

    def __init__(
        self,
        message: str,
        *,
        status: int,
        sent: bool = True,
        retryable: bool = False,
        type: str | None = None,
        details: Mapping[str, Any] | None = None,
        **error_fields: Any,
    ) -> None:
        super().__init__(message, **error_fields)
        self.status = status
        self.sent = sent
        self.retryable = retryable
        self.raw = b""
        """The beginning of the provider's answer, where it answered with a status of its own."""
        self.type = type or self.type
        self.details = details or {}

    def body(self) -> Any:
        """Return the object that the wire carries, with the provider's further members in their own places."""
        error = {"message": self.message, "type": self.type, "code": self.code, "param": self.param, "hint": self.hint}
        return {"error": {**self.details, **error}}


class Provider(Protocol):
    """What speaks with language models of one kind.

    `body` is the caller's request in OpenAI's form, without Afterword's own fields and with images as
    `{"url": ...}`; `model` in it is to be replaced by the target's. All methods raise `ProviderError`. Cancelling a
    call, or closing the generator, hangs up on the provider. `response` is filled with what the answer tells beside
    its body.
    """

    async def answer(self, target: Target, operation: Operation, body: Body, response: ProviderResponse) -> Body:
        """Return the whole answer, in OpenAI's form."""
        ...

    def stream(
        self, target: Target, operation: Operation, body: Body, response: ProviderResponse
    ) -> AsyncGenerator[Body, None]:
        """Yield the answer's chunks as they come, in OpenAI's form, the usage in a chunk of its own at the end.

        Returning means that the answer is complete; one that was cut off raises.
        """
        ...

    async def check(self, target: Target) -> None:
        """Return if the provider can be reached, takes the key and knows the model; as cheap as it can be."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...
