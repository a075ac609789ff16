"""Sessions of people who use the web page."""

from __future__ import annotations

from datetime import datetime

from afterword.types.base import Input, Output, Role


class NewSession(Input):
    """Who signs in: whoever has this API key."""

    api_key: str


class Session(Output):
    """Whose key a call is made with, and what it may.

    `project` is the only project that the key is for, null where it is for several. `permissions` are some of read,
    call (language models), write (log and rate), edit (register, change, delete), share, administer, each in at least
    one project (each project says its own), and administer_server (what belongs to no project). A call that changes
    something by the session's cookie must carry `csrf_token` in the header X-CSRF-Token. With a key in the header there
    is no session: `csrf_token` and `expires_at` are null.
    """

    name: str
    role: Role
    project: str | None
    user: str | None
    permissions: list[str]
    csrf_token: str | None
    expires_at: datetime | None
