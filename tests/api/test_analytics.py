"""Statistics, trends and rankings: counted by hand on small sets."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import create_engine, select

from afterword import Afterword
from afterword.store.schema import projects, rollup_marks

Refused = Callable[..., dict[str, Any]]


@pytest.fixture
def log(http: httpx.Client, project: str) -> Callable[..., str]:
    for key, kind in (("CSAT", "scalar"), ("accepted", "bool"), ("better", "bool")):
        http.post("/api/v1/metrics", json={"key": key, "kind": kind, "project": project}).raise_for_status()

    def logged(model: str | None = "m", at: str | None = None, state: str | None = None, **values: float) -> str:
        feedbacks = [{"metric": metric, "value": value} for metric, value in values.items()]
        body = {
            "messages": [{"role": "user", "content": "Hello"}],
            "completion": "Hi",
            "model": model,
            "created_at": at,
            "project": project,
            "feedbacks": feedbacks,
            "call": state and {"state": state},
            "labels": {"env": "prod" if model == "m" else "test"} if model else {},
        }
        answer = http.post("/api/v1/interactions", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["completion_id"]

    return logged


@pytest.fixture
def ask(http: httpx.Client, project: str) -> Callable[..., dict[str, Any]]:
    def asked(path: str, **query: Any) -> dict[str, Any]:
        answer = http.get(f"/api/v1/{path}", params={"project": project, **query})
        assert answer.status_code == 200, answer.text
        return answer.json()

    return asked


Log = Callable[..., str]
Ask = Callable[..., dict[str, Any]]


def test_the_values_of_a_metric_in_short(log: Log, ask: Ask):
    for value in (1, 2, 2, 5):
        log(CSAT=value)
    found = ask("metrics/CSAT/statistics")
    assert (found["count"], found["mean"], found["min"], found["max"]) == (4, 2.5, 1, 5)
    assert found["stddev"] == pytest.approx(3**0.5)
    assert found["distribution"] == [
        {"start": 1, "end": 1, "count": 1},
        {"start": 2, "end": 2, "count": 2},
        {"start": 5, "end": 5, "count": 1},
    ]


def test_without_values_there_is_nothing_and_no_error(log: Log, ask: Ask):
    log()
    found = ask("metrics/CSAT/statistics", split_by="model")
    assert (found["count"], found["mean"], found["stddev"], found["distribution"]) == (0, None, None, [])
    assert found["splits"] == []
    assert ask("metrics/CSAT/timeseries")["series"] == []
    assert ask("preferences/ranking", metric="better") == {"metric": "better", "models": [], "pairs": []}


def test_many_values_lie_in_twenty_bins_and_none_is_lost(log: Log, ask: Ask):
    for value in range(41):
        log(CSAT=value)
    bins = ask("metrics/CSAT/statistics")["distribution"]
    assert len(bins) == 20
    assert (bins[0]["start"], bins[-1]["end"], sum(one["count"] for one in bins)) == (0, 40, 41)
    assert bins[0]["count"] == 2
    assert bins[-1]["count"] == 3


@pytest.mark.parametrize(
    ("split_by", "keys"), [("model", {"m": (2, 4.5), "n": (1, 1.0), None: (1, 3.0)}),
                           ("label:env", {"prod": (2, 4.5), "test": (1, 1.0), None: (1, 3.0)})],
)  # fmt: skip
def test_values_are_split(log: Log, ask: Ask, split_by: str, keys: dict[str | None, tuple[int, float]]):
    log("m", CSAT=4)
    log("m", CSAT=5)
    log("n", CSAT=1)
    log(None, CSAT=3)
    found = ask("metrics/CSAT/statistics", split_by=split_by)["splits"]
    assert {one["key"]: (one["count"], one["mean"]) for one in found} == keys


def test_filters_hold_for_statistics_as_for_lists(log: Log, ask: Ask, http: httpx.Client, project: str):
    log("m", CSAT=4)
    log("n", CSAT=1)
    assert ask("metrics/CSAT/statistics", label="env:prod")["mean"] == 4
    assert ask("metrics/CSAT/statistics", feedback="CSAT<3")["mean"] == 1
    body = {"project": project, "filter": {"not": {"model": {"eq": "m"}}}}
    assert http.post("/api/v1/metrics/CSAT/statistics", json=body).json()["mean"] == 1


def test_what_was_changed_or_deleted_counts_as_it_is_now(log: Log, ask: Ask, http: httpx.Client):
    first, second = log(CSAT=1), log(CSAT=2)
    said = http.post("/api/v1/feedback", json={"completion_id": second, "metric": "CSAT", "value": 4}).json()
    assert ask("metrics/CSAT/statistics")["count"] == 3
    http.delete(f"/api/v1/interactions/{first}").raise_for_status()
    http.patch(f"/api/v1/feedback/{said['feedback_id']}", json={"value": 5}).raise_for_status()
    found = ask("metrics/CSAT/statistics")
    assert (found["count"], found["mean"]) == (2, 3.5)


@pytest.mark.parametrize("interval", ["minute", "day"])
def test_points_of_a_trend_tell_the_deviation_of_their_values(log: Log, ask: Ask, interval: str):
    base = 1e9  # Large values lose small differences where their squares are summed.
    for value in (1, 2, 2, 5):
        log(at="2026-10-20T10:00:30Z", CSAT=base + value)
    log(at="2026-10-21T10:00:30Z", CSAT=base)
    [series] = ask("metrics/CSAT/timeseries", interval=interval)["series"]
    assert [(point["count"], point["stddev"]) for point in series["points"]] == [
        (4, pytest.approx(3**0.5)),
        (1, None),
    ]
    [counts] = ask("interactions/timeseries", interval=interval)["series"]
    assert [(point["count"], point["stddev"]) for point in counts["points"]] == [(4, None), (1, None)]


def test_sums_of_very_large_and_very_small_values_are_answered(log: Log, ask: Ask, http: httpx.Client, project: str):
    for value in (1e200, -1e200, 1e-200, 1):
        log(at="2026-10-20T10:00:30Z", CSAT=value)
    [series] = ask("metrics/CSAT/timeseries")["series"]
    assert series["points"][0]["count"] == 4
    assert ask("metrics/CSAT/statistics")["count"] == 4
    answer = http.post("/api/v1/interactions/search", json={"project": project, "group_by": "model"})
    assert answer.json()["groups"][0]["metrics"][0]["count"] == 4


def test_system_metrics_have_statistics_and_trends(gateway, http: httpx.Client):
    model = gateway.model()
    for _ in range(3):
        gateway.ask(model).raise_for_status()
    query = {"project": gateway.project, "split_by": "model"}
    found = http.get("/api/v1/metrics/latency/statistics", params=query).json()
    assert (found["count"], found["scoring_type"], found["splits"][0]["count"]) == (3, "lower_is_better", 3)
    [series] = http.get("/api/v1/metrics/total_tokens/timeseries", params=query).json()["series"]
    assert sum(point["count"] for point in series["points"]) == 3


def test_a_trend_has_the_days_of_the_zone_also_the_one_with_25_hours(log: Log, ask: Ask):
    # In Berlin the clocks went back in the night to October 25th, 2026.
    log(at="2026-10-24T21:59:00Z", CSAT=1)
    log(at="2026-10-24T22:00:00Z", CSAT=2)
    log(at="2026-10-25T22:59:00Z", CSAT=4)
    log(at="2026-10-25T23:00:00Z", CSAT=5)
    [series] = ask("metrics/CSAT/timeseries", timezone="Europe/Berlin")["series"]
    assert [(one["start"], one["end"], one["count"], one["mean"]) for one in series["points"]] == [
        ("2026-10-23T22:00:00Z", "2026-10-24T22:00:00Z", 1, 1),
        ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", 2, 3),
        ("2026-10-25T23:00:00Z", "2026-10-26T23:00:00Z", 1, 5),
    ]


def test_weeks_begin_on_monday_and_hours_where_the_zone_has_them(log: Log, ask: Ask):
    log(at="2026-11-22T23:30:00Z", CSAT=1)
    log(at="2026-11-23T00:10:00Z", CSAT=3)
    [weeks] = ask("metrics/CSAT/timeseries", interval="week")["series"]
    assert [one["start"] for one in weeks["points"]] == ["2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"]
    [hours] = ask("metrics/CSAT/timeseries", interval="hour", timezone="Asia/Kolkata")["series"]
    assert [one["start"] for one in hours["points"]] == ["2026-11-22T23:30:00Z"]


def test_interactions_are_counted_over_time(log: Log, ask: Ask):
    for model in ("m", "m", "n"):
        log(model, at="2026-11-01T12:00:00Z")
    [series] = ask("interactions/timeseries")["series"]
    assert [(one["count"], one["mean"]) for one in series["points"]] == [(3, None)]
    split = ask("interactions/timeseries", split_by="model")["series"]
    assert [(one["key"], one["points"][0]["count"]) for one in split] == [("m", 2), ("n", 1)]


def test_failed_interactions_are_counted_beside_all(log: Log, ask: Ask, http: httpx.Client, project: str):
    for day, model, state in ((1, "m", "failed"), (1, "m", None), (1, "n", "failed"), (2, "m", None)):
        log(model, at=f"2026-11-0{day}T12:00:00Z", state=state)
    [series] = ask("interactions/timeseries", failures=True)["series"]
    assert [(point["count"], point["failed"]) for point in series["points"]] == [(3, 2), (1, 0)]
    body = {"project": project, "split_by": "model", "failures": True, "filter": {"timerange": {"to": "2026-11-02"}}}
    split = http.post("/api/v1/interactions/timeseries", json=body).raise_for_status().json()["series"]
    assert [[(point["count"], point["failed"]) for point in series["points"]] for series in split] == [
        [(2, 1)],
        [(1, 1)],
    ]
    [series] = ask("interactions/timeseries")["series"]
    assert "failed" not in series["points"][0]


def test_too_long_a_time_is_refused_with_what_to_do(log: Log, http: httpx.Client, project: str, refused: Refused):
    log(at="2020-01-01", CSAT=1)
    log(at="2026-01-01", CSAT=1)
    answer = http.get("/api/v1/metrics/CSAT/timeseries", params={"project": project, "interval": "hour"})
    assert "longer interval" in refused(answer, 422, "too_many_points", "interval")["hint"]


@pytest.mark.parametrize(
    ("query", "param"), [({"timezone": "Mars/North"}, "timezone"), ({"split_by": "session"}, "split_by"),
                         ({"interval": "year"}, "interval"), ({"label": ":x"}, "label")],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(
    log: Log, http: httpx.Client, project: str, refused: Refused, query: Any, param: str
):
    answer = http.get("/api/v1/metrics/CSAT/timeseries", params={"project": project, **query})
    assert refused(answer, 422)["param"].startswith(param)


def test_models_are_ranked_by_preferences(log: Log, ask: Ask, http: httpx.Client):
    def prefer(one: str, other: str, tied: str | None = None) -> None:
        body = {"metric": "better", "preferred_completion": log(one), "other_completion": log(other), "tied": tied}
        http.post("/api/v1/comparison", json=body).raise_for_status()

    for _ in range(3):
        prefer("a", "b")
    prefer("b", "a")
    prefer("b", "a", "good")
    prefer("a", "b", "bad")
    prefer("b", "c")
    prefer("c", "c")
    found = ask("preferences/ranking", metric="better")
    assert [(one["rank"], one["model"]) for one in found["models"]] == [(1, "a"), (2, "b"), (3, "c")]
    first = found["models"][0]
    assert (first["wins"], first["losses"], first["good_ties"], first["bad_ties"]) == (3, 1, 1, 1)
    assert first["low"] < first["rating"] < first["high"]
    pair = next(one for one in found["pairs"] if {one["model"], one["other_model"]} == {"a", "b"})
    turned = pair["model"] == "b"
    assert (pair["losses"], pair["wins"]) == ((3, 1) if turned else (1, 3))
    assert pair["win_rate"] == pytest.approx(2 / 6 if turned else 4 / 6)
    narrowed = ask("preferences/ranking", metric="better", model=["a", "b"])
    assert [one["model"] for one in narrowed["models"]] == ["a", "b"]


def wait_until_added_up(server: Any, project: str, seconds: float = 60.0) -> None:
    """Wait until no hour of a project is marked."""
    url = server.database_url or f"sqlite:///{server.directory / 'afterword.db'}"
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    query = select(rollup_marks.c.id).join(projects, projects.c.number == rollup_marks.c.project)
    end = time.monotonic() + seconds
    while True:
        with engine.connect() as connection:
            if connection.execute(query.where(projects.c.id == UUID(project)).limit(1)).first() is None:
                break
        assert time.monotonic() < end, "hours are still marked"
        time.sleep(0.05)
    engine.dispose()


def test_what_was_added_up_is_right_again_at_the_next_write(log: Log, http: httpx.Client, project: str, server: Any):
    start = 1_700_000_000_000 // 3_600_000 * 3_600_000
    ids = [log("m" if place % 2 else None, at=str(start + place * 1_000_000), CSAT=place) for place in range(8)]
    number = http.get(f"/api/v1/projects/{project}").json()["id"]

    def asked() -> list[Any]:
        found = []
        for path, more in (("statistics", {"split_by": "model"}), ("timeseries", {"interval": "hour"})):
            # By a tree that the rollups do not know, the same is asked of the rows.
            by_rollups, by_rows = (
                http.post(f"/api/v1/metrics/CSAT/{path}", json={"project": project, "filter": filter, **more}).json(
                    # Sums depend a little on the order in which they are made.
                    parse_float=lambda text: float(f"{float(text):.9g}")
                )
                for filter in (None, {"or": [{"and": []}]})
            )
            assert by_rollups == by_rows
            found.append(by_rollups)
        return [found[0]["count"], found[0]["mean"], len(found[1]["series"][0]["points"])]

    assert asked() == [8, 3.5, 2]
    wait_until_added_up(server, number)
    assert asked() == [8, 3.5, 2]
    said = http.post("/api/v1/feedback", json={"completion_id": ids[0], "metric": "CSAT", "value": 9}).json()
    assert asked() == [9, 4.11111111, 2]
    http.patch(f"/api/v1/feedback/{said['feedback_id']}", json={"value": 1}).raise_for_status()
    assert asked() == [9, 3.22222222, 2]
    http.delete(f"/api/v1/feedback/{said['feedback_id']}").raise_for_status()
    for one in ids[4:]:
        http.delete(f"/api/v1/interactions/{one}").raise_for_status()
    assert asked() == [4, 1.5, 1]
    wait_until_added_up(server, number)
    assert asked() == [4, 1.5, 1]
    log("m", at=str(start - 1), CSAT=10)
    assert asked()[0] == 5


def test_the_client_asks_by_plain_filters_or_by_a_tree(log: Log, http: httpx.Client, server: Any, project: str):
    sides = [log("m", "2026-03-01T12:00:00Z", CSAT=5), log("n", "2026-03-02T12:00:00Z", CSAT=1)]
    client = Afterword(server.url, server.api_key, default_project=project)
    client.feedback.log_preference("better", *sides)
    plain = client.feedback.statistics("CSAT", labels={"env": "prod"})
    tree = client.feedback.statistics("CSAT", {"model": {"eq": "m"}}, split_by="model")
    assert (plain.count, plain.mean, tree.mean, [one.key for one in tree.splits]) == (1, 5, 5, ["m"])
    trend = client.feedback.timeseries("CSAT", interval="day", timezone="Europe/Paris")
    assert [point.mean for point in trend.series[0].points] == [5, 1]
    assert [one.model for one in client.feedback.ranking("better").models] == ["m", "n"]
    assert client.feedback.ranking("better", {"model": {"eq": "m"}}).models == []


def test_a_condition_beside_a_tree_is_not_lost(log: Log, server: Any, project: str):
    client = Afterword(server.url, server.api_key, default_project=project)
    with pytest.raises(TypeError, match="labels"):
        client.feedback.statistics("CSAT", {"text": "x"}, labels={"env": "prod"})
