"""Models that produce completions, and the projects that may call them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from afterword.types.base import DEFAULT_NAME, MODEL, Input, Key, Output

ProviderName: TypeAlias = Literal["open_ai", "anthropic", "google", "azure", "echo"]

PROVIDER = Meta(
    description="The provider whose API it speaks; `open_ai` also for a compatible endpoint of anyone else. Null: "
    "logged-only."
)
EXTERNAL_MODEL_ID = Meta(description="What the provider calls it.")
ENDPOINT = Meta(description="The base URL of the API; null for the provider's own.")
HEADERS = Meta(description="Headers that its provider is sent with each call.")
EXTRA_PARAMS = Meta(description="Fields that are laid over every request; null takes one away.")
FALLBACK = Meta(description="The model that is called where this one fails before its first word.")
MAKE_DEFAULT = Meta(description="Make it what is called in the project where no model is named.")
OBJECT = Meta(description="What OpenAI's API calls this.")
REGISTERED_AT = Meta(description="When it was registered, in seconds since 1970.")
IS_DEFAULT = Meta(description="Whether it is called where no model is named.")


class Model(Output):
    """A model. With the `provider` null it is logged-only: completions name it, but it cannot be called.

    `id` is a UUID, or PROJECT/MODEL if the request named the model in that way, as OpenAI's clients do.

    Its API key and the values of its headers are stored encrypted and never shown. `object`, `created` and `owned_by`
    are the members of a model in OpenAI's API.
    """

    id: str
    key: str
    name: str
    provider: Annotated[ProviderName | None, PROVIDER]
    external_model_id: Annotated[str | None, EXTERNAL_MODEL_ID]
    endpoint: Annotated[str | None, ENDPOINT]
    has_api_key: Annotated[bool, Meta(description="Whether an API key is kept for it.")]
    headers: Annotated[
        list[str], Meta(description="The names of the headers that its provider is sent; their values are never shown.")
    ]
    extra_params: Annotated[dict[str, Any], EXTRA_PARAMS]
    fallback: Annotated[str | None, FALLBACK]
    projects: Annotated[list[str], Meta(description="The projects that may call it.")]
    created_at: Annotated[datetime, Meta(description="When it was registered.")]
    object: Annotated[Literal["model"], OBJECT] = "model"
    created: Annotated[int, REGISTERED_AT] = 0
    owned_by: Annotated[str, Meta(description="The provider.")] = ""


class NewModel(Input):
    """A model to register.

    `key` defaults to the name in lower case, `external_model_id` to the key. Without `endpoint` and `api_key` the
    provider's environment variables are used, such as OPENAI_BASE_URL and OPENAI_API_KEY. `extra_params` override the
    fields of every request; null removes a field. `fallback` is called if this model fails before its first text. With
    `project` the model is attached at once.
    """

    provider: Annotated[ProviderName, PROVIDER]
    key: Annotated[Key | None, Meta(description="The default is the name in small letters, with hyphens.")] = None
    name: Annotated[str | None, DEFAULT_NAME] = None
    external_model_id: Annotated[str | None, EXTERNAL_MODEL_ID] = None
    api_key: Annotated[
        str | None, Meta(description="The provider's API key. It is kept encrypted, and never shown.")
    ] = None
    endpoint: Annotated[str | None, ENDPOINT] = None
    headers: Annotated[dict[str, str] | None, HEADERS] = None
    extra_params: Annotated[dict[str, Any] | None, EXTRA_PARAMS] = None
    fallback: Annotated[str | None, FALLBACK] = None
    project: Annotated[str | None, Meta(description="A project to attach it to.")] = None
    make_default: Annotated[bool, MAKE_DEFAULT] = False


class ModelChange(Input):
    """Changes to a model; null removes a value. Key and provider cannot change."""

    name: str | UnsetType = UNSET
    external_model_id: Annotated[str | UnsetType, EXTERNAL_MODEL_ID] = UNSET
    api_key: Annotated[
        str | UnsetType | None, Meta(description="Another API key of the provider; null takes it away.")
    ] = UNSET
    endpoint: Annotated[str | UnsetType | None, ENDPOINT] = UNSET
    headers: Annotated[dict[str, str] | UnsetType | None, HEADERS] = UNSET
    extra_params: Annotated[dict[str, Any] | UnsetType | None, EXTRA_PARAMS] = UNSET
    fallback: Annotated[str | UnsetType | None, FALLBACK] = UNSET


class ListedModel(Output):
    """A model as OpenAI's API lists it. `id` is its name in calls: PROJECT/MODEL."""

    id: str
    created: Annotated[int, REGISTERED_AT]
    owned_by: Annotated[str, Meta(description="The provider.")]
    object: Annotated[Literal["model"], OBJECT] = "model"


class ModelList(Output):
    """All models that the key may see. `data` holds those that it may call, in the form of OpenAI's API."""

    models: Annotated[list[Model], Meta(description="The models, those that can be called first.")]
    data: Annotated[list[ListedModel], Meta(description="Those that the key may call, as OpenAI's API lists them.")]
    object: Annotated[Literal["list"], OBJECT] = "list"


class ModelStatus(Output):
    """Whether a model can be called: `online`, `offline` with the reason, or `unknown` for a logged-only one."""

    status: Annotated[
        Literal["online", "offline", "unknown"],
        Meta(description="`online`, `offline`, or `unknown` for a logged-only model."),
    ]
    checked_at: Annotated[datetime, Meta(description="When the provider was looked at.")]
    error: Annotated[str | None, Meta(description="Why it is offline.")]


class ProjectModel(Output):
    """A model in a project: whether it may be called there, and whether it is the project's default model."""

    project: Annotated[str, Meta(description="The project's key.")]
    model: Annotated[str, Meta(description="The model's key.")]
    is_default: Annotated[bool, IS_DEFAULT]
    enabled: Annotated[bool, Meta(description="Whether the project may call it.")]
    created_at: Annotated[datetime, Meta(description="When it was attached.")]
    status: Annotated[
        ModelStatus | UnsetType, Meta(description="Whether it can be called; only where `status=true` is given.")
    ] = UNSET


class NewProjectModel(Input):
    """A model to attach to a project. The first one always becomes the default."""

    model: Annotated[str, MODEL]
    make_default: Annotated[bool, MAKE_DEFAULT] = False


class ProjectModelChange(Input):
    """Changes to a model in a project."""

    is_default: Annotated[bool | UnsetType, IS_DEFAULT] = UNSET
    enabled: Annotated[bool | UnsetType, Meta(description="Whether the project may call it.")] = UNSET


class ProjectModelList(Output):
    """The models of a project, the default first."""

    models: Annotated[list[ProjectModel], Meta(description="The models, the default first.")] = msgspec.field(
        default_factory=list
    )
