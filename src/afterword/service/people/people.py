"""Users, teams and roles, and the teams that a project is shared with.

In a project that is shared with a team, a member's keys have the permissions that both the role of the share and the
member's role in the team grant. Members of the team `admin` have the permissions of their role there in all projects.
"""

from __future__ import annotations

import re
from typing import NoReturn
from uuid import UUID, uuid5

import msgspec

from afterword.errors import Conflict, Invalid, NotFound
from afterword.ids import uuid7
from afterword.service.access import (
    ADMINISTRATORS_TEAM,
    TEAM_ROLE_PERMISSIONS,
    digest,
    has_permission,
    has_permission_in,
    new_key,
    serialized_key,
    visible_roles,
    visible_teams,
    visible_users,
)
from afterword.service.context import ADMINISTRATOR_NUMBER, Context
from afterword.service.timestamps import to_datetime
from afterword.service.validation import check_key, check_text
from afterword.store import people as stored
from afterword.store.catalog import ApiKeyRow, add_api_key
from afterword.store.engine import Transaction
from afterword.store.people import MemberRow, RoleRow, ShareRow, TeamRow, UserRow
from afterword.types import (
    ApiKey,
    Deleted,
    Membership,
    NewMember,
    NewMembership,
    NewShareList,
    NewTeam,
    NewTeamRole,
    NewUser,
    PermissionList,
    Share,
    ShareList,
    Team,
    TeamList,
    TeamRole,
    TeamRoleList,
    User,
    UserList,
)

KEY_HOLDER_NAMESPACE = UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
"""The namespace of the id under which the holder of a key without a row is shown as a user."""


# ------------------------------------------------------------------------------------------------ teams and roles


async def create_team(context: Context, *, body: NewTeam) -> Team:
    """Create a team."""
    name = check_text(body.name, param="name", max_length=1000, min_length=1)
    row = TeamRow(number=0, id=uuid7(), key=_team_or_role_key(body.key, name), name=name, created_at=context.now())
    return _serialized_team(await _add_row(context, row))


async def list_teams(context: Context) -> TeamList:
    """List the teams. A key bound to projects sees the teams that these are shared with; a user also sees their own."""
    visible_numbers = visible_teams(context.catalog, context.actor)
    return TeamList(
        teams=[_serialized_team(row) for row in context.catalog.people.teams.values() if row.number in visible_numbers]
    )


async def create_role(context: Context, *, body: NewTeamRole) -> TeamRole:
    """Create a role: a set of permissions under a name."""
    name = check_text(body.name, param="name", max_length=1000, min_length=1)
    words = frozenset(_checked_permission(word) for word in body.permissions)
    key = _team_or_role_key(body.key, name)
    row = RoleRow(number=0, id=uuid7(), key=key, name=name, permissions=words, created_at=context.now())
    return _serialized_role(await _add_row(context, row))


async def list_roles(context: Context) -> TeamRoleList:
    """List the roles. A key bound to projects sees the built-in ones, and those used in its projects and teams."""
    visible_numbers = visible_roles(context.catalog, context.actor)
    return TeamRoleList(
        roles=[_serialized_role(row) for row in context.catalog.people.roles.values() if row.number in visible_numbers]
    )


async def list_permissions(context: Context) -> PermissionList:
    """List the permissions that a role can have."""
    return PermissionList(permissions=sorted(TEAM_ROLE_PERMISSIONS))


def _checked_permission(word: str) -> str:
    permission = re.sub(r"^use_case:", "project:", word)
    if permission not in TEAM_ROLE_PERMISSIONS:
        raise Invalid(
            f"{word[:80]!r} is no permission.",
            code="unknown_permission",
            param="permissions",
            hint=f"Known are {', '.join(sorted(TEAM_ROLE_PERMISSIONS))}.",
        )
    return permission


