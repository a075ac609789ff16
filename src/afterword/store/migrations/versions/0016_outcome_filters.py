"""the index for filters by the outcome of the session"""

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.create_index(
        op.f("ix_outcomes_project_metric_value_session_id"),
        "outcomes",
        ["project", "metric", "value", "session_id"],
        unique=False,
    )
