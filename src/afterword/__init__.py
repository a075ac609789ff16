"""Afterword: a store of what language models said and what people thought of it. This is the client's door.

>>> from afterword import Afterword
>>> client = Afterword()
"""

from importlib.metadata import version

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
__version__ = version("afterword")

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
