"""how long a project keeps its interactions; what an interaction shows"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("projects", sa.Column("retention_days", sa.Integer(), nullable=True))
    op.add_column("projects", sa.Column("payload_retention_days", sa.Integer(), nullable=True))
    op.create_index(op.f("ix_interaction_images_interaction_id"), "interaction_images", ["interaction_id"])
