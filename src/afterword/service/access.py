"""Authorization: API keys, roles, permissions, and which server-wide objects a key may see.

A key stays within its projects. `restricted_actor` restricts an actor to the projects in which they have a permission.
`get_permitted_actor` also refuses server-wide operations (`administer_server`) to a key bound to projects. Models,
metrics, teams, users and roles belong to no single project. They are visible through the projects that use them: see
`sees_model` and the functions beside it. Routes and services call these functions and contain no rules of their own.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

import msgspec

from afterword.errors import Forbidden, Invalid, NotFound, Unauthorized
from afterword.ids import uuid7
from afterword.service.context import ADMINISTRATOR_NUMBER, Actor, AppState, Context, parse_id
from afterword.service.timestamps import parse_timestamp, to_datetime
from afterword.service.validation import check_text
from afterword.store.catalog import ApiKeyRow, Catalog, MetricRow, add_api_key, revoke_api_key
from afterword.types import ApiKey, ApiKeyList, CreatedApiKey, NewApiKey, Role

PERMISSIONS_OF_ROLE: dict[Role, frozenset[str]] = {
    "admin": frozenset(
        {"read", "list_models", "call", "write", "amend", "judge", "edit", "share", "administer", "administer_server"}
    ),
    "member": frozenset({"read", "list_models", "call", "write", "amend", "judge", "edit"}),
    "inference": frozenset({"list_models", "call", "write", "amend"}),
    "ingest": frozenset({"write", "amend"}),
    "viewer": frozenset({"read", "list_models"}),
}
"""The permissions of each role. OpenAI's clients list models before they call one, so list_models comes with both read
and call. call: call language models. write: log and rate. amend: change and delete one's own feedback, with edit also
that of others. judge: be given pairs to judge, which takes read and write. edit: register, change, delete. share: share
a project with teams. administer: a project, its keys, and which models it may call. administer_server: create projects,
register models, create users, teams and roles; only with a key for all projects."""

PERMISSIONS = ("read", "call", "write", "edit", "share", "administer", "administer_server")
"""The permissions that a session reports."""

PROJECT_PERMISSIONS = PERMISSIONS[:-1]
"""The permissions within a project. The one left out is for the whole server."""

TEAM_ROLE_PERMISSIONS = {
    "project:read": "read",
    "project:infer": "call",
    "project:log": "write",
    "project:edit": "edit",
    "project:share": "share",
    "admin:manage": "administer",
}
"""The permissions of team roles, and the permission above that each grants. `admin:manage` has an effect only in the
administrators' team, where it also grants administer_server."""

_GRANTED_BY_ANY_OF = {"list_models": ("read", "call"), "amend": ("write", "edit")}
"""Permissions that are granted if any of these is."""
_GRANTED_BY_ALL_OF = {"judge": ("read", "write")}
"""Permissions that are granted if all of these are."""

_WORD_OF_PERMISSION = {permission: word for word, permission in TEAM_ROLE_PERMISSIONS.items()} | {
    "list_models": "project:infer",
    "amend": "project:log",
    "judge": "project:read and project:log",
    "administer_server": "admin:manage",
}

_SEND_KEY_HINT = (
    "Send a valid key as 'Authorization: Bearer KEY'. Administrators make keys with 'afterword keys create'."
)

BUILT_IN_ROLES = frozenset({"admin", "power_user", "annotator", "inference", "read-only"})
"""The team roles that every server starts with."""

ADMINISTRATORS_TEAM = "admin"
"""The team whose members have the permissions of their role in all projects."""

ADMINISTRATOR_ACTOR = Actor(number=ADMINISTRATOR_NUMBER, name="administrator", role="admin", projects=None)


def new_key() -> str:
    """Make an API key: `aw_` and 32 random characters (190 bits)."""
    return "aw_" + "".join(secrets.choice(_ALPHABET) for _ in range(32))


_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789"


