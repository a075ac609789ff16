"""the queue of interactions whose details of feedback and preferences changed, for the text index"""

import sqlalchemy as sa
from alembic import op

from afterword.store.schema.base import Id

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table(
        "details_pending",
        sa.Column("interaction_id", Id(), nullable=False),
        sa.Column("change_id", Id(), nullable=False),
        sa.PrimaryKeyConstraint("interaction_id", "change_id", name=op.f("pk_details_pending")),
        sqlite_with_rowid=False,
    )
