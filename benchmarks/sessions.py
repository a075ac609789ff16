"""Conversations: what the turns of a session take on disk, and how fast one is read, beside turns without a session."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.load import Timings, read, send
from benchmarks.report import Figure, Section
from benchmarks.server import Server, running
from benchmarks.workload import long_text

TURN_COUNT = 60
DISTINCT_BYTES = 81_000
# What the payloads of a session may take, as a multiple of its distinct text; and the reading of a turn, as a multiple
# of that of the same turn without a session.
SPACE_AIM, READING_AIM = 2.0, 1.1
READ_ROUNDS = 4
SEARCHED_WORDS = 50


def sessions(session_count: int) -> Section:
    """Log each turn twice: in its session, and without one, so that it is stored in full."""
    with (
        tempfile.TemporaryDirectory(prefix="afterword-bench-") as directory,
        running(Path(directory) / "data") as server,
    ):
        in_sessions: list[str] = []
        alone: list[str] = []
        for number in range(session_count):
            session_id = ""
            for turn in _turns(Random(number)):
                fields = {"session_id": session_id} if session_id else {}
                in_sessions.append(_log(server, {**turn, **fields}))
                session_id = session_id or in_sessions[-1]
        server.wait_for_texts()
        session_index_bytes = _index_bytes(server)
        for number in range(session_count):
            alone += [_log(server, turn) for turn in _turns(Random(number))]
        server.wait_for_texts()
        alone_index_bytes = _index_bytes(server) - session_index_bytes
        seconds = _wait_for_packing(server)
        read_timings = _read_by_turns(server, in_sessions[: 10 * TURN_COUNT], alone[: 10 * TURN_COUNT])
        search_timings = {
            what: _search(server, parameters) for what, parameters in (("", ""), (" with repeats", "&repeats=true"))
        }
        sizes = _payload_bytes(server)
        distinct_bytes = session_count * DISTINCT_BYTES
    session_timings, alone_timings = read_timings
    figures = [
        Figure("payloads of a session, each turn in full", sizes["alone"] / distinct_bytes, ""),
        Figure("payloads of a session, packed", sizes["session"] / distinct_bytes, "", SPACE_AIM),
        Figure("text index of a session", session_index_bytes / distinct_bytes, "", SPACE_AIM),
        Figure("text index of the same turns without a session", alone_index_bytes / distinct_bytes, ""),
        Figure("from the last turn until all is packed", seconds, "s"),
    ]
    for what, turn_timings in (("stored in full", alone_timings), ("of a session", session_timings)):
        p50, p95 = turn_timings.percentile(0.5), turn_timings.percentile(0.95)
        figures.append(Figure(f"read a turn {what}", p50, "ms", p50=p50, p95=p95))
    for what, timings in search_timings.items():
        p50, p95 = timings.percentile(0.5), timings.percentile(0.95)
        figures.append(Figure(f"search for a word{what}", p50, "ms", p50=p50, p95=p95))
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        ratio = session_timings.percentile(share) / alone_timings.percentile(share)
        figures.append(Figure(f"... of a session, to that in full, {name}", ratio, "", READING_AIM))
    title = (
        f"{session_count} sessions of {TURN_COUNT} turns, in multiples of a session's text ({DISTINCT_BYTES:,} bytes)"
    )
    return Section(title, figures)


def _turns(random: Random) -> list[dict[str, Any]]:
    """Return the bodies of a session's turns: each repeats all messages before it."""
    text = long_text()
    piece = DISTINCT_BYTES // (2 * TURN_COUNT)
    messages: list[dict[str, str]] = []
    turns: list[dict[str, Any]] = []
    for _ in range(TURN_COUNT):
        user, assistant = (text[start : start + piece] for start in (random.randrange(len(text) - piece) for _ in "ua"))
        messages = [*messages, {"role": "user", "content": user}]
        turns.append({"messages": messages, "completion": assistant})
        messages = [*messages, {"role": "assistant", "content": assistant}]
    return turns


def _log(server: Server, body: dict[str, Any]) -> str:
    return send(server.target, "POST", "/api/v1/interactions", body)["completion_id"]


def _wait_for_packing(server: Server) -> float:
    begin = time.perf_counter()
    with closing(_store(server)) as store:
        while store.execute("SELECT EXISTS (SELECT 1 FROM packing_pending)").fetchone()[0]:
            time.sleep(0.1)
    return time.perf_counter() - begin


def _payload_bytes(server: Server) -> dict[str, int]:
    """Return the bytes of the payloads of turns in sessions, and of those without one. An opener is of its session."""
    of_session = (
        "SELECT id FROM interactions WHERE session_id IS NOT NULL UNION SELECT session_id FROM interactions "
        "WHERE session_id IS NOT NULL"
    )
    query = "SELECT sum(length(payload) + length(coalesce(base, ''))) FROM payloads WHERE interaction_id {} IN ({})"
    with closing(_store(server)) as store:
        return {
            name: store.execute(query.format(negation, of_session)).fetchone()[0]
            for name, negation in (("session", ""), ("alone", "NOT"))
        }


def _search(server: Server, parameters: str) -> Timings:
    """Search for words, the newest interactions first."""
    words = sorted({word for word in long_text().split() if word.isalpha() and len(word) > 6})[:SEARCHED_WORDS]
    timings = Timings()
    for word in words:
        word_timings, _ = read(server.target, f"/api/v1/interactions?q={word}{parameters}", times=4, most_seconds=5)
        timings.each += word_timings.each
    return timings


def _index_bytes(server: Server) -> int:
    with closing(_store(server, "search.db")) as index:
        [sizes] = index.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchall()
    return sizes[0]


def _store(server: Server, file: str = "afterword.db") -> sqlite3.Connection:
    return sqlite3.connect(f"file:{server.directory / file}?mode=ro", uri=True)


def _read_by_turns(server: Server, *kinds: list[str]) -> list[Timings]:
    """Read interactions of each kind by turns, so that other load on the machine affects all."""
    timings = [Timings() for _ in kinds]
    for _ in range(READ_ROUNDS):
        for ids in zip(*kinds, strict=True):
            for kind, completion_id in zip(timings, ids, strict=True):
                kind_timings, _ = read(server.target, f"/api/v1/interactions/{completion_id}", times=1, most_seconds=5)
                kind.each += kind_timings.each
    return timings
