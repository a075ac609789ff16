"""who answered a call: the provider's ids and model, the caller's trace, whether it was streamed"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

# Calls are looked up by these. Partial: a call that was only logged has none of them.
LOOKED_UP = ("request_id", "provider_request_id", "response_id", "trace_id")


def upgrade() -> None:
    for name in ("provider_request_id", "response_id", "provider_model", "trace_id"):
        op.add_column("calls", sa.Column(name, sa.Text(), nullable=True))
    op.add_column("calls", sa.Column("streamed", sa.Boolean(), nullable=True))
    for name in LOOKED_UP:
        is_given = sa.text(f"{name} IS NOT NULL")
        op.create_index(f"ix_calls_{name}", "calls", [name], sqlite_where=is_given, postgresql_where=is_given)
