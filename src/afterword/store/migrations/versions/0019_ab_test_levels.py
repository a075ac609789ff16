"""what the values of an A/B test are on"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.add_column("ab_tests", sa.Column("level", sa.String(12), nullable=False, server_default="interaction"))
