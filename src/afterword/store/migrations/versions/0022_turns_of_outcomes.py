"""the turn with which an outcome's details are found"""

import sqlalchemy as sa
from alembic import op

from afterword.store.schema.base import Id

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.add_column("outcomes", sa.Column("turn", Id(), nullable=True))
    op.create_index(op.f("ix_outcomes_turn"), "outcomes", ["turn"])
    op.execute(
        "UPDATE outcomes SET turn = ("
        "SELECT interactions.id FROM interactions WHERE interactions.project = outcomes.project AND ("
        "interactions.session_id = outcomes.session_id "
        "OR interactions.id = outcomes.session_id AND interactions.session_id IS NULL) "
        "ORDER BY interactions.created_at DESC, interactions.id DESC LIMIT 1)"
    )
    op.execute(
        "INSERT INTO details_pending (interaction_id, change_id) "
        "SELECT turn, id FROM outcomes WHERE turn IS NOT NULL AND details IS NOT NULL"
    )
