"""A bounded queue on disk of log lines that wait to be sent. Appending never blocks on the network."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import threading
import time
from collections import deque
from pathlib import Path
from typing import BinaryIO, NamedTuple

SEGMENT_BYTES = 4 << 20
"""A segment above this size is closed; it is deleted once all of its lines are sent."""
SEGMENT_SUFFIX = ".spool"


class SpooledLines(NamedTuple):
    """Lines of one kind that follow each other in one segment, and the offset in bytes after the last of them."""

    kind: str
    bodies: list[bytes]
    segment: Path
    end: int


class Spool:
    """Files of lines in a directory. Each process appends to files of its own, and sends those of dead processes, too.

    A process holds a lock on each of its files, which the system releases when it dies. A line that was written reaches
    the disk even if the process is killed. After a power failure the newest lines may be missing.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        """Use a directory, which is created. `max_bytes` bounds the files of this process and those it adopted."""
        self.directory = directory
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._forget_files()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _forget_files(self) -> None:
        self._pid = os.getpid()
        self._segments: deque[_Segment] = deque()

    def append(self, kind: str, body: bytes) -> bool:
        """Append a line; return False if there is no room for it. `body` has no line breaks."""
        line = b"%s\t%s\n" % (kind.encode(), body)
        with self._lock:
            if self._pid != os.getpid():
                # The files belong to the parent of this fork.
                self._forget_files()
            if self._waiting_bytes() + len(line) > self.max_bytes:
                return False
            if not self._segments or self._segments[-1].is_closed or self._segments[-1].size > SEGMENT_BYTES:
                self._segments.append(_Segment.create(self.directory))
            self._segments[-1].append(line)
            return True

    def read(self, max_lines: int, max_bytes: int) -> SpooledLines | None:
        """Return the oldest lines, as far as they are of one kind; None if all are sent."""
        with self._lock:
            while self._segments and self._pid == os.getpid():
                segment = self._segments[0]
                if segment.sent < segment.size:
                    return segment.read(max_lines, max_bytes)
                if segment is self._segments[-1] and not segment.is_closed:
                    segment.clear()
                    return None
                self._segments.popleft().delete()
            return None

    def discard(self, lines: SpooledLines) -> None:
        """Forget the lines that `read` returned last."""
        with self._lock:
            if self._segments and self._segments[0].path == lines.segment:
                self._segments[0].sent = lines.end

    def close(self) -> None:
        """Let go of the files; those whose lines are all sent are deleted."""
        with self._lock:
            if self._pid == os.getpid():
                for segment in self._segments:
                    if segment.sent == segment.size:
                        segment.delete()
                    else:
                        segment.file.close()
            self._segments.clear()

    @property
    def waiting_bytes(self) -> int:
        """The size of all lines that are not yet sent."""
        with self._lock:
            return self._waiting_bytes()

    def _waiting_bytes(self) -> int:
        return sum(segment.size - segment.sent for segment in self._segments)

    def adopt_orphans(self) -> None:
        """Take over the files of processes that ended without sending them."""
        with self._lock:
            if self._pid != os.getpid():
                self._forget_files()
            own_paths = {segment.path for segment in self._segments}
            for path in sorted(self.directory.glob(f"*{SEGMENT_SUFFIX}"), reverse=True):
                if path not in own_paths and (segment := _Segment.adopt(path)) is not None:
                    self._segments.appendleft(segment)


class _Segment:
    """One file, locked by this process. `size` ends after the last whole line, `sent` after the last one sent."""

    def __init__(self, path: Path, file: BinaryIO, size: int, *, is_closed: bool) -> None:
        self.path = path
        self.file = file
        self.size = size
        self.sent = 0
        self.is_closed = is_closed

    @classmethod
    def create(cls, directory: Path) -> _Segment:
        # Names sort by the time of their creation.
        path = directory / f"{time.time_ns():016x}-{secrets.token_hex(4)}{SEGMENT_SUFFIX}"
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "r+b", buffering=0)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return cls(path, file, 0, is_closed=False)

    @classmethod
    def adopt(cls, path: Path) -> _Segment | None:
        """Return the segment of a dead process; None if its process lives, or has just deleted it."""
        try:
            file = path.open("r+b", buffering=0)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not path.exists():
                raise BlockingIOError
        except BlockingIOError:
            file.close()
            return None
        content = file.read()
        # A line that was cut off by the crash has no end.
        return cls(path, file, content.rfind(b"\n") + 1, is_closed=True)

    def append(self, line: bytes) -> None:
        os.pwrite(self.file.fileno(), line, self.size)
        self.size += len(line)

    def read(self, max_lines: int, max_bytes: int) -> SpooledLines:
        raw = os.pread(self.file.fileno(), min(max_bytes, self.size - self.sent), self.sent)
        if b"\n" not in raw:
            raw = os.pread(self.file.fileno(), self.size - self.sent, self.sent)
        kind, bodies, end = b"", list[bytes](), self.sent
        for line in raw[: raw.rfind(b"\n")].split(b"\n")[:max_lines]:
            line_kind, _, body = line.partition(b"\t")
            if bodies and line_kind != kind:
                break
            kind, end = line_kind, end + len(line) + 1
            bodies.append(body)
        return SpooledLines(kind.decode("utf-8", "replace"), bodies, self.path, end)

    def clear(self) -> None:
        if self.size:
            os.ftruncate(self.file.fileno(), 0)
            self.size = self.sent = 0

    def delete(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        self.file.close()
