"""Thumbnails: small, upright, with what is transparent left so; never a fault of the server."""

from __future__ import annotations

import base64
import hashlib
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any, NamedTuple

import httpx
import pytest
from PIL import Image

Call = Callable[..., dict[str, Any]]
RED, BLUE = (255, 0, 0), (0, 0, 255)


def two_colours(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """Red at the left, blue at the right."""
    picture = Image.new("RGB", (width, height), RED)
    picture.paste(BLUE, (width // 2, 0, width, height))
    return picture.convert(mode)


def encoded(picture: Image.Image, form: str, **options: Any) -> bytes:
    content = BytesIO()
    picture.save(content, form, **options)
    return content.getvalue()


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(two_colours(400, 200), "JPEG", exif=exif)


def animated(form: str) -> bytes:
    return encoded(two_colours(200, 200), form, save_all=True, append_images=[Image.new("RGB", (200, 200), "lime")] * 3)


def half_transparent(form: str, mode: str = "RGBA") -> bytes:
    picture = two_colours(200, 200, "RGBA")
    picture.paste((0, 0, 0, 0), (0, 100, 200, 200))
    return encoded(picture.convert(mode), form, **({"lossless": True} if form == "WEBP" else {}))


def raw_png(width: int, height: int, depth: int, colour: int, pixels: bytes) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def of_many_scans() -> bytes:
    """A progressive JPEG that repeats its last scan, each of which takes as long as the whole image."""
    content = encoded(two_colours(400, 200), "JPEG", progressive=True)
    last = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + last * 60 + content[-2:]


def huge_webp() -> bytes:
    canvas = b"VP8X" + struct.pack("<II", 10, 0) + (16_382).to_bytes(3, "little") * 2
    frame = encoded(two_colours(20, 10), "WEBP")[12:]
    return b"RIFF" + struct.pack("<I", 4 + len(canvas) + len(frame)) + b"WEBP" + canvas + frame


class Odd(NamedTuple):
    """An image, and the size of its thumbnail: None if it has none."""

    kind: str
    content: bytes
    size: tuple[int, int] | None
    left: tuple[int, ...] = RED


GREY = b"".join(b"\0" + struct.pack(">200H", *(n * 329 for n in range(200))) for _ in range(100))
WIDE = encoded(two_colours(400, 200), "PNG")
PHOTO = encoded(two_colours(400, 200), "JPEG")
ODD = {
    "jpeg": Odd("jpeg", PHOTO, (96, 48)),
    "png": Odd("png", WIDE, (96, 48)),
    "webp": Odd("webp", encoded(two_colours(200, 400), "WEBP"), (48, 96)),
    "a pixel": Odd("png", raw_png(1, 1, 8, 2, b"\0\xff\0\0"), (1, 1)),
    "a line": Odd("png", encoded(two_colours(4_000, 1), "PNG"), (96, 1)),
    "cmyk": Odd("jpeg", encoded(two_colours(400, 200, "CMYK"), "JPEG"), (96, 48)),
    "progressive": Odd("jpeg", encoded(two_colours(400, 200), "JPEG", progressive=True), (96, 48)),
    "16 bits of grey": Odd("png", raw_png(200, 100, 16, 0, GREY), (96, 48), (3, 3, 3)),
    "16 bits of colour": Odd("png", raw_png(2, 1, 16, 2, b"\0" + b"\xff\xff\0\0\0\0" * 2), (2, 1)),
    "palette": Odd("png", encoded(two_colours(400, 200).quantize(8), "PNG"), (96, 48)),
    "black and white": Odd("png", encoded(Image.new("1", (400, 200), 1), "PNG"), (96, 48), (255, 255, 255)),
    "transparent png": Odd("png", half_transparent("PNG"), (96, 96), (*RED, 255)),
    "transparent grey": Odd("png", half_transparent("PNG", "LA"), (96, 96), (76, 76, 76, 255)),
    "transparent webp": Odd("webp", half_transparent("WEBP"), (96, 96), (*RED, 255)),
    "transparent gif": Odd("gif", half_transparent("GIF"), (96, 96), (*RED, 255)),
    "animated gif": Odd("gif", animated("GIF"), (96, 96)),
    "animated webp": Odd("webp", animated("WEBP"), (96, 96)),
    "animated png": Odd("png", animated("PNG"), (96, 96)),
    "turned by half": Odd("jpeg", turned(3), (96, 48), BLUE),
    "turned by a quarter": Odd("jpeg", turned(6), (48, 96)),
    "damaged exif": Odd("jpeg", turned(6).replace(b"MM\0*", b"XX\0*"), (96, 48)),
    "truncated jpeg": Odd("jpeg", PHOTO[: len(PHOTO) // 2], None),
    "truncated png": Odd("png", WIDE[: len(WIDE) // 2], None),
    "only the beginning": Odd("gif", b"GIF89a", None),
    "no size": Odd("png", raw_png(0, 0, 8, 0, b""), None),
    "a header and nothing": Odd("png", WIDE[:33], None),
    "huge png": Odd("png", raw_png(10_000, 10_000, 8, 0, b"\0"), None),
    "a bomb": Odd("png", raw_png(60_000, 60_000, 8, 0, b"\0" * 1_000_000), None),
    "huge webp": Odd("webp", huge_webp(), None),
    "many scans": Odd("jpeg", of_many_scans(), None),
    "noise": Odd("jpeg", b"\xff\xd8\xff" + bytes(range(256)) * 20, None),
}


@pytest.mark.parametrize("odd", [pytest.param(odd, id=name) for name, odd in ODD.items()])
def test_an_image_has_a_thumbnail_or_none_and_never_a_fault(
    http: httpx.Client, log: Call, project: str, refused: Call, odd: Odd
):
    uri = f"data:image/{odd.kind};base64,{base64.b64encode(odd.content).decode()}"
    log(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": uri}]}])
    path = f"/images/{project}/{hashlib.sha256(odd.content).hexdigest()}.{odd.kind}"
    answer = http.get(path, params={"thumbnail": True})
    whole = http.get(path, params={"thumbnail": False})
    assert whole.content == odd.content
    if odd.size is None:
        refused(answer, 404, "thumbnail_not_found", "thumbnail")
        return
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/webp"
    assert answer.headers["cache-control"] == whole.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert len(answer.content) < 2_000
    with Image.open(BytesIO(answer.content)) as thumbnail:
        assert thumbnail.size == odd.size
        assert getattr(thumbnail, "n_frames", 1) == 1
        assert not {"exif", "icc_profile", "xmp"} & thumbnail.info.keys()
        shown = thumbnail.getpixel((0, 0))
        assert isinstance(shown, tuple)
        assert all(abs(a - b) < 25 for a, b in zip(shown, odd.left, strict=True)), shown
        if len(odd.left) == 4:
            bottom = thumbnail.getpixel((0, 95))
            assert isinstance(bottom, tuple)
            assert bottom[3] == 0


def test_a_thumbnail_is_served_to_whom_its_image_is(server, http: httpx.Client, log: Call, project: str, refused: Call):
    uri = f"data:image/png;base64,{base64.b64encode(WIDE).decode()}"
    log(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": uri}]}])
    other = f"{project}-other"
    http.post("/api/v1/projects", json={"key": other}).raise_for_status()
    file = f"{hashlib.sha256(WIDE).hexdigest()}.png"
    key = http.post("/api/v1/keys", json={"name": "viewer", "role": "viewer", "projects": [other]}).json()["api_key"]
    headers = {"Authorization": f"Bearer {key}"}
    for path, status, code in (
        (f"/images/{project}/{file}", 404, "project_not_found"),
        (f"/images/{other}/{file}", 404, "image_not_found"),
    ):
        refused(httpx.get(f"{server.url}{path}?thumbnail=true", headers=headers), status, code)
    refused(httpx.get(f"{server.url}/images/{project}/{file}?thumbnail=true"), 401)
    refused(http.get(f"/images/{project}/{file}?thumbnail=64"), 422)
