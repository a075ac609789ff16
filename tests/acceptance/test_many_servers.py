"""Several servers over one PostgreSQL: what one does, the others know; servers die, the database restarts."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import psycopg
import pytest

pytestmark = pytest.mark.shared

BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "Why?"}], "completion": "So."}


def eventually(true: Callable[[], bool], seconds: float = 20.0) -> float:
    """Wait until something is so; return the seconds it took."""
    started = time.monotonic()
    while not true():
        assert time.monotonic() - started < seconds, "it did not come to be"
        time.sleep(0.02)
    return time.monotonic() - started


@pytest.fixture
def three(new_server: Any) -> list[Any]:
    """Three servers over one database, each with a directory of its own but for the secrets."""
    return [new_server(AFTERWORD_SECRET_KEY="of all three") for _ in range(3)]


def test_what_one_server_changes_the_others_know_within_a_second(three: list[Any]):
    one, two, _ = three
    with one.client() as here, two.client() as there:
        here.post("/api/v1/projects", json={"key": "new"}).raise_for_status()
        assert eventually(lambda: there.get("/api/v1/projects/new").status_code == 200) < 1
        here.post("/api/v1/metrics", json={"key": "CSAT", "project": "new"}).raise_for_status()
        # What is named is there at once, whichever server is asked: clients do not know that there are several.
        rated = {**BODY, "project": "new", "feedbacks": [{"metric": "CSAT", "value": 1}]}
        assert there.post("/api/v1/interactions", json=rated).status_code == 201
        assert eventually(lambda: there.get("/api/v1/metrics/CSAT?project=new").status_code == 200) < 1
        logged = here.post("/api/v1/interactions", json={**BODY, "project": "new", "model": "m"}).json()
        # Interactions are read from the database: there at once.
        assert there.get(f"/api/v1/interactions/{logged['completion_id']}").status_code == 200
        assert there.get("/api/v1/interactions?project=new").json()["interactions"][0]["completion"] == "So."


def test_a_revoked_key_stops_everywhere_within_a_second(three: list[Any]):
    one, two, _ = three
    with one.client() as here:
        made = here.post("/api/v1/keys", json={"name": "short-lived", "role": "member"}).json()
        with two.client(made["api_key"]) as there:
            eventually(lambda: there.get("/api/v1/projects").status_code == 200)
            here.delete(f"/api/v1/keys/{made['id']}").raise_for_status()
            assert eventually(lambda: there.get("/api/v1/projects").status_code == 401) < 1


def test_several_servers_give_no_pair_to_two_people(three: list[Any]):
    with ExitStack() as stack:
        clients = [stack.enter_context(server.client()) for server in three]
        http = clients[0]
        http.post("/api/v1/metrics", json={"key": "better"}).raise_for_status()
        for prompt in range(6):
            messages = [{"role": "user", "content": f"Question {prompt}"}]
            for model in range(4):
                body = {"messages": messages, "completion": f"{prompt} {model}", "model": f"m{model}"}
                http.post("/api/v1/interactions", json=body).raise_for_status()
        for client in clients:
            eventually(lambda client=client: client.get("/api/v1/metrics/better").status_code == 200)
        given: list[frozenset[str]] = []

        def take(client: httpx.Client) -> None:
            body = {"metric": "better", "sitting": str(uuid4()), "limit": 4}
            page = client.post("/api/v1/preferences/next", json=body).raise_for_status().json()
            given.extend(frozenset(side["completion_id"] for side in pair.values()) for pair in page["pairs"])

        threads = [threading.Thread(target=take, args=(client,)) for client in [*clients, *clients]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(given) == len(set(given)) >= 12


def test_two_servers_that_register_the_same_at_once_make_it_once(three: list[Any]):
    answers: list[httpx.Response] = []

    def register(server: Any) -> None:
        with server.client() as http:
            for number in range(10):
                answers.append(http.post("/api/v1/metrics", json={"key": f"m{number}"}))
                answers.append(http.post("/api/v1/interactions", json={**BODY, "model": f"new/{number}"}))

    threads = [threading.Thread(target=register, args=(server,)) for server in three]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} <= {200, 201}
    with three[0].client() as http:
        keys = [one["key"] for one in http.get("/api/v1/metrics").json()["metrics"]]
        assert sorted(keys) == sorted(f"m{number}" for number in range(10))


def test_who_watches_one_server_sees_what_is_logged_at_another(three: list[Any]):
    one, two, _ = three
    seen = threading.Event()
    wanted: list[str] = []

    def watch() -> None:
        with one.client() as http, http.stream("GET", "/api/v1/interactions/live", timeout=30) as answer:
            for line in answer.iter_lines():
                if line.removeprefix("id: ") in wanted:
                    seen.set()
                    return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    with two.client() as http:
        # Until the other server has learnt that someone watches, they are not told.
        while not seen.wait(0.3):
            wanted.append(http.post("/api/v1/interactions", json=BODY).json()["completion_id"])
    thread.join()


def test_search_covers_all_servers_and_lease_moves_when_one_dies(three: list[Any]):
    def is_found(word: str) -> bool:
        with three[2].client() as http:
            return bool(http.get(f"/api/v1/interactions?q={word}").json()["interactions"])

    for number, server in enumerate(three):
        with server.client() as http:
            http.post("/api/v1/interactions", json={**BODY, "completion": f"word{number}"}).raise_for_status()
    for number in range(3):
        eventually(lambda number=number: is_found(f"word{number}"), 5)
    # The first does the chores; it dies without a word.
    three[0].kill()
    with three[1].client() as http:
        http.post("/api/v1/interactions", json={**BODY, "completion": "afterwards"}).raise_for_status()
    eventually(lambda: is_found("afterwards"), 20)


class Load:
    """Callers that log under ids of their own, at all servers, and send again what was not acknowledged."""

    def __init__(self, servers: list[Any], callers: int = 6) -> None:
        self.acknowledged: set[str] = set()
        self.outages: list[float] = []
        self.enough = threading.Event()
        self.servers = servers
        self.threads = [threading.Thread(target=self._log, args=(number,)) for number in range(callers)]
        for thread in self.threads:
            thread.start()

    def _log(self, number: int) -> None:
        # One whose server is gone goes to the next, as behind a load balancer.
        place = number
        http = self.servers[place % len(self.servers)].client()
        while not self.enough.is_set():
            body = {**BODY, "completion_id": str(uuid4()), "labels": {"caller": str(number)}}
            failed: float | None = None
            while True:
                try:
                    answer = http.post("/api/v1/interactions", json=body)
                    assert answer.status_code in (201, 503), answer.text
                    if answer.status_code == 201:
                        break
                    assert answer.headers["retry-after"]
                except httpx.TransportError:
                    http.close()
                    place += 1
                    http = self.servers[place % len(self.servers)].client()
                failed = failed or time.monotonic()
                time.sleep(0.02)
            if failed:
                self.outages.append(time.monotonic() - failed)
            self.acknowledged.add(body["completion_id"])
        http.close()

    def wait_for_more(self, number: int = 60) -> None:
        there = len(self.acknowledged)
        eventually(lambda: len(self.acknowledged) > there + number, 60)

    def stop(self) -> None:
        self.enough.set()
        for thread in self.threads:
            thread.join()


def everything(http: httpx.Client) -> list[str]:
    found: list[str] = []
    query: dict[str, Any] = {"limit": 500}
    while True:
        page = http.get("/api/v1/interactions", params=query).json()
        found += [one["completion_id"] for one in page["interactions"]]
        if page["next"] is None:
            return found
        query["cursor"] = page["next"]


def test_server_kill_and_database_restart_lose_nothing_acknowledged(
    own_database: Any, server_at: Callable[..., Any], tmp_path: Path
):
    three = [server_at(tmp_path / str(one), own_database.url, AFTERWORD_SECRET_KEY="of all") for one in range(3)]
    load = Load(three)
    load.wait_for_more()
    three[0].kill()
    load.wait_for_more()
    load.outages.clear()
    began = time.monotonic()
    own_database.restart()
    away = time.monotonic() - began
    load.wait_for_more()
    with three[1].client() as http:
        assert eventually(lambda: http.get("/ready").status_code == 200) < 10
    load.stop()
    # Errors last no longer than the database was away, and a little to come back.
    assert all(outage < away + 5 for outage in load.outages), (load.outages, away)
    with three[2].client() as http:
        there = everything(http)
        assert http.get("/health").json()["status"] == "ok"
    assert len(there) == len(set(there))
    assert load.acknowledged <= set(there)


def test_server_reports_lost_database_and_recovers_by_itself(
    own_database: Any, server_at: Callable[..., Any], tmp_path: Path
):
    running = server_at(tmp_path / "data", own_database.url)
    with running.client() as http:
        http.post("/api/v1/interactions", json=BODY).raise_for_status()
        own_database.stop()
        answer = http.post("/api/v1/interactions", json=BODY)
        assert (answer.status_code, answer.json()["error"]["code"]) in [
            (503, "store_unavailable"),
            (503, "store_interrupted"),
        ]
        assert int(answer.headers["retry-after"]) >= 1
        assert http.get("/api/v1/interactions").status_code == 503
        assert http.get("/ready").status_code == 503
        health = http.get("/health")
        assert (health.status_code, health.json()["status"]) == (200, "degraded")
        own_database.start()
        eventually(lambda: http.post("/api/v1/interactions", json=BODY).status_code == 201)
        eventually(lambda: http.get("/ready").status_code == 200)
        assert http.get("/health").json()["status"] == "ok"


def test_database_failover_is_followed_and_loses_nothing_acknowledged(
    own_database: Any, server_at: Callable[..., Any], tmp_path: Path
):
    with own_database.standby() as other:
        hosts = ",".join(one.url.rpartition("host=")[2] for one in (own_database, other))
        url = f"{own_database.url.rpartition('host=')[0]}host={hosts}&target_session_attrs=read-write"
        two = [server_at(tmp_path / str(one), url, AFTERWORD_SECRET_KEY="of all") for one in range(2)]
        load = Load(two)
        load.wait_for_more()
        own_database.kill()
        other.promote()
        load.wait_for_more()
        load.stop()
        with two[1].client() as http:
            there = everything(http)
            assert http.get("/health").json()["status"] == "ok"
        assert len(there) == len(set(there))
        assert load.acknowledged <= set(there)
        for one in two:
            one.stop()


@pytest.mark.thorough
def test_full_connection_limit_is_reported_and_open_connections_work_on(
    own_database: Any, server_at: Callable[..., Any], tmp_path: Path
):
    running = server_at(tmp_path / "one", own_database.url)
    with running.client() as http, ExitStack() as others:
        http.post("/api/v1/interactions", json=BODY).raise_for_status()
        with suppress(psycopg.OperationalError):
            while True:
                others.enter_context(psycopg.connect(own_database.url))
        answers = [http.post("/api/v1/interactions", json=BODY) for _ in range(20)]
        answers += [http.get("/api/v1/interactions") for _ in range(20)]
        assert {answer.status_code for answer in answers} <= {200, 201, 503}
        assert all(answer.headers["retry-after"] for answer in answers if answer.status_code == 503)
        with pytest.raises(AssertionError, match="too many clients"):
            server_at(tmp_path / "two", own_database.url)
        others.close()
        eventually(lambda: http.post("/api/v1/interactions", json=BODY).status_code == 201)
        eventually(lambda: http.get("/ready").status_code == 200)


@pytest.mark.thorough
def test_servers_started_at_once_on_an_empty_database_upgrade_it_once(
    postgresql: Any, server_at: Callable[..., Any], tmp_path: Path
):
    first = server_at(tmp_path / "data", postgresql.new(empty=True), "--workers", "3")
    with first.client() as http:
        assert [one["key"] for one in http.get("/api/v1/projects").json()["projects"]] == ["default"]


def test_workers_share_a_port_are_replaced_on_death_and_end_together(new_server: Any):
    running = new_server("--workers", "2")

    def serving() -> list[psutil.Process]:
        children = psutil.Process(running.process.pid).children()
        alive = [one for one in children if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
        return [one for one in alive if "spawn_main" in " ".join(one.cmdline())]

    before = serving()
    assert len(before) == 2
    with running.client() as http:
        http.post("/api/v1/interactions", json=BODY).raise_for_status()
    before[0].kill()
    eventually(lambda: len([one for one in serving() if one not in before[:1]]) == 2)
    # A fresh connection each time: whichever process takes it.
    for _ in range(10):
        with running.client() as http:
            eventually(lambda http=http: _status(http) == 201)
    its = serving()
    running.process.send_signal(signal.SIGTERM)
    running.process.wait(30)
    assert psutil.wait_procs(its, timeout=30)[1] == []


def _status(http: httpx.Client) -> int:
    try:
        return http.post("/api/v1/interactions", json=BODY).status_code
    except httpx.TransportError:
        return 0


def test_workers_end_when_the_process_that_started_them_is_killed(new_server: Any):
    running = new_server("--workers", "2")
    children = psutil.Process(running.process.pid).children(recursive=True)
    running.kill()
    assert psutil.wait_procs(children, timeout=30)[1] == []
