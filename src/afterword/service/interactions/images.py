"""Images, by the hash of their bytes."""

from __future__ import annotations

from typing import NamedTuple

from afterword.errors import NotFound
from afterword.service.context import Context
from afterword.service.interactions.content import MEDIA_TYPES
from afterword.store import interactions as stored


class ServedImage(NamedTuple):
    """An image as it is served."""

    content: bytes
    media_type: str


async def get_image(context: Context, project: str, file: str) -> ServedImage:
    """Show an image that an interaction of the project holds.

    `file` is the SHA-256 of its bytes in hex, a dot and the extension: png, jpeg, gif or webp.
    """
    project_row = context.project(project)
    name, _, extension = file.partition(".")
    image_row = None
    if len(name) == 64 and extension in MEDIA_TYPES:
        try:
            image_row = await context.store.read(stored.image, bytes.fromhex(name), project_row.number)
        except ValueError:
            image_row = None
    if image_row is None or image_row.extension != extension:
        raise NotFound(
            f"{file[:80]!r} is shown by no interaction of {project_row.key!r}.",
            noun="image",
            code="image_not_found",
            param="file",
        )
    return ServedImage(image_row.content, MEDIA_TYPES[extension])
