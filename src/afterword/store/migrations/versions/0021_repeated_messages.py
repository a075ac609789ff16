"""what the text index of PostgreSQL holds of the turns of conversations"""

from alembic import op

revision = "0021"
down_revision = "0020"

# A column without a default takes no time, and null no space: most rows have nulls.
POSTGRESQL = (
    "ALTER TABLE search_words ADD COLUMN conversation BIGINT, ADD COLUMN created_at BIGINT, "
    "ADD COLUMN message_count INTEGER, ADD COLUMN prompt_hash BIGINT, ADD COLUMN answer_hash BIGINT, "
    "ADD COLUMN bare_answer_hash BIGINT, ADD COLUMN earlier_id UUID, ADD COLUMN repeated INTEGER, "
    "ADD COLUMN resends_answer BOOLEAN",
    "CREATE INDEX ix_search_words_conversation ON search_words (conversation, message_count) "
    "WHERE conversation IS NOT NULL",
    "CREATE INDEX ix_search_words_earlier_id ON search_words (earlier_id) WHERE earlier_id IS NOT NULL",
)


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for statement in POSTGRESQL:
            op.execute(statement)
