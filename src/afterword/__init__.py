"""Afterword: a store of what language models said and what people thought of it. This is the client's door.

>>> from afterword import Afterword
>>> client = Afterword()
"""

from afterword.client import Afterword, AsyncAfterword, UploadFailure, UploadReport
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
]


def __getattr__(name: str) -> str:
    """Look the version up when it is asked for: that takes as long as a quarter of the import."""
    if name != "__version__":
        raise AttributeError(f"module 'afterword' has no attribute {name!r}")
    from importlib.metadata import version

    return version("afterword")
