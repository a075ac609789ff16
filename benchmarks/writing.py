"""Writing jobs: an interaction, a feedback, many interactions. The server answers when all is on disk."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from afterword import Afterword
from benchmarks import load, workload
from benchmarks.report import Figure, Section, of_calls
from benchmarks.server import KEY, Server, running

Submit = Callable[..., Future[Any]]

LOG_AIM, FEEDBACK_AIM, UPLOAD_AIM = 5_000, 7_000, 15_000
LOG_P99_AIM_MS = 20
TURN_COUNT = 16


def logging(seconds: float) -> Section:
    """Log interactions and feedback, one per call."""
    figures: list[Figure] = []
    with ExitStack() as stack:
        server, submit = _started(stack)
        for in_flight in (1, 30, 256):
            timings = _written(submit, server, "interaction", in_flight, seconds)
            what = f"log an interaction, {in_flight} in flight"
            figures.append(of_calls(what, timings, aim=LOG_AIM if in_flight == 30 else None))
            if in_flight == 30:
                figures.append(Figure(f"{what}: p99", timings.percentile(0.99), "ms", LOG_P99_AIM_MS))
            server.wait_for_texts()
        completions = server.completions()
        for in_flight in (1, 30, 256):
            timings = _written(submit, server, "feedback", in_flight, seconds, completions)
            what = f"log a feedback, {in_flight} in flight"
            figures.append(of_calls(what, timings, aim=FEEDBACK_AIM if in_flight == 30 else None))
        figures += _feedback_by_api(submit, server, seconds, completions)
    return Section("Log, acknowledged on disk (2 KB, 3 labels, 1 feedback)", figures)


def _feedback_by_api(submit: Submit, server: Server, seconds: float, completions: list[str]) -> list[Figure]:
    """Log feedback by REST and by GraphQL, in short turns, so that other load on the machine affects both."""
    apis: tuple[tuple[str, workload.Kind], ...] = (("REST", "feedback"), ("GraphQL", "score"))
    both = {name: load.Timings() for name, _ in apis}
    processor = dict.fromkeys(both, 0.0)
    for _ in range(TURN_COUNT):
        for name, kind in apis:
            before = server.processor_seconds()
            turn = _written(submit, server, kind, 30, 2 * seconds / TURN_COUNT, completions)
            processor[name] += server.processor_seconds() - before
            both[name].each += turn.each
            both[name].seconds += turn.seconds
    rest_timings, graphql_timings = both.values()
    figures = [of_calls(f"log a feedback by {name}, by turns, 30 in flight", timings) for name, timings in both.items()]
    of_call = {name: 1000 * processor[name] / len(timings.each) for name, timings in both.items()}
    return [
        *figures,
        Figure("... REST as many times as fast", rest_timings.rate / graphql_timings.rate, "", 1.5),
        *(Figure(f"... processor time of a call by {name}", value, "ms") for name, value in of_call.items()),
    ]


def uploading(interactions: int) -> Section:
    """Upload many interactions in batches, over bare HTTP and through the client."""
    figures: list[Figure] = []
    batch = 1_000
    with ExitStack() as stack:
        server, submit = _started(stack)
        for in_flight in (1, 4):
            arguments = {"first": 0, "number": interactions, "batch": batch, "in_flight": in_flight, "days": 0.0}
            timings: load.Timings = submit(load.upload, server.target, seed=10 + in_flight, **arguments).result()
            check(timings)
            figures.append(of_calls(f"batches of {batch:,}, {in_flight} in flight", timings, each=batch))
            server.wait_for_texts()
        rate, stored = submit(upload_through_client, server.url, interactions).result()
        if stored != interactions:
            raise RuntimeError(f"Of {interactions} interactions {stored} were stored.")
        figures.append(Figure("through the client's `interactions.upload`", rate, "/s", UPLOAD_AIM))
        seconds = server.wait_for_texts()
        figures.append(Figure("texts indexed afterwards, with nothing else to do", interactions / seconds, "/s"))
    return Section(f"Bulk upload of {interactions:,} interactions", figures)


def upload_through_client(url: str, number: int) -> tuple[float, int]:
    """Upload through the client; return interactions per second and how many were stored."""
    records = workload.records(20, number)
    with Afterword(base_url=url, api_key=KEY) as client:
        report = client.interactions.upload(records, progress=False)
    return number / report.seconds, report.stored


def _started(stack: ExitStack) -> tuple[Server, Submit]:
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="afterword-bench-")))
    server = stack.enter_context(running(directory / "data"))
    server.register_metric()
    return server, stack.enter_context(load.generator())


def _written(
    submit: Submit,
    server: Server,
    kind: workload.Kind,
    in_flight: int,
    seconds: float,
    completions: list[str] | None = None,
) -> load.Timings:
    timings: load.Timings = submit(
        load.write, server.target, kind, in_flight=in_flight, seconds=seconds, completions=completions, seed=in_flight
    ).result()
    check(timings)
    return timings


def check(timings: load.Timings) -> None:
    """Raise `RuntimeError` if the server refused calls."""
    if timings.refused:
        raise RuntimeError(f"The server refused {timings.refused} of {len(timings.each)} calls.")
