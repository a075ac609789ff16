"""Datasets with their lines, and the uploads that become datasets."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text

from .base import CLUSTERED, Id, metadata

datasets = Table(
    "datasets",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", Id, nullable=False, unique=True),
    Column("project", Integer, nullable=False),
    Column("key", String(200), nullable=False),
    Column("name", Text, nullable=False),
    # What each line has at least: prompt, completion, feedback or preference.
    Column("kind", String(12), nullable=False),
    # uploaded, or filtered (built from interactions).
    Column("source", String(12), nullable=False),
    # pending, ready or failed.
    Column("status", String(12), nullable=False),
    Column("error", Text),
    # The number of lines, and their size in bytes as JSONL.
    Column("lines", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    # JSON {metric number: [values, preferences]}.
    Column("metrics", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # A version that was deleted alone keeps its row, so that its number is not given again. Without versions, the key
    # is free.
    Column("deleted_at", BigInteger),
    # For a pending dataset: the number of the server that builds it. Null on the embedded store.
    Column("server", Integer),
    # JSON {reason: count}: the interactions that were left out.
    Column("left_out", Text),
    # The seed of a random sample.
    Column("seed", BigInteger),
    # Counts from 1 for each key.
    Column("version", Integer, nullable=False, server_default="1"),
    # The SHA-256 of the lines in their normal shape, in hex; null for datasets of older servers.
    Column("content_hash", String(64)),
    # JSON {train, validation or test: number of lines}; null for datasets of older servers.
    Column("split_lines", Text),
    Index(None, "project", "key"),
)

# The lines of datasets as they were received, zstd-compressed in parts of some hundred kB.
dataset_parts = Table(
    "dataset_parts",
    metadata,
    Column("dataset", Integer, primary_key=True, autoincrement=False),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("lines", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
    **CLUSTERED,
)

# Files that are uploaded in parts. A complete upload becomes a dataset.
uploads = Table(
    "uploads",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", Id, nullable=False, unique=True),
    # The number of the API key that started the upload; 0 for the administrator's.
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
