"""The web page, as `make setup` has built it: its files, and the one document that stands behind all its addresses."""

from __future__ import annotations

import gzip
import mimetypes
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from afterword.errors import NotFound

BUILT = Path(__file__).resolve().parent.parent / "static"

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}
# A built file has the hash of its content in its name.
FOREVER = "public, max-age=31536000, immutable"
# Below it, compressing saves less than its own headers take.
LEAST_COMPRESSED = 1_000

NOT_BUILT = """\
<!doctype html><html lang="en"><meta charset="utf-8"><title>Afterword</title>
<h1>The web page is not built</h1>
<p>Run <code>make setup</code> in the source tree, then reload. The REST interface is described at
<a href="/docs">/docs</a>.</p></html>
"""


class Pages:
    """Serve the files of a directory, and its index for every other address of the page."""

    def __init__(self, directory: Path = BUILT) -> None:
        self._directory = directory

    def asset(self, request: Request) -> Response:
        """Serve a built file. Raises `NotFound`."""
        path = f"assets/{request.path_params['file']}"
        if path not in _files(self._directory):
            raise NotFound(f"There is no file {path[:200]!r}.", code="no_such_path")
        return self._file(request, path, FOREVER)

    def page(self, request: Request) -> Response:
        """Serve the page itself, or a file beside it, such as its icon."""
        path = request.url.path.lstrip("/")
        if path in _files(self._directory) and path != "index.html":
            return self._file(request, path, "public, max-age=3600")
        if "index.html" not in _files(self._directory):
            return Response(NOT_BUILT, 503, HEADERS, media_type="text/html")
        return self._file(request, "index.html", "no-cache")

    def _file(self, request: Request, path: str, caching: str) -> Response:
        kind, plain, packed = _read(self._directory / path)
        headers = {**HEADERS, "cache-control": caching, "vary": "accept-encoding"}
        if packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(packed, headers={**headers, "content-encoding": "gzip"}, media_type=kind)
        return Response(plain, headers=headers, media_type=kind)


@cache
def _files(directory: Path) -> frozenset[str]:
    """Return the paths of all built files: what stands in none of them is not read from the disk."""
    found = (path for path in directory.rglob("*") if path.is_file())
    return frozenset(path.relative_to(directory).as_posix() for path in found)


@cache
def _read(path: Path) -> tuple[str, bytes, bytes | None]:
    """Return type, content, and content with gzip where that is smaller."""
    content = path.read_bytes()
    kind = "text/javascript" if path.suffix == ".js" else mimetypes.guess_type(path.name)[0]
    packed = gzip.compress(content, 9) if len(content) >= LEAST_COMPRESSED else None
    return kind or "application/octet-stream", content, packed if packed and len(packed) < len(content) else None
