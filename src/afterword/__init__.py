"""Afterword: a store of what language models said and what people thought of it. This is the client's door.

>>> from afterword import Afterword
>>> client = Afterword()
"""

from typing import TYPE_CHECKING, Any

from afterword.errors import (
    AfterwordError,
    BadRequest,
    Conflict,
    ConnectionFailed,
    Forbidden,
    Invalid,
    MethodNotAllowed,
    NotFound,
    RateLimited,
    RequestTimedOut,
    ServerError,
    TooLarge,
    Unauthorized,
    Unavailable,
)

if TYPE_CHECKING:
    from afterword.call_log import CallLog, last_completion_id, log
    from afterword.client import Afterword, AsyncAfterword, UploadFailure, UploadReport

    Adaptive = Afterword
    AsyncAdaptive = AsyncAfterword
    __version__: str

__all__ = [
    "Adaptive",
    "Afterword",
    "AfterwordError",
    "AsyncAdaptive",
    "AsyncAfterword",
    "BadRequest",
    "CallLog",
    "Conflict",
    "ConnectionFailed",
    "Forbidden",
    "Invalid",
    "MethodNotAllowed",
    "NotFound",
    "RateLimited",
    "RequestTimedOut",
    "ServerError",
    "TooLarge",
    "Unauthorized",
    "Unavailable",
    "UploadFailure",
    "UploadReport",
    "__version__",
    "last_completion_id",
    "log",
]


def __getattr__(name: str) -> Any:
    """Load the client when it is asked for: its HTTP library takes a quarter of the server's start."""
    if name not in __all__:
        raise AttributeError(f"module 'afterword' has no attribute {name!r}")
    if name == "__version__":
        from afterword.client.core import package_version

        attribute: Any = package_version()
    elif name in ("CallLog", "last_completion_id", "log"):
        from afterword import call_log

        attribute = getattr(call_log, name)
    else:
        from afterword import client

        attribute = getattr(client, name.replace("Adaptive", "Afterword"))
    globals()[name] = attribute
    return attribute
