"""Users, teams and roles, and the teams that projects are shared with."""

from __future__ import annotations

from typing import Any

from graphql import GraphQLResolveInfo

from afterword.service import access, projects
from afterword.service.context import Context
from afterword.service.people import people
from afterword.types import (
    NewApiKey,
    NewMember,
    NewMembership,
    NewShare,
    NewShareList,
    NewTeam,
    NewTeamRole,
    NewUser,
    Project,
    Share,
    TeamRole,
    User,
)


async def me(context: Context) -> User:
    """Return the user that the key belongs to."""
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
    """Return the permissions that a role can have."""
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
            teams=[NewMembership(**membership) for membership in input["teams"]],
            generate_api_key=input.get("generateApiKey", False),
        ),
    )


async def delete_user(context: Context, user: str) -> User:
    """Delete a user; return the deleted user."""
    deleted_user = people.get_user(context, user)
    await people.delete_user(context, user)
    return deleted_user


async def set_team_member(context: Context, input: dict[str, Any]) -> dict[str, Any]:
    """Put a user into a team."""
    user = await people.put_member(context, input["team"], body=NewMember(user=input["user"], role=input["role"]))
    return {"user": user, **_membership(context, input["team"], input["role"])}


async def remove_team_member(context: Context, input: dict[str, Any]) -> User:
    """Take a user out of a team."""
    await people.remove_member(context, input["team"], input["user"])
    return people.get_user(context, input["user"])


async def create_api_key(context: Context, input: dict[str, Any]) -> dict[str, Any]:
    """Create a key for a user. Their existing keys stay valid."""
    user = people.get_user(context, input["user"])
    created_key = await access.create_key(context, body=NewApiKey(name=user.name[:200], user=str(user.id)))
    return {"key": created_key.api_key, "created_at": created_key.created_at}


async def share_project(context: Context, id_or_key: str, input: dict[str, Any]) -> Project:
    """Share a project with these teams and no others."""
    shares = [
        NewShare(team=team_share["team"], role=team_share["role"], is_owner=team_share["isOwner"])
        for team_share in input["shares"]
    ]
    await people.share(context, id_or_key, body=NewShareList(shares=shares))
    return await projects.get_project(context, id_or_key)


# ------------------------------------------------------------------------------------------------ members


def _membership(context: Context, team: str, role: str) -> dict[str, Any]:
    team_struct, role_struct = people.team_and_role(context, team, role)
    return {"team": team_struct, "role": role_struct}


def _teams(user: User, info: GraphQLResolveInfo) -> list[dict[str, Any]]:
    return [_membership(info.context.read_context, membership.team, membership.role) for membership in user.teams]


def _api_keys(user: User, info: GraphQLResolveInfo) -> list[dict[str, Any]]:
    return [
        {"key": f"{api_key.prefix}...", "created_at": api_key.created_at}
        for api_key in people.keys_of(info.context.read_context, user)
    ]


async def _shares(project: Project, info: GraphQLResolveInfo) -> list[dict[str, Any]]:
    shares: list[Share] = (await people.list_shares(info.context.read_context, project.key)).shares
    return [
        {**_membership(info.context.read_context, team_share.team, team_share.role), "is_owner": team_share.is_owner}
        for team_share in shares
    ]


def _permissions(project: Project, info: GraphQLResolveInfo) -> list[str]:
    return people.permissions_in(info.context.actor_context, project.key)


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
    "User": {
        "teams": _teams,
        "apiKeys": _api_keys,
        "userType": lambda user, info: user.kind,
        "deleted": lambda user, info: False,
        "user": lambda user, info: user,
        "generatedApiKey": lambda user, info: user.api_key,
    },
}
