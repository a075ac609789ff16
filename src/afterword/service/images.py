"""Images, by the hash of their bytes."""

from __future__ import annotations

from typing import NamedTuple

from afterword.errors import NotFound
from afterword.service.content import MEDIA_TYPES
from afterword.service.context import Context
from afterword.store import interactions as stored


class Picture(NamedTuple):
    """An image as it is served."""

    content: bytes
    media_type: str


async def get(context: Context, project: str, file: str) -> Picture:
    """Show an image that an interaction of the project holds.

    `file` is the SHA-256 of its bytes in hex, a dot and the extension: png, jpeg, gif or webp.
    """
    where = context.project(project)
    name, _, extension = file.partition(".")
    found = None
    if len(name) == 64 and extension in MEDIA_TYPES:
        try:
            found = await context.store.read(stored.image, bytes.fromhex(name), where.number)
        except ValueError:
            found = None
    if found is None or found.extension != extension:
        raise NotFound(
            f"EntityNotFound: image {file[:80]!r} is shown by no interaction of {where.key!r}.",
            code="image_not_found",
            param="file",
        )
    return Picture(found.content, MEDIA_TYPES[extension])
