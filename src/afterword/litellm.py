"""A LiteLLM callback that logs each call.

>>> import litellm
>>> from afterword.litellm import AfterwordLogger
>>> litellm.callbacks = [AfterwordLogger()]
"""

# The library is not among the dependencies of this package.
# pyright: reportMissingImports=false
from __future__ import annotations

from typing import Any

from litellm.integrations.custom_logger import CustomLogger

from afterword.call_log.call_log import CallLog, default_log

__all__ = ["AfterwordLogger"]


class AfterwordLogger(CustomLogger):
    """Logs each call that LiteLLM makes, answered or failed, with the payload that LiteLLM gives its own loggers.

    `call_log` is the log; by default that of the server that the environment names.
    """

    def __init__(self, call_log: CallLog | None = None) -> None:
        super().__init__()
        self.call_log = call_log or default_log()

    def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Log an answered call."""
        self._append(kwargs)

    def log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Log a failed call."""
        self._append(kwargs)

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Log an answered call of `acompletion`."""
        self._append(kwargs)

    async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Log a failed call of `acompletion`."""
        self._append(kwargs)

    def _append(self, kwargs: dict[str, Any]) -> None:
        # It is missing for calls that LiteLLM does not log, such as the parts of a stream.
        if payload := kwargs.get("standard_logging_object"):
            self.call_log.append("litellm", payload)
