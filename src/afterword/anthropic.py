"""Anthropic's own client, whose calls are logged: they go straight to the provider, and to Afterword in the background.

>>> from afterword.anthropic import Anthropic
>>> client = Anthropic()

Each answer has its `completion_id` at once. `client.afterword` is the log: `feedback` gives a value to a
completion, `flush` waits until all is sent. The fields and headers that the gateway takes (`labels`, `session_id`, ...
in `extra_body`; `x-afterword-...`) are taken out before the call goes to the provider.
"""

# The library is not among the dependencies of this package.
# pyright: reportMissingImports=false
from __future__ import annotations

import anthropic

from afterword.call_log.http_clients import LoggedClient

__all__ = ["Anthropic", "AsyncAnthropic"]


class Anthropic(LoggedClient, anthropic.Anthropic):
    """`anthropic.Anthropic` with a log."""

    _http_client_type = anthropic.DefaultHttpxClient


class AsyncAnthropic(LoggedClient, anthropic.AsyncAnthropic):
    """`anthropic.AsyncAnthropic` with a log."""

    _http_client_type = anthropic.DefaultAsyncHttpxClient
