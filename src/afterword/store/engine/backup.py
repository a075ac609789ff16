"""Backups of the embedded store: creating them while a server runs, checking and restoring them.

A backup is a directory:

    afterword.db           the store as it was when the backup began, without the text index, which is derived
    admin.key, secret.key  the keys of the data directory, unless the caller left them out
    backup.json            time, versions, the number of rows of each table, the SHA-256 of afterword.db
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias

import msgspec

from afterword.store.engine.database import StoreError
from afterword.store.engine.files import Locks
from afterword.store.engine.sqlite import version_of
from afterword.store.migrations import HEAD, REVISIONS

STORE = "afterword.db"
KEYS = ("admin.key", "secret.key")
ABOUT = "backup.json"
FORMAT_VERSION = 1
# Pages of 8 KB copied in one step, and bytes read in one step.
COPY_PAGE_COUNT = 1_024
BLOCK_BYTES = 8 << 20

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with the name of the step, the amount done, and the total (0 if unknown)."""


class Backup(msgspec.Struct, kw_only=True):
    """The content of backup.json. `rows` has the number of rows of each table that is not empty."""

    format: int
    created_at: datetime
    afterword: str
    schema: str
    size: int
    sha256: str
    keys: list[str]
    rows: dict[str, int]


def back_up(directory: Path, target: Path, *, keys: bool, progress: Progress) -> Backup:
    """Copy the store of a data directory to a new directory, whether a server uses it or not; return its description.

    The backup holds everything that was acknowledged before it began. The directory gets its name when it is complete,
    checked and on disk. Raises `StoreError`.
    """
    source = directory / STORE
    schema = version_of(source)
    if schema is None:
        raise StoreError(f"{directory} holds no store ({STORE}). Name the server's data directory with --data.")
    if schema not in REVISIONS:
        raise StoreError(
            f"{source} was written by a newer Afterword (schema {schema}; this one knows {HEAD}). Use its own "
            "`afterword backup`."
        )
    if target.exists() or target.is_symlink():
        raise StoreError(f"{target} exists already, and a backup overwrites nothing. Give another name.")
    log = Path(f"{source}-wal")
    _need_room(target.absolute().parent, source.stat().st_size + (log.stat().st_size if log.exists() else 0))
    with _new_directory(target) as part, _explained(source, target):
        rows, schema = _copy(source, part / STORE, progress)
        _check(part / STORE, rows, progress)
        copied_keys = [name for name in KEYS if keys and _copy_key(directory / name, part / name)]
        digest, size = _digest(part / STORE, progress)
        about = Backup(
            format=FORMAT_VERSION,
            created_at=datetime.now(UTC).replace(microsecond=0),
            afterword=version("afterword"),
            schema=schema,
            size=size,
            sha256=digest,
            keys=copied_keys,
            rows=rows,
        )
        _write(part / ABOUT, msgspec.json.format(msgspec.json.encode(about), indent=2) + b"\n")
    return about


def read_about(backup: Path) -> Backup:
    """Return the description of a backup. Raises `StoreError` for a backup that this version cannot restore."""
    try:
        about = msgspec.json.decode((backup / ABOUT).read_bytes(), type=Backup)
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError(
            f"{backup} is not a backup: it has no {ABOUT}. Name a directory that `afterword backup` made."
        ) from None
    except msgspec.MsgspecError as error:
        raise StoreError(f"{backup / ABOUT} cannot be read: {error}.") from None
    if about.format != FORMAT_VERSION or about.schema not in REVISIONS:
        raise StoreError(
            f"{backup} was made by a newer Afterword ({about.afterword}, schema {about.schema}; this one knows "
            f"{HEAD}). Upgrade Afterword first."
        )
    return about


def restore(backup: Path, directory: Path, *, replace: bool, progress: Progress) -> Backup:
    """Restore a backup to a data directory that no server uses; with `replace`, also over an existing store.

    Nothing is changed before the backup is copied completely and its SHA-256 is checked. Raises `StoreError`.
    """
    about = read_about(backup)
    target = directory / STORE
    locks = Locks(directory)
    try:
        if target.exists() and not replace:
            raise StoreError(
                f"{directory} holds a store already. Give another directory with --data; or add --replace, and the "
                "store that is there is deleted."
            )
        _need_room(directory, about.size)
        part = directory / f"{STORE}.part"
        with _explained(backup, directory):
            try:
                digest, size = _digest(backup / STORE, progress, copy=part)
                if (digest, size) != (about.sha256, about.size):
                    raise StoreError(
                        f"{backup / STORE} is not what was backed up: its SHA-256 is {digest[:16]}..., not "
                        f"{about.sha256[:16]}.... {directory} was not changed. Take another backup."
                    )
                if version_of(part) != about.schema:
                    raise StoreError(f"{backup / STORE} is not of the schema that {ABOUT} names. Take another backup.")
                for name in about.keys:
                    _copy_key(backup / name, directory / name)
                _put_in_place(part, target)
            finally:
                part.unlink(missing_ok=True)
    finally:
        locks.release()
    return about


# ------------------------------------------------------------------------------------------------ steps


