"""The large tables: interactions with their payloads and calls, and the feedback on them."""

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
    # Null: the interaction opened a session, whose id is its own.
    Column("session_id", Id),
    Column("user", Text),
    # The labels as JSON. `interaction_labels` is the index of them.
    Column("labels", Text),
    # A hash of roles, texts and image digests. Prompts with the same hash count as the same.
    Column("prompt_hash", BigInteger, nullable=False),
    # Hashes of the plain texts of prompt and completion, for filters by the exact text.
    Column("prompt_text_hash", BigInteger, nullable=False),
    Column("completion_text_hash", BigInteger, nullable=False),
    # The size in bytes of what was logged: its JSON and its images.
    Column("size", BigInteger, nullable=False),
    # JSON {prompt, completion}, shortened. Null if the payload is small enough to be read for a list.
    Column("preview", Text),
    # A hash of the whole request if the caller chose the completion_id. It tells a repetition from a conflict.
    Column("request_hash", BigInteger),
    # The caller's name for the session, if that is not a UUID. session_id is then derived from it (ids.id_of_text).
    Column("session", Text),
    *(Column(name, Text) for name in LATER_TEXTS),
    # What it holds beside plain text, as a JSON array such as ["tools", "tool:weather"]. Null for plain text.
    # `interaction_labels` is the index of it, too (see `content_number`).
    Column("contents", Text),
    # The interaction that this one is a step of. It may not exist: it is logged later, or was deleted.
    Column("parent", Id),
    # What the model was asked for, such as "embeddings". Null: chat, as most interactions.
    Column("operation", Text),
    # The list of a project, newest first, is one range of this index.
    Index(None, "project", "created_at", "id"),
    # The same for one model; 36 bytes a row.
    Index(None, "project", "model", "created_at", "id"),
    # Other completions of the same prompt; groups by prompt.
    Index(None, "project", "prompt_hash"),
    **by_id("id"),
)
# For the turns of a session, and the interactions with a user or another text. Partial, because most have none.
Index("ix_interactions_session_id", interactions.c.session_id, sqlite_where=interactions.c.session_id.is_not(None),
      postgresql_where=interactions.c.session_id.is_not(None))  # fmt: skip
# For the steps of an interaction.
Index("ix_interactions_parent", interactions.c.parent, sqlite_where=interactions.c.parent.is_not(None),
      postgresql_where=interactions.c.parent.is_not(None))  # fmt: skip
# For the interactions of an operation beside chat, and those with a plain text.
for _name in ("operation", *(field.column for field in TEXT_FIELDS)):
    _column = interactions.c[_name]
    Index(f"ix_interactions_{_name}", interactions.c.project, _column, interactions.c.created_at,
          sqlite_where=_column.is_not(None), postgresql_where=_column.is_not(None))  # fmt: skip

# Messages, completion, usage, timings and parameters as compressed JSON. Lists without texts do not read it.
payloads = Table(
    "payloads",
    metadata,
    Column("interaction_id", Id, primary_key=True),
    Column("payload", LargeBinary, nullable=False),
    # The interaction whose JSON is the dictionary that this payload is compressed with: a later turn of the same
    # conversation. It is in the same partition. Null: the payload is stored in full.
    Column("base", Id),
    **by_id("interaction_id"),
)
# For what is packed against an interaction that is deleted. Partial, because most are stored in full.
Index("ix_payloads_base", payloads.c.base, sqlite_where=payloads.c.base.is_not(None),
      postgresql_where=payloads.c.base.is_not(None))  # fmt: skip

# Calls of models: those through the gateway, and interactions that were logged with usage or timings. Times are in
# milliseconds.
calls = Table(
    "calls",
    metadata,
    Column("interaction_id", Id, primary_key=True),
    # The index of the state in calls.STATES.
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
    # For a running call: the number of the server that makes it. Null on the embedded store.
    Column("server", Integer),
    # The request id from the header of the provider's answer, which its support asks for.
    Column("provider_request_id", Text),
    # The `id` of the provider's answer.
    Column("response_id", Text),
    # The model's name in the provider's answer, which mostly includes a date.
    Column("provider_model", Text),
    # The trace id of the caller's `traceparent` header.
    Column("trace_id", Text),
    Column("streamed", Boolean),
    **by_id("interaction_id"),
)
# For the calls that a crash left open, and for filters by failed calls. Partial, because most calls are complete.
Index("ix_calls_state", calls.c.state, calls.c.interaction_id, sqlite_where=calls.c.state != 1,
      postgresql_where=calls.c.state != 1)  # fmt: skip
# For lookups by an id that another system gave a call. Partial, because a call that was only logged has none.
for _column in (calls.c.request_id, calls.c.provider_request_id, calls.c.response_id, calls.c.trace_id):
    Index(f"ix_calls_{_column.name}", _column, sqlite_where=_column.is_not(None),
          postgresql_where=_column.is_not(None))  # fmt: skip

# The dictionaries that payloads were compressed with, and cannot be read without.
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

# The interactions with a label, newest first, are one range of this table.
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
    # The number of the API key that gave it; 0 for the administrator's.
    Column("actor", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # As in `interactions`.
    Column("request_hash", BigInteger),
    # To get, change and delete feedback by id.
    Index(None, "id"),
    # For filters by value, and for counts and means of a metric.
    Index(None, "metric", "value", "interaction_id"),
    **by_id("interaction_id"),
)

