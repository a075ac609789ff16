"""API keys, and how the server is."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from afterword.types.base import Input, Moment, Output, Role


class ApiKey(Output):
    """A key that calls are made with. The key itself is shown once, when created; `prefix` tells it apart.

    `projects` is null where the key is for all projects. `created_by` names the key that made it; null for one of
    before this was noted. `last_used_at` is known by the minute, and null for a key that was not used yet. The key
    of a `user` may what the user's teams may, whatever its role: `permissions` says what, for each project in which
    it may anything.
    """

    id: UUID
    name: str
    prefix: str
    role: Role
    projects: list[str] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    user: str | None = None
    permissions: dict[str, list[str]] | None = None
    created_by: str | None = None
    last_used_at: datetime | None = None


class NewApiKey(Input):
    """A key to create. Roles: admin (everything), member (read, call models, log, rate, register), inference (call
    models, log and rate, read nothing), ingest (log and rate, read nothing), viewer (read). The key of a `user` may
    what their teams may, whatever its role."""

    name: str
    role: Role = "member"
    projects: list[str] | None = None
    expires_at: Moment | None = None
    user: str | None = None


class CreatedApiKey(ApiKey, kw_only=True):
    """A key as created: the only time that `api_key` is shown."""

    api_key: str


class ApiKeyList(Output):
    """All keys, the newest first."""

    keys: list[ApiKey]


class SearchHealth(Output):
    """The text index: how many interactions wait to be indexed."""

    waiting: int | None


class Health(Output):
    """How the server is. `status` is `ok`, or `degraded` while it cannot write."""

    status: Literal["ok", "degraded"]
    version: str
    search: SearchHealth
