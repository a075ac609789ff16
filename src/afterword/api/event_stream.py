"""Sends server-sent events to the caller: the head, the events, and comments while the provider is silent.

Proxies cut connections that are silent for 30 to 100 seconds, and a model may think for longer. Clients ignore
comments (`: ...`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from afterword.api.rest import Headers, Send

EVENTS: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    # Tells proxies not to buffer the chunks.
    (b"x-accel-buffering", b"no"),
]
COMMENT = b": waiting\n\n"
# The least time between two comments, so that a provider's frequent comments are not all repeated.
MIN_COMMENT_SECONDS = 1.0


class EventStream:
    """The answer to one streamed call.

    The head is sent with the first event, with the provider's first activity after MIN_COMMENT_SECONDS, or after
    `head_seconds` of silence. Until then a provider's error can still be answered with its own status. Afterwards a
    comment is sent after each `comment_seconds` of silence (0: never).
    """

    def __init__(
        self, send: Send, headers: Callable[[], Headers], *, head_seconds: float, comment_seconds: float
    ) -> None:
        self.is_begun = False
        """Whether the head was sent."""
        self._send = send
        self._headers = headers
        self._head_seconds = head_seconds
        self._comment_seconds = comment_seconds
        self._loop = asyncio.get_running_loop()
        self._last_sent_at = self._loop.time()
        self._prepare: Callable[[], asyncio.Future[None]] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._comment: asyncio.Task[None] | None = None
        # Two tasks send events and comments; whichever is first must also send the head.
        self._lock = asyncio.Lock()

    def start(self, prepare: Callable[[], asyncio.Future[None]]) -> None:
        """Begin to watch for silence. No comment is sent before the future that `prepare` returns is done, and none at
        all if it fails."""
        self._prepare = prepare
        self._schedule_check(self._head_seconds)

    def note_activity(self) -> None:
        """Note that the provider is active; the caller gets a comment."""
        if self._loop.time() - self._last_sent_at >= MIN_COMMENT_SECONDS:
            self._send_comment()

    async def send(self, events: bytes, *, is_last: bool = False) -> None:
        """Send whole events; the last ones end the answer."""
        async with self._lock:
            await self._send_head()
            self._last_sent_at = self._loop.time()
            await self._send({"type": "http.response.body", "body": events, "more_body": not is_last})

    async def stop(self) -> None:
        """Send no more comments. A comment that is being sent is complete when this returns."""
        self._prepare = None
        if self._timer is not None:
            self._timer.cancel()
        if self._comment is not None:
            await asyncio.wait([self._comment])

    async def _send_head(self) -> None:
        if not self.is_begun:
            self.is_begun = True
            await self._send({"type": "http.response.start", "status": 200, "headers": [*EVENTS, *self._headers()]})

    def _schedule_check(self, seconds: float) -> None:
        self._timer = self._loop.call_later(seconds, self._check_silence)

    def _check_silence(self) -> None:
        """Send a comment if one is due, and schedule the next check."""
        silence_seconds = self._comment_seconds if self.is_begun else self._head_seconds
        if self.is_begun and not silence_seconds:
            return
        remaining_seconds = self._last_sent_at + silence_seconds - self._loop.time()
        if remaining_seconds <= 0:
            self._send_comment()
            remaining_seconds = self._comment_seconds or self._head_seconds
        self._schedule_check(remaining_seconds)

    def _send_comment(self) -> None:
        if self._prepare is not None and (self._comment is None or self._comment.done()):
            self._comment = self._loop.create_task(self._comment_when_ready(self._prepare()))

    async def _comment_when_ready(self, ready_future: asyncio.Future[None]) -> None:
        if not ready_future.done():
            await asyncio.wait([ready_future])
        if ready_future.cancelled() or ready_future.exception() is not None:
            return
        await self.send(COMMENT)
