"""what the model was asked for, beside chat"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.add_column("interactions", sa.Column("operation", sa.Text(), nullable=True))
    has_operation = sa.text("operation IS NOT NULL")
    op.create_index(
        "ix_interactions_operation",
        "interactions",
        ["project", "operation", "created_at"],
        sqlite_where=has_operation,
        postgresql_where=has_operation,
    )
