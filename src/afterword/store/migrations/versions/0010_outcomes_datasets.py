"""outcomes by id and in the order of time; what a dataset left out"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("outcomes", sa.Column("request_hash", sa.BigInteger(), nullable=True))
    op.create_index(op.f("ix_outcomes_id"), "outcomes", ["id"], unique=True)
    op.create_index(op.f("ix_outcomes_project_created_at_id"), "outcomes", ["project", "created_at", "id"])
    op.add_column("datasets", sa.Column("left_out", sa.Text(), nullable=True))
    op.add_column("datasets", sa.Column("seed", sa.BigInteger(), nullable=True))
