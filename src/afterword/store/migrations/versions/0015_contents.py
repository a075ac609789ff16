"""what an interaction holds beside plain text"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column("interactions", sa.Column("contents", sa.Text(), nullable=True))
