"""Stores come up by Alembic's revisions, and what is not ours or not readable is left as it was."""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect

from afterword.store.engine import Store, StoreError
from afterword.store.migrations import HEAD, REVISIONS, alembic_config, upgrade
from afterword.store.schema import metadata


def open_and_close(directory: Path) -> None:
    Store(directory).close()


def digests(directory: Path) -> dict[str, str]:
    """Return each file's hash, but for the lock, which any opener takes."""
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(directory.iterdir())
        if file.name != "lock"
    }


def set_version(directory: Path, version: str) -> None:
    connection = sqlite3.connect(directory / "afterword.db")
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
    connection.close()


def test_the_revisions_are_those_of_the_script_directory_in_their_order():
    scripts = ScriptDirectory.from_config(alembic_config())
    assert tuple(script.revision for script in reversed(list(scripts.walk_revisions()))) == REVISIONS
    assert scripts.get_heads() == [HEAD]


def test_upgrading_an_empty_store_gives_exactly_the_tables_of_the_schema(tmp_path: Path):
    engine = create_engine(f"sqlite:///{tmp_path / 'afterword.db'}")
    with engine.connect() as connection:
        upgrade(connection)
    with engine.connect() as connection:
        # Alembic compares no partial indexes' conditions and no clustering; the DDL texts below do.
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        upgraded = ddl(connection)
    engine.dispose()
    fresh = create_engine("sqlite://")
    with fresh.connect() as connection:
        metadata.create_all(connection)
        assert upgraded == ddl(connection)


def ddl(connection: Connection) -> dict[str, list[str]]:
    """Return each table's and index's statement as sorted parts: neither the order of constraints nor quotes matter."""
    rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {
        name: sorted(re.split(r"[\s,]+", re.sub(r"[\"()]", " ", sql).strip()))
        for name, sql in rows
        if name != "alembic_version"
    }


def test_a_new_directory_opens_with_all_tables_and_the_head_version(tmp_path: Path):
    store = Store(tmp_path / "new" / "deeper")
    try:
        names = store.read_now(lambda connection: set(inspect(connection).get_table_names()))
        version = store.read_now(
            lambda connection: connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
        )
    finally:
        store.close()
    assert names >= set(metadata.tables)
    assert version == HEAD


def test_a_store_that_is_up_to_date_opens_again_without_loading_alembic(tmp_path: Path):
    open_and_close(tmp_path)
    program = (
        "import sys; from pathlib import Path; from afterword.store.engine import Store; "
        "Store(Path(sys.argv[1])).close(); print('alembic' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


@pytest.mark.parametrize("crashed", [False, True], ids=["closed in order", "left by a crash"])
def test_a_store_of_a_newer_version_is_refused_and_left_untouched(tmp_path: Path, crashed: bool):
    open_and_close(tmp_path)
    set_version(tmp_path, "9999")
    holder = None
    if crashed:
        # A connection that stays open keeps the log file, as a crash would.
        holder = sqlite3.connect(tmp_path / "afterword.db")
        holder.execute("UPDATE alembic_version SET version_num = '9999'")
        holder.commit()
        assert (tmp_path / "afterword.db-wal").exists()
    before = digests(tmp_path)
    before.pop("afterword.db-shm", None)
    with pytest.raises(StoreError, match=r"newer Afterword \(schema 9999; this one knows .*Upgrade Afterword"):
        Store(tmp_path)
    after = digests(tmp_path)
    # The shared memory beside the log holds readers' marks, no facts.
    after.pop("afterword.db-shm", None)
    assert after == before
    if holder:
        holder.close()


@pytest.mark.parametrize(
    "content",
    [b"this is no database, it is a letter to a friend\n" * 100, b"\x00" * 8192, os.urandom(8192)],
    ids=["text", "zeros", "noise"],
)
def test_a_foreign_file_in_the_stores_place_is_refused_and_left_untouched(tmp_path: Path, content: bytes):
    (tmp_path / "afterword.db").write_bytes(content)
    with pytest.raises(StoreError, match=r"afterword\.db.*not an Afterword store"):
        Store(tmp_path)
    assert (tmp_path / "afterword.db").read_bytes() == content
    assert sorted(digests(tmp_path)) == ["afterword.db"]


def test_a_damaged_store_is_refused_and_left_untouched(tmp_path: Path):
    open_and_close(tmp_path)
    file = tmp_path / "afterword.db"
    content = bytearray(file.read_bytes())
    content[100:2000] = os.urandom(1900)
    file.write_bytes(content)
    with pytest.raises(StoreError, match=r"afterword\.db"):
        Store(tmp_path)
    assert file.read_bytes() == content


def test_another_programs_database_is_refused_and_left_untouched(tmp_path: Path):
    connection = sqlite3.connect(tmp_path / "afterword.db")
    with connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    before = digests(tmp_path)
    with pytest.raises(StoreError, match=r"afterword\.db.*not an Afterword store"):
        Store(tmp_path)
    assert digests(tmp_path) == before


def test_a_second_opener_is_refused_and_told_who_has_it_open(tmp_path: Path):
    store = Store(tmp_path)
    try:
        with pytest.raises(StoreError, match=rf"process {os.getpid()}\) has the data directory .*--data"):
            Store(tmp_path)
    finally:
        store.close()
    open_and_close(tmp_path)


def test_a_directory_that_cannot_be_made_is_refused_with_what_to_do(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot be used.*--data or AFTERWORD_DATA"):
        Store(tmp_path / "file" / "data")


def test_a_refused_opening_lets_the_directory_go(tmp_path: Path):
    open_and_close(tmp_path)
    set_version(tmp_path, "9999")
    with pytest.raises(StoreError, match="newer"):
        Store(tmp_path)
    set_version(tmp_path, HEAD)
    open_and_close(tmp_path)


def test_a_damaged_text_index_is_made_anew(tmp_path: Path):
    open_and_close(tmp_path)
    damaged = os.urandom(8192)
    (tmp_path / "search.db").write_bytes(damaged)
    open_and_close(tmp_path)
    assert (tmp_path / "search.db").read_bytes()[:8192] != damaged
