"""calls of models"""

import time

import sqlalchemy as sa
from alembic import op

from afterword.ids import uuid7
from afterword.store.schema import Id

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for column in (
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("provider", sa.String(length=20), nullable=True),
        sa.Column("external_model_id", sa.Text(), nullable=True),
        sa.Column("endpoint", sa.Text(), nullable=True),
        sa.Column("secret", sa.LargeBinary(), nullable=True),
        sa.Column("extra_params", sa.Text(), nullable=True),
        sa.Column("fallback", sa.Integer(), nullable=True),
    ):
        op.add_column("models", column)
    op.create_table(
        "project_models",
        sa.Column("project", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("model", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project", "model", name=op.f("pk_project_models")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "calls",
        sa.Column("interaction_id", Id(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("finish_reason", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("latency", sa.BigInteger(), nullable=True),
        sa.Column("ttft", sa.BigInteger(), nullable=True),
        sa.Column("provider_time", sa.BigInteger(), nullable=True),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=True),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=True),
        sa.Column("total_tokens", sa.BigInteger(), nullable=True),
        sa.Column("tokens_per_second", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("interaction_id", name=op.f("pk_calls")),
        sqlite_with_rowid=False,
        postgresql_partition_by="RANGE (interaction_id)",
    )
    op.create_index(
        "ix_calls_state",
        "calls",
        ["state", "interaction_id"],
        sqlite_where=sa.text("state != 1"),
        postgresql_where=sa.text("state != 1"),
    )
    _add_echo()


def _add_echo() -> None:
    """Attach the model `echo` to the project `default` of a store that has it, as new stores do."""
    connection = op.get_bind()
    projects = sa.table("projects", sa.column("number"), sa.column("key"))
    default = connection.execute(sa.select(projects.c.number).where(projects.c.key == "default")).scalar()
    if default is None:
        return
    models = sa.table(
        "models",
        *(sa.column(name) for name in ("number", "key", "created_at", "name", "provider", "external_model_id")),
        sa.column("id", Id()),
    )
    now = time.time_ns() // 1_000_000
    callable_ = {"name": "echo", "provider": "echo", "external_model_id": "echo"}
    number = sa.select(models.c.number).where(models.c.key == "echo")
    if connection.execute(number).scalar() is None:
        connection.execute(models.insert().values(id=uuid7(), key="echo", created_at=now, **callable_))
    else:
        connection.execute(models.update().where(models.c.key == "echo").values(**callable_))
    attached = sa.table(
        "project_models",
        *(sa.column(name) for name in ("project", "model", "is_default", "enabled", "created_at")),
    )
    its = connection.execute(number).scalar()
    connection.execute(
        attached.insert().values(project=default, model=its, is_default=True, enabled=True, created_at=now)
    )
