"""teams, linked metrics, A/B tests, datasets"""

import json
import time

import sqlalchemy as sa
from alembic import op

from afterword.ids import uuid7
from afterword.store.schema import Id

revision = "0003"
down_revision = "0002"

READ = ["project:read"]
CALL = ["project:infer", "project:log"]
EDIT = ["project:edit", "project:share"]
ROLES = {
    "admin": [*READ, *CALL, *EDIT, "admin:manage"],
    "power_user": [*READ, *CALL, *EDIT],
    "annotator": [*READ, "project:log"],
    "inference": CALL,
    "read-only": READ,
}


def upgrade() -> None:
    op.create_table(
        "ab_interactions",
        sa.Column("interaction_id", Id(), nullable=False),
        sa.Column("test", sa.Integer(), nullable=False),
        sa.Column("model", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("interaction_id", name=op.f("pk_ab_interactions")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_ab_interactions_test_interaction_id"), "ab_interactions", ["test", "interaction_id"], unique=False
    )
    op.create_table(
        "ab_test_models",
        sa.Column("test", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("model", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("test", "model", name=op.f("pk_ab_test_models")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ab_tests",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("project", sa.Integer(), nullable=False),
        sa.Column("metric", sa.Integer(), nullable=False),
        sa.Column("feedback_type", sa.String(length=10), nullable=False),
        sa.Column("traffic_split", sa.Float(), nullable=False),
        sa.Column("auto_deploy", sa.Boolean(), nullable=False),
        sa.Column("alpha", sa.Float(), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("winner", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_ab_tests")),
        sa.UniqueConstraint("id", name=op.f("uq_ab_tests_id")),
        sa.UniqueConstraint("key", name=op.f("uq_ab_tests_key")),
    )
    op.create_table(
        "dataset_parts",
        sa.Column("dataset", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("lines", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "part", name=op.f("pk_dataset_parts")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "datasets",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("project", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("source", sa.String(length=12), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("lines", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("metrics", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_datasets")),
        sa.UniqueConstraint("id", name=op.f("uq_datasets_id")),
    )
    op.create_index(op.f("ix_datasets_project_key"), "datasets", ["project", "key"], unique=False)
    op.create_table(
        "metric_links",
        sa.Column("project", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("metric", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("project", "metric", name=op.f("pk_metric_links")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "project_shares",
        sa.Column("project", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("team", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("role", sa.Integer(), nullable=False),
        sa.Column("is_owner", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("project", "team", name=op.f("pk_project_shares")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "roles",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("permissions", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_roles")),
        sa.UniqueConstraint("id", name=op.f("uq_roles_id")),
        sa.UniqueConstraint("key", name=op.f("uq_roles_key")),
    )
    op.create_table(
        "team_members",
        sa.Column("team", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("user", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("role", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("team", "user", name=op.f("pk_team_members")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "teams",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_teams")),
        sa.UniqueConstraint("id", name=op.f("uq_teams_id")),
        sa.UniqueConstraint("key", name=op.f("uq_teams_key")),
    )
    op.create_table(
        "upload_parts",
        sa.Column("upload", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("upload", "part", name=op.f("pk_upload_parts")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "uploads",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("actor", sa.Integer(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_uploads")),
        sa.UniqueConstraint("id", name=op.f("uq_uploads_id")),
    )
    op.create_table(
        "users",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("is_system", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_users")),
        sa.UniqueConstraint("id", name=op.f("uq_users_id")),
    )
    op.add_column("api_keys", sa.Column("user", sa.Integer(), nullable=True))
    op.add_column("projects", sa.Column("default_metric", sa.Integer(), nullable=True))
    _add_teams_and_roles()


def _add_teams_and_roles() -> None:
    now = time.time_ns() // 1_000_000

    def columns() -> list[sa.ColumnClause]:
        return [sa.column("id", Id()), *(sa.column(name) for name in ("key", "name", "created_at"))]

    teams = sa.table("teams", *columns())
    roles = sa.table("roles", *columns(), sa.column("permissions"))
    named = {"id": None, "created_at": now}
    op.bulk_insert(teams, [named | {"id": uuid7(), "key": key, "name": key} for key in ("default", "admin")])
    op.bulk_insert(
        roles,
        [
            named | {"id": uuid7(), "key": key, "name": key, "permissions": json.dumps(its)}
            for key, its in ROLES.items()
        ],
    )
