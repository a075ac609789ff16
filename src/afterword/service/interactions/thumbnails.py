"""Makes thumbnails of images, in a thread, one at a time."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

THUMBNAIL_PIXELS = 96
"""The longer side of a thumbnail: enough for 24 px on a screen of four pixels per px."""
THUMBNAIL_MEDIA_TYPE = "image/webp"
MAX_DECODED_BYTES = 200_000_000
"""Images that need more memory while they are decoded have no thumbnail."""
DECODED_BYTES_PER_PIXEL = {"png": 4, "jpeg": 6, "gif": 4, "webp": 16}
"""The most that a decoder takes for a pixel, measured: a progressive JPEG in full colour, an RGBA frame of WebP."""
MAX_JPEG_SCANS = 50
"""JPEGs of more scans have no thumbnail. A scan of a few bytes may take as long as a whole image; 10 are usual."""


class Thumbnailer:
    """A thread that makes thumbnails one at a time, which bounds the memory that they take.

    `turns` is acquired before an image is read from the store, so that images do not wait in memory.
    """

    def __init__(self) -> None:
        self.turns = asyncio.Semaphore(1)
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="afterword-thumbnail")

    async def make(self, content: bytes, extension: str) -> bytes | None:
        """Return the thumbnail of an image as WebP; None if the image is damaged or too large."""
        # A caller who hangs up gives the turn back at once, but the thread goes on: the next image waits for it.
        return await asyncio.get_running_loop().run_in_executor(self._threads, make_thumbnail, content, extension)

    def close(self) -> None:
        """Wait for the running thumbnail; cancel the waiting ones."""
        self._threads.shutdown(wait=True, cancel_futures=True)


def make_thumbnail(content: bytes, extension: str) -> bytes | None:
    """Return the thumbnail of an image as WebP, without metadata; None if the image is damaged or too large.

    Only the decoder of `extension` (png, jpeg, gif or webp) sees the bytes. Of an animation the first frame is shown.
    """
    try:
        return _thumbnail(content, extension)
    except Exception:
        # Decoders raise errors of many types for damaged images, from SyntaxError to struct.error.
        return None


def _thumbnail(content: bytes, extension: str) -> bytes | None:
    # Imported here: many servers never show an image. With the plugins imported, Pillow loads none of its 40 others.
    from PIL import GifImagePlugin, Image, ImageOps, JpegImagePlugin, PngImagePlugin, WebPImagePlugin  # noqa: F401

    if extension == "jpeg" and content.count(b"\xff\xda") > MAX_JPEG_SCANS:
        return None
    with Image.open(BytesIO(content), formats=[extension.upper()]) as image:
        if image.width * image.height * DECODED_BYTES_PER_PIXEL[extension] > MAX_DECODED_BYTES:
            return None
        # JPEGs are decoded at a fraction of their size.
        image.draft(None, (2 * THUMBNAIL_PIXELS, 2 * THUMBNAIL_PIXELS))
        # Some pixels are picked before any are converted or filtered, which would copy the whole image.
        image.thumbnail((8 * THUMBNAIL_PIXELS, 8 * THUMBNAIL_PIXELS), Image.Resampling.NEAREST, reducing_gap=None)
        if image.mode.startswith("I"):
            # 16 bits of grey: a conversion would clip them to 8, not scale them.
            picture = image.convert("I").point(lambda value: value / 257).convert("L")
        else:
            picture = image.convert("RGBA" if image.has_transparency_data else "RGB")
    picture.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
    with contextlib.suppress(Exception):
        # Damaged Exif leaves the picture as it is.
        picture = ImageOps.exif_transpose(picture)
    thumbnail = BytesIO()
    picture.save(thumbnail, "WEBP", quality=75, exif=b"", icc_profile=b"", xmp=b"")
    return thumbnail.getvalue()
