"""where the caller's product ran"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("interactions", sa.Column("environment", sa.Text(), nullable=True))
    is_given = sa.text("environment IS NOT NULL")
    op.create_index(
        "ix_interactions_environment",
        "interactions",
        ["project", "environment", "created_at"],
        sqlite_where=is_given,
        postgresql_where=is_given,
    )