# A preference has two rows, one for each completion.
preferences = Table(
    "preferences",
    metadata,
    Column("interaction_id", Id, primary_key=True),
    Column("id", Id, primary_key=True),
    Column("other_id", Id, nullable=False),
    # 1: this completion was preferred; 2: the other one was. In a tie, 1 is the completion that was named first.
    Column("side", SmallInteger, nullable=False),
    # Null: no tie. Otherwise "good" or "bad".
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
    # As in `interactions`.
    Column("request_hash", BigInteger),
    # The turn with which `details` are found: the newest one of the session when the outcome was logged. Another one
    # takes its place when it is deleted.
    Column("turn", Id),
    # To get, change and delete outcomes by id. Unique: of two outcomes that are logged under one id, one is refused.
    Index(None, "id", unique=True),
    # For the list of a project, newest first, and for the statistics of a metric.
    Index(None, "project", "created_at", "id"),
    # For filters by the outcome of the session.
    Index(None, "project", "metric", "value", "session_id"),
    # For the text index of a turn.
    Index(None, "turn"),
    **CLUSTERED,
)

# Each image is stored once, however many interactions show it.
images = Table(
    "images",
    metadata,
    Column("hash", LargeBinary(32), primary_key=True),
    Column("extension", String(4), nullable=False),
    Column("content", LargeBinary, nullable=False),
)

# The interactions that show an image. They decide who may see it, and it is deleted with the last of them.
interaction_images = Table(
    "interaction_images",
    metadata,
    Column("hash", LargeBinary(32), primary_key=True),
    Column("project", Integer, primary_key=True, autoincrement=False),
    Column("interaction_id", Id, primary_key=True),
    # For the images of an interaction that is deleted.
    Index(None, "interaction_id"),
    **CLUSTERED,
)

# The queue of the text index. Its rows are committed with the interactions, so that a crash loses none.
search_pending = Table(
    "search_pending",
    metadata,
    Column("interaction_id", Id, primary_key=True),
    # The payload of a deleted interaction, whose words are to be removed from the index.
    Column("erased", LargeBinary),
    **CLUSTERED,
)

# The queue of interactions whose details of feedback, preferences and outcomes changed, for the text index. Each change
# has a row of its own: one that is committed while the index takes in an earlier one stays queued.
details_pending = Table(
    "details_pending",
    metadata,
    Column("interaction_id", Id, primary_key=True),
    Column("change_id", Id, primary_key=True),
    **CLUSTERED,
)

# Evaluations of calls, and events that tell what was said in them, as OpenTelemetry sends them: kept until the span of
# the call comes, and for a time after that, because further events complete its content (service/telemetry/).
waiting_telemetry = Table(
    "waiting_telemetry",
    metadata,
    # The completion_id that follows from the span, or the id that stands for the id of the provider's answer.
    Column("target_id", Id, primary_key=True),
    # Made of the content: a repetition has the same.
    Column("id", Id, primary_key=True),
    Column("project", Integer, nullable=False),
    # The number of the API key that sent it.
    Column("actor", Integer, nullable=False),
    # In milliseconds, by the server's clock.
    Column("received_at", BigInteger, nullable=False),
    # Whether it is an evaluation, which is deleted once it is feedback.
    Column("is_evaluation", Boolean, nullable=False),
    # The id of the provider's answer that an evaluation names.
    Column("response_id", Text),
    # As JSON.
    Column("content", LargeBinary, nullable=False),
    # For what has waited for too long.
    Index(None, "received_at"),
    **CLUSTERED,
)

# The queue of turns whose conversations are to be packed (store/background/packing.py). Its rows are committed with the
# interactions that name a session.
packing_pending = Table(
    "packing_pending",
    metadata,
    Column("project", Integer, primary_key=True, autoincrement=False),
    Column("session_id", Id, primary_key=True),
    Column("interaction_id", Id, primary_key=True),
    # In milliseconds, by the server's clock. 0: a turn from before the store had this queue.
    Column("queued_at", BigInteger, nullable=False),
    **CLUSTERED,
)

# The turns from before the store had `packing_pending` that are still to be queued: those after this one, in the order
# of their sessions. No row: none.
packing_backfill = Table(
    "packing_backfill",
    metadata,
    Column("session_id", Id, primary_key=True),
    Column("interaction_id", Id, nullable=False),
    **CLUSTERED,
)


def hash63(*parts: str | bytes) -> int:
    """Hash `parts` into 63 bits. The hashes are on disk, so that this function must never change."""
    framed = bytearray()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        framed += len(raw).to_bytes(8, "little")
        framed += raw
    return int.from_bytes(blake2b(framed, digest_size=8).digest(), "little") >> 1


# The cache is bounded, because labels with a new value for each call, such as a trace id, fill it: 400 bytes each.
@lru_cache(maxsize=2_000)
def label_number(project: int, key: str, value: str) -> int:
    """Return the number of a label, which never changes."""
    return hash63(str(project), key, value)


def content_number(project: int, content: str) -> int:
    """Return the number under which `interaction_labels` has what an interaction holds, such as `tools`.

    No label has this number: the key of a label has no NUL.
    """
    return label_number(project, "\0contents", content)
