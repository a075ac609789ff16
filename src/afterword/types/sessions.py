"""Sessions of people who use the web page."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from afterword.types.base import KEY_OWNER, ROLE, Input, Output, Role


class NewSession(Input):
    """A sign-in with an API key."""

    api_key: Annotated[str, Meta(description="A valid API key.")]


class Session(Output):
    """Whose key a call is made with, and what it may.

    `project` is the only project that the key is for, null where it is for several. `permissions` are some of read,
    call (language models), write (log and rate), edit (register, change, delete), share, administer, each in at least
    one project (each project says its own), and administer_server (what belongs to no project). A call that changes
    something by the session's cookie must carry `csrf_token` in the header X-CSRF-Token. With a key in the header there
    is no session: `csrf_token` and `expires_at` are null.
    """

    name: Annotated[str, Meta(description="The name of the key.")]
    role: Annotated[Role, ROLE]
    project: Annotated[
        str | None, Meta(description="The only project that the key is for; null where it is for several.")
    ]
    user: Annotated[str | None, KEY_OWNER]
    permissions: Annotated[
        list[str],
        Meta(
            description="What it may in at least one project: read, call, write, edit, share, administer; and "
            "administer_server."
        ),
    ]
    csrf_token: Annotated[str | None, Meta(description="What a changing call must carry in the header X-CSRF-Token.")]
    expires_at: Annotated[datetime | None, Meta(description="When the session ends, if its key does not end before.")]
