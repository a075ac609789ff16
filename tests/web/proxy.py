"""A proxy before a server, which goes away, comes back, and answers 502 when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections import Counter
from collections.abc import Coroutine
from typing import Any

BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Proxy:
    """Passes each request on over a connection of its own. `url` stays the same whether it is there or not."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._failing: Counter[str] = Counter()
        self._listening: asyncio.Server | None = None
        self._serving: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._own_port = 0
        self.come()
        self.url = f"http://127.0.0.1:{self._own_port}"

    def come(self) -> None:
        """Listen (again)."""
        self._run(self._listen())

    def go(self) -> None:
        """Refuse connections, and break off those that are open."""
        self._run(self._leave())

    def fail(self, path: str, times: int = 1) -> None:
        """Answer the next calls of a path with 502."""
        self._failing[path] += times

    @property
    def failing(self) -> int:
        """Return how many calls are still to be answered with 502."""
        return self._failing.total()

    def close(self) -> None:
        """Go for good."""
        self.go()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _listen(self) -> None:
        self._listening = await asyncio.start_server(self._serve, "127.0.0.1", self._own_port)
        self._own_port = self._listening.sockets[0].getsockname()[1]

    async def _leave(self) -> None:
        if self._listening is not None:
            self._listening.close()
        serving = list(self._serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._pass_on(reader, writer)
        finally:
            self._serving.discard(task)
            writer.transport.abort() if task.cancelling() else writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        body = await reader.readexactly(int(length[1]) if length else 0)
        path = head.split(b" ", 2)[1].partition(b"?")[0].decode()
        if self._failing[path] > 0:
            self._failing[path] -= 1
            writer.write(BAD_GATEWAY)
            await writer.drain()
            return
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            up_writer.write(
                re.sub(rb"(?i)\r\nconnection: [^\r]*", b"", head)[:-2] + b"connection: close\r\n\r\n" + body
            )
            answering = asyncio.create_task(_copy(up_reader, writer))
            # Who hangs up here has hung up there.
            leaving = asyncio.create_task(reader.read())
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            for task in (answering, leaving):
                task.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)
        finally:
            up_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65_536):
        writer.write(chunk)
        await writer.drain()
