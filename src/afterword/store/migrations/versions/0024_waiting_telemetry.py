"""events of OpenTelemetry that came before the span of their call"""

import sqlalchemy as sa
from alembic import op

from afterword.store.schema.base import Id

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.create_table(
        "waiting_telemetry",
        sa.Column("target_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("project", sa.Integer(), nullable=False),
        sa.Column("actor", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("is_evaluation", sa.Boolean(), nullable=False),
        sa.Column("response_id", sa.Text(), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("target_id", "id", name=op.f("pk_waiting_telemetry")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_waiting_telemetry_received_at"), "waiting_telemetry", ["received_at"])
