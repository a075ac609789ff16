"""Serves the web page that `make setup` has built: its files, and one document for all its addresses."""

from __future__ import annotations

import gzip
import mimetypes
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from afterword.errors import NotFound

STATIC_FOLDER = Path(__file__).resolve().parent.parent / "static"

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; media-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}
# The name of a built file contains the hash of its content.
CACHE_FOREVER = "public, max-age=31536000, immutable"
# For smaller files, compression saves less than its headers cost.
MIN_COMPRESSED_BYTES = 1_000

NOT_BUILT_PAGE = """\
<!doctype html><html lang="en"><meta charset="utf-8"><title>Afterword</title>
<h1>The web page is not built</h1>
<p>Run <code>make setup</code> in the source tree, then reload. The REST interface is described at
<a href="/docs">/docs</a>.</p></html>
"""


class Pages:
    """Serves the files of a directory, and its index for every other address."""

    def __init__(self, directory: Path = STATIC_FOLDER) -> None:
        self._directory = directory

    def asset(self, request: Request) -> Response:
        """Serve a built file. Raises `NotFound`."""
        path = f"assets/{request.path_params['file']}"
        if path not in _files(self._directory):
            raise _no_file_error(path)
        return self._file(request, path, CACHE_FOREVER)

    def page(self, request: Request) -> Response:
        """Serve the page itself, or a file beside it, such as its icon."""
        path = request.url.path.lstrip("/")
        if path in _files(self._directory) and path != "index.html":
            return self._file(request, path, "public, max-age=3600")
        if "index.html" not in _files(self._directory):
            return Response(NOT_BUILT_PAGE, 503, HEADERS, media_type="text/html")
        return self._file(request, "index.html", "no-cache")

    def _file(self, request: Request, path: str, cache_control: str) -> Response:
        try:
            kind, content, gzip_content = _file_content(self._directory / path)
        except FileNotFoundError:
            # Another version was installed while the server was running.
            raise _no_file_error(path) from None
        headers = {**HEADERS, "cache-control": cache_control, "vary": "accept-encoding"}
        if gzip_content is not None and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(gzip_content, headers={**headers, "content-encoding": "gzip"}, media_type=kind)
        return Response(content, headers=headers, media_type=kind)


def _no_file_error(path: str) -> NotFound:
    return NotFound(f"There is no file {path[:200]!r}.", code="no_such_path")


@cache
def _files(directory: Path) -> frozenset[str]:
    """Return the paths of all built files. Only these are ever read from the disk."""
    paths = (path for path in directory.rglob("*") if path.is_file())
    return frozenset(path.relative_to(directory).as_posix() for path in paths)


@cache
def _file_content(path: Path) -> tuple[str, bytes, bytes | None]:
    """Return the content type, the content, and the gzipped content if that is smaller."""
    content = path.read_bytes()
    kind = "text/javascript" if path.suffix == ".js" else mimetypes.guess_type(path.name)[0]
    gzip_content = gzip.compress(content, 9) if len(content) >= MIN_COMPRESSED_BYTES else None
    return (
        kind or "application/octet-stream",
        content,
        gzip_content if gzip_content and len(gzip_content) < len(content) else None,
    )
