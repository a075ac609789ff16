"""Users, teams and roles, which give permissions in projects."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta

from afterword.types.base import CREATED_AT, Input, Key, Output

UserKind: TypeAlias = Literal["human", "system"]


USER_KIND = Meta(description="`human`, or `system`: a service account.")
USER_TEAMS = Meta(description="The teams that they are in, with their role there.")
PERMISSIONS = Meta(description="Words such as `project:read`; `GET /api/v1/permissions` lists them.")
IS_OWNER = Meta(description="Whether the team owns the project.")


class Team(Output):
    """People who work together. Projects are shared with teams."""

    id: UUID
    key: str
    name: str
    created_at: Annotated[datetime, CREATED_AT]


class NewTeam(Input):
    """A team to create. `key` defaults to the name."""

    name: str
    key: Key | None = None


class TeamList(Output):
    """All teams."""

    teams: Annotated[list[Team], Meta(description="The teams.")]


class TeamRole(Output):
    """The permissions of a member of a team, such as `project:read`."""

    id: UUID
    key: str
    name: str
    permissions: Annotated[list[str], PERMISSIONS]
    created_at: Annotated[datetime, CREATED_AT]


class NewTeamRole(Input):
    """A role to create. `key` defaults to the name."""

    name: str
    permissions: Annotated[list[str], PERMISSIONS]
    key: Key | None = None


class TeamRoleList(Output):
    """All roles."""

    roles: Annotated[list[TeamRole], Meta(description="The roles.")]


class PermissionList(Output):
    """The permissions that a role can have."""

    permissions: Annotated[list[str], PERMISSIONS]


class Membership(Output):
    """A team that a user is in, and their role there, by their keys."""

    team: Annotated[str, Meta(description="The key of the team.")]
    role: Annotated[str, Meta(description="The key of the role.")]


class User(Output):
    """Someone who works with Afterword, or a service account. `api_key` is shown only when it was just created."""

    id: UUID
    name: str
    email: Annotated[str, Meta(description="The address, by which the user is known.")]
    kind: Annotated[UserKind, USER_KIND]
    teams: Annotated[list[Membership], USER_TEAMS]
    created_at: Annotated[datetime, Meta(description="When the user was created.")]
    api_key: Annotated[
        str | None, Meta(description="The user's key, where it was just made; it is shown this once.")
    ] = None


class NewMembership(Input):
    """A team, by key or id, and the user's role in it."""

    team: Annotated[str, Meta(description="A team, by key or id.")]
    role: Annotated[str, Meta(description="The role in the team, by key or id.")]


class NewUser(Input):
    """A user to create. A system user without an address gets one."""

    name: str
    email: Annotated[str | None, Meta(description="The address; system users without one are given one.")] = None
    kind: Annotated[UserKind, USER_KIND] = "human"
    teams: Annotated[list[NewMembership], USER_TEAMS] = msgspec.field(default_factory=list)
    generate_api_key: Annotated[bool, Meta(description="Make a key for the user, which is shown this once.")] = False


class NewMember(Input):
    """A user, by id or address, and their role in the team."""

    user: Annotated[str, Meta(description="The user, by id or address.")]
    role: Annotated[str, Meta(description="Their role in the team, by key or id.")]


class UserList(Output):
    """All users, except deleted ones."""

    users: Annotated[list[User], Meta(description="The users.")]


class Share(Output):
    """A team that works in a project, and the role that limits its members there, by their keys."""

    team: Annotated[str, Meta(description="The key of the team.")]
    role: Annotated[str, Meta(description="The key of the role: what members of the team may there at most.")]
    is_owner: Annotated[bool, IS_OWNER]


class NewShare(Input):
    """A team, by key or id, the role of the share, and whether the team owns the project."""

    team: Annotated[str, Meta(description="A team, by key or id.")]
    role: Annotated[str, Meta(description="What members of the team may there at most: a role, by key or id.")]
    is_owner: Annotated[bool, IS_OWNER] = False


class NewShareList(Input):
    """The teams that a project is shared with. The list replaces the existing one."""

    shares: Annotated[list[NewShare], Meta(description="The teams.")]


class ShareList(Output):
    """The teams that a project is shared with."""

    shares: Annotated[list[Share], Meta(description="The teams.")]
