"""A/B tests, their models, and the interactions that belong to them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, String, Table, Text

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
    # The kind of feedback that counts: "metric" or "preference".
    Column("feedback_type", String(10), nullable=False),
    Column("traffic_split", Float, nullable=False),
    Column("auto_deploy", Boolean, nullable=False),
    Column("alpha", Float, nullable=False),
    # active (shown as warmup or in_progress, depending on the number of feedbacks), done or cancelled.
    Column("status", String(12), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    # The number of the model that was better; null if none was.
    Column("winner", Integer),
    # What the values are on: "interaction" (feedback) or "session" (outcomes).
    Column("level", String(12), nullable=False, server_default="interaction"),
)

ab_test_models = Table(
    "ab_test_models",
    metadata,
    Column("test", Integer, primary_key=True, autoincrement=False),
    Column("model", Integer, primary_key=True, autoincrement=False),
    # The model's position in the list of the test.
    Column("place", Integer, nullable=False),
    **CLUSTERED,
)

# The interactions whose feedback counts.
ab_interactions = Table(
    "ab_interactions",
    metadata,
    Column("interaction_id", Id, primary_key=True),
    Column("test", Integer, nullable=False),
    Column("model", Integer, nullable=False),
    Index(None, "test", "interaction_id"),
    **CLUSTERED,
)
