"""The past: what old clients say, lifted to today's words before anyone else sees it.

`LIFTS` holds, by the name of a route or face, what is tried on a body that could not be read as it stood. Clients that
speak today's words never come here.
"""

from __future__ import annotations

from afterword.compat.bodies import LIFTS
from afterword.compat.documents import document, unserved
from afterword.compat.errors import lone_not_found_message
from afterword.compat.models import provider_model

__all__ = ["LIFTS", "document", "lone_not_found_message", "provider_model", "unserved"]
