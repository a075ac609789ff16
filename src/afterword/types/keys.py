"""API keys, and the server's health."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta

from afterword.types.base import CREATED_AT, KEY_OWNER, MOMENT_FORMS, ROLE, Input, Moment, Output, Role


class ApiKey(Output):
    """An API key. The key itself is shown once, when it is created; `prefix` identifies it.

    `projects` is null if the key is for all projects. `created_by` is the name of the key that created it; null if that
    was not recorded. `last_used_at` is exact to the minute, and null for an unused key. The key of a `user` has the
    permissions of the user's teams, and its role does not matter: `permissions` lists them for each project.
    """

    id: UUID
    name: str
    prefix: Annotated[str, Meta(description="The first characters of the key, to tell it apart.")]
    role: Annotated[Role, ROLE]
    projects: Annotated[list[str] | None, Meta(description="The keys of the projects that it is for; null for all.")]
    created_at: Annotated[datetime, CREATED_AT]
    expires_at: Annotated[datetime | None, Meta(description="When the key stops working; null for never.")]
    revoked_at: Annotated[datetime | None, Meta(description="When the key was revoked; null while it works.")]
    user: Annotated[str | None, KEY_OWNER] = None
    permissions: Annotated[
        dict[str, list[str]] | None,
        Meta(description="What the key of a user may, by the key of the project; null for a key of no user's."),
    ] = None
    created_by: Annotated[
        str | None, Meta(description="The name of the key that made this one; null where that was not noted.")
    ] = None
    last_used_at: Annotated[
        datetime | None, Meta(description="When the key was last used, by the minute; null for never.")
    ] = None


class NewApiKey(Input):
    """A key to create. Roles: admin (everything), member (read, call models, log, rate, register), inference (call
    models, log and rate, read nothing), ingest (log and rate, read nothing), viewer (read). The key of a `user`
    has the permissions of their teams, and its role does not matter."""

    name: Annotated[str, Meta(description="Whose key it is, or what for. Its feedback is shown under this name.")]
    role: Annotated[Role, ROLE] = "member"
    projects: Annotated[
        list[str] | None, Meta(description="The projects that the key is for, by key or id; null for all.")
    ] = None
    expires_at: Annotated[
        Moment | None, Meta(description=f"When the key stops working; null for never. {MOMENT_FORMS}")
    ] = None
    user: Annotated[
        str | None, Meta(description="Whose key it is: it may what the user's teams may. By id or address.")
    ] = None


class CreatedApiKey(ApiKey, kw_only=True):
    """A key that was just created. `api_key` is shown only now."""

    api_key: Annotated[str, Meta(description="The key itself. It is shown this once.")]


class ApiKeyList(Output):
    """All keys, the newest first."""

    keys: list[ApiKey]


class SearchHealth(Output):
    """The state of the text index: the number of interactions that wait to be indexed."""

    waiting: Annotated[int | None, Meta(description="How many interactions wait to be indexed for text search.")]


class Health(Output):
    """The server's health. `status` is `ok`, or `degraded` while it cannot write."""

    status: Annotated[Literal["ok", "degraded"], Meta(description="`ok`, or `degraded` while the server cannot write.")]
    version: Annotated[str, Meta(description="The server's version.")]
    search: SearchHealth
