"""Metrics of the server for Prometheus: no secrets, no ids, and a bounded number of series."""

from __future__ import annotations

import asyncio
import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar

from afterword.store.background.retention import Retention
from afterword.store.background.rollups import RollupWorker
from afterword.store.background.search_index import SearchIndexWorker
from afterword.store.background.worker import Worker
from afterword.store.engine import Store

if TYPE_CHECKING:
    from prometheus_client.core import Metric
    from sqlalchemy import Connection

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Kind: TypeAlias = Literal["counter", "gauge", "histogram"]
# Up to this many models have series of their own; further models are counted together.
MAX_LABELLED_MODELS = 200
OTHER_MODELS = "other"
# A provider's number of tokens above this is ignored.
MAX_CALL_TOKENS = 1 << 53

_OVERHEAD_BOUNDS_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0)
_ANSWER_BOUNDS_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_REQUEST_BOUNDS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_COMMIT_BOUNDS_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)
_UNIT_COUNT_BOUNDS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0)


class Number:
    """A counter or a gauge."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def inc(self, by: int = 1) -> None:
        """Add `by`."""
        self.value += by

    def dec(self) -> None:
        """Subtract one."""
        self.value -= 1


class Histogram:
    """Counts measurements by the interval of `bounds` that they fall into.

    Only one thread writes it, so it needs no lock. prometheus_client locks, and compares the bounds one by one:
    counting an answer took 3.8 microseconds with it, 2 % of what logging an interaction takes. Here it takes 0.5.
    """

    __slots__ = ("bounds", "numbers", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.numbers = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count a measurement."""
        self.numbers[bisect_left(self.bounds, value)] += 1
        self.total += value


S = TypeVar("S", Number, Histogram)


class Family(Generic[S]):
    """The series of one name, by the values of their labels."""

    def __init__(self, kind: Kind, name: str, text: str, make: Callable[[], S], labels: Sequence[str] = ()) -> None:
        self._description = (kind, name, text)
        self._labels = labels
        self._make = make
        self._series: dict[tuple[str, ...], S] = {}

    def series(self, *labels: str) -> S:
        """Return the series with these label values; create it if it is new."""
        labelled = self._series.get(labels)
        if labelled is None:
            labelled = self._series[labels] = self._make()
        return labelled

    def to_metric(self) -> Metric:
        """Return the current values, for Prometheus."""
        kind, name, text = self._description
        metric: Any = _prometheus_metric_class(kind)(name, text, labels=self._labels)
        # A copy: the event loop's thread may add series meanwhile.
        for labels, series in list(self._series.items()):
            if isinstance(series, Histogram):
                bounds = [*map(str, series.bounds), "+Inf"]
                metric.add_metric(labels, [*zip(bounds, accumulate(series.numbers), strict=True)], series.total)
            else:
                metric.add_metric(labels, series.value)
        return metric


