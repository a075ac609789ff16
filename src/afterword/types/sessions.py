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
    """The key of a call, and its permissions.

    `project` is the key's only project, null if it is for several. `permissions` are the key's permissions in at least
    one project: read, call (language models), write (log and rate), edit (register, change, delete), share,
    administer; and administer_server for objects of no project. Each project lists its own permissions. A call that
    changes data with the session's cookie must have `csrf_token` in the header X-CSRF-Token. With a key in the header
    there is no session: `csrf_token` and `expires_at` are null.
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
