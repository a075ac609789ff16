# Generated from aio/administration.py by scripts/unasync.py: change that one.
"""Projects, labels in use, API keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from afterword.client.core import Request, encode, encode_changes, path, query
from afterword.types import (
    ApiKey,
    ApiKeyList,
    CreatedApiKey,
    LabelKey,
    LabelList,
    Moment,
    Project,
    ProjectList,
    Role,
)

if TYPE_CHECKING:
    from afterword.client.sync import Afterword


class Projects:
    """Projects: `client.projects`."""

    def __init__(self, client: Afterword) -> None:
        self._client = client

    def create(
        self,
        key: str,
        name: str | None = None,
        description: str = "",
        *,
        retention_days: int | None = None,
        payload_retention_days: int | None = None,
    ) -> Project:
        """Create a project. Raises `Conflict` when its key is taken.

        Interactions are deleted after `retention_days`; their texts earlier, after `payload_retention_days`. 0 means
        never, None the server's setting.

        >>> client.projects.create("support-bot", description="Answers customers", payload_retention_days=90)
        """
        body = encode(
            {
                "key": key,
                "name": name,
                "description": description,
                "retention_days": retention_days,
                "payload_retention_days": payload_retention_days,
            }
        )
        return self._client.call(Request(method="POST", path=path("projects"), body=body), Project)

    def list(self, *, archived: bool = False) -> list[Project]:
        """List the projects that the key may see; with `archived`, also the archived ones.

        >>> client.projects.list()
        """
        request = Request(method="GET", path=path("projects"), query=query(archived=archived or None), repeatable=True)
        return (self._client.call(request, ProjectList)).projects

    def get(self, project: str) -> Project | None:
        """Return a project by key or id; None if the key can see no such project.

        >>> client.projects.get("default")
        """
        return self._client.find(Request(method="GET", path=path("projects", project), repeatable=True), Project)

    def update(self, project: str, **changes: Any) -> Project:
        """Change `name`, `description`, `archived`, `default_metric`, `retention_days` or `payload_retention_days` of a
        project. Data older than the new number of days is deleted from then on.

        >>> client.projects.update("default", description="Where things go")
        """
        body = encode_changes(changes)
        request = Request(method="PATCH", path=path("projects", project), body=body, repeatable=True)
        return self._client.call(request, Project)

    def archive(self, project: str) -> Project:
        """Archive a project: it can be read, but takes nothing new.

        >>> client.projects.archive(project)
        """
        return self.update(project, archived=True)


class Labels:
    """Labels in use: `client.labels`."""

    def __init__(self, client: Afterword) -> None:
        self._client = client

    def list(self, *, project: str | None = None) -> list[LabelKey]:
        """List the label keys of a project with their values and counts.

        >>> client.labels.list()
        """
        pairs = query(project=self._client.project_or_default(project))
        request = Request(method="GET", path=path("labels"), query=pairs, repeatable=True)
        return (self._client.call(request, LabelList)).labels


class Keys:
    """API keys: `client.keys`."""

    def __init__(self, client: Afterword) -> None:
        self._client = client

    def create(
        self,
        name: str,
        role: Role = "member",
        projects: Sequence[str] | None = None,
        expires_at: Moment | datetime | None = None,
    ) -> CreatedApiKey:
        """Create an API key. Only this answer shows it.

        >>> made = client.keys.create("ci", role="ingest", projects=["default"])
        """
        body = encode({"name": name, "role": role, "projects": projects, "expires_at": expires_at})
        return self._client.call(Request(method="POST", path=path("keys"), body=body), CreatedApiKey)

    def list(self) -> list[ApiKey]:
        """List all API keys, including revoked ones.

        >>> client.keys.list()
        """
        return (self._client.call(Request(method="GET", path=path("keys"), repeatable=True), ApiKeyList)).keys

    def revoke(self, key_id: str | UUID) -> ApiKey:
        """Revoke an API key, at once and for good. Raises `NotFound`.

        >>> client.keys.revoke(key_id)
        """
        request = Request(method="DELETE", path=path("keys", str(key_id)), repeatable=True)
        return self._client.call(request, ApiKey)
