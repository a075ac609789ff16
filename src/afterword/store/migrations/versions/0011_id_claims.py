"""what servers over one database claim the ids with that callers choose"""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        # Empty but within a transaction (store/engine/postgresql.py), and so nothing to be kept over a crash.
        op.execute("CREATE UNLOGGED TABLE id_claims (id UUID PRIMARY KEY)")
