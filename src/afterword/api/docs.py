"""The OpenAPI document, and the page at `/docs` that shows it.

The page loads only the document, a script and a style sheet, all from this server.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from afterword.api.openapi import document

_PAGE_FILES = (
    ("/docs", "text/html; charset=utf-8", "docs.html"),
    ("/docs/docs.js", "text/javascript; charset=utf-8", "docs.js"),
    ("/docs/docs.css", "text/css; charset=utf-8", "docs.css"),
    ("/docs/icon.svg", "image/svg+xml", "docs.svg"),
)


def files(version: str) -> list[tuple[str, str, bytes]]:
    """Return the path, content type and content of each file."""
    folder = Path(__file__).parent
    page_files = [(path, kind, (folder / name).read_bytes()) for path, kind, name in _PAGE_FILES]
    return [("/openapi.json", "application/json", msgspec.json.encode(document(version))), *page_files]
