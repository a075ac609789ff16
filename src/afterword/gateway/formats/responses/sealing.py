"""Parts of a chat message that the Responses API has no form for, sealed in a reasoning item's `encrypted_content`.

Callers send reasoning items back with the next turn, unread. So the signed thoughts of Anthropic's models, which their
API demands back, survive a conversation in this form.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from afterword.gateway.provider import Body

PREFIX = "afterword."
SEALED_MEMBERS = ("thinking_blocks", "provider_blocks")


def sealed(message: Body) -> str | None:
    """Return the text that holds a message's sealed members; None if it has none."""
    members = {name: message[name] for name in SEALED_MEMBERS if message.get(name)}
    if not members:
        return None
    return PREFIX + base64.urlsafe_b64encode(msgspec.json.encode(members)).decode()


def is_sealed(encrypted_content: Any) -> bool:
    """Tell whether this is a text of `sealed`, which no provider can read."""
    return isinstance(encrypted_content, str) and encrypted_content.startswith(PREFIX)


def unsealed(encrypted_content: Any) -> Body:
    """Return the members of a text of `sealed`; none for any other text, or one that was changed."""
    if not is_sealed(encrypted_content):
        return {}
    try:
        raw = base64.urlsafe_b64decode(encrypted_content.removeprefix(PREFIX))
        members = msgspec.json.decode(raw, type=dict[str, list[dict[str, Any]]])
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return {}
    return {name: blocks for name, blocks in members.items() if name in SEALED_MEMBERS}