class Meters:
    """The metrics of one server. Those of `store` are read when the metrics are fetched.

    The event loop's thread counts everything except commits, which the writer's thread counts.
    """

    def __init__(self, store: Store, retention: Retention) -> None:
        self._store = store
        self._retention = retention
        self._workers: Sequence[Worker] = ()
        self._families: list[Family[Any]] = []
        self._calls = self._counter("calls", "Calls of language models.", "face", "model", "provider", "state")
        self._overhead = self._histogram(
            "call_overhead_seconds",
            "What Afterword added to a call, the wait for the disk among it.",
            _OVERHEAD_BOUNDS_SECONDS,
            "face",
        )
        self._provider = self._histogram("provider_seconds", "What the provider took.", _ANSWER_BOUNDS_SECONDS, "model")
        self._ttft = self._histogram(
            "time_to_first_token_seconds",
            "From the acceptance of a streamed call to its first word.",
            _ANSWER_BOUNDS_SECONDS,
            "model",
        )
        self._tokens = self._counter("tokens", "Tokens of calls.", "model", "kind")
        self._unlogged = self._counter(
            "calls_unlogged", "Calls that went through without being stored, because the store could not write."
        ).series()
        self._telemetry = self._counter(
            "telemetry", "Spans, log records and evaluations that were sent by OpenTelemetry.", "signal", "result"
        )
        self.streams = self._family("gauge", "streams", "Calls under way, streamed or not.", Number, ()).series()
        self._requests = self._counter("http_requests", "Answers.", "route", "status")
        self._seconds = self._histogram(
            "http_request_seconds", "From request to answer.", _REQUEST_BOUNDS_SECONDS, "route"
        )
        commits = self._histogram(
            "commit_seconds", "Time of a commit, with the writing of its rows.", _COMMIT_BOUNDS_SECONDS
        ).series()
        units = self._histogram("commit_units", "Writes in a commit.", _UNIT_COUNT_BOUNDS).series()

        def observe_commit(number: int, seconds: float) -> None:
            commits.observe(seconds)
            units.observe(number)

        store.queue.watch = observe_commit
        self._pending = math.nan, math.nan
        self._registry: Any = None
        self._models: set[str] = set()
        self._series_of_call: dict[tuple[str, ...], tuple[Number, Histogram, Histogram, Histogram, Number, Number]] = {}
        self._series_of_answer: dict[tuple[str, int], tuple[Number, Histogram]] = {}

    def watch_workers(self, workers: Sequence[Worker]) -> None:
        """Include the metrics of background workers."""
        self._workers = workers

    def count_call(
        self,
        *,
        operation: str,
        model: str,
        provider: str,
        state: str,
        overhead: float,
        provider_time: float,
        ttft: float | None = None,
        usage: dict[str, Any],
    ) -> None:
        """Count a call; times are in seconds."""
        if model not in self._models:
            if len(self._models) < MAX_LABELLED_MODELS:
                self._models.add(model)
            else:
                model = OTHER_MODELS
        key = (operation, model, provider, state)
        series = self._series_of_call.get(key)
        if series is None:
            series = self._series_of_call[key] = (
                self._calls.series(*key),
                self._overhead.series(operation),
                self._provider.series(model),
                self._ttft.series(model),
                self._tokens.series(model, "prompt"),
                self._tokens.series(model, "completion"),
            )
        calls, overheads, provider_times, first_token_times, prompt, completion = series
        calls.inc()
        overheads.observe(max(0.0, overhead))
        provider_times.observe(provider_time)
        if ttft is not None:
            first_token_times.observe(ttft)
        for counter, name in ((prompt, "prompt_tokens"), (completion, "completion_tokens")):
            number = usage.get(name)
            if isinstance(number, int) and 0 < number <= MAX_CALL_TOKENS:
                counter.inc(number)

    def count_unlogged_call(self) -> None:
        """Count a call that went through without being stored."""
        self._unlogged.inc()

    def count_telemetry(self, signal: str, result: str, number: int = 1) -> None:
        """Count spans, log records or evaluations that were sent by OpenTelemetry, by what became of them."""
        self._telemetry.series(signal, result).inc(number)

    def count_answer(self, route: str, status: int, seconds: float) -> None:
        """Count an answer; `route` is the path template of its route."""
        series = self._series_of_answer.get((route, status))
        if series is None:
            series = self._series_of_answer[route, status] = (
                self._requests.series(route, str(status)),
                self._seconds.series(route),
            )
        requests, times = series
        requests.inc()
        times.observe(seconds)

    async def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        try:
            self._pending = await self._store.read(_waiting_counts)
        except Exception:
            # If the store cannot be read, the other metrics show it.
            self._pending = math.nan, math.nan
        # With many models this is half a megabyte of text: build it in a thread, so that other calls go on.
        return await asyncio.to_thread(self._exposition)

    def _exposition(self) -> bytes:
        # Imported on first use: the import takes 20 ms, a twentieth of the server's start.
        from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

        if self._registry is None:
            registry = CollectorRegistry()
            ProcessCollector(registry=registry)
            registry.register(self)
            self._registry = registry
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield the counted metrics, and those of the store, which counts the rows of all interfaces."""
        for family in self._families:
            yield family.to_metric()
        queue, (search, marks) = self._store.queue, self._pending
        for name, text, value in (
            ("write_queue_units", "Writes that wait for their commit.", queue.waiting[0]),
            ("write_queue_bytes", "What they hold in memory.", queue.waiting[1]),
            ("store_fault", "1 while the store cannot write.", float(queue.fault is not None)),
            ("search_waiting", "Interactions that are not in the text index yet.", search),
            ("rollup_marks", "Marks on hours that have changed and are not added up anew yet.", marks),
        ):
            yield _prometheus_metric_class("gauge")(f"afterword_{name}", text, value)
        inserted, counter = queue.inserted, _prometheus_metric_class("counter")
        stored = "Interactions stored, those of calls among them."
        yield counter("afterword_interactions", stored, inserted["interactions"])
        feedback = counter("afterword_feedback", "Feedback stored.", labels=("kind",))
        feedback.add_metric(("feedback",), inserted["feedback"])
        # A preference has a row for each of its completions.
        feedback.add_metric(("preference",), inserted["preferences"] // 2)
        feedback.add_metric(("outcome",), inserted["outcomes"])
        yield feedback
        deleted = counter("afterword_retention_deleted", "Deleted because it was too old.", labels=("what",))
        deleted.add_metric(("interaction",), self._retention.interactions)
        deleted.add_metric(("payload",), self._retention.payloads)
        yield deleted
        label = ("worker",)
        seconds = counter("afterword_background_seconds", "Time of the steps of background work.", labels=label)
        failures = counter("afterword_background_failures", "Steps of background work that failed.", labels=label)
        for worker in self._workers:
            seconds.add_metric((worker.name,), worker.step_seconds)
            failures.add_metric((worker.name,), worker.failed_steps)
        yield from (seconds, failures)

    def _family(self, kind: Kind, name: str, text: str, make: Callable[[], S], labels: Sequence[str]) -> Family[S]:
        family = Family(kind, f"afterword_{name}", text, make, labels)
        self._families.append(family)
        return family

    def _counter(self, name: str, text: str, *labels: str) -> Family[Number]:
        return self._family("counter", name, text, Number, labels)

    def _histogram(self, name: str, text: str, bounds: Sequence[float], *labels: str) -> Family[Histogram]:
        return self._family("histogram", name, text, lambda: Histogram(bounds), labels)


def _waiting_counts(connection: Connection) -> tuple[int, int]:
    return SearchIndexWorker.waiting(connection), RollupWorker.waiting(connection)


def _prometheus_metric_class(kind: Kind) -> Any:
    """Return the class of prometheus_client for a kind of metric."""
    from prometheus_client import core

    return {
        "counter": core.CounterMetricFamily,
        "gauge": core.GaugeMetricFamily,
        "histogram": core.HistogramMetricFamily,
    }[kind]
