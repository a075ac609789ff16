"""conversations are stored once: payloads with a base, and the queue of what is to be packed"""

from uuid import UUID

import sqlalchemy as sa
from alembic import op

from afterword.store.schema.base import Id

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.add_column("payloads", sa.Column("base", Id(), nullable=True))
    is_packed = sa.text("base IS NOT NULL")
    op.create_index("ix_payloads_base", "payloads", ["base"], sqlite_where=is_packed, postgresql_where=is_packed)
    op.create_table(
        "packing_pending",
        sa.Column("project", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("session_id", Id(), nullable=False),
        sa.Column("interaction_id", Id(), nullable=False),
        sa.Column("queued_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project", "session_id", "interaction_id", name=op.f("pk_packing_pending")),
        sqlite_with_rowid=False,
    )
    backfill = op.create_table(
        "packing_backfill",
        sa.Column("session_id", Id(), nullable=False),
        sa.Column("interaction_id", Id(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_packing_backfill")),
        sqlite_with_rowid=False,
    )
    sessions = sa.text("SELECT 1 FROM interactions WHERE session_id IS NOT NULL LIMIT 1")
    if op.get_bind().execute(sessions).first():
        # All turns that are there are still to be queued.
        op.bulk_insert(backfill, [{"session_id": UUID(int=0), "interaction_id": UUID(int=0)}])