def digest(key: str) -> bytes:
    """Return the SHA-256 of a key. Only this hash is stored."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def actor_of(state: AppState, key_digest: bytes, now: int) -> Actor:
    """Return the holder of the API key with this SHA-256. Raises `Unauthorized`."""
    if key_digest == state.administrator_digest:
        return ADMINISTRATOR_ACTOR
    row = state.catalog.find_api_key(key_digest)
    if row is None:
        raise unauthorized("This API key is not known here.")
    return _actor_of_row(state.catalog, row, now)


def refreshed_actor(catalog: Catalog, actor: Actor, now: int) -> Actor:
    """Return an actor with the current state of their key. Raises `Unauthorized` if the key or session has ended."""
    if actor.web_session is not None and actor.web_session.expires_at <= now:
        raise unauthorized("The session is over.", hint="Sign in anew.")
    return (
        actor if actor.number == ADMINISTRATOR_NUMBER else _actor_of_row(catalog, catalog.api_keys[actor.number], now)
    )


def _actor_of_row(catalog: Catalog, row: ApiKeyRow, now: int) -> Actor:
    if row.revoked_at is not None:
        raise unauthorized(f"The API key {row.prefix}... was revoked.")
    if row.expires_at is not None and row.expires_at <= now:
        raise unauthorized(f"The API key {row.prefix}... expired at {to_datetime(row.expires_at):%Y-%m-%d %H:%M} UTC.")
    if row.user is not None and catalog.people.users[row.user].deleted_at is not None:
        raise unauthorized(f"The user of the API key {row.prefix}... was deleted.")
    return Actor(number=row.number, name=row.name, role=row.role, projects=row.projects, user=row.user)


def unauthorized(message: str, hint: str = _SEND_KEY_HINT) -> Unauthorized:
    """Return the error for a call without a valid key."""
    return Unauthorized(message, code="invalid_api_key", hint=hint)


def get_permitted_context(state: AppState, actor: Actor, permission: str) -> Context:
    """Return the context of a call that needs a permission. Raises `Forbidden` as `get_permitted_actor` does."""
    return Context(state, get_permitted_actor(state.catalog, actor, permission))


def restricted_context(state: AppState, actor: Actor, permission: str) -> Context:
    """Return the context of an actor restricted as by `restricted_actor`."""
    return Context(state, restricted_actor(state.catalog, actor, permission))


def get_permitted_actor(catalog: Catalog, actor: Actor, permission: str) -> Actor:
    """Return the actor restricted to the projects in which they have a permission.

    Raises `Forbidden` if they have it in none, and for a server-wide operation with a key bound to projects.
    """
    restricted_actor_in_projects = restricted_actor(catalog, actor, permission)
    if restricted_actor_in_projects.projects is None or restricted_actor_in_projects.projects:
        if permission == "administer_server":
            check_for_all_projects(actor, "it may not change what belongs to the server")
        return restricted_actor_in_projects
    if actor.user is None:
        raise Forbidden(
            f"The API key {actor.name!r} has the role {actor.role}, which may not {_PERMISSION_PHRASES[permission]}.",
            code="role_not_allowed",
            hint=f"Use a key with the role {' or '.join(_roles_with(permission))}.",
        )
    raise Forbidden(
        f"The user {actor.name!r} may not {_PERMISSION_PHRASES[permission]}, in no project.",
        code="role_not_allowed",
        hint=f"It takes a role with {_WORD_OF_PERMISSION[permission]}, in a team that a project is shared with.",
    )


def _roles_with(permission: str) -> list[str]:
    return [role for role, permissions in PERMISSIONS_OF_ROLE.items() if permission in permissions]


def restricted_actor(catalog: Catalog, actor: Actor, permission: str) -> Actor:
    """Return the actor restricted to the projects in which they have a permission; these may be none."""
    if actor.user is None:
        return actor if permission in PERMISSIONS_OF_ROLE[actor.role] else replace(actor, projects=frozenset())
    if permission in _GRANTED_BY_ANY_OF or permission in _GRANTED_BY_ALL_OF:
        parts = _GRANTED_BY_ANY_OF.get(permission) or _GRANTED_BY_ALL_OF[permission]
        projects = [restricted_actor(catalog, actor, part).projects for part in parts]
        limited_project_sets = [numbers for numbers in projects if numbers is not None]
        if not limited_project_sets or (permission in _GRANTED_BY_ANY_OF and len(limited_project_sets) < len(projects)):
            return actor
        join = frozenset.union if permission in _GRANTED_BY_ANY_OF else frozenset.intersection
        return replace(actor, projects=join(*limited_project_sets))
    people, word = catalog.people, _WORD_OF_PERMISSION[permission]
    teams: set[int] = set()
    for member in people.memberships(actor.user):
        if word in people.roles[member.role].permissions:
            if people.teams[member.team].key == ADMINISTRATORS_TEAM:
                return actor
            teams.add(member.team)
    shares = (share for share in people.shares.values() if share.team in teams)
    projects = frozenset(share.project for share in shares if word in people.roles[share.role].permissions)
    # Keys, models and people belong to no single project: only the administrators' team may administer them.
    is_of_administrators = permission in ("administer", "administer_server")
    return replace(actor, projects=frozenset() if is_of_administrators else projects)


def has_permission(catalog: Catalog, actor: Actor, permission: str, project: int | None = None) -> bool:
    """Tell whether an actor has a permission in `project`, or in any project if that is None."""
    projects = restricted_actor(catalog, actor, permission).projects
    if permission == "administer_server":
        return projects is None
    return projects is None or (bool(projects) if project is None else project in projects)


def has_permission_in(context: Context, permission: str, project: str) -> bool:
    """Tell whether the actor has a permission in the project of that key or id."""
    row = context.find_project(project)
    return row is not None and has_permission(context.catalog, context.actor, permission, row.number)


def permissions_in(catalog: Catalog, actor: Actor, projects: Collection[int]) -> dict[int, list[str]]:
    """Return an actor's permissions in each of these projects, in the order of `PROJECT_PERMISSIONS`."""
    projects_of_permission = {
        permission: restricted_actor(catalog, actor, permission).projects for permission in PROJECT_PERMISSIONS
    }
    return {
        project: [
            permission
            for permission, visible_projects in projects_of_permission.items()
            if visible_projects is None or project in visible_projects
        ]
        for project in projects
    }


