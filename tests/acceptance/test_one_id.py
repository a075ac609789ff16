"""An id that a caller chose names one thing, whichever of several servers is asked and however many ask at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

pytestmark = pytest.mark.shared

ROUNDS = 24
CALLERS = 4
BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "Why?"}], "completion": "So."}


class Race:
    """Callers at two servers over one database, who call at the same moment."""

    def __init__(self, servers: list[Any]) -> None:
        self.database_url = servers[0].database_url
        self.http = [servers[number % len(servers)].client() for number in range(CALLERS)]
        self._threads = ThreadPoolExecutor(CALLERS)
        self._barrier = threading.Barrier(CALLERS)
        for key in ("CSAT", "clarity"):
            self.http[0].post("/api/v1/metrics", json={"key": key})

    def run(self, call: Callable[[httpx.Client, int], httpx.Response]) -> list[httpx.Response]:
        """Call once from each caller, all at once; return the answers in the order of the callers."""

        def wait_and_call(number: int) -> httpx.Response:
            self._barrier.wait(30)
            return call(self.http[number], number)

        return list(self._threads.map(wait_and_call, range(CALLERS)))

    def log(self) -> str:
        """Log an interaction; return its completion_id."""
        return self.http[0].post("/api/v1/interactions", json=BODY).json()["completion_id"]

    def close(self) -> None:
        """Close the connections."""
        self._threads.shutdown()
        for http in self.http:
            http.close()


@pytest.fixture
def race(new_server: Any) -> Iterator[Race]:
    made = Race([new_server(), new_server()])
    yield made
    made.close()


def interaction(race: Race) -> tuple[str, str, Callable[[int], dict[str, Any]], Callable[[], Any]]:
    one = str(uuid4())

    def body(content: int) -> dict[str, Any]:
        labels = {f"by-{content}": "yes", "all": "yes"}
        feedbacks = [{"metric": "CSAT", "value": content}]
        return {**BODY, "completion_id": one, "completion": f"So {content}", "labels": labels, "feedbacks": feedbacks}

    def stored() -> Any:
        found = race.http[3].get(f"/api/v1/interactions/{one}").json()
        assert [f"by-{f['value']:.0f}" for f in found["feedback"]] == sorted(found["labels"])[1:]
        return int(found["completion"].split()[1])

    return "/api/v1/interactions", "completion_exists", body, stored


def feedback(race: Race) -> tuple[str, str, Callable[[int], dict[str, Any]], Callable[[], Any]]:
    """Each content is on a completion of its own: no key of the large tables sees that the id is the same."""
    one, rated = str(uuid4()), [race.log() for _ in range(CALLERS)]

    def body(content: int) -> dict[str, Any]:
        return {"completion_id": rated[content], "metric": "CSAT", "value": content, "feedback_id": one}

    def stored() -> Any:
        shown = [race.http[3].get(f"/api/v1/interactions/{each}").json()["feedback"] for each in rated]
        [content] = [number for number, its in enumerate(shown) if its]
        assert race.http[2].get(f"/api/v1/feedback/{one}").json()["value"] == content
        return content

    return "/api/v1/feedback", "feedback_exists", body, stored


def preference(race: Race) -> tuple[str, str, Callable[[int], dict[str, Any]], Callable[[], Any]]:
    """Of two completions, now the one preferred and now the other, and of others."""
    one, sides = str(uuid4()), [race.log() for _ in range(3)]
    pairs = [(0, 1), (1, 0), (0, 2), (2, 1)]

    def body(content: int) -> dict[str, Any]:
        preferred, other = pairs[content]
        compared = {"preferred_completion": sides[preferred], "other_completion": sides[other]}
        return {**compared, "metric": "CSAT", "comparison_id": one}

    def stored() -> Any:
        query = b"SELECT interaction_id::text, other_id::text FROM preferences WHERE id = %s ORDER BY side"
        with psycopg.connect(race.database_url) as store:
            rows = store.execute(query, (one,)).fetchall()
        assert len(rows) == 2
        assert rows[1] == rows[0][::-1]
        return pairs.index((sides.index(rows[0][0]), sides.index(rows[0][1])))

    return "/api/v1/preferences", "comparison_exists", body, stored


def preference_of_texts(race: Race) -> tuple[str, str, Callable[[int], dict[str, Any]], Callable[[], Any]]:
    """Each is to log two texts, which stay away where the id is taken."""
    one, label = str(uuid4()), uuid4().hex

    def body(content: int) -> dict[str, Any]:
        sides = {"preferred_completion": {"text": f"this {content}"}, "other_completion": {"text": f"that {content}"}}
        about = {"messages": BODY["messages"], "labels": {"race": label}}
        return {**sides, **about, "metric": "CSAT", "comparison_id": one}

    def stored() -> Any:
        found = race.http[3].get("/api/v1/interactions", params={"label": f"race:{label}"}).json()["interactions"]
        assert len(found) == 2
        [content] = {int(each["completion"].split()[1]) for each in found}
        return content

    return "/api/v1/preferences", "comparison_exists", body, stored


def outcome(race: Race) -> tuple[str, str, Callable[[int], dict[str, Any]], Callable[[], Any]]:
    """Each content is on a session of its own."""
    one, sessions = str(uuid4()), [str(uuid4()) for _ in range(CALLERS)]
    for session in sessions:
        race.http[0].post("/api/v1/interactions", json={**BODY, "session_id": session})

    def body(content: int) -> dict[str, Any]:
        return {"session_id": sessions[content], "metric": "CSAT", "value": content, "outcome_id": one}

    def stored() -> Any:
        [each] = [o for o in race.http[3].get("/api/v1/outcomes").json()["outcomes"] if o["outcome_id"] == one]
        assert each["session_id"] == sessions[int(each["value"])]
        return int(each["value"])

    return "/api/v1/outcomes", "outcome_exists", body, stored


KINDS = [interaction, feedback, preference, preference_of_texts, outcome]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_of_callers_with_one_id_one_wins_and_the_others_get_409(race: Race, kind: Any):
    for _ in range(ROUNDS):
        path, code, body, stored = kind(race)
        answers = race.run(lambda http, number, path=path, body=body: http.post(path, json=body(number)))
        assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409], [a.text for a in answers]
        assert {a.json()["error"]["code"] for a in answers if a.status_code == 409} == {code}
        assert stored() == [answer.status_code for answer in answers].index(201)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_callers_who_send_the_same_under_one_id_get_the_same_answer(race: Race, kind: Any):
    for number in range(ROUNDS // 2):
        path, _, body, stored = kind(race)
        content = number % CALLERS
        same = body(content)
        answers = race.run(lambda http, _, path=path, same=same: http.post(path, json=same))
        assert [answer.status_code for answer in answers] == [201] * CALLERS, [a.text for a in answers]
        assert all(answer.json() == answers[0].json() for answer in answers)
        assert stored() == content


@pytest.mark.parametrize("path", ["interactions", "feedback", "preferences", "outcomes"])
def test_batches_with_the_same_ids_in_other_orders_take_each_once(race: Race, path: str):
    for _ in range(ROUNDS // 4):
        ids = [str(uuid4()) for _ in range(8)]
        rated = [race.log() for _ in range(CALLERS + 1)]

        def line(one: str, caller: int, rated: list[str] = rated) -> dict[str, Any]:
            if path == "interactions":
                return {**BODY, "completion_id": one, "completion": f"So {caller}"}
            if path == "feedback":
                return {"completion_id": rated[caller], "metric": "CSAT", "value": caller, "feedback_id": one}
            if path == "outcomes":
                return {"session_id": rated[caller], "metric": "CSAT", "value": caller, "outcome_id": one}
            sides = {"preferred_completion": rated[caller], "other_completion": rated[-1]}
            return {**sides, "metric": "CSAT", "comparison_id": one}

        def send(http: httpx.Client, caller: int, ids: list[str] = ids, line: Any = line) -> httpx.Response:
            order = ids if caller % 2 else ids[::-1]
            return http.post(f"/api/v1/{path}/batch", json=[line(one, caller) for one in order])

        won = dict.fromkeys(ids, 0)
        for caller, answer in enumerate(race.run(send)):
            lines = [httpx.Response(200, content=raw).json() for raw in answer.text.splitlines()]
            assert {each["status"] for each in lines} <= {201, 409}, answer.text
            for one, each in zip(ids if caller % 2 else ids[::-1], lines, strict=True):
                won[one] += each["status"] == 201
        assert set(won.values()) == {1}


def test_id_deleted_and_logged_concurrently_is_whole_or_absent(race: Race):
    one = str(uuid4())
    words = [f"word{uuid4().hex}" for _ in range(ROUNDS)]

    def body(number: int) -> dict[str, Any]:
        feedbacks = [{"metric": "CSAT", "value": 1}, {"metric": "clarity", "value": 2}]
        about = {"completion_id": one, "labels": {"round": str(number)}, "feedbacks": feedbacks}
        return {**BODY, **about, "completion": words[number]}

    def call(http: httpx.Client, caller: int, number: int) -> httpx.Response:
        if caller % 2:
            return http.delete(f"/api/v1/interactions/{one}")
        return http.post("/api/v1/interactions", json=body(number))

    for number in range(ROUNDS):
        answers = race.run(lambda http, caller, number=number: call(http, caller, number))
        # 503: the words of what was deleted are still being taken out of the text index.
        assert {answer.status_code for answer in answers} <= {200, 201, 404, 409, 503}, [a.text for a in answers]
        found = race.http[number % CALLERS].get(f"/api/v1/interactions/{one}")
        if found.status_code == 200:
            shown = found.json()
            its = int(shown["labels"]["round"])
            assert shown["completion"] == words[its]
            assert len(shown["feedback"]) == 2
            there = race.http[0].get("/api/v1/interactions", params={"label": f"round:{its}"}).json()["interactions"]
            assert [each["completion_id"] for each in there] == [one]
        check_parts(race, one, there=found.status_code == 200)
    while race.http[0].get("/health").json()["search"]["waiting"]:
        pass
    found = race.http[0].get(f"/api/v1/interactions/{one}")
    kept = found.json()["completion"] if found.status_code == 200 else None
    for word in words:
        hits = race.http[1].get("/api/v1/interactions", params={"q": word}).json()["interactions"]
        assert [each["completion_id"] for each in hits] == ([one] if word == kept else [])
        with psycopg.connect(race.database_url) as store:
            query = b"SELECT count(*) FROM search_words WHERE words @@ %s::tsquery"
            assert store.execute(query, (f"'{word}'",)).fetchone() == (int(word == kept),)


def check_parts(race: Race, one: str, *, there: bool) -> None:
    """Check that all that hangs on an interaction is there with it, and goes with it."""
    with psycopg.connect(race.database_url) as store:
        for table, number in (("payloads", 1), ("feedback", 2), ("interaction_labels", 1)):
            query = f"SELECT count(*) FROM {table} WHERE interaction_id = %s".encode()
            assert store.execute(query, (one,)).fetchone() == (number * there,), table


def test_a_dataset_key_is_taken_once_and_a_part_sent_twice_at_once_is_one(race: Race):
    lines = b'{"messages": [{"role": "user", "content": "Why?"}]}\n'
    for number in range(ROUNDS // 4):
        answers = race.run(lambda http, _, n=number: http.post(f"/api/v1/datasets?key=one-{n}", content=lines))
        assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409], [a.text for a in answers]
        begun = race.http[0].post("/api/v1/upload/init", json={"total_parts_count": 1}).json()["session_id"]
        place = f"/api/v1/upload/part?session_id={begun}&part_number=1"
        parts = race.run(lambda http, _, place=place: http.post(place, content=lines))
        assert [answer.status_code for answer in parts] == [200] * CALLERS, [a.text for a in parts]


def test_abort_racing_parts_and_dataset_creation_makes_or_refuses_each(race: Race):
    line = b'{"messages": [{"role": "user", "content": "Why?"}]}\n'
    for number in range(ROUNDS):
        begun = race.http[0].post("/api/v1/upload/init", json={"total_parts_count": 2}).json()["session_id"]
        for part in (1, 2):
            race.http[0].post(f"/api/v1/upload/part?session_id={begun}&part_number={part}", content=line)

        def call(http: httpx.Client, caller: int, begun: str = begun, n: int = number) -> httpx.Response:
            if caller == 0:
                return http.request("DELETE", "/api/v1/upload/abort", json={"session_id": begun})
            if caller == 1:
                return http.post(f"/api/v1/upload/part?session_id={begun}&part_number=2", content=line)
            return http.post("/api/v1/datasets/from-upload", json={"session_id": begun, "key": f"d{n}-{caller}"})

        answers = race.run(call)
        assert {answer.status_code for answer in answers} <= {200, 201, 404, 422}, [a.text for a in answers]
        with psycopg.connect(race.database_url) as store:
            query = b"SELECT count(*) FROM upload_parts WHERE upload NOT IN (SELECT number FROM uploads)"
            assert store.execute(query).fetchone() == (0,)
