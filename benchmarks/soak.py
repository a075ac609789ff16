"""Checks whether a server's memory stops growing: many calls of all kinds, with its memory after each tenth of them."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp

from benchmarks.report import Figure, Section
from benchmarks.server import Server, running
from benchmarks.workload import METRIC

# MB by which memory may grow after the first fifth, in which caches and pools fill.
GROWTH_AIM_MB = 5.0
CALLER_COUNT = 16

Call: TypeAlias = Callable[["Caller", int], Awaitable[None]]


class Caller:
    """Makes the calls. The state that calls share is bounded."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self.rated = ""

    async def _send(self, method: str, path: str, body: Any = None, *expected: int) -> Any:
        async with self._session.request(method, path, json=body) as answer:
            content = await answer.read()
            if answer.status not in (expected or (200, 201)):
                raise RuntimeError(f"{method} {path}: {answer.status} {content[:300]!r}")
            return content if expected or b"data:" in content[:10] else await answer.json()

    async def log(self, number: int) -> None:
        """Log an interaction with a label of its own."""
        body = {
            "messages": [{"role": "user", "content": f"question {number}"}],
            "completion": f"answer {number} " * 20,
            "labels": {"env": "prod", "trace": f"t{number}"},
            "user": f"user-{number % 1000}",
            "model": f"model-{number % 50}",
        }
        self.rated = (await self._send("POST", "/api/v1/interactions", body))["completion_id"]

    async def chat(self, number: int) -> None:
        """Call the model `echo`."""
        body = {"model": "echo", "messages": [{"role": "user", "content": f"hello {number}"}]}
        self.rated = (await self._send("POST", "/api/v1/chat/completions", body))["choices"][0]["completion_id"]

    async def stream(self, number: int) -> None:
        """Call the model `echo`, streamed."""
        body = {"model": "echo", "stream": True, "messages": [{"role": "user", "content": f"hello {number}"}]}
        await self._send("POST", "/api/v1/chat/completions", body)

    async def rate(self, number: int) -> None:
        """Give feedback on the last interaction."""
        body = {"completion_id": self.rated, "metric": METRIC, "value": number % 5}
        await self._send("POST", "/api/v1/feedback", body)

    async def label(self, number: int) -> None:
        """Change labels."""
        await self._send("PATCH", f"/api/v1/interactions/{self.rated}/labels", {"set": {"seen": f"s{number}"}})

    async def page(self, number: int) -> None:
        """Read a page, sometimes with a filter."""
        parameters = f"&label=trace:t{number}" if number % 2 else "&view=full"
        await self._send("GET", f"/api/v1/interactions?limit=20{parameters}")

    async def find(self, number: int) -> None:
        """Search for words."""
        await self._send("GET", f"/api/v1/interactions?limit=5&q=question+{number % 100}")

    async def graphql(self, number: int) -> None:
        """Make a GraphQL call, sometimes with a new document."""
        document = f"query Q{number % 200} {{ projects {{ id key }} }}"
        await self._send("POST", "/api/graphql", {"query": document}, 200)

    async def refused(self, number: int) -> None:
        """Make calls that are refused: for unknown objects, and with wrong values."""
        await self._send("GET", f"/api/v1/interactions/00000000-0000-7000-8000-{number % 10**12:012d}", None, 404)
        await self._send("POST", f"/api/v1/feedback?x{number}=1", {"value": number}, 422, 400)
        await self._send("GET", f"/api/v1/no/such/{number}", None, 404)


KINDS: dict[str, Call] = {
    name: getattr(Caller, name)
    for name in ("log", "chat", "stream", "rate", "label", "page", "find", "graphql", "refused")
}


async def _run(server: Server, calls: int, kinds: list[str], after: Callable[[int], None]) -> None:
    headers = {"Authorization": f"Bearer {server.target.key}"}
    async with aiohttp.ClientSession(server.url, headers=headers, timeout=aiohttp.ClientTimeout(120)) as session:
        caller = Caller(session)
        await caller.log(0)
        for part in range(10):
            last = (part + 1) * calls // 10

            async def work(numbers: Iterator[int]) -> None:
                for number in numbers:
                    await KINDS[kinds[number % len(kinds)]](caller, number)

            numbers = iter(range(part * calls // 10, last))
            await asyncio.gather(*(work(numbers) for _ in range(CALLER_COUNT)))
            after(last)


def soak(calls: int, kinds: list[str] | None = None, database_url: str | None = None) -> Section:
    """Make `calls` calls; return the server's memory after each tenth of them."""
    memory_after_calls: list[tuple[int, float]] = []
    with (
        tempfile.TemporaryDirectory() as directory,
        running(Path(directory) / "data", database_url=database_url) as server,
    ):
        server.register_metric()
        asyncio.run(
            _run(
                server,
                calls,
                kinds or [*KINDS],
                lambda call_count: memory_after_calls.append((call_count, server.memory / 1e6)),
            )
        )
    fifth = memory_after_calls[1][1]
    figures = [Figure(f"memory after {call_count:,} calls", memory, "MB") for call_count, memory in memory_after_calls]
    growth = max(memory for _, memory in memory_after_calls[1:]) - fifth
    return Section(
        "soak", [*figures, Figure(f"growth after the first {memory_after_calls[1][0]:,}", growth, "MB", GROWTH_AIM_MB)]
    )
