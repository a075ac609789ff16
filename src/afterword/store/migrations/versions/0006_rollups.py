"""rollups of what the metrics pages show; all hours that there are, marked to be rolled up"""

import sqlalchemy as sa
from alembic import op

from afterword.ids import uuid7
from afterword.store.schema import Id

revision = "0006"
down_revision = "0005"

HOUR = 3_600_000


def upgrade() -> None:
    key = ("project", "measure", "hour", "model")
    op.create_table(
        "rollups",
        *(sa.Column(name, sa.Integer(), autoincrement=False, nullable=False) for name in key),
        sa.Column("count", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.Float(), nullable=False) for name in ("total", "squares", "least", "most")),
        sa.PrimaryKeyConstraint(*key, name=op.f("pk_rollups")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_rollups_project_hour"), "rollups", ["project", "hour"])
    op.create_table(
        "rollup_values",
        *(sa.Column(name, sa.Integer(), autoincrement=False, nullable=False) for name in key),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(*key, "value", name=op.f("pk_rollup_values")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_rollup_values_project_hour"), "rollup_values", ["project", "hour"])
    marks = op.create_table(
        "rollup_marks",
        sa.Column("id", Id(), nullable=False),
        sa.Column("project", sa.Integer(), nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rollup_marks")),
        sqlite_with_rowid=False,
    )
    # One mark for all hours of a project: they are read from the rows until the background has caught up with them.
    connection = op.get_bind()
    projects = sa.table("projects", sa.column("number", sa.Integer))
    interactions = sa.table("interactions", sa.column("project", sa.Integer), sa.column("created_at", sa.BigInteger))
    time = interactions.c.created_at
    for project in connection.execute(sa.select(projects.c.number)).scalars().all():
        its = interactions.c.project == project
        # Each by itself is the end of an index; both together would be all of it.
        first, last = (
            connection.execute(sa.select(end).where(its)).scalar() for end in (sa.func.min(time), sa.func.max(time))
        )
        if first is not None and last is not None:
            mark = {"id": uuid7(), "project": project, "first": first // HOUR, "last": last // HOUR}
            connection.execute(marks.insert().values(mark))
