"""OpenAI's own client, whose calls are logged: they go straight to the provider, and to Afterword in the background.

>>> from afterword.openai import OpenAI
>>> client = OpenAI()

Each answer has the `completion_id` of each choice at once. `client.afterword` is the log: `feedback` gives a value to a
completion, `flush` waits until all is sent. The fields and headers that the gateway takes (`labels`, `session_id`, ...
in `extra_body`; `x-afterword-...`) are taken out before the call goes to the provider.
"""

# The library is not among the dependencies of this package.
# pyright: reportMissingImports=false
from __future__ import annotations

import openai

from afterword.call_log.http_clients import LoggedClient

__all__ = ["AsyncAzureOpenAI", "AsyncOpenAI", "AzureOpenAI", "OpenAI"]


class OpenAI(LoggedClient, openai.OpenAI):
    """`openai.OpenAI` with a log."""

    _http_client_type = openai.DefaultHttpxClient


class AsyncOpenAI(LoggedClient, openai.AsyncOpenAI):
    """`openai.AsyncOpenAI` with a log."""

    _http_client_type = openai.DefaultAsyncHttpxClient


class AzureOpenAI(LoggedClient, openai.AzureOpenAI):
    """`openai.AzureOpenAI` with a log."""

    _http_client_type = openai.DefaultHttpxClient


class AsyncAzureOpenAI(LoggedClient, openai.AsyncAzureOpenAI):
    """`openai.AsyncAzureOpenAI` with a log."""

    _http_client_type = openai.DefaultAsyncHttpxClient
