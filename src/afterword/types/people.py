"""Users, teams and roles: who may what in which projects."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

import msgspec

from afterword.types.base import Input, Key, Output

UserKind: TypeAlias = Literal["human", "system"]


class Team(Output):
    """People who work together. Projects are shared with teams."""

    id: UUID
    key: str
    name: str
    created_at: datetime


class NewTeam(Input):
    """A team to create. `key` defaults to the name."""

    name: str
    key: Key | None = None


class TeamList(Output):
    """All teams."""

    teams: list[Team]


class TeamRole(Output):
    """What a member of a team may. `permissions` are words such as `project:read`."""

    id: UUID
    key: str
    name: str
    permissions: list[str]
    created_at: datetime


class NewTeamRole(Input):
    """A role to create. `key` defaults to the name."""

    name: str
    permissions: list[str]
    key: Key | None = None


class TeamRoleList(Output):
    """All roles."""

    roles: list[TeamRole]


class PermissionList(Output):
    """The words that roles are made of."""

    permissions: list[str]


class Membership(Output):
    """A team that a user is in, and their role there, by their keys."""

    team: str
    role: str


class User(Output):
    """Someone who works with Afterword, or a service account. `api_key` is shown once, when it was just made."""

    id: UUID
    name: str
    email: str
    kind: UserKind
    teams: list[Membership]
    created_at: datetime
    api_key: str | None = None


class NewMembership(Input):
    """A team, by key or id, and the role in it."""

    team: str
    role: str


class NewUser(Input):
    """A user to create. A system user without an address is given one."""

    name: str
    email: str | None = None
    kind: UserKind = "human"
    teams: list[NewMembership] = msgspec.field(default_factory=list)
    generate_api_key: bool = False


class NewMember(Input):
    """A user, by id or address, and their role in the team."""

    user: str
    role: str


class UserList(Output):
    """All users that were not deleted."""

    users: list[User]


class Share(Output):
    """A team that works in a project, and what its members may do there at most, by their keys."""

    team: str
    role: str
    is_owner: bool


class NewShare(Input):
    """A team, by key or id, the role of the share, and whether the team owns the project."""

    team: str
    role: str
    is_owner: bool = False


class NewShareList(Input):
    """With which teams a project is to be shared: these and no other."""

    shares: list[NewShare]


class ShareList(Output):
    """With which teams a project is shared."""

    shares: list[Share]
