"""saved views"""

import sqlalchemy as sa
from alembic import op

from afterword.store.schema import Id

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "views",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("project", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("search", sa.Text(), nullable=False),
        sa.Column("actor", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_views")),
        sa.UniqueConstraint("id", name=op.f("uq_views_id")),
    )
    op.create_index(op.f("ix_views_project_name"), "views", ["project", "name"], unique=True)
