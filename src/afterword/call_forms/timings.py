"""The timings of a call, as the gateway logs them."""

from __future__ import annotations

from typing import Any


def call_timings(latency: float, ttft: float | None, completion_tokens: Any) -> dict[str, Any]:
    """Return latency and time to first token in milliseconds, and the tokens per second between them.

    {} for a call that ended before it began.
    """
    if latency < 0:
        return {}
    timings: dict[str, Any] = {"latency": round(latency)}
    if ttft is not None and 0 <= ttft <= latency:
        timings["ttft"] = round(ttft)
    seconds = (latency - timings.get("ttft", 0)) / 1000
    if isinstance(completion_tokens, int) and completion_tokens > 0 and seconds > 0:
        timings["tokens_per_second"] = round(completion_tokens / seconds, 1)
    return timings
