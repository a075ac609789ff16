"""Signing in with an API key: a sealed cookie stands for the key, so that no script of the page ever holds it.

The cookie says whose key it is, by its hash, and until when it holds; nothing of it is stored. The key is looked up
with each call, as if it had been sent: a session ends with its key.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, replace
from typing import Any

from afterword.errors import Forbidden, Invalid
from afterword.service.access import PERMISSIONS, actor_of, digest, may, unauthorized
from afterword.service.context import Actor, Context, Home, Visit
from afterword.service.moments import shown
from afterword.types import Deleted, NewSession, Session


@dataclass(frozen=True, slots=True)
class Signed:
    """An answer, and the cookie that goes with it: None takes it away."""

    answer: Any
    cookie: str | None
    seconds: int


async def sign_in(home: Home, *, body: NewSession) -> Signed:
    """Sign in with an API key: the answer sets a cookie that stands for it, for a web page to call with.

    No script can read the cookie, and no other site can use it. It ends after AFTERWORD_SESSION_LIFETIME hours, and
    with its key.
    """
    now = Context.now()
    hashed = digest(body.api_key.strip())
    actor = actor_of(home.catalog, home.administrator, hashed, now)
    seconds = home.settings.session_lifetime * 3600
    until = now + seconds * 1000
    sealed = home.secrets.seal({"key": hashed.hex(), "until": until}).decode()
    answer = _shown(Context(home, replace(actor, visit=Visit(_token(sealed), until))))
    return Signed(answer, sealed, seconds)


async def show(context: Context) -> Session:
    """Tell whose key a call is made with, and what it may."""
    return _shown(context)


async def sign_out(home: Home) -> Signed:
    """Sign out: the answer takes the cookie away."""
    return Signed(Deleted(), None, 0)


def actor_in_session(home: Home, cookie: str, *, token: str | None, changing: bool) -> Actor:
    """Return who comes with a cookie. Raises `Unauthorized`; and `Forbidden` for a changing call without its token."""
    try:
        held = home.secrets.open(cookie.encode(), "the session")
    except Invalid:
        raise unauthorized("The session is not one of this server's.", hint="Sign in anew.") from None
    now = Context.now()
    if held["until"] <= now:
        raise unauthorized("The session is over.", hint="Sign in anew.")
    actor = actor_of(home.catalog, home.administrator, bytes.fromhex(held["key"]), now)
    expected = _token(cookie)
    # A plain comparison: who could measure its time from another site would still have to send the header, which the
    # browser does not let him.
    if changing and token != expected:
        raise Forbidden(
            "The session's token is missing." if token is None else "The session's token is another one.",
            code="csrf_token_missing" if token is None else "csrf_token_wrong",
            hint="Send the csrf_token of GET /api/v1/session in the header X-CSRF-Token, or use an API key.",
        )
    return replace(actor, visit=Visit(expected, held["until"]))


def _token(cookie: str) -> str:
    """Return what changing calls must carry: who does not have the cookie cannot make it."""
    return base64.urlsafe_b64encode(hashlib.sha256(b"csrf of " + cookie.encode()).digest()[:24]).decode()


def _shown(context: Context) -> Session:
    actor = context.actor
    only = next(iter(actor.projects)) if actor.projects and len(actor.projects) == 1 else None
    return Session(
        name=actor.name,
        role=actor.role,
        project=None if only is None else context.catalog.projects[only].key,
        user=None if actor.user is None else context.catalog.people.users[actor.user].email,
        permissions=[one for one in PERMISSIONS if may(context.catalog, actor, one)],
        csrf_token=None if actor.visit is None else actor.visit.token,
        expires_at=None if actor.visit is None else shown(actor.visit.until),
    )
