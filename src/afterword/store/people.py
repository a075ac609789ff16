"""Users, teams, roles and shares of projects, held in memory beside the catalog."""

from __future__ import annotations

from typing import Any, TypeAlias, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Table, select

from afterword.errors import Conflict
from afterword.store.engine import Transaction
from afterword.store.schema import project_shares, roles, team_members, teams, users


class UserRow(msgspec.Struct, frozen=True):
    """A row of `users`."""

    number: int
    id: UUID
    email: str
    name: str
    is_system: bool
    created_at: int
    deleted_at: int | None


class TeamRow(msgspec.Struct, frozen=True):
    """A row of `teams`."""

    number: int
    id: UUID
    key: str
    name: str
    created_at: int


class RoleRow(msgspec.Struct, frozen=True):
    """A row of `roles`; `permissions` are words such as project:read."""

    number: int
    id: UUID
    key: str
    name: str
    permissions: frozenset[str]
    created_at: int


NamedRow = TypeVar("NamedRow", UserRow, TeamRow, RoleRow)


class MemberRow(msgspec.Struct, frozen=True):
    """A row of `team_members`, by numbers."""

    team: int
    user: int
    role: int


class ShareRow(msgspec.Struct, frozen=True):
    """A row of `project_shares`, by numbers."""

    project: int
    team: int
    role: int
    is_owner: bool


Numbered: TypeAlias = UserRow | TeamRow | RoleRow
TABLES: dict[type, Table] = {
    UserRow: users, TeamRow: teams, RoleRow: roles, MemberRow: team_members, ShareRow: project_shares,
}  # fmt: skip


class People:
    """The rows of the tables of people, by number."""

    def __init__(self) -> None:
        self.users: dict[int, UserRow] = {}
        self.teams: dict[int, TeamRow] = {}
        self.roles: dict[int, RoleRow] = {}
        self.members: dict[tuple[int, int], MemberRow] = {}
        self.shares: dict[tuple[int, int], ShareRow] = {}
        self.changes = 0
        """The number of rows that `keep` and `drop` have changed."""

    @classmethod
    def load(cls, connection: Connection) -> People:
        """Read the tables."""
        people = cls()
        for kind, table in TABLES.items():
            for row in connection.execute(select(table)):
                people.keep(_row(kind, row))
        return people

    def keep(self, row: Numbered | MemberRow | ShareRow) -> None:
        """Keep a committed row in memory."""
        self.changes += 1
        match row:
            case UserRow():
                self.users[row.number] = row
            case TeamRow():
                self.teams[row.number] = row
            case RoleRow():
                self.roles[row.number] = row
            case MemberRow():
                self.members[row.team, row.user] = row
            case ShareRow():
                self.shares[row.project, row.team] = row

    def drop(self, row: MemberRow | ShareRow) -> None:
        """Remove a row that was deleted."""
        self.changes += 1
        if isinstance(row, MemberRow):
            self.members.pop((row.team, row.user), None)
        else:
            self.shares.pop((row.project, row.team), None)

    def find_user(self, id_or_email: str) -> UserRow | None:
        """Return the user of that id or address, unless they were deleted."""
        active_users = (row for row in self.users.values() if row.deleted_at is None)
        return next((row for row in active_users if id_or_email in (str(row.id), row.email)), None)

    def find_team(self, id_or_key: str) -> TeamRow | None:
        """Return the team of that id or key."""
        return next((row for row in self.teams.values() if id_or_key in (str(row.id), row.key)), None)

    def find_role(self, id_or_key: str) -> RoleRow | None:
        """Return the role of that id or key."""
        return next((row for row in self.roles.values() if id_or_key in (str(row.id), row.key)), None)

    def memberships(self, user: int) -> list[MemberRow]:
        """Return the team memberships of a user."""
        return [row for row in self.members.values() if row.user == user]

    def shares_of(self, project: int) -> list[ShareRow]:
        """Return the shares of a project, by team."""
        return sorted((row for row in self.shares.values() if row.project == project), key=lambda row: row.team)


# ------------------------------------------------------------------------------------------------ units of work


def add_person(transaction: Transaction, row: NamedRow) -> NamedRow:
    """Insert a user, a team or a role. Raises `Conflict` if its key or e-mail address exists."""
    transaction.lock_catalog()
    table = TABLES[type(row)]
    name = "email" if isinstance(row, UserRow) else "key"
    same = [table.c[name] == getattr(row, name)]
    if isinstance(row, UserRow):
        same.append(users.c.deleted_at.is_(None))
    if transaction.connection.execute(select(table.c.number).where(*same)).first():
        raise Conflict(
            f"{getattr(row, name)!r} is taken: there is one of that {name} already.",
            code=f"{name}_taken",
            param=name,
            hint=f"Choose another {name}.",
        )
    result = transaction.connection.execute(table.insert().values(**_values(row)))
    return msgspec.structs.replace(row, number=result.inserted_primary_key[0])  # pyright: ignore


def delete_user(transaction: Transaction, number: int, deleted_at: int) -> UserRow | None:
    """Mark a user as deleted; return the row, or None if it was deleted already."""
    condition = users.c.number == number
    deleted = users.update().where(condition, users.c.deleted_at.is_(None)).values(deleted_at=deleted_at)
    if not transaction.connection.execute(deleted).rowcount:
        return None
    return UserRow(**transaction.connection.execute(select(users).where(condition)).one()._mapping)


def put_member(transaction: Transaction, row: MemberRow) -> MemberRow:
    """Add a user to a team in a role, or change the role."""
    transaction.lock_catalog()
    drop_member(transaction, row)
    transaction.connection.execute(team_members.insert().values(**_values(row)))
    return row


def drop_member(transaction: Transaction, row: MemberRow) -> bool:
    """Remove a user from a team; return whether they were a member."""
    condition = (team_members.c.team == row.team, team_members.c.user == row.user)
    return transaction.connection.execute(team_members.delete().where(*condition)).rowcount > 0


def put_shares(transaction: Transaction, project: int, rows: list[ShareRow]) -> None:
    """Share a project with these teams and no other."""
    transaction.lock_catalog()
    transaction.connection.execute(project_shares.delete().where(project_shares.c.project == project))
    if rows:
        transaction.connection.execute(project_shares.insert(), [_values(row) for row in rows])


def _values(row: Any) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in row.__struct_fields__ if name != "number"}
    if isinstance(row, RoleRow):
        values["permissions"] = msgspec.json.encode(sorted(row.permissions)).decode()
    return values


def _row(kind: type, row: Any) -> Any:
    values = dict(row._mapping)
    if kind is RoleRow:
        values["permissions"] = frozenset(msgspec.json.decode(values["permissions"]))
    return kind(**values)
