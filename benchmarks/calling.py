"""Jobs that call a language model through the gateway, compared with the same calls made directly."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import load, workload
from benchmarks.load import Calls, Target
from benchmarks.report import Figure, Section, of_calls
from benchmarks.server import KEY, Server, free_port, running

P50_AIM, P99_AIM, FIRST_AIM, RATE_AIM = 1.5, 5.0, 2.0, 2_500
RATES = (50, 200, 500)
PATH = "/api/v1/chat/completions"
DIRECT = "/v1/chat/completions"


@contextmanager
def upstream() -> Iterator[int]:
    """Run the provider that answers at once; yield its port."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.upstream", str(port)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield port
    finally:
        process.terminate()
        process.wait()


def calling(seconds: float) -> Iterator[Section]:
    """Call a model directly, through the gateway without logging, and through the gateway with every call on disk."""
    with ExitStack() as stack:
        port = stack.enter_context(upstream())
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="afterword-bench-")))
        server = stack.enter_context(running(directory / "data"))
        register(server, port)
        submit = stack.enter_context(load.generator())
        routes = {
            "directly": (Target(port, KEY), DIRECT, {}),
            "through the gateway, store: false": (server.target, PATH, {"store": False}),
            "through the gateway, logged": (server.target, PATH, {"labels": {"bench": "yes", "version": "7"}}),
        }

        def measure(route: str, **how: Any) -> Calls:
            target, path, extra_fields = routes[route]
            name = how.pop("model", "fast")
            body = request_body(extra_fields, f"default/{name}" if target is server.target else name, how.pop("stream"))
            return submit(load.call, target, path, body, **how).result()

        for stream in (False, True):
            yield _latency(measure, list(routes), stream, seconds)
            yield _rates(measure, list(routes), stream, seconds, server)
        yield _at_once(measure, server)
        yield _parity(server)


def _latency(measure: Any, routes: list[str], stream: bool, seconds: float) -> Section:
    figures: list[Figure] = []
    for label, how in [("1 in flight", {"in_flight": 1}), *((f"{rate}/s", {"rate": rate}) for rate in RATES)]:
        bare: Calls | None = None
        for route in routes:
            calls: Calls = measure(route, stream=stream, seconds=seconds, **how)
            timings = calls.first_chunks if stream else calls.whole_answers
            figures.append(of_calls(f"{label}, {route}", timings))
            if bare is None:
                bare = calls
                continue
            direct = bare.first_chunks if stream else bare.whole_answers
            aimed = route == routes[-1] and label in ("1 in flight", "200/s")
            for share, name, aim in ((0.5, "p50", FIRST_AIM if stream else P50_AIM), (0.99, "p99", P99_AIM)):
                added = timings.percentile(share) - direct.percentile(share)
                figure_aim = aim if aimed and not (stream and name == "p99") else None
                figures.append(Figure(f"... added at the {name}", added, "ms", figure_aim))
    what = "Time to the first chunk of a stream" if stream else "Latency of a whole answer"
    return Section(f"{what}, the provider answering at once", figures)


def _rates(measure: Any, routes: list[str], stream: bool, seconds: float, server: Server) -> Section:
    figures = []
    for route in routes:
        calls: Calls = measure(route, stream=stream, seconds=seconds, in_flight=64)
        aim = RATE_AIM if route == routes[-1] and not stream else None
        figures.append(of_calls(f"64 in flight, {route}", calls.whole_answers, aim=aim))
        if route == routes[-1]:
            figures.append(Figure("... texts waiting for the index afterwards", server.waiting_texts(), ""))
            server.wait_for_texts()
    return Section(f"Most {'streams' if stream else 'calls'} a second", figures)


def _at_once(measure: Any, server: Server) -> Section:
    """Hold many streams open at the pace of a model."""
    figures = []
    for number in (100, 500):
        calls: Calls = measure("through the gateway, logged", model="slow", stream=True, seconds=3.0, in_flight=number)
        figures.append(of_calls(f"{number} streams of 27 chunks at once, logged: first chunk", calls.first_chunks))
        # A stream that is forwarded without delay takes as long as the model: 28 parts of 20 ms.
        figures.append(
            Figure("... whole stream (the model's own time: 560 ms)", calls.whole_answers.percentile(0.5), "ms")
        )
        figures.append(Figure("... memory of the server", server.memory / 1e6, "MB"))
    return Section("Streams at once", figures)


def _parity(server: Server) -> Section:
    """Compare the number of answers with the number of stored interactions."""
    before = _stored(server)
    calls = load.call(
        server.target, PATH, request_body({}, "default/fast", False), seconds=1.0, in_flight=32, warm_up=0.0
    )
    stored = _stored(server) - before
    if stored != calls.answered:
        raise RuntimeError(f"Of {calls.answered} answered calls {stored} are stored.")
    return Section(
        "Row parity",
        [Figure("answers with status 200", calls.answered, ""), Figure("interactions stored", stored, "")],
    )


def _stored(server: Server) -> int:
    return load.send(server.target, "GET", "/api/v1/interactions?limit=1&count=true")["count"]


def register(server: Server, port: int) -> None:
    """Register the models of the provider at `port`."""
    for name in ("fast", "slow"):
        model = {
            "key": name,
            "provider": "open_ai",
            "external_model_id": name,
            "endpoint": f"http://127.0.0.1:{port}/v1",
            "api_key": "none",
            "project": "default",
        }
        load.send(server.target, "POST", "/api/v1/models", model)


def request_body(extra_fields: dict[str, Any], model: str, stream: bool) -> bytes:
    """Return a request of 2 KB."""
    record = msgspec.json.decode(workload.Workload(5).interaction(1))
    body = {"model": model, "messages": record["messages"], "temperature": 0.2, **extra_fields}
    return msgspec.json.encode({**body, "stream": True} if stream else body)
