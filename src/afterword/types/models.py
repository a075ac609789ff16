"""Models: what completions come from, and which projects may call them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from afterword.types.base import Input, Key, Output

ProviderName: TypeAlias = Literal["open_ai", "anthropic", "google", "azure", "echo"]


class Model(Output):
    """A model. One whose `provider` is null is logged-only: completions name it, but it cannot be called.

    `id` is a UUID, or PROJECT/MODEL where the model was asked for by that, as OpenAI's clients do.

    Its API key and the values of its headers are kept encrypted and never shown. `object`, `created` and `owned_by` are
    what OpenAI's API shows of a model.
    """

    id: str
    key: str
    name: str
    provider: ProviderName | None
    external_model_id: str | None
    endpoint: str | None
    has_api_key: bool
    headers: list[str]
    extra_params: dict[str, Any]
    fallback: str | None
    projects: list[str]
    created_at: datetime
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = ""


class NewModel(Input):
    """A model to register.

    `key` defaults to the name in small letters, `external_model_id` to the key. Without `endpoint` and `api_key` those
    of the provider count: OPENAI_BASE_URL and OPENAI_API_KEY, and their likes. `extra_params` are laid over every
    request, null taking a field away. `fallback` is called where this one fails before its first word. With `project`
    it is attached at once.
    """

    provider: ProviderName
    key: Key | None = None
    name: str | None = None
    external_model_id: str | None = None
    api_key: str | None = None
    endpoint: str | None = None
    headers: dict[str, str] | None = None
    extra_params: dict[str, Any] | None = None
    fallback: str | None = None
    project: str | None = None
    make_default: bool = False


class ModelChange(Input):
    """What to change of a model; null takes a value away. Key and provider stay."""

    name: str | UnsetType = UNSET
    external_model_id: str | UnsetType = UNSET
    api_key: str | UnsetType | None = UNSET
    endpoint: str | UnsetType | None = UNSET
    headers: dict[str, str] | UnsetType | None = UNSET
    extra_params: dict[str, Any] | UnsetType | None = UNSET
    fallback: str | UnsetType | None = UNSET


class ListedModel(Output):
    """A model as OpenAI's API lists it. `id` is what calls name it by: PROJECT/MODEL."""

    id: str
    created: int
    owned_by: str
    object: Literal["model"] = "model"


class ModelList(Output):
    """All models that the key may see, and as `data` those that it may call, the way OpenAI's API lists them."""

    models: list[Model]
    data: list[ListedModel]
    object: Literal["list"] = "list"


class ModelStatus(Output):
    """Whether a model can be called: `online`, `offline` with the reason, or `unknown` for a logged-only one."""

    status: Literal["online", "offline", "unknown"]
    checked_at: datetime
    error: str | None


class ProjectModel(Output):
    """A model in a project: whether it may be called there, and whether it is what is called where none is named."""

    project: str
    model: str
    is_default: bool
    enabled: bool
    created_at: datetime


class NewProjectModel(Input):
    """A model to attach to a project. The first one becomes the default in any case."""

    model: str
    make_default: bool = False


class ProjectModelChange(Input):
    """What to change of a model in a project."""

    is_default: bool | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class ProjectModelList(Output):
    """The models of a project, the default first."""

    models: list[ProjectModel] = msgspec.field(default_factory=list)
