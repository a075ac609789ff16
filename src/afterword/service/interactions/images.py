"""Images, audio and files, by the hash of their bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from afterword.errors import NotFound
from afterword.service.context import Context
from afterword.service.interactions.media import AUDIO_TYPES, IMAGE_TYPES, MEDIA_TYPES
from afterword.service.interactions.thumbnails import THUMBNAIL_MEDIA_TYPE
from afterword.store import interactions as stored
from afterword.types.queries import ImageQuery


class ServedImage(NamedTuple):
    """An image, audio or a file as it is served. A browser saves a download, and shows all else."""

    content: bytes
    media_type: str
    is_download: bool = False


async def get_image(context: Context, project: str, file: str, query: ImageQuery) -> ServedImage:
    """Show an image that an interaction of the project holds, or its thumbnail.

    `file` is the SHA-256 of its bytes in hex, a dot and the extension: png, jpeg, gif or webp. A thumbnail is a WebP
    image of at most 96 pixels a side, with the first frame of an animation. Images that are damaged or very large have
    none: `thumbnail_not_found`.
    """
    if not query.thumbnail:
        image_row = await _get_row(context, project, file, IMAGE_TYPES)
        return ServedImage(image_row.content, IMAGE_TYPES[image_row.extension])
    thumbnailer = context.state.thumbnailer
    async with thumbnailer.turns:
        image_row = await _get_row(context, project, file, IMAGE_TYPES)
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


async def get_media(context: Context, project: str, file: str) -> ServedImage:
    """Get the bytes of audio or a file that an interaction of the project holds.

    `file` is the SHA-256 of its bytes in hex, a dot and the extension. Audio (wav, mp3, flac, ogg) is served to be
    played. All else is served to be saved, and never shown by a browser: the type that a sender named counts for
    nothing.
    """
    row = await _get_row(context, project, file, MEDIA_TYPES)
    return ServedImage(row.content, MEDIA_TYPES[row.extension], is_download=row.extension not in AUDIO_TYPES)


async def _get_row(context: Context, project: str, file: str, media_types: Mapping[str, str]) -> Any:
    """Return the extension and content of what the project shows, if it is of these types. Raises `NotFound`."""
    project_row = context.project(project)
    name, _, extension = file.partition(".")
    image_row = None
    if len(name) == 64 and extension in media_types:
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
