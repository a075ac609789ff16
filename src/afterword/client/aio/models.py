"""Models: register them with their providers, attach them to projects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from afterword.client.core import Request, encode, encode_changes, path, query
from afterword.types import (
    Deleted,
    Model,
    ModelList,
    ModelStatus,
    ProjectModel,
    ProjectModelList,
    ProviderName,
)

if TYPE_CHECKING:
    from afterword.client.aio import AsyncAfterword


class AsyncModels:
    """Models that can be called, and models that logged completions only name: `client.models`."""

    def __init__(self, client: AsyncAfterword) -> None:
        self._client = client

    async def register(
        self,
        key: str,
        provider: ProviderName,
        *,
        external_model_id: str | None = None,
        api_key: str | None = None,
        endpoint: str | None = None,
        headers: Mapping[str, str] | None = None,
        extra_params: Mapping[str, Any] | None = None,
        name: str | None = None,
        fallback: str | None = None,
        project: str | None = None,
        make_default: bool = False,
    ) -> Model:
        """Register a model, and with `project` attach it to that project.

        `provider` is the API that the model speaks; open_ai is also for compatible endpoints of others.
        `external_model_id` is the provider's name for the model, by default the key. Registering the same definition
        again changes nothing. Raises `Conflict` if the key has another definition.

        >>> await client.models.register("parrot", "echo", project="default")
        """
        body = encode(
            {
                "key": key,
                "provider": provider,
                "external_model_id": external_model_id,
                "api_key": api_key,
                "endpoint": endpoint,
                "headers": headers,
                "extra_params": extra_params,
                "name": name,
                "fallback": fallback,
                "project": self._client.project_or_default(project),
                "make_default": make_default,
            }
        )
        return await self._client.call(Request(method="POST", path=path("models"), body=body, repeatable=True), Model)

    async def list(self, *, project: str | None = None) -> list[Model]:
        """List all models that the key may see, or those of a project.

        >>> await client.models.list()
        """
        request = Request(method="GET", path=path("models"), query=query(project=project), repeatable=True)
        return (await self._client.call(request, ModelList)).models

    async def get(self, model: str) -> Model | None:
        """Return a model by key or id; None if the key can see no such model.

        >>> await client.models.get("echo")
        """
        return await self._client.find(Request(method="GET", path=path("models", model), repeatable=True), Model)

    async def update(self, model: str, **changes: Any) -> Model:
        """Change `name`, `external_model_id`, `api_key`, `endpoint`, `headers`, `extra_params` or `fallback`.

        None removes a value.

        >>> await client.models.update("echo", extra_params={"temperature": 0})
        """
        body = encode_changes(changes)
        request = Request(method="PATCH", path=path("models", model), body=body, repeatable=True)
        return await self._client.call(request, Model)

    async def delete(self, model: str) -> None:
        """Delete a model: it can no longer be called. Its interactions stay. Raises `NotFound`.

        >>> await client.models.delete(model)
        """
        await self._client.call(Request(method="DELETE", path=path("models", model)), Deleted)

    async def status(self, model: str) -> ModelStatus:
        """Check whether a model can be called, with a request to its provider that costs nothing.

        >>> (await client.models.status("echo")).status
        """
        request = Request(method="GET", path=path("models", model) + "/status", repeatable=True)
        return await self._client.call(request, ModelStatus)

    async def attach(self, model: str, *, project: str | None = None, make_default: bool = False) -> ProjectModel:
        """Let a project call a model. The project's first model always becomes its default.

        >>> await client.models.attach("echo", project="default", make_default=True)
        """
        body = encode({"model": model, "make_default": make_default})
        request = Request(method="POST", path=self._models_path(project), body=body, repeatable=True)
        return await self._client.call(request, ProjectModel)

    async def attached(self, *, project: str | None = None, status: bool = False) -> list[ProjectModel]:
        """List the models that a project may call, its default first.

        With `status` each tells whether it can be called; their providers are asked.

        >>> await client.models.attached(project="default")
        """
        parameters = query(status=status or None)
        request_path = path("projects", self._client.project_or_default(project) or "default", "models")
        request = Request(method="GET", path=request_path, query=parameters, repeatable=True)
        return (await self._client.call(request, ProjectModelList)).models

    async def set(self, model: str, *, project: str | None = None, **changes: bool) -> ProjectModel:
        """Change `is_default` or `enabled` of a model in a project.

        >>> await client.models.set("echo", project="default", enabled=True)
        """
        request_path = f"{self._models_path(project)}/{path('models', model).rpartition('/')[2]}"
        request = Request(method="PATCH", path=request_path, body=encode_changes(changes), repeatable=True)
        return await self._client.call(request, ProjectModel)

    async def detach(self, model: str, *, project: str | None = None) -> None:
        """Detach a model from a project. Raises `NotFound`.

        >>> await client.models.detach("echo", project="default")
        """
        request_path = f"{self._models_path(project)}/{path('models', model).rpartition('/')[2]}"
        await self._client.call(Request(method="DELETE", path=request_path), Deleted)

    def _models_path(self, project: str | None) -> str:
        return path("projects", self._client.project_or_default(project) or "default", "models")
