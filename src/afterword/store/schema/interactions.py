"""The large tables: interactions, and what was thought of them."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
)

from afterword.store.schema.base import CLUSTERED, Id, by_id, metadata
from afterword.types.fields import TEXT_FIELDS

# The plain texts that callers log with an interaction, but the user: their columns came later, at the end.
LATER_TEXTS = tuple(field.column for field in TEXT_FIELDS if field.name != "user")

interactions = Table(
    "interactions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("project", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("model", Integer),
    Column("source", SmallInteger, nullable=False),
    # Null: the interaction opened a session of its own, whose id is its completion_id.
    Column("session_id", Id),
    Column("user", Text),
    # The labels themselves as JSON; interaction_labels is the index over them.
    Column("labels", Text),
    # Hash of roles, texts and image digests: what "the same prompt" means.
    Column("prompt_hash", BigInteger, nullable=False),
    # Hashes of the plain texts of prompt and completion, for filters that want exactly this text.
    Column("prompt_text_hash", BigInteger, nullable=False),
    Column("completion_text_hash", BigInteger, nullable=False),
    # True size in bytes of what was logged, as JSON and with its images.
    Column("size", BigInteger, nullable=False),
    # JSON {prompt, completion} in short, where the payload is too large to be read for a list.
    Column("preview", Text),
    # Of the whole request, where the caller chose the completion_id: tells a repetition from a conflict.
    Column("request_hash", BigInteger),
    # What the caller named the session, where that is no UUID: session_id is then made of it (ids.id_of_text).
    Column("session", Text),
    *(Column(name, Text) for name in LATER_TEXTS),
    # The list of a project, newest first, is one range.
    Index(None, "project", "created_at", "id"),
    # The same for one model. Narrow: 36 bytes a row.
    Index(None, "project", "model", "created_at", "id"),
    # Other completions of the same prompt; groups by prompt.
    Index(None, "project", "prompt_hash"),
    **by_id("id"),
)
# The turns of a session, and the interactions of a user or another text. Partial: most interactions have none.
Index("ix_interactions_session_id", interactions.c.session_id, sqlite_where=interactions.c.session_id.is_not(None),
      postgresql_where=interactions.c.session_id.is_not(None))  # fmt: skip
for _field in TEXT_FIELDS:
    _column = interactions.c[_field.column]
    Index(f"ix_interactions_{_field.column}", interactions.c.project, _column, interactions.c.created_at,
          sqlite_where=_column.is_not(None), postgresql_where=_column.is_not(None))  # fmt: skip

# Messages, completion, usage, timings and parameters: JSON, compressed. Lists without text never read it whole.
payloads = Table(
    "payloads",
    metadata,
    Column("interaction_id", Id, primary_key=True),
    Column("payload", LargeBinary, nullable=False),
    **by_id("interaction_id"),
)

# How the call went that made an interaction: of those that came through the gateway, and of those that were logged with
# usage or timings. Times are milliseconds.
calls = Table(
    "calls",
    metadata,
    Column("interaction_id", Id, primary_key=True),
    # The place of its word in calls.STATES.
    Column("state", SmallInteger, nullable=False),
    Column("finish_reason", Text),
    # JSON {status, type, code, message}.
    Column("error", Text),
    Column("request_id", Text),
    Column("latency", BigInteger),
    Column("ttft", BigInteger),
    Column("provider_time", BigInteger),
    Column("prompt_tokens", BigInteger),
    Column("completion_tokens", BigInteger),
    Column("total_tokens", BigInteger),
    Column("tokens_per_second", Float),
    # Of a call under way: the number of the server that makes it, where several work over one database.
    Column("server", Integer),
    # The header in which the provider names the request, for its support.
    Column("provider_request_id", Text),
    # The `id` of the provider's answer.
    Column("response_id", Text),
    # The model as the provider names it in its answer, mostly with a date.
    Column("provider_model", Text),
    # The trace of the caller's `traceparent`.
    Column("trace_id", Text),
    Column("streamed", Boolean),
    **by_id("interaction_id"),
)
# What a crash left open is found at the next start, what failed by a filter. Partial: most calls are complete.
Index("ix_calls_state", calls.c.state, calls.c.interaction_id, sqlite_where=calls.c.state != 1,
      postgresql_where=calls.c.state != 1)  # fmt: skip
# A lookup by the id that somebody else knows a call by is one seek. Partial: a call that was only logged has none.
for _column in (calls.c.request_id, calls.c.provider_request_id, calls.c.response_id, calls.c.trace_id):
    Index(f"ix_calls_{_column.name}", _column, sqlite_where=_column.is_not(None),
          postgresql_where=_column.is_not(None))  # fmt: skip

# What payloads were compressed with; they are lost without it.
dictionaries = Table(
    "dictionaries",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("content", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

labels = Table(
    "labels",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("project", Integer, nullable=False),
    Column("key", Text, nullable=False),
    Column("value", Text, nullable=False),
    Index(None, "project", "key", "value"),
)

# Each label's interactions, newest first, are one range of the table itself.
interaction_labels = Table(
    "interaction_labels",
    metadata,
    Column("label", BigInteger, primary_key=True, autoincrement=False),
    Column("created_at", BigInteger, primary_key=True, autoincrement=False),
    Column("interaction_id", Id, primary_key=True),
    **by_id("interaction_id"),
)

feedback = Table(
    "feedback",
    metadata,
    Column("interaction_id", Id, primary_key=True),
    Column("id", Id, primary_key=True),
    Column("metric", Integer, nullable=False),
    Column("value", Float, nullable=False),
    Column("details", Text),
    Column("reason", Text),
    Column("user", Text),
    # The number of the API key that gave it; 0 is the administrator's.
    Column("actor", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # As in interactions.
    Column("request_hash", BigInteger),
    # Get, change and delete by id.
    Index(None, "id"),
    # Interactions by value; ranges of values, counts and means of a metric.
    Index(None, "metric", "value", "interaction_id"),
    **by_id("interaction_id"),
)

# One row for each side, so that each completion has its own. `side` tells which this row is.
preferences = Table(
    "preferences",
    metadata,
    Column("interaction_id", Id, primary_key=True),
    Column("id", Id, primary_key=True),
    Column("other_id", Id, nullable=False),
    # 1: this completion was preferred, 2: the other was. In a tie 1 is the one named first.
    Column("side", SmallInteger, nullable=False),
    # Null, "good" or "bad".
    Column("tied", String(4)),
    Column("metric", Integer, nullable=False),
    Column("prompt_mismatch", Boolean, nullable=False),
    Column("details", Text),
    Column("user", Text),
    Column("actor", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("request_hash", BigInteger),
    Index(None, "id"),
    Index(None, "metric", "interaction_id"),
    **by_id("interaction_id"),
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("session_id", Id, primary_key=True),
    Column("id", Id, primary_key=True),
    Column("project", Integer, nullable=False),
    Column("metric", Integer, nullable=False),
    Column("value", Float, nullable=False),
    Column("details", Text),
    Column("user", Text),
    Column("actor", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # As in interactions.
    Column("request_hash", BigInteger),
    # Get, change and delete by id; of two that are logged under one id at once, one is refused.
    Index(None, "id", unique=True),
    # The list of a project, newest first; sums of a metric.
    Index(None, "project", "created_at", "id"),
    **CLUSTERED,
)

# Each image once, whoever shows it.
images = Table(
    "images",
    metadata,
    Column("hash", LargeBinary(32), primary_key=True),
    Column("extension", String(4), nullable=False),
    Column("content", LargeBinary, nullable=False),
)

# Who shows it: decides who may see it, and when nobody does any more.
interaction_images = Table(
    "interaction_images",
    metadata,
    Column("hash", LargeBinary(32), primary_key=True),
    Column("project", Integer, primary_key=True, autoincrement=False),
    Column("interaction_id", Id, primary_key=True),
    # What an interaction shows, when it is deleted.
    Index(None, "interaction_id"),
    **CLUSTERED,
)

# What the text index has yet to take in. Written with the interaction, so that nothing is forgotten over a crash.
search_pending = Table(
    "search_pending",
    metadata,
    Column("interaction_id", Id, primary_key=True),
    # The payload of an interaction that was deleted: its words must be taken out of the index.
    Column("erased", LargeBinary),
    **CLUSTERED,
)


def hash63(*parts: str | bytes) -> int:
    """Hash `parts` into 63 bits, stable for ever: these numbers are on disk."""
    framed = bytearray()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        framed += len(raw).to_bytes(8, "little")
        framed += raw
    return int.from_bytes(blake2b(framed, digest_size=8).digest(), "little") >> 1


# Labels that are made up for each call, a trace's id say, fill it: 400 bytes each.
@lru_cache(maxsize=2_000)
def label_number(project: int, key: str, value: str) -> int:
    """Return the number of a label: the same for ever, without asking the store."""
    return hash63(str(project), key, value)