def is_own(catalog: Catalog, actor: Actor, giver: int) -> bool:
    """Tell whether the key `giver` is the actor's, or another key of the same user."""
    if giver == actor.number:
        return True
    row = catalog.api_keys.get(giver)
    return actor.user is not None and row is not None and row.user == actor.user


def check_amends(context: Context, project: int, giver: int, *, noun: str, param: str) -> None:
    """Raise `Forbidden` unless the actor is `giver` or may edit in the project. `noun` names what was given."""
    if is_own(context.catalog, context.actor, giver) or has_permission(context.catalog, context.actor, "edit", project):
        return
    raise Forbidden(
        f"The {noun} was given with another key, {context.actor_name(giver)!r}: {context.actor.name!r} may change and "
        "delete only what it gave itself.",
        code="given_by_another",
        param=param,
        hint=f"Ask whoever gave it, or someone with {_WORD_OF_PERMISSION['edit']}: keys of the roles admin and member.",
    )


def check_for_all_projects(actor: Actor, reason: str, *, param: str | None = None) -> None:
    """Raise `Forbidden` for a key bound to projects; `reason` says in a few words what it may not do."""
    if actor.projects is not None:
        raise Forbidden(
            f"The API key {actor.name!r} is for some projects only: {reason}.",
            code="key_of_some_projects",
            param=param,
            hint="Use a key that is for all projects.",
        )


_PERMISSION_PHRASES = {
    "read": "read",
    "list_models": "list models",
    "call": "call language models",
    "write": "log or rate",
    "amend": "change or delete feedback",
    "judge": "be given pairs to judge, which takes both reading and rating",
    "edit": "register, change or delete",
    "administer": "administer projects and keys",
    "administer_server": "administer projects and keys",
    "share": "share projects",
}


# ------------------------------------------------------------------------------------------------ server-wide objects


def sees_model(catalog: Catalog, actor: Actor, model: int) -> bool:
    """Tell whether a model is attached to a project that the actor sees."""
    project_numbers = (row.project for row in list(catalog.project_models.values()) if row.model == model)
    return actor.projects is None or any(map(actor.sees, project_numbers))


def sees_metric(catalog: Catalog, actor: Actor, metric: MetricRow) -> bool:
    """Tell whether a metric belongs or is linked to a project that the actor sees."""
    return actor.projects is None or any(map(actor.sees, catalog.projects_of(metric)))


def visible_teams(catalog: Catalog, actor: Actor) -> set[int]:
    """Return the teams that an actor sees: those that their projects are shared with, and a user's own; or all."""
    people = catalog.people
    if actor.projects is None:
        return set(people.teams)
    own_teams = set() if actor.user is None else {member.team for member in people.memberships(actor.user)}
    return own_teams | {share.team for share in people.shares.values() if actor.sees(share.project)}


def visible_users(catalog: Catalog, actor: Actor) -> set[int]:
    """Return the users that an actor sees: the members of the teams that they see, and themselves; or all."""
    people = catalog.people
    if actor.projects is None:
        return set(people.users)
    teams = visible_teams(catalog, actor)
    members = {member.user for member in people.members.values() if member.team in teams}
    return members if actor.user is None else members | {actor.user}


def visible_roles(catalog: Catalog, actor: Actor) -> set[int]:
    """Return the roles that an actor sees: the built-in ones, and those used in their teams and projects; or all."""
    people = catalog.people
    if actor.projects is None:
        return set(people.roles)
    teams = visible_teams(catalog, actor)
    share_roles = {share.role for share in people.shares.values() if actor.sees(share.project)}
    membership_roles = {member.role for member in people.members.values() if member.team in teams}
    return share_roles | membership_roles | {row.number for row in people.roles.values() if row.key in BUILT_IN_ROLES}


# ------------------------------------------------------------------------------------------------ keys


