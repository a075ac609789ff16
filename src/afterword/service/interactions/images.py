"""Images, by the hash of their bytes."""

from __future__ import annotations

from typing import Any, NamedTuple

from afterword.errors import NotFound
from afterword.service.context import Context
from afterword.service.interactions.content import MEDIA_TYPES
from afterword.service.interactions.thumbnails import THUMBNAIL_MEDIA_TYPE
from afterword.store import interactions as stored
from afterword.types.queries import ImageQuery


class ServedImage(NamedTuple):
    """An image as it is served."""

    content: bytes
    media_type: str


async def get_image(context: Context, project: str, file: str, query: ImageQuery) -> ServedImage:
    """Show an image that an interaction of the project holds, or its thumbnail.

    `file` is the SHA-256 of its bytes in hex, a dot and the extension: png, jpeg, gif or webp. A thumbnail is a WebP
    image of at most 96 pixels a side, with the first frame of an animation. Images that are damaged or very large have
    none: `thumbnail_not_found`.
    """
    if not query.thumbnail:
        image_row = await _get_image_row(context, project, file)
        return ServedImage(image_row.content, MEDIA_TYPES[image_row.extension])
    thumbnailer = context.state.thumbnailer
    async with thumbnailer.turns:
        image_row = await _get_image_row(context, project, file)
        thumbnail = await thumbnailer.make(image_row.content, image_row.extension)
    if thumbnail is None:
        raise NotFound(
            f"{file[:80]!r} has no thumbnail: it is damaged, or too large to be decoded.",
            noun="image",
            code="thumbnail_not_found",
            param="thumbnail",
            hint="Leave thumbnail out to get the image as it was sent.",
        )
    return ServedImage(thumbnail, THUMBNAIL_MEDIA_TYPE)


async def _get_image_row(context: Context, project: str, file: str) -> Any:
    """Return the extension and content of an image that the project shows. Raises `NotFound`."""
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
    return image_row
