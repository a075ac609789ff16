"""What people ask of a store of ten million: pages, counts, statistics. All by the public API, as the web page does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from afterword.types import (
    FeedbackCondition,
    Filter,
    LabelCondition,
    Match,
    NewSummary,
    NewTrend,
    NumberCondition,
    Search,
    TimeRange,
)
from benchmarks.load import send
from benchmarks.reading import Call
from benchmarks.scale.population import DAYS, EXPERT, GIVEN_UP, HELPFUL, RAREST_WORD, STARS
from benchmarks.server import Server
from benchmarks.workload import COMMON_WORD, RARE_WORD

SEARCH = "/api/v1/interactions/search"
TRIPLE = "label + time + feedback value"


def label(key: str, *values: str) -> Filter:
    """Return the condition that a label has one of these values."""
    return Filter(
        label=LabelCondition(key=key, value=Match(eq=values[0]) if len(values) == 1 else Match(in_=list(values)))
    )


def feedback_condition(metric: str, **comparison: float) -> Filter:
    """Return the condition that there is such feedback."""
    return Filter(
        feedback=FeedbackCondition(metric=metric, value=NumberCondition(**comparison) if comparison else None)
    )


def both(*parts: Filter) -> Filter:
    """Return the condition that all hold."""
    return Filter(and_=list(parts))


def any_of(*parts: Filter) -> Filter:
    """Return the condition that one of them holds."""
    return Filter(or_=list(parts))


def days(first: float, number: float, end: datetime) -> Filter:
    """Return the condition on the time, in days after the first interaction."""
    start = end - timedelta(days=DAYS - first)
    return Filter(timerange=TimeRange(from_=start.isoformat(), to=(start + timedelta(days=number)).isoformat()))


def filters(end: datetime) -> dict[str, Filter | None]:
    """Return the filters whose pages are measured."""
    production, development = label("environment", "production"), label("environment", "development")
    customer, release, incident = (
        label("customer", "customer-3000"),
        label("release", "3.9"),
        label("incident", "incident-3"),
    )
    good, a_day = feedback_condition(STARS, gte=4), days(60, 1, end)
    return {
        "newest 50": None,
        "one label, broad (70 %)": production,
        "one label, rare (1 in 10,000)": customer,
        "one label, of two days long ago": release,
        "one label, two values of long ago": label("release", "3.9", "3.10"),
        "one label, any value, rare": Filter(label=LabelCondition(key="incident")),
        "label AND label": both(production, label("customer", "customer-0")),
        "label AND label, one of long ago": both(development, release),
        "label OR label, one rare": any_of(incident, customer),
        "label OR feedback, both rare": any_of(customer, feedback_condition(EXPERT, gt=0.9)),
        "NOT label (70 %)": Filter(not_=production),
        "label AND NOT (label OR value)": both(production, Filter(not_=any_of(label("customer", "customer-0"), good))),
        "a day, 60 days ago": a_day,
        "feedback value (8 %)": good,
        "feedback value, rare (1 in 10,000)": feedback_condition(EXPERT, gt=0.9),
        "feedback, of a metric given up 90 days ago": feedback_condition(GIVEN_UP),
        "feedback value AND rare label": both(good, customer),
        "feedback value AND feedback value": both(good, feedback_condition(HELPFUL, eq=1)),
        TRIPLE: both(production, a_day, good),
        f"{TRIPLE}, the label rare": both(customer, a_day, good),
        "latency above 10 s": feedback_condition("latency", gt=10_000),
        "calls that failed": Filter(state=Match(eq="failed")),
        "model, new since 50 days, 60 days ago": both(Filter(model=Match(eq="model-f")), a_day),
        "text, a word of 1 in 100,000": Filter(text=RAREST_WORD),
        "text, a word of 1 in 2,000": Filter(text=RARE_WORD),
        "text, a word of 1 in 4": Filter(text=COMMON_WORD),
        "text, a phrase": Filter(text='"for example"'),
        "text, the beginning of a word": Filter(text="lighthou*"),
        "text of 1 in 4 AND rare label": both(Filter(text=COMMON_WORD), customer),
        "text of 1 in 2,000 AND label of long ago": both(Filter(text=RARE_WORD), release),
        "text of 1 in 4 AND a day, 60 days ago": both(Filter(text=COMMON_WORD), a_day),
    }


def page(filter: Filter | None, **arguments: Any) -> Call:
    """Return the call for a page of 50."""
    return SEARCH, msgspec.json.encode(Search(filter=filter, **arguments))


def pages(server: Server, end: datetime) -> dict[str, Call]:
    """Return the calls for pages, by what they ask for."""
    calls = {what: page(filter) for what, filter in filters(end).items()}
    # A cursor says where to go on, under whatever filter: these are of a day in the middle of the store.
    middle = send(server.target, "POST", SEARCH, Search(filter=days(60, 1, end)))["next"]
    calls["deep in a cursor"] = page(None, cursor=middle)
    calls["deep in a cursor, a broad label"] = page(label("environment", "production"), cursor=middle)
    calls["the oldest 50"] = page(None, order="created_at")
    calls["one interaction of a page, whole"] = (f"/api/v1/interactions/{_an_id(server, end)}", None)
    return calls


def _an_id(server: Server, end: datetime) -> str:
    return send(server.target, "POST", SEARCH, Search(filter=days(60, 1, end)))["interactions"][7]["completion_id"]


def sums(end: datetime) -> dict[str, Call]:
    """Return the calls that go over many interactions."""
    production, customer = label("environment", "production"), label("customer", "customer-3000")

    def counted(filter: Filter) -> Call:
        return SEARCH, msgspec.json.encode(Search(filter=filter, limit=1, count=True))

    def grouped(by: str, filter: Filter | None = None) -> Call:
        return SEARCH, msgspec.json.encode(Search(filter=filter, group_by=by))

    def summed(filter: Filter | None = None, split: str | None = None) -> Call:
        return f"/api/v1/metrics/{STARS}/statistics", msgspec.json.encode(NewSummary(filter=filter, split_by=split))

    def over_time(what: str, filter: Filter | None = None, split: str | None = None) -> Call:
        return f"/api/v1/{what}/timeseries", msgspec.json.encode(NewTrend(filter=filter, split_by=split))

    return {
        "count of a rare label": counted(customer),
        "count of a broad label": counted(production),
        "count of label AND label": counted(both(production, label("customer", "customer-0"))),
        "count of a feedback value": counted(feedback_condition(STARS, gte=4)),
        "labels, with their counts": ("/api/v1/labels", None),
        "groups by model": grouped("model"),
        "groups by model, of a rare label": grouped("model", customer),
        "groups by model, of a day": grouped("model", days(60, 1, end)),
        "statistics of a metric": summed(),
        "statistics by model": summed(split="model"),
        "statistics by model, of a broad label": summed(production, "model"),
        "statistics by model, of a rare label": summed(customer, "model"),
        "statistics by model, of a label in a day": summed(both(production, days(60, 1, end)), "model"),
        "interactions by day": over_time("interactions"),
        "interactions by day and model": over_time("interactions", split="model"),
        "a metric by day": over_time(f"metrics/{STARS}"),
        "a metric by day and model": over_time(f"metrics/{STARS}", split="model"),
        "a metric by day, of a rare label": over_time(f"metrics/{STARS}", customer),
        "latency by day": over_time("metrics/latency"),
        "models ranked by preferences": ("/api/v1/preferences/ranking?metric=better", None),
    }


def end_of(server: Server) -> datetime:
    """Return the time of the newest interaction."""
    [newest] = send(server.target, "GET", "/api/v1/interactions?limit=1")["interactions"]
    return datetime.fromisoformat(newest["created_at"]).astimezone(UTC)
