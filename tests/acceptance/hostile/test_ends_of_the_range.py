"""Numbers at the ends of what a float can hold: any finite number may be a value, and is summed up without a fault."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.every_store

HOUR_MS = 3_600_000
LARGEST, SMALLEST = 1.7976931348623157e308, 5e-324
VALUES: dict[str, list[float]] = {
    "the largest, twice": [LARGEST, LARGEST],
    "the largest and its negative": [LARGEST, -LARGEST, -LARGEST],
    "the smallest": [SMALLEST, SMALLEST],
    "the smallest and the largest": [SMALLEST, LARGEST],
    "what cannot be squared": [1e200, -1e200, 3.0],
    "more than have bins of their own": [LARGEST, -LARGEST, *(1e306 * number for number in range(1, 22))],
    "what is not whole as a float": [float(2**53 + 2), float(2**63), 1.0],
}
HOURS = {"in one hour": 0, "in an hour each": HOUR_MS}


@pytest.fixture(params=VALUES)
def values(request: pytest.FixtureRequest) -> list[float]:
    """Values under the metric `score`."""
    return VALUES[request.param]


@pytest.fixture(params=HOURS)
def logged(request: pytest.FixtureRequest, http: httpx.Client, project: str, values: list[float]) -> list[float]:
    """The values, each on an interaction of the project, and as its system metric."""
    http.post("/api/v1/metrics", json={"key": "score", "project": project}).raise_for_status()
    for number, value in enumerate(values):
        body = {
            "project": project,
            "messages": [{"role": "user", "content": "Hi"}],
            "completion": "Ho",
            "session_id": "session",
            "labels": {"a": "b"},
            "created_at": 1_700_000_000_000 + number * HOURS[request.param],
            "timings": {"tokens_per_second": of_call(value)},
            "feedbacks": [{"metric": "score", "value": value}],
        }
        http.post("/api/v1/interactions", json=body).raise_for_status()
        outcome = {"project": project, "session_id": "session", "metric": "score", "value": value}
        http.post("/api/v1/outcomes", json=outcome).raise_for_status()
    return values


def of_call(value: float) -> float:
    """Return a value as a system metric has it, which may be as small but not as large."""
    return min(abs(value), 1.0)


def mean_of(values: list[float]) -> Any:
    """Return about the mean: what is smaller than 1e-250 may be 0."""
    return pytest.approx(
        float(sum(map(Fraction, values)) / len(values)), rel=1e-9, abs=max(1e-250, *map(abs, values)) * 1e-9
    )


def test_values_are_summed_up(http: httpx.Client, project: str, logged: list[float]):
    for how in ({}, {"split_by": "label:a"}, {"split_by": "model"}, {"level": "session"}):
        check_sums(http, project, "score", logged, how)
        if "level" not in how:
            check_sums(http, project, "tokens_per_second", list(map(of_call, logged)), how)


def check_sums(http: httpx.Client, project: str, metric: str, values: list[float], how: dict[str, str]) -> None:
    """Check what statistics and trends tell of the values."""
    summary = get(http, f"metrics/{metric}/statistics", project, **how)
    for sums in (summary, *summary["splits"]):
        check_statistics(sums, values)
    assert sum(part["count"] for part in summary["distribution"]) == len(values)
    for part in summary["distribution"]:
        assert part["start"] <= part["end"]
    for interval in ("hour", "week"):
        [series] = get(http, f"metrics/{metric}/timeseries", project, interval=interval, **how)["series"]
        assert sum(point["count"] for point in series["points"]) == len(values)
        for point in series["points"]:
            assert min(values) - 1e-250 <= point["mean"] <= max(values)


def test_values_of_groups_are_summed_up(http: httpx.Client, project: str, logged: list[float]):
    for group_by in ("model", "prompt", "session", "label:a"):
        [group] = get(http, "interactions", project, group_by=group_by)["groups"]
        found = {sums["metric"]: sums for sums in group["metrics"]}
        check_statistics(found["score"], logged)
        check_statistics(found["tokens_per_second"], list(map(of_call, logged)))


def check_statistics(sums: dict[str, Any], values: list[float]) -> None:
    """Check what is told of all values together."""
    assert (sums["count"], sums["min"], sums["max"]) == (len(values), min(values), max(values))
    assert sums["mean"] == mean_of(values)
    assert sums["stddev"] >= 0


def get(http: httpx.Client, path: str, project: str, **query: str) -> dict[str, Any]:
    answer = http.get(f"/api/v1/{path}", params={"project": project, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()
