"""An error that repeats what its request was sent with, in all forms that JSON and URLs have for a character."""

from __future__ import annotations

import json

from starlette.requests import Request
from starlette.responses import Response


def escaped(request: Request, status: int) -> Response:
    """Return an error with the caller's headers, as JSON's escapes have them, once and in JSON within JSON."""
    told = " ".join(value for name, value in request.headers.items() if name.startswith(("auth", "x-", "api")))
    as_codes = "".join(f"\\u{ord(character):04X}" for character in told)
    as_url = "".join(f"%{ord(character):02x}" for character in told)
    inner = json.dumps(json.dumps({"sent": told})).replace("/", "\\/")
    error = f'{{"message": "Refused: {as_codes} {as_url}", "code": "{as_codes}", "inner": {{"raw": {inner}}}}}'
    if status != 200:
        return Response(f'{{"error": {error}}}', status, media_type="application/json")
    return Response(f'event: error\ndata: {{"error": {error}}}\n\n', media_type="text/event-stream")