def _copy(source: Path, target: Path, progress: Progress) -> tuple[dict[str, int], str]:
    """Copy a database as it is now; return the number of rows by table, and the version of its schema."""
    with contextlib.closing(_connect(source, "rw")) as reading, contextlib.closing(_connect(target, "rwc")) as writing:
        reading.execute("PRAGMA query_only=1")
        # One snapshot for the whole copy: commits that follow do not change it. Without it, SQLite would start the copy
        # again after each commit.
        reading.execute("BEGIN")
        [schema] = reading.execute("SELECT version_num FROM alembic_version").fetchone()
        tables = [name for (name,) in reading.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        writing.execute("PRAGMA synchronous=OFF")
        reading.backup(
            writing, pages=COPY_PAGE_COUNT, progress=lambda _, left, total: progress("copying", total - left, total)
        )
        counted = {}
        for position, name in enumerate(tables):
            progress("counting", position, len(tables))
            [counted[name]] = reading.execute(f'SELECT count(*) FROM "{name}"').fetchone()
        reading.execute("ROLLBACK")
        writing.execute("PRAGMA journal_mode=DELETE")
    return {name: number for name, number in sorted(counted.items()) if number}, schema


def _check(file: Path, rows: dict[str, int], progress: Progress) -> None:
    """Read the whole copy. Raises `StoreError` if it is damaged or has another number of rows."""
    progress("checking", 0, 0)
    with contextlib.closing(_connect(file, "ro")) as copied:
        check_result = copied.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if check_result != "ok":
            raise StoreError(
                f"The copy is damaged ({check_result}), and so most likely is the store. The copy was deleted."
            )
        for name, number in rows.items():
            if copied.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] != number:
                raise StoreError(f"The copy has not all rows of {name}. It was deleted; try again.")
    with file.open("rb") as written:
        os.fsync(written.fileno())


def _put_in_place(part: Path, target: Path) -> None:
    """Rename a restored store to its final name. The old store is complete until then, the new one from then on."""
    for ending in ("", "-wal", "-shm"):
        target.with_name(f"search.db{ending}").unlink(missing_ok=True)
    if target.exists():
        # Move the contents of its log into the file, so that the log can be deleted.
        with contextlib.suppress(sqlite3.Error), contextlib.closing(_connect(target, "rw")) as old:
            old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for ending in ("-wal", "-shm"):
        Path(f"{target}{ending}").unlink(missing_ok=True)
    part.rename(target)
    _sync(target.parent)


def _connect(file: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=10)


def _digest(file: Path, progress: Progress, *, copy: Path | None = None) -> tuple[str, int]:
    """Return the SHA-256 and the size of a file. With `copy`, also write a copy of it to disk."""
    digest, total, done = hashlib.sha256(), file.stat().st_size, 0
    step = "reading it again" if copy is None else "copying"
    with file.open("rb") as source, contextlib.ExitStack() as stack:
        target = None if copy is None else stack.enter_context(open(_new(copy), "wb"))
        while block := source.read(BLOCK_BYTES):
            digest.update(block)
            if target is not None:
                target.write(block)
            done += len(block)
            progress(step, done, total)
        if target is not None:
            target.flush()
            os.fsync(target.fileno())
    return digest.hexdigest(), done


def _copy_key(source: Path, target: Path) -> bool:
    """Copy a key if it exists; return whether it does."""
    try:
        content = source.read_bytes()
    except FileNotFoundError:
        return False
    part = target.with_name(f"{target.name}.part")
    _write(part, content)
    part.rename(target)
    return True


def _write(file: Path, content: bytes) -> None:
    with open(_new(file), "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())


def _new(file: Path) -> int:
    """Create a file that only this user may read; return its descriptor for writing."""
    file.unlink(missing_ok=True)
    return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


@contextlib.contextmanager
def _new_directory(target: Path) -> Iterator[Path]:
    """Yield a directory to fill. It gets its name when it is filled and on disk; after an error it is deleted."""
    target = target.absolute()
    try:
        part = Path(tempfile.mkdtemp(prefix=f"{target.name}.part-", dir=target.parent))
    except OSError as error:
        raise StoreError(
            f"{target} cannot be created: {error.strerror}. Give a directory below an existing one."
        ) from None
    try:
        yield part
        os.chmod(part / STORE, 0o600)
        _sync(part)
        try:
            part.rename(target)
        except OSError as error:
            raise StoreError(f"{target} cannot be given its name: {error.strerror}.") from None
        _sync(target.parent)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _need_room(directory: Path, size: int) -> None:
    if not directory.is_dir():
        raise StoreError(f"The directory {directory} does not exist. Create it, or give another one.")
    free = shutil.disk_usage(directory).free
    if free < size:
        raise StoreError(f"The disk of {directory} has {free:,} bytes free, and {size:,} are needed.")


@contextlib.contextmanager
def _explained(source: Path, target: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"Copying {source} to {target} failed: {error}. The copy was deleted.") from None
    except OSError as error:
        file_name = f"{error.filename}: " if error.filename else ""
        raise StoreError(
            f"Copying {source} to {target} failed: {file_name}{error.strerror}. The copy was deleted."
        ) from None


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
