"""Users, teams and roles, and the teams that projects are shared with."""

from __future__ import annotations

from typing import Any

from graphql import GraphQLResolveInfo

from afterword.service import access, people
from afterword.service.context import Context, ProjectRow
from afterword.types import (
    NewApiKey,
    NewMember,
    NewMembership,
    NewShare,
    NewShareList,
    NewTeam,
    NewTeamRole,
    NewUser,
    Share,
    TeamRole,
    User,
)


async def me(context: Context) -> User:
    """Return the user whose key this is."""
    return await people.me(context)


async def users(context: Context) -> list[User]:
    """Return the users."""
    return (await people.list_users(context)).users


async def teams(context: Context) -> list[Any]:
    """Return the teams."""
    return (await people.list_teams(context)).teams


async def roles(context: Context) -> list[TeamRole]:
    """Return the roles."""
    return (await people.list_roles(context)).roles


async def permissions(context: Context) -> list[str]:
    """Return the words that roles are made of."""
    return (await people.list_permissions(context)).permissions


async def create_team(context: Context, input: dict[str, Any]) -> Any:
    """Create a team."""
    return await people.create_team(context, body=NewTeam(**input))


async def create_role(context: Context, input: dict[str, Any]) -> TeamRole:
    """Create a role."""
    return await people.create_role(context, body=NewTeamRole(**input))


async def create_user(context: Context, input: dict[str, Any]) -> User:
    """Create a user."""
    return await people.create_user(
        context,
        body=NewUser(
            name=input["name"],
            email=input.get("email"),
            kind=input["userType"],
            teams=[NewMembership(**one) for one in input["teams"]],
            generate_api_key=input.get("generateApiKey", False),
        ),
    )


async def delete_user(context: Context, user: str) -> User:
    """Delete a user; return who he was."""
    was = people.shown_user(context, user)
    await people.delete_user(context, user)
    return was


async def set_team_member(context: Context, input: dict[str, Any]) -> dict[str, Any]:
    """Put a user into a team."""
    user = await people.put_member(context, input["team"], body=NewMember(user=input["user"], role=input["role"]))
    return {"user": user, **_membership(context, input["team"], input["role"])}


async def remove_team_member(context: Context, input: dict[str, Any]) -> User:
    """Take a user out of a team."""
    await people.remove_member(context, input["team"], input["user"])
    return people.shown_user(context, input["user"])


async def create_api_key(context: Context, input: dict[str, Any]) -> dict[str, Any]:
    """Make a key for a user. Those that he has go on working."""
    user = people.found_user(context, input["user"])
    made = await access.create_key(context, body=NewApiKey(name=user.name[:200], user=str(user.id)))
    return {"key": made.api_key, "created_at": made.created_at}


async def share_project(context: Context, id_or_key: str, input: dict[str, Any]) -> ProjectRow:
    """Share a project with these teams and no other."""
    shares = [NewShare(team=one["team"], role=one["role"], is_owner=one["isOwner"]) for one in input["shares"]]
    await people.share(context, id_or_key, body=NewShareList(shares=shares))
    return context.project(id_or_key)


# ------------------------------------------------------------------------------------------------ members


def _membership(context: Context, team: str, role: str) -> dict[str, Any]:
    its = context.catalog.people
    return {"team": its.find_team(team), "role": its.find_role(role)}


def _teams(user: User, info: GraphQLResolveInfo) -> list[dict[str, Any]]:
    return [_membership(info.context.reading, one.team, one.role) for one in user.teams]


def _api_keys(user: User, info: GraphQLResolveInfo) -> list[dict[str, Any]]:
    return [
        {"key": f"{row.prefix}...", "created_at": row.created_at} for row in people.keys_of(info.context.reading, user)
    ]


async def _shares(row: ProjectRow, info: GraphQLResolveInfo) -> list[dict[str, Any]]:
    found: list[Share] = (await people.list_shares(info.context.reading, row.key)).shares
    return [{**_membership(info.context.reading, one.team, one.role), "is_owner": one.is_owner} for one in found]


def _permissions(row: ProjectRow, info: GraphQLResolveInfo) -> list[str]:
    return people.permissions_in(info.context.asking, row.number)


QUERY = {
    "me": ("read", me),
    "users": ("read", users),
    "teams": ("read", teams),
    "roles": ("read", roles),
    "permissions": ("read", permissions),
}

MUTATION = {
    "createTeam": ("administer_server", create_team),
    "createRole": ("administer_server", create_role),
    "createUser": ("administer_server", create_user),
    "deleteUser": ("administer_server", delete_user),
    "setTeamMember": ("administer_server", set_team_member),
    "removeTeamMember": ("administer_server", remove_team_member),
    "createApiKey": ("administer_server", create_api_key),
    "shareProject": ("share", share_project),
    "shareUseCase": ("share", share_project),
}

_PROJECT: dict[str, Any] = {"shares": _shares, "permissions": _permissions}

MEMBERS: dict[str, dict[str, Any]] = {
    "Project": _PROJECT,
    "UseCase": _PROJECT,
    "Role": {"permissions": lambda row, info: sorted(row.permissions)},
    "User": {
        "teams": _teams,
        "apiKeys": _api_keys,
        "userType": lambda user, info: user.kind,
        "deleted": lambda user, info: False,
        "user": lambda user, info: user,
        "generatedApiKey": lambda user, info: user.api_key,
    },
}
