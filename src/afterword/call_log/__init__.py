"""Logging calls that go straight to a provider: in the background, from files on disk that survive a crash."""

from afterword.call_log.call_log import CallLog, default_log
from afterword.call_log.decorator import last_completion_id, log

__all__ = ["CallLog", "default_log", "last_completion_id", "log"]
