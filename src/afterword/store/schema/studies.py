"""What is done with interactions: A/B tests and datasets."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, LargeBinary, String, Table, Text

from .base import CLUSTERED, Id, metadata

ab_tests = Table(
    "ab_tests",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", Id, nullable=False, unique=True),
    Column("key", String(200), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("project", Integer, nullable=False),
    Column("metric", Integer, nullable=False),
    # "metric" or "preference": which kind of feedback counts.
    Column("feedback_type", String(10), nullable=False),
    Column("traffic_split", Float, nullable=False),
    Column("auto_deploy", Boolean, nullable=False),
    Column("alpha", Float, nullable=False),
    # active (shown as warmup or in_progress, by what was counted), done or cancelled.
    Column("status", String(12), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    # The number of the model that was better, where one was.
    Column("winner", Integer),
)

ab_test_models = Table(
    "ab_test_models",
    metadata,
    Column("test", Integer, primary_key=True, autoincrement=False),
    Column("model", Integer, primary_key=True, autoincrement=False),
    # Its place in the order in which they were named.
    Column("place", Integer, nullable=False),
    **CLUSTERED,
)

# Whose feedback counts.
ab_interactions = Table(
    "ab_interactions",
    metadata,
    Column("interaction_id", Id, primary_key=True),
    Column("test", Integer, nullable=False),
    Column("model", Integer, nullable=False),
    Index(None, "test", "interaction_id"),
    **CLUSTERED,
)

datasets = Table(
    "datasets",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", Id, nullable=False, unique=True),
    Column("project", Integer, nullable=False),
    Column("key", String(200), nullable=False),
    Column("name", Text, nullable=False),
    # prompt, completion, feedback or preference: what every line has at least.
    Column("kind", String(12), nullable=False),
    # uploaded, or filtered: made of interactions.
    Column("source", String(12), nullable=False),
    # pending, ready or failed.
    Column("status", String(12), nullable=False),
    Column("error", Text),
    # Lines, and their bytes as JSONL.
    Column("lines", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    # JSON {metric number: [values, preferences]}.
    Column("metrics", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # Its key can be used anew.
    Column("deleted_at", BigInteger),
    # Of one that is pending: the number of the server that makes it, where several work over one database.
    Column("server", Integer),
    # JSON {reason: count}: what did not become a line.
    Column("left_out", Text),
    # Of a random sample.
    Column("seed", BigInteger),
    Index(None, "project", "key"),
)

# The lines of datasets as they came, zstd-compressed, some hundred kB of them together.
dataset_parts = Table(
    "dataset_parts",
    metadata,
    Column("dataset", Integer, primary_key=True, autoincrement=False),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("lines", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
    **CLUSTERED,
)

# Files that come in parts, until they are whole and become a dataset.
uploads = Table(
    "uploads",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", Id, nullable=False, unique=True),
    # The number of the API key that began it; 0 is the administrator's.
    Column("actor", Integer, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("parts", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

upload_parts = Table(
    "upload_parts",
    metadata,
    Column("upload", Integer, primary_key=True, autoincrement=False),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("content", LargeBinary, nullable=False),
    **CLUSTERED,
)
