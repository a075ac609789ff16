"""Signing in with an API key: an encrypted cookie stands for the key, so that no script of the page ever holds it.

The cookie holds the key's hash and the expiry; the server stores nothing. Each call looks the key up, as if it had been
sent: a session ends with its key.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, replace
from typing import Any

from afterword.errors import Forbidden, Invalid
from afterword.service.access import PERMISSIONS, actor_of, digest, has_permission, unauthorized
from afterword.service.context import Actor, AppState, Context, WebSession
from afterword.service.timestamps import to_datetime
from afterword.types import Deleted, NewSession, Session


@dataclass(frozen=True, slots=True)
class AnswerWithCookie:
    """An answer, and the cookie to set for `seconds`; None deletes the cookie."""

    answer: Any
    cookie: str | None
    seconds: int


async def sign_in(state: AppState, *, body: NewSession) -> AnswerWithCookie:
    """Sign in with an API key: the answer sets a cookie with which a web page can make calls.

    No script can read the cookie, and no other site can use it. The session ends after AFTERWORD_SESSION_LIFETIME
    hours, or with its key.
    """
    now = Context.now()
    key_digest = digest(body.api_key.strip())
    actor = actor_of(state, key_digest, now)
    seconds = state.settings.session_lifetime * 3600
    expires_at = now + seconds * 1000
    sealed_cookie = state.secrets.seal({"key": key_digest.hex(), "until": expires_at}).decode()
    answer = _serialized_session(
        Context(state, replace(actor, web_session=WebSession(_token(sealed_cookie), expires_at)))
    )
    return AnswerWithCookie(answer, sealed_cookie, seconds)


async def show(context: Context) -> Session:
    """Show the name, role and permissions of the key that a call is made with."""
    return _serialized_session(context)


async def sign_out(state: AppState) -> AnswerWithCookie:
    """Sign out: the answer deletes the cookie."""
    return AnswerWithCookie(Deleted(), None, 0)


def actor_in_session(state: AppState, cookie: str, *, token: str | None, changing: bool) -> Actor:
    """Return the actor of a cookie. Raises `Unauthorized`; and `Forbidden` for a changing call without its token."""
    try:
        cookie_fields = state.secrets.open(cookie.encode(), "the session")
    except Invalid:
        raise unauthorized("The session is not one of this server's.", hint="Sign in anew.") from None
    now = Context.now()
    if cookie_fields["until"] <= now:
        raise unauthorized("The session is over.", hint="Sign in anew.")
    actor = actor_of(state, bytes.fromhex(cookie_fields["key"]), now)
    expected_token = _token(cookie)
    # A plain comparison is enough: another site might measure its time, but browsers do not let it send the header.
    if changing and token != expected_token:
        raise Forbidden(
            "The session's token is missing." if token is None else "The session's token is another one.",
            code="csrf_token_missing" if token is None else "csrf_token_wrong",
            hint="Send the csrf_token of GET /api/v1/session in the header X-CSRF-Token, or use an API key.",
        )
    return replace(actor, web_session=WebSession(expected_token, cookie_fields["until"]))


def _token(cookie: str) -> str:
    """Return the token that changing calls must carry. It can only be computed from the cookie."""
    return base64.urlsafe_b64encode(hashlib.sha256(b"csrf of " + cookie.encode()).digest()[:24]).decode()


def _serialized_session(context: Context) -> Session:
    actor = context.actor
    project_number = next(iter(actor.projects)) if actor.projects and len(actor.projects) == 1 else None
    return Session(
        name=actor.name,
        role=actor.role,
        project=None if project_number is None else context.catalog.projects[project_number].key,
        user=None if actor.user is None else context.catalog.people.users[actor.user].email,
        permissions=[permission for permission in PERMISSIONS if has_permission(context.catalog, actor, permission)],
        csrf_token=None if actor.web_session is None else actor.web_session.token,
        expires_at=None if actor.web_session is None else to_datetime(actor.web_session.expires_at),
    )
