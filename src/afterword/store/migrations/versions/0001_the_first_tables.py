"""the first tables"""

import sqlalchemy as sa
from alembic import op

from afterword.store.schema import Id

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.String(length=20), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("role", sa.String(length=10), nullable=False),
        sa.Column("projects", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("hash", name=op.f("uq_api_keys_hash")),
        sa.UniqueConstraint("id", name=op.f("uq_api_keys_id")),
    )
    op.create_table(
        "dictionaries",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_dictionaries")),
    )
    op.create_table(
        "feedback",
        sa.Column("interaction_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("metric", sa.Integer(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("details", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("user", sa.Text(), nullable=True),
        sa.Column("actor", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("request_hash", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("interaction_id", "id", name=op.f("pk_feedback")),
        sqlite_with_rowid=False,
        postgresql_partition_by="RANGE (interaction_id)",
    )
    op.create_index(op.f("ix_feedback_id"), "feedback", ["id"], unique=False)
    op.create_index(
        op.f("ix_feedback_metric_value_interaction_id"), "feedback", ["metric", "value", "interaction_id"], unique=False
    )
    op.create_table(
        "images",
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("extension", sa.String(length=4), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_images")),
    )
    op.create_table(
        "interaction_images",
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("project", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("interaction_id", Id(), nullable=False),
        sa.PrimaryKeyConstraint("hash", "project", "interaction_id", name=op.f("pk_interaction_images")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "interaction_labels",
        sa.Column("label", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("created_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("interaction_id", Id(), nullable=False),
        sa.PrimaryKeyConstraint("label", "created_at", "interaction_id", name=op.f("pk_interaction_labels")),
        sqlite_with_rowid=False,
        postgresql_partition_by="RANGE (interaction_id)",
    )
    op.create_table(
        "interactions",
        sa.Column("id", Id(), nullable=False),
        sa.Column("project", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("model", sa.Integer(), nullable=True),
        sa.Column("source", sa.SmallInteger(), nullable=False),
        sa.Column("session_id", Id(), nullable=True),
        sa.Column("user", sa.Text(), nullable=True),
        sa.Column("labels", sa.Text(), nullable=True),
        sa.Column("prompt_hash", sa.BigInteger(), nullable=False),
        sa.Column("prompt_text_hash", sa.BigInteger(), nullable=False),
        sa.Column("completion_text_hash", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("preview", sa.Text(), nullable=True),
        sa.Column("request_hash", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_interactions")),
        sqlite_with_rowid=False,
        postgresql_partition_by="RANGE (id)",
    )
    op.create_index(
        op.f("ix_interactions_project_created_at_id"), "interactions", ["project", "created_at", "id"], unique=False
    )
    op.create_index(
        op.f("ix_interactions_project_model_created_at_id"),
        "interactions",
        ["project", "model", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_interactions_project_prompt_hash"), "interactions", ["project", "prompt_hash"], unique=False
    )
    op.create_index(
        "ix_interactions_session_id",
        "interactions",
        ["session_id"],
        unique=False,
        sqlite_where=sa.text("session_id IS NOT NULL"),
        postgresql_where=sa.text("session_id IS NOT NULL"),
    )
    op.create_index(
        "ix_interactions_user",
        "interactions",
        ["project", "user", "created_at"],
        unique=False,
        sqlite_where=sa.text('"user" IS NOT NULL'),
        postgresql_where=sa.text('"user" IS NOT NULL'),
    )
    op.create_table(
        "labels",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("project", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_labels")),
    )
    op.create_index(op.f("ix_labels_project_key_value"), "labels", ["project", "key", "value"], unique=False)
    op.create_table(
        "metrics",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("project", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("scoring_type", sa.String(length=20), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_metrics")),
        sa.UniqueConstraint("id", name=op.f("uq_metrics_id")),
    )
    op.create_index(op.f("ix_metrics_project_key"), "metrics", ["project", "key"], unique=False)
    op.create_table(
        "models",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_models")),
        sa.UniqueConstraint("id", name=op.f("uq_models_id")),
        sa.UniqueConstraint("key", name=op.f("uq_models_key")),
    )
    op.create_table(
        "outcomes",
        sa.Column("session_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("project", sa.Integer(), nullable=False),
        sa.Column("metric", sa.Integer(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("details", sa.Text(), nullable=True),
        sa.Column("user", sa.Text(), nullable=True),
        sa.Column("actor", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "id", name=op.f("pk_outcomes")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "payloads",
        sa.Column("interaction_id", Id(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("interaction_id", name=op.f("pk_payloads")),
        sqlite_with_rowid=False,
        postgresql_partition_by="RANGE (interaction_id)",
    )
    op.create_table(
        "preferences",
        sa.Column("interaction_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("other_id", Id(), nullable=False),
        sa.Column("side", sa.SmallInteger(), nullable=False),
        sa.Column("tied", sa.String(length=4), nullable=True),
        sa.Column("metric", sa.Integer(), nullable=False),
        sa.Column("prompt_mismatch", sa.Boolean(), nullable=False),
        sa.Column("details", sa.Text(), nullable=True),
        sa.Column("user", sa.Text(), nullable=True),
        sa.Column("actor", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("request_hash", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("interaction_id", "id", name=op.f("pk_preferences")),
        sqlite_with_rowid=False,
        postgresql_partition_by="RANGE (interaction_id)",
    )
    op.create_index(op.f("ix_preferences_id"), "preferences", ["id"], unique=False)
    op.create_index(
        op.f("ix_preferences_metric_interaction_id"), "preferences", ["metric", "interaction_id"], unique=False
    )
    op.create_table(
        "projects",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_projects")),
        sa.UniqueConstraint("id", name=op.f("uq_projects_id")),
        sa.UniqueConstraint("key", name=op.f("uq_projects_key")),
    )
    op.create_table(
        "search_pending",
        sa.Column("interaction_id", Id(), nullable=False),
        sa.Column("erased", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("interaction_id", name=op.f("pk_search_pending")),
        sqlite_with_rowid=False,
    )
