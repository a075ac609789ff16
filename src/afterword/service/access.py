"""Who may: API keys, their roles, what a role allows, and what of the whole server a key may see.

A key stays within its projects. `allowed` restricts an actor to the projects in which they have a permission, and
refuses what belongs to the server as a whole (`administer_server`) to a key of some projects. What is of no single
project (models, metrics, teams, users, roles) is visible through the projects that it is used in: see `sees_model` and
the functions beside it. Faces and services ask these functions, and keep no rule of their own.
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
"""What each role may: read, list_models (whoever reads or calls: OpenAI's clients list models before they call one),
call (language models), write (log and rate), amend (change and delete the feedback that one gave, with edit also that
of others), judge (be given pairs to judge: read and write), edit (register, change, delete), share (a project with
teams), administer (a project, its keys, which models it may call), administer_server (create projects, register models,
make users, teams and roles: only with a key for all projects)."""

PERMISSIONS = ("read", "call", "write", "edit", "share", "administer", "administer_server")
"""What a session tells of itself."""

PROJECT_PERMISSIONS = PERMISSIONS[:-1]
"""What a key may in a project. The last one of all belongs to the whole server."""

TEAM_ROLE_PERMISSIONS = {
    "project:read": "read",
    "project:infer": "call",
    "project:log": "write",
    "project:edit": "edit",
    "project:share": "share",
    "admin:manage": "administer",
}
"""The words that the roles of teams are made of, and what each allows, as above. `admin:manage` counts in the team of
the administrators alone, and there it stands for the whole server, too."""

_GRANTED_BY_ANY_OF = {"list_models": ("read", "call"), "amend": ("write", "edit")}
"""What is allowed wherever one of these is."""
_GRANTED_BY_ALL_OF = {"judge": ("read", "write")}
"""What is allowed where all of these are."""

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
"""The roles of teams that every server has from its start."""

ADMINISTRATORS_TEAM = "admin"
"""The team whose members may in all projects what their role in it allows."""

ADMINISTRATOR_ACTOR = Actor(number=ADMINISTRATOR_NUMBER, name="administrator", role="admin", projects=None)


def new_key() -> str:
    """Make an API key: `aw_` and 32 random characters (190 bits)."""
    return "aw_" + "".join(secrets.choice(_ALPHABET) for _ in range(32))


_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789"


def digest(key: str) -> bytes:
    """Return the SHA-256 of a key: all that is kept of it."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def actor_of(state: AppState, key_digest: bytes, now: int) -> Actor:
    """Return who holds the API key of that SHA-256. Raises `Unauthorized`."""
    if key_digest == state.administrator_digest:
        return ADMINISTRATOR_ACTOR
    row = state.catalog.find_api_key(key_digest)
    if row is None:
        raise unauthorized("This API key is not known here.")
    return _actor_of_row(state.catalog, row, now)


def refreshed_actor(catalog: Catalog, actor: Actor, now: int) -> Actor:
    """Return an actor as their key is now. Raises `Unauthorized` where it has ended meanwhile."""
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
    """Return the error for a call without a good key."""
    return Unauthorized(message, code="invalid_api_key", hint=hint)


def get_permitted_context(state: AppState, actor: Actor, permission: str) -> Context:
    """Return the context of a call that needs a permission. Raises `Forbidden` as `get_permitted_actor` does."""
    return Context(state, get_permitted_actor(state.catalog, actor, permission))


def restricted_context(state: AppState, actor: Actor, permission: str) -> Context:
    """Return the context of an actor restricted as by `restricted_actor`."""
    return Context(state, restricted_actor(state.catalog, actor, permission))


def get_permitted_actor(catalog: Catalog, actor: Actor, permission: str) -> Actor:
    """Return the actor restricted to the projects in which they have a permission.

    Raises `Forbidden` where they have it in none, and where a key of some projects asks for what belongs to the server.
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
    """Return the actor restricted to the projects in which they have a permission: none where they have it in none."""
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
    # Keys, models and people are of all projects: to administer them takes the team of the administrators.
    is_of_administrators = permission in ("administer", "administer_server")
    return replace(actor, projects=frozenset() if is_of_administrators else projects)


def has_permission(catalog: Catalog, actor: Actor, permission: str, project: int | None = None) -> bool:
    """Tell whether an actor has a permission in a project, or without one in any."""
    projects = restricted_actor(catalog, actor, permission).projects
    if permission == "administer_server":
        return projects is None
    return projects is None or (bool(projects) if project is None else project in projects)


def has_permission_in(context: Context, permission: str, project: str) -> bool:
    """Tell whether the actor has a permission in the project of that key or id."""
    row = context.find_project(project)
    return row is not None and has_permission(context.catalog, context.actor, permission, row.number)


def permissions_in(catalog: Catalog, actor: Actor, projects: Collection[int]) -> dict[int, list[str]]:
    """Return what an actor may in each of these projects, in the order of `PROJECT_PERMISSIONS`."""
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
    """Tell whether the key that gave a feedback is the actor's, or another key of the same user."""
    if giver == actor.number:
        return True
    row = catalog.api_keys.get(giver)
    return actor.user is not None and row is not None and row.user == actor.user


def check_amends(context: Context, project: int, giver: int, *, noun: str, param: str) -> None:
    """Raise `Forbidden` unless the actor gave it, or may edit in the project. `what` names it, such as a feedback."""
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
    """Raise `Forbidden` for a key of some projects; `why` says what it may not, in a few words."""
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


# ------------------------------------------------------------------------------------------------ what is of no project


def sees_model(catalog: Catalog, actor: Actor, model: int) -> bool:
    """Tell whether a model is attached to a project that the actor sees."""
    project_numbers = (row.project for row in list(catalog.project_models.values()) if row.model == model)
    return actor.projects is None or any(map(actor.sees, project_numbers))


def sees_metric(catalog: Catalog, actor: Actor, metric: MetricRow) -> bool:
    """Tell whether a metric belongs or is linked to a project that the actor sees."""
    return actor.projects is None or any(map(actor.sees, catalog.projects_of(metric)))


def visible_teams(catalog: Catalog, actor: Actor) -> set[int]:
    """Return the teams that an actor sees: those that share their projects, and a user's own; or all."""
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
    """Return the roles that an actor sees: the first ones, and those that the teams that they see stand in; or all."""
    people = catalog.people
    if actor.projects is None:
        return set(people.roles)
    teams = visible_teams(catalog, actor)
    share_roles = {share.role for share in people.shares.values() if actor.sees(share.project)}
    membership_roles = {member.role for member in people.members.values() if member.team in teams}
    return share_roles | membership_roles | {row.number for row in people.roles.values() if row.key in BUILT_IN_ROLES}


# ------------------------------------------------------------------------------------------------ keys


async def create_key(context: Context, *, body: NewApiKey) -> CreatedApiKey:
    """Create an API key. It is shown this once and kept as a hash only.

    A key that is itself for some projects makes keys for these alone, and for all of them where none are named.
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
    """List the API keys, revoked ones too; the keys themselves are not shown.

    A key that is for some projects sees those that are for none but these.
    """
    rows = sorted(_administered_keys(context), key=lambda row: row.number, reverse=True)
    uses = await context.state.key_uses.read()
    return ApiKeyList(keys=[serialized_key(context, row, uses.get(row.number)) for row in rows])


async def revoke_key(context: Context, key_id: str) -> ApiKey:
    """Revoke an API key, at once and for good."""
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
    """Return the keys that the actor may see and revoke: those that may no more than its own."""
    own_projects = context.actor.projects
    rows = context.catalog.api_keys.values()
    return [row for row in rows if own_projects is None or (row.projects is not None and row.projects <= own_projects)]


def serialized_key(context: Context, row: ApiKeyRow, last_used_at: int | None = None) -> ApiKey:
    """Return an API key as the wire shows it. `last_used_at` is in milliseconds since 1970."""
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
