"""what several servers over one database need; the words and the parts of tables of PostgreSQL"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("calls", sa.Column("server", sa.Integer(), nullable=True))
    op.add_column("datasets", sa.Column("server", sa.Integer(), nullable=True))
    op.create_table(
        "servers",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("listening", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_servers")),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("server", sa.Integer(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "versions",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_versions")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "news",
        sa.Column("server", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("server", "number", name=op.f("pk_news")),
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "postgresql":
        for statement in POSTGRESQL:
            op.execute(statement)


PARTED = ("interactions", "payloads", "calls", "interaction_labels", "feedback", "preferences", "search_words")
# The least ids that begin with a time of 2020 or later, and of 2100 or later.
FIRST, LAST = "016f5e66-e800-0000-0000-000000000000", "03bb2cc3-d800-0000-0000-000000000000"
PARTS = {
    "before": f"FOR VALUES FROM (MINVALUE) TO ('{FIRST}')",
    "after": f"FOR VALUES FROM ('{LAST}') TO (MAXVALUE)",
    "others": "DEFAULT",
}

POSTGRESQL = (
    "INSERT INTO versions VALUES ('catalog', 0)",
    "INSERT INTO leases VALUES ('chores', 0, 0)",
    "CREATE TABLE search_words (interaction_id UUID, part SMALLINT, words TSVECTOR NOT NULL, "
    "PRIMARY KEY (interaction_id, part)) PARTITION BY RANGE (interaction_id)",
    "CREATE INDEX ix_search_words_words ON search_words USING GIN (words)",
    # What no part of a month takes (store/engine/partitions.py): ids of the callers' own, mostly.
    *(
        f"CREATE TABLE {table}_before PARTITION OF {table} FOR VALUES FROM (MINVALUE) TO ('{FIRST}')"
        for table in PARTED
    ),
    *(f"CREATE TABLE {table}_after PARTITION OF {table} FOR VALUES FROM ('{LAST}') TO (MAXVALUE)" for table in PARTED),
    *(f"CREATE TABLE {table}_others PARTITION OF {table} DEFAULT" for table in PARTED),
    # Groups are ordered by these, and cursors compare them: by their characters, whatever the database's language.
    'ALTER TABLE labels ALTER COLUMN value TYPE TEXT COLLATE "C"',
    'ALTER TABLE models ALTER COLUMN key TYPE VARCHAR(200) COLLATE "C"',
)