def _team_or_role_key(key: str | None, name: str) -> str:
    return check_key(key or re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-") or name)


async def _add_row(context: Context, row: stored.NamedRow) -> stored.NamedRow:
    row = await context.store.write(lambda transaction: stored.add_person(transaction, row))
    context.catalog.people.keep(row)
    return row


# ------------------------------------------------------------------------------------------------ users


async def create_user(context: Context, *, body: NewUser) -> User:
    """Create a user in these teams. With `generate_api_key` the answer has their key; only this answer shows it."""
    name = check_text(body.name, param="name", max_length=1000, min_length=1)
    if body.email is None and body.kind == "human":
        raise Invalid(
            "email is missing.", code="missing_field", param="email", hint="Give an address; system users need none."
        )
    address = body.email or f"{re.sub(r'[^a-z0-9_-]+', '-', name.lower())}@system.afterword.local"
    if not re.fullmatch(r"[^@\s]{1,64}@[^@\s]{1,255}", address):
        raise Invalid(
            f"email is {address[:80]!r}, which is no address.", code="invalid_email", param="email", hint="Give one."
        )
    memberships = [_membership(context, membership) for membership in body.teams]
    now = context.now()
    user = UserRow(
        number=0,
        id=uuid7(),
        email=address,
        name=name,
        is_system=body.kind == "system",
        created_at=now,
        deleted_at=None,
    )
    key = new_key() if body.generate_api_key else None

    def write(transaction: Transaction) -> tuple[UserRow, list[MemberRow], ApiKeyRow | None]:
        row = stored.add_person(transaction, user)
        members = [
            stored.put_member(transaction, MemberRow(team.number, row.number, role.number))
            for team, role in memberships
        ]
        return row, members, add_api_key(transaction, _key_row(row, key, now, context.actor.number)) if key else None

    row, members, key_row = await context.store.write(write)
    for person_row in (row, *members):
        context.catalog.people.keep(person_row)
    if key_row is not None:
        context.catalog.keep(key_row)
    return msgspec.structs.replace(_serialized_user(context, row), api_key=key)


def _key_row(user: UserRow, key: str, now: int, created_by: int) -> ApiKeyRow:
    return ApiKeyRow(
        number=0,
        id=uuid7(),
        name=user.name[:200],
        prefix=key[:8],
        hash=digest(key),
        role="member",
        projects=None,
        created_at=now,
        expires_at=None,
        revoked_at=None,
        user=user.number,
        created_by=created_by,
    )


async def list_users(context: Context) -> UserList:
    """List the users. A key bound to projects sees the members of the teams that these are shared with."""
    visible_numbers = visible_users(context.catalog, context.actor)
    rows = (
        row for row in context.catalog.people.users.values() if row.deleted_at is None and row.number in visible_numbers
    )
    return UserList(users=[_serialized_user(context, row) for row in rows])


async def me(context: Context) -> User:
    """Show the user of the key. A key without a user is shown as a user with the key's name."""
    actor = context.actor
    if actor.user is not None:
        return _serialized_user(context, context.catalog.people.users[actor.user])
    row = context.catalog.api_keys.get(actor.number)
    return User(
        id=uuid5(KEY_HOLDER_NAMESPACE, str(ADMINISTRATOR_NUMBER)) if row is None else row.id,
        name=actor.name,
        email=f"{re.sub(r'[^a-z0-9_-]+', '-', actor.name.lower())}@system.afterword.local",
        kind="system",
        teams=[Membership(team=ADMINISTRATORS_TEAM, role="admin")] if actor.role == "admin" else [],
        created_at=to_datetime(0 if row is None else row.created_at),
    )


async def delete_user(context: Context, user: str) -> Deleted:
    """Delete a user: their keys stop working at once. Their feedback stays under their name."""
    row = get_user_row(context, user)
    number, now = row.number, context.now()
    changed_row = await context.store.write(lambda transaction: stored.delete_user(transaction, number, now))
    context.catalog.people.keep(changed_row or _raise_not_found("user", user))
    return Deleted()


async def put_member(context: Context, team: str, *, body: NewMember) -> User:
    """Add a user to a team, or change their role there."""
    user = get_user_row(context, body.user)
    team_row, role = _membership(context, NewMembership(team=team, role=body.role))
    member = MemberRow(team_row.number, user.number, role.number)
    member_row = await context.store.write(lambda transaction: stored.put_member(transaction, member))
    context.catalog.people.keep(member_row)
    return _serialized_user(context, user)


async def remove_member(context: Context, team: str, user: str) -> Deleted:
    """Remove a user from a team. Their permissions through it end at once."""
    people = context.catalog.people
    row = get_user_row(context, user)
    team_row = people.find_team(team) or _raise_not_found("team", team)
    member = people.members.get((team_row.number, row.number))
    is_dropped = member and await context.store.write(lambda transaction: stored.drop_member(transaction, member))
    if not member or not is_dropped:
        raise Conflict(
            f"The user {row.email!r} is not in the team {team_row.key!r}.",
            code="no_member",
            param="user",
            hint="GET /api/v1/users shows who is in which teams.",
        )
    people.drop(member)
    return Deleted()


# ------------------------------------------------------------------------------------------------ shares


async def list_shares(context: Context, project: str) -> ShareList:
    """List the teams that a project is shared with."""
    people = context.catalog.people
    rows = people.shares_of(context.project(project).number)
    return ShareList(
        shares=[
            Share(team=people.teams[row.team].key, role=people.roles[row.role].key, is_owner=bool(row.is_owner))
            for row in rows
        ]
    )


async def share(context: Context, project: str, *, body: NewShareList) -> ShareList:
    """Share a project with these teams, and with no other.

    Users need `project:share` in the project. A key bound to projects can name only the teams that `GET /teams` shows
    it.
    """
    project_row = context.project(project, writing=True)
    rows: dict[int, ShareRow] = {}
    for new_share in body.shares:
        team, role = _membership(context, NewMembership(team=new_share.team, role=new_share.role))
        rows[team.number] = ShareRow(project_row.number, team.number, role.number, new_share.is_owner)
    await context.store.write(
        lambda transaction: stored.put_shares(transaction, project_row.number, list(rows.values()))
    )
    people = context.catalog.people
    for row in people.shares_of(project_row.number):
        people.drop(row)
    for row in rows.values():
        people.keep(row)
    return await list_shares(context, project)


def permissions_in(context: Context, project: str) -> list[str]:
    """Return the actor's permissions in a project, by the names that roles use."""
    return sorted(
        word for word, permission in TEAM_ROLE_PERMISSIONS.items() if has_permission_in(context, permission, project)
    )


# ------------------------------------------------------------------------------------------------ lookups


def _membership(context: Context, membership: NewMembership) -> tuple[TeamRow, RoleRow]:
    team, role = get_team_row(context, membership.team), context.catalog.people.find_role(membership.role)
    if role is None or role.number not in visible_roles(context.catalog, context.actor):
        return _raise_not_found("role", membership.role)
    return team, role


def get_user_row(context: Context, id_or_email: str) -> UserRow:
    """Return a user by id or address. Raises `NotFound`."""
    return context.catalog.people.find_user(id_or_email) or _raise_not_found("user", id_or_email)


def get_user(context: Context, id_or_email: str) -> User:
    """Return a user as the API shows them. Raises `NotFound`."""
    return _serialized_user(context, get_user_row(context, id_or_email))


def team_and_role(context: Context, team: str, role: str) -> tuple[Team, TeamRole]:
    """Return the team and the role of a membership or share, by key or id. Raises `NotFound`."""
    people = context.catalog.people
    team_row, role_row = people.find_team(team), people.find_role(role)
    return (
        _serialized_team(team_row or _raise_not_found("team", team)),
        _serialized_role(role_row or _raise_not_found("role", role)),
    )


def keys_of(context: Context, user: User) -> list[ApiKey]:
    """Return the valid keys of a user, for administrators of the server and the user themselves: others see none."""
    row = context.catalog.people.find_user(str(user.id))
    if row is None or not (
        row.number == context.actor.user or has_permission(context.catalog, context.actor, "administer_server")
    ):
        return []
    keys = context.catalog.api_keys.values()
    return [serialized_key(context, key) for key in keys if key.user == row.number and key.revoked_at is None]


def get_team_row(context: Context, id_or_key: str) -> TeamRow:
    """Return a team that the key may see, by id or key. Raises `NotFound`."""
    row = context.catalog.people.find_team(id_or_key)
    if row is None or row.number not in visible_teams(context.catalog, context.actor):
        return _raise_not_found("team", id_or_key)
    return row


def _raise_not_found(noun: str, name: str) -> NoReturn:
    raise NotFound(
        f"{name[:200]!r} does not exist, or this key may not see it.",
        noun=noun,
        code=f"{noun}_not_found",
        param=noun,
        hint=f"List them with GET /api/v1/{noun}s.",
    )


def _serialized_team(row: TeamRow) -> Team:
    return Team(id=row.id, key=row.key, name=row.name, created_at=to_datetime(row.created_at))


def _serialized_role(row: RoleRow) -> TeamRole:
    words = sorted(row.permissions)
    return TeamRole(id=row.id, key=row.key, name=row.name, permissions=words, created_at=to_datetime(row.created_at))


def _serialized_user(context: Context, row: UserRow) -> User:
    people, visible_numbers = context.catalog.people, visible_teams(context.catalog, context.actor)
    return User(
        id=row.id,
        name=row.name,
        email=row.email,
        kind="system" if row.is_system else "human",
        teams=[
            Membership(team=people.teams[member.team].key, role=people.roles[member.role].key)
            for member in people.memberships(row.number)
            if member.team in visible_numbers
        ],
        created_at=to_datetime(row.created_at),
    )