async def create_key(context: Context, *, body: NewApiKey) -> CreatedApiKey:
    """Create an API key. Only this response shows it: the server stores a hash.

    A key bound to projects creates keys for these projects only, and for all of them if `projects` is left out.
    """
    key = new_key()
    now = context.now()
    if body.projects is not None and not body.projects:
        raise Invalid(
            "projects is empty: the key could see nothing.",
            code="no_projects",
            param="projects",
            hint="Name at least one project, or leave projects out for all.",
        )
    projects = context.actor.projects
    if body.projects is not None:
        projects = frozenset(context.project(name).number for name in body.projects)
    user = None
    if body.user is not None:
        check_for_all_projects(context.actor, "it makes no keys for users, whose projects are those of their teams")
        user = context.catalog.people.find_user(body.user)
        if user is None or projects is not None:
            raise Invalid(
                f"user is {body.user[:80]!r}, which is no user."
                if user is None
                else "A user's key is for the projects of their teams; projects cannot be named as well.",
                code="invalid_user",
                param="user",
                hint="GET /api/v1/users lists them; leave projects and role out.",
            )
    expires_at = None if body.expires_at is None else parse_timestamp(body.expires_at, param="expires_at", now=now)
    if expires_at is not None and expires_at <= now:
        raise Invalid(
            f"expires_at is {body.expires_at!r}, which is past: the key would never work.",
            code="past_time",
            param="expires_at",
            hint="Give a time to come, such as 'now + 1 year', or leave it out for a key that does not expire.",
        )
    row = ApiKeyRow(
        number=0,
        id=uuid7(),
        name=check_text(body.name, param="name", max_length=200, min_length=1),
        prefix=key[:8],
        hash=digest(key),
        role=body.role,
        projects=projects,
        created_at=now,
        expires_at=expires_at,
        revoked_at=None,
        user=None if user is None else user.number,
        created_by=context.actor.number,
    )
    row = await context.store.write(lambda transaction: add_api_key(transaction, row))
    context.catalog.keep(row)
    return CreatedApiKey(api_key=key, **msgspec.structs.asdict(serialized_key(context, row)))


async def list_keys(context: Context) -> ApiKeyList:
    """List the API keys, including revoked ones; the keys themselves are not shown.

    A key bound to projects sees only the keys whose projects are all among its own.
    """
    rows = sorted(_administered_keys(context), key=lambda row: row.number, reverse=True)
    uses = await context.state.key_uses.read()
    return ApiKeyList(keys=[serialized_key(context, row, uses.get(row.number)) for row in rows])


async def revoke_key(context: Context, key_id: str) -> ApiKey:
    """Revoke an API key, with immediate and permanent effect."""
    key_uuid = parse_id(key_id, noun="key", param="key_id")
    row = next((row for row in _administered_keys(context) if row.id == key_uuid), None)
    if row is None:
        raise NotFound(
            f"{key_id} does not exist.",
            noun="key",
            code="key_not_found",
            param="key_id",
            hint="List the keys with GET /api/v1/keys.",
        )
    if row.revoked_at is None:
        number, now = row.number, context.now()
        row = await context.store.write(lambda transaction: revoke_api_key(transaction, number, now))
        context.catalog.keep(row)
    uses = await context.state.key_uses.read()
    return serialized_key(context, row, uses.get(row.number))


def _administered_keys(context: Context) -> list[ApiKeyRow]:
    """Return the keys that the actor may see and revoke: those whose projects are all among the actor's."""
    own_projects = context.actor.projects
    rows = context.catalog.api_keys.values()
    return [row for row in rows if own_projects is None or (row.projects is not None and row.projects <= own_projects)]


def serialized_key(context: Context, row: ApiKeyRow, last_used_at: int | None = None) -> ApiKey:
    """Return an API key as the API shows it. `last_used_at` is in milliseconds since 1970."""
    names = None if row.projects is None else sorted(context.catalog.projects[n].key for n in row.projects)
    permissions = None
    if row.user is not None:
        actor = Actor(number=row.number, name=row.name, role=row.role, projects=None, user=row.user)
        projects = {project_row.number: project_row.key for project_row in context.catalog.projects.values()}
        permissions_of_project = permissions_in(context.catalog, actor, projects)
        permissions = {projects[number]: words for number, words in permissions_of_project.items() if words}
    return ApiKey(
        id=row.id,
        name=row.name,
        prefix=row.prefix,
        role=row.role,
        projects=names,
        created_at=to_datetime(row.created_at),
        expires_at=_optional_datetime(row.expires_at),
        revoked_at=_optional_datetime(row.revoked_at),
        user=None if row.user is None else context.catalog.people.users[row.user].email,
        permissions=permissions,
        created_by=None if row.created_by is None else context.actor_name(row.created_by),
        last_used_at=_optional_datetime(last_used_at),
    )


def _optional_datetime(timestamp: int | None) -> datetime | None:
    return None if timestamp is None else to_datetime(timestamp)
