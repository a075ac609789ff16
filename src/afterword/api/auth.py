"""Authentication: turns a request's key or session cookie into an actor, without reading from the disk."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from afterword.service.access import actor_of, digest, unauthorized
from afterword.service.context import ADMINISTRATOR_NUMBER, Actor, AppState, Context
from afterword.service.people.web_sessions import actor_in_session

COOKIE = "afterword_session"
KEY_HEADERS = (b"x-api-key", b"x-goog-api-key", b"api-key")
"""The headers in which clients of Anthropic, Google and Azure send a key, in place of `Authorization: Bearer KEY`."""
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Authenticator:
    """Finds the actor of a request."""

    def __init__(self, state: AppState) -> None:
        self._state = state

    def actor(self, method: str, headers: dict[bytes, bytes]) -> Actor:
        """Return the holder of the key in `Authorization: Bearer KEY` or KEY_HEADERS, or of the session's cookie.

        Raises `Unauthorized`, and `Forbidden` for a cookie request that may come from another site.
        """
        now = Context.now()
        actor = self._holder(method, headers, now)
        if actor.number != ADMINISTRATOR_NUMBER:
            self._state.key_uses.note(actor.number, now)
        return actor

    def _holder(self, method: str, headers: dict[bytes, bytes], now: int) -> Actor:
        authorization = headers.get(b"authorization")
        if authorization is None:
            for name in KEY_HEADERS:
                if name in headers:
                    return actor_of(self._state, digest(headers[name].decode("latin-1").strip()), now)
            cookie = _session_cookie(headers.get(b"cookie", b"").decode("latin-1"))
            if cookie is None:
                raise unauthorized("The call has no API key.")
            token = headers.get(b"x-csrf-token")
            csrf_token = None if token is None else token.decode("latin-1")
            return actor_in_session(self._state, cookie, token=csrf_token, changing=method not in _SAFE_METHODS)
        scheme, _, key = authorization.decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise unauthorized("The Authorization header is not 'Bearer KEY'.")
        return actor_of(self._state, digest(key.strip()), now)


def move_key_to_headers(scope: MutableMapping[str, Any]) -> None:
    """Move the key from the query of a request, where Google's clients may send it, to its headers."""
    parameters = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    keys = [value for name, value in parameters if name == "key"]
    if keys:
        scope["query_string"] = urlencode([pair for pair in parameters if pair[0] != "key"]).encode()
        scope["headers"] = [*scope["headers"], (b"x-goog-api-key", keys[0].encode())]


def _session_cookie(header: str) -> str | None:
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE and value:
            return value
    return None


def set_cookie(value: str | None, seconds: int, headers: dict[bytes, bytes], scheme: str) -> bytes:
    """Return the header that sets the session's cookie; the value None removes the cookie."""
    secure = "https" in (scheme, headers.get(b"x-forwarded-proto", b"").decode("latin-1").lower())
    parts = [f"{COOKIE}={value or ''}", "Path=/", "HttpOnly", "SameSite=Strict", f"Max-Age={seconds}"]
    return "; ".join([*parts, *(["Secure"] if secure else [])]).encode()
