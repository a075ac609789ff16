"""calls of models"""

import sqlalchemy as sa
from alembic import op

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
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
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
    )
    op.create_index(
        "ix_calls_open",
        "calls",
        ["interaction_id"],
        sqlite_where=sa.text("state = 0"),
        postgresql_where=sa.text("state = 0"),
    )
