"""Servers in processes of their own pack sessions of one database, while turns of these are logged and deleted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from random import Random
from typing import Any

import httpx
import psycopg
import pytest

pytestmark = [pytest.mark.shared, pytest.mark.thorough]

SESSIONS = [f"session {number}" for number in range(4)]
CALLERS = 3
# A session is packed at once when so many of its turns are queued (store/background/packing.py).
FULL_TURNS = 32
TURNS = 3 * FULL_TURNS // CALLERS


class Logged:
    """What callers logged at one address after another, all in the same sessions."""

    def __init__(self, addresses: list[Callable[[], httpx.Client]]) -> None:
        self.addresses = addresses
        self.bodies: dict[str, dict[str, Any]] = {}
        self.deleted: set[str] = set()
        self._lock = threading.Lock()

    def converse(self, caller: int) -> None:
        """Log turns of each session, of which each sends the caller's conversation again; delete some of them."""
        random = Random(caller)
        conversations: dict[str, list[Any]] = {session: [] for session in SESSIONS}
        ids: list[str] = []
        with ExitStack() as stack:
            clients = [stack.enter_context(connect()) for connect in self.addresses]
            for turn in range(TURNS):
                for session, messages in conversations.items():
                    http = clients[(caller + turn) % len(clients)]
                    messages.append({"role": "user", "content": f"{caller} {turn} {random.randbytes(60).hex()}"})
                    body = {"session_id": session, "messages": list(messages), "completion": random.randbytes(60).hex()}
                    logged = http.post("/api/v1/interactions", json=body).raise_for_status().json()
                    messages.append({"role": "assistant", "content": body["completion"]})
                    with self._lock:
                        self.bodies[logged["completion_id"]] = body
                    ids.append(logged["completion_id"])
                if turn % 4 == 3:
                    gone = ids.pop(random.randrange(len(ids)))
                    clients[caller % len(clients)].delete(f"/api/v1/interactions/{gone}").raise_for_status()
                    with self._lock:
                        self.deleted.add(gone)

    def check(self, http: httpx.Client) -> None:
        """Check that each turn that was not deleted is read whole, and no other."""
        query: dict[str, Any] = {"limit": 100, "view": "full"}
        shown: dict[str, dict[str, Any]] = {}
        while True:
            page = http.get("/api/v1/interactions", params=query).raise_for_status().json()
            shown |= {turn["completion_id"]: turn for turn in page["interactions"]}
            if page["next"] is None:
                break
            query["cursor"] = page["next"]
        assert shown.keys() == self.bodies.keys() - self.deleted
        for completion_id, turn in shown.items():
            body = self.bodies[completion_id]
            assert (turn["messages"], turn["completion"]) == (body["messages"], body["completion"])


def packed(url: str) -> tuple[int, int, int]:
    """Return how many turns wait to be packed, how many are packed, and how many of those lack a whole base."""
    with psycopg.connect(url) as connection:
        [numbers] = connection.execute(
            "SELECT (SELECT count(*) FROM packing_pending), (SELECT count(*) FROM payloads WHERE base IS NOT NULL), "
            "(SELECT count(*) FROM payloads AS turn LEFT JOIN payloads AS base ON base.interaction_id = turn.base "
            "WHERE turn.base IS NOT NULL AND (base.interaction_id IS NULL OR base.base IS NOT NULL))"
        ).fetchall()
        return numbers


@pytest.mark.parametrize("form", ["two servers", "one server of two processes"])
def test_processes_that_pack_the_same_sessions_lose_nothing(new_server: Callable[..., Any], form: str):
    if form == "two servers":
        servers = [new_server(AFTERWORD_SECRET_KEY="of both") for _ in range(2)]
    else:
        servers = [new_server("--workers", "2")]
    logged = Logged([server.client for server in servers])
    with ThreadPoolExecutor(CALLERS) as threads:
        list(threads.map(logged.converse, range(CALLERS)))
    url = servers[0].database_url
    # Much of it was packed while it was logged. The other server takes over what is left when the first one dies.
    with servers[-1].client() as http:
        logged.check(http)
        if len(servers) > 1:
            servers[0].kill()
        end = time.monotonic() + 90
        while (waiting := packed(url)[0]) > 0:
            assert time.monotonic() < end, waiting
            logged.check(http)
        _, number, without_base = packed(url)
        assert number > len(logged.bodies) / 2
        assert without_base == 0
        logged.check(http)
