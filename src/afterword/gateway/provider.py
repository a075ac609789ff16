"""The port to language models: the interface of a provider, in OpenAI's form, and its specification."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias

from afterword.errors import AfterwordError
from afterword.gateway.response import ProviderResponse
from afterword.types import ProviderName, Target

if TYPE_CHECKING:
    from afterword.gateway.http import Address, Http

Operation: TypeAlias = Literal[
    "chat",
    "completions",
    "embeddings",
    "responses",
    "messages",
    "count_tokens",
    "generate_content",
    "count_content_tokens",
    "moderations",
    "speech",
    "transcriptions",
    "translations",
    "image_generations",
    "image_edits",
    "image_variations",
]
"""The path that was called: POST /chat/completions, /completions, /embeddings, that of a `CallFormat`, or one of
PASSED_PATHS."""
PASSED_PATHS: dict[Operation, str] = {
    "moderations": "/moderations",
    "speech": "/audio/speech",
    "transcriptions": "/audio/transcriptions",
    "translations": "/audio/translations",
    "image_generations": "/images/generations",
    "image_edits": "/images/edits",
    "image_variations": "/images/variations",
}
"""The paths of operations that only OpenAI's API has: their calls are passed on as they came."""
Body: TypeAlias = dict[str, Any]
"""A request or an answer, in the form of OpenAI's API unless it says another."""
NativeAddress: TypeAlias = "Callable[[Target, Mapping[str, str], bool], Address]"
"""Returns where a request in the caller's own form goes: for a target, with the caller's headers, streamed or not."""
ModelField: TypeAlias = Literal["external_model_id", "endpoint", "api_key"]
"""A field that a model is registered with, and that only some providers read."""


class ProviderError(AfterwordError):
    """The provider refused the call, failed, or could not be reached. `status` is the HTTP status for the caller.

    `sent` is false if the request certainly did not reach the provider, so that it can be sent again. `retryable` means
    that the provider did not begin to work on it, or that another model may succeed. `type` is the provider's own, and
    `details` are further members of its error object, which applications branch on.
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
        """The beginning of the provider's answer, if it answered with an error status."""
        self.type = type or self.type
        self.details = details or {}

    def body(self) -> Any:
        """Return the error object for the response body, with further members of the provider's error."""
        error = {"message": self.message, "type": self.type, "code": self.code, "param": self.param, "hint": self.hint}
        return {"error": {**self.details, **error}}


class Provider(Protocol):
    """Calls language models through one provider's API.

    `body` is the caller's request in OpenAI's form, without Afterword's own fields and with images as `{"url": ...}`.
    Its `model` has to be replaced by the target's. All methods raise `ProviderError`. Cancelling a call, or closing the
    generator, closes the connection to the provider. `response` receives the headers of the provider's answer.
    """

    async def answer(self, target: Target, operation: Operation, body: Body, response: ProviderResponse) -> Body:
        """Return the whole answer, in OpenAI's form."""
        ...

    def stream(
        self, target: Target, operation: Operation, body: Body, response: ProviderResponse
    ) -> AsyncGenerator[Body, None]:
        """Yield the answer's chunks as they arrive, in OpenAI's form; the last one carries the usage.

        Raises `ProviderError` if the answer is cut off: a generator that returns has yielded all of it.
        """
        ...

    async def check(self, target: Target) -> None:
        """Return if the provider can be reached, accepts the key and knows the model, by the cheapest request."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


def request_for_target(target: Target, body: Mapping[str, Any]) -> Body:
    """Return a request with the name and the parameters of this model; a parameter of null removes the field."""
    request = {**body, "model": target.model, **target.parameters}
    for name, value in target.parameters.items():
        if value is None:
            del request[name]
    return request


class NativeForm(NamedTuple):
    """A form beside chat that a provider's API speaks: where requests go, and how they get the model's name and the
    parameters that it was registered with."""

    address: NativeAddress
    request: Callable[[Target, Body], Body] = request_for_target


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSpec:
    """The static description of a provider. Each module of `gateway/providers/` has one."""

    name: ProviderName
    """Its name on the wire and in the store."""
    title: str
    """Its name for people."""
    adapter: Callable[[Http, ProviderSpec], Provider]
    """Creates the adapter for its API."""
    otel_name: str
    """`gen_ai.provider.name` of OpenTelemetry's conventions."""
    endpoint: str | None = None
    """The base URL of its API; None if each customer has a URL of their own."""
    example_endpoint: str = "http://localhost:8000/v1"
    """What a base URL looks like, for the page and for errors."""
    endpoint_variables: tuple[str, ...] = ()
    """Environment variables that name another base URL. The first one that is set counts."""
    api_key_variables: tuple[str, ...] = ()
    """Environment variables with the API key of models that were registered without one."""
    fields: tuple[ModelField, ...] = ("external_model_id", "endpoint", "api_key")
    """The fields that a model of this provider can be registered with."""
    required_fields: tuple[ModelField, ...] = ()
    """The `fields` that a model needs unless the environment has them."""
    refused_fields: frozenset[str] = frozenset()
    """Optional fields of a request that its API is known to refuse: they are left out."""
    native_formats: Mapping[Operation, NativeForm] = field(default_factory=dict)
    """The forms beside chat that its API speaks. Such calls are passed on unchanged."""
    passed_address: Callable[[Target, str], Address] | None = None
    """Returns where a call of one of PASSED_PATHS goes; None if its API has none of them."""
    graphql_name: str = "HARMONY"
    """Its member of GraphQL's `ProviderName`. Older clients fail on others than OPEN_AI, ANTHROPIC, GOOGLE, HARMONY."""
    graphql_inputs: tuple[str, ...] = ()
    """The members of GraphQL's `ModelProviderDataInput` that register a model of this provider."""

    def find_endpoint(self, target: Target) -> str | None:
        """Return the base URL for a model: its own, the environment's, else the provider's."""
        return target.endpoint or self.endpoint_of_environment() or self.endpoint

    def endpoint_of_environment(self) -> str | None:
        """Return the base URL that the server's environment names now."""
        return _environment_value(self.endpoint_variables)

    def find_api_key(self, target: Target) -> str | None:
        """Return the API key for a model: its own, else the environment's."""
        return target.api_key or _environment_value(self.api_key_variables)


def _environment_value(names: Iterable[str]) -> str | None:
    """Return the first of these environment variables that is set. It is read at each call, so that it can change."""
    return next((value for name in names if (value := os.environ.get(name, "").strip())), None)
