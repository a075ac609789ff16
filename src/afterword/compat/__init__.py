"""Compatibility with old clients: their requests are rewritten to today's form before anything else reads them.

`LIFTS` maps the name of a route or operation to a function that rewrites a body. It is tried only on a body that could
not be read, so that requests of current clients never get here.
"""

from __future__ import annotations

from afterword.compat.bodies import LIFTS
from afterword.compat.documents import document, unserved
from afterword.compat.errors import lone_not_found_message
from afterword.compat.models import provider_model

__all__ = ["LIFTS", "document", "lone_not_found_message", "provider_model", "unserved"]
