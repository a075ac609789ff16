"""A provider of language models in a process of its own, which misbehaves on demand: see serving.py."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx


class Upstream:
    """The running provider. Its OpenAI-compatible API is at `endpoint`, Anthropic's at `url`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("serving.py"))], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        self.endpoint = f"{self.url}/v1"
        self._http = httpx.Client()

    def seen(self, marker: str) -> list[dict[str, Any]]:
        """Return the requests (method, path, query, headers, body) whose body holds this text."""
        return [one for one in httpx.get(f"{self.url}/seen").json() if marker in str(one["body"])]

    def script(self, name: str, content: bytes, *, status: int = 200, content_type: str = "application/json") -> None:
        """Answer so to whatever is asked below /scripted/NAME."""
        url, headers = f"{self.url}/scripted/{name}", {"content-type": content_type}
        self._http.put(url, params={"status": status}, content=content, headers=headers)

    def forget(self) -> None:
        """Forget the requests so far."""
        httpx.delete(f"{self.url}/seen").raise_for_status()

    def under_way(self, model: str) -> int:
        """Return how many requests for this model it is serving right now."""
        return httpx.get(f"{self.url}/open").json().get(model, 0)

    def wait_until_idle(self, model: str, seconds: float = 10.0) -> None:
        """Wait until no request for this model is under way."""
        end = time.monotonic() + seconds
        while self.under_way(model):
            assert time.monotonic() < end, f"a request for {model} is still under way at the provider"
            time.sleep(0.02)

    def connections(self) -> int:
        """Return how many connections it has besides the one that asks."""
        return httpx.get(f"{self.url}/connections").json() - 1

    def stop(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait(10)
