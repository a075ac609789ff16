"""steps within a turn: their names, and the interactions that they are steps of"""

import sqlalchemy as sa
from alembic import op

from afterword.store.schema.base import Id

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.add_column("interactions", sa.Column("step", sa.Text(), nullable=True))
    op.add_column("interactions", sa.Column("parent", Id(), nullable=True))
    has_step, has_parent = sa.text("step IS NOT NULL"), sa.text("parent IS NOT NULL")
    op.create_index(
        "ix_interactions_step",
        "interactions",
        ["project", "step", "created_at"],
        sqlite_where=has_step,
        postgresql_where=has_step,
    )
    op.create_index(
        "ix_interactions_parent", "interactions", ["parent"], sqlite_where=has_parent, postgresql_where=has_parent
    )
