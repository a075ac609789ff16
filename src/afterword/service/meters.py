"""What the server counts and times, for Prometheus: no secrets, no ids, and a bounded number of series."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from afterword.store.engine import Store
from afterword.store.search import Indexer

disable_created_metrics()
CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
# Each model is a series of its own; beyond so many they are counted together.
MOST_MODELS = 200
OTHER = "other"
# What a provider says beyond it is no number of tokens.
MOST_TOKENS = 1 << 53

_OVERHEAD = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0)
_ANSWER = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_REQUEST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_COMMIT = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)
_UNITS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)


class Meters:
    """The counters of one server. `store` is asked how it is when the figures are fetched."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(_Written(store))
        self._calls = Counter(
            "afterword_calls", "Calls of language models.", ("face", "model", "provider", "state"), registry=registry
        )
        self._overhead = Histogram(
            "afterword_call_overhead_seconds",
            "What Afterword added to a call, the wait for the disk among it.",
            ("face",),
            buckets=_OVERHEAD,
            registry=registry,
        )
        self._provider = Histogram(
            "afterword_provider_seconds", "What the provider took.", ("model",), buckets=_ANSWER, registry=registry
        )
        self._ttft = Histogram(
            "afterword_time_to_first_token_seconds",
            "From the acceptance of a streamed call to its first word.",
            ("model",),
            buckets=_ANSWER,
            registry=registry,
        )
        self._tokens = Counter("afterword_tokens", "Tokens of calls.", ("model", "kind"), registry=registry)
        self._unlogged = Counter(
            "afterword_calls_unlogged",
            "Calls that went through without being stored, because the store could not write.",
            registry=registry,
        )
        self.streams = Gauge("afterword_streams", "Calls under way, streamed or not.", registry=registry)
        self._requests = Counter("afterword_http_requests", "Answers.", ("route", "status"), registry=registry)
        self._seconds = Histogram(
            "afterword_http_request_seconds", "From request to answer.", ("route",), buckets=_REQUEST, registry=registry
        )
        commits = Histogram("afterword_commit_seconds", "Time of a commit.", buckets=_COMMIT, registry=registry)
        units = Histogram("afterword_commit_units", "Writes in a commit.", buckets=_UNITS, registry=registry)

        def committed(number: int, seconds: float) -> None:
            commits.observe(seconds)
            units.observe(number)

        store.queue.watch = committed
        for name, text, value in (
            ("afterword_write_queue_units", "Writes that wait for their commit.", lambda: store.queue.waiting[0]),
            ("afterword_write_queue_bytes", "What they hold in memory.", lambda: store.queue.waiting[1]),
            ("afterword_store_fault", "1 while the store cannot write.", lambda: float(store.queue.fault is not None)),
        ):
            Gauge(name, text, registry=registry).set_function(value)
        self._search = Gauge(
            "afterword_search_waiting", "Interactions that are not in the text index yet.", registry=registry
        )
        self._models: set[str] = set()
        self._of_call = lru_cache(maxsize=4096)(self._series_of_call)
        self._of_request = lru_cache(maxsize=4096)(
            lambda route, status: (self._requests.labels(route, status), self._seconds.labels(route))
        )

    def called(
        self,
        *,
        face: str,
        model: str,
        provider: str,
        state: str,
        overhead: float,
        provider_time: float,
        ttft: float | None = None,
        usage: dict[str, Any],
    ) -> None:
        """Count a call; times are in seconds."""
        calls, overheads, times, firsts, prompt, completion = self._of_call(face, self._named(model), provider, state)
        calls.inc()
        overheads.observe(max(0.0, overhead))
        times.observe(provider_time)
        if ttft is not None:
            firsts.observe(ttft)
        for counter, name in ((prompt, "prompt_tokens"), (completion, "completion_tokens")):
            number = usage.get(name)
            if isinstance(number, int) and 0 < number <= MOST_TOKENS:
                counter.inc(number)

    def unlogged(self) -> None:
        """Count a call that went through without being stored."""
        self._unlogged.inc()

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count an answer; `route` is its template."""
        requests, times = self._of_request(route, status)
        requests.inc()
        times.observe(seconds)

    async def text(self) -> bytes:
        """Return all figures in Prometheus' text format."""
        try:
            self._search.set(await self._store.read(Indexer.waiting))
        except Exception:
            # Where the store cannot be read, the other figures are what tells of it.
            self._search.set(math.nan)
        # With many models it is some megabytes of text: other calls go on meanwhile.
        return await asyncio.to_thread(generate_latest, self._registry)

    def _named(self, model: str) -> str:
        if model not in self._models:
            if len(self._models) >= MOST_MODELS:
                return OTHER
            self._models.add(model)
        return model

    def _series_of_call(self, face: str, model: str, provider: str, state: str) -> tuple[Any, ...]:
        return (
            self._calls.labels(face, model, provider, state),
            self._overhead.labels(face),
            self._provider.labels(model),
            self._ttft.labels(model),
            self._tokens.labels(model, "prompt"),
            self._tokens.labels(model, "completion"),
        )


class _Written:
    """What was committed since the start: the store counts it, whichever way it came."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[CounterMetricFamily]:
        inserted = self._store.queue.inserted
        yield CounterMetricFamily(
            "afterword_interactions", "Interactions stored, those of calls among them.", inserted["interactions"]
        )
        feedback = CounterMetricFamily("afterword_feedback", "Feedback stored.", labels=("kind",))
        feedback.add_metric(("feedback",), inserted["feedback"])
        # A preference stands with both of its completions.
        feedback.add_metric(("preference",), inserted["preferences"] // 2)
        feedback.add_metric(("outcome",), inserted["outcomes"])
        yield feedback
