"""lines of datasets on each side of their split"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    op.add_column("datasets", sa.Column("split_lines", sa.Text(), nullable=True))
