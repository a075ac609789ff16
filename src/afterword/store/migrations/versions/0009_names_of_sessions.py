"""what callers name their sessions"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("interactions", sa.Column("session", sa.Text(), nullable=True))
