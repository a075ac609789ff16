"""who made an API key, and when it was last used"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("created_by", sa.Integer(), nullable=True))
    op.create_table(
        "key_uses",
        sa.Column("key", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_key_uses")),
    )
