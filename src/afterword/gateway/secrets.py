"""Hiding a model's API key and headers in the text of its provider's errors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

MIN_SECRET_CHARACTERS = 8
"""Shorter words of a header are not secret: hiding them would garble error texts."""
HIDDEN_TEXT = "[hidden]"


def find_secrets(api_key: str | None, headers: Mapping[str, str], url: str) -> tuple[str, ...]:
    """Return the secrets that a provider is sent, longest first: the API key, and words of headers, URL and query."""
    words = {word for value in (api_key or "", *headers.values()) for word in value.split()}
    if "?" in url or "@" in url:
        words.update(_secrets_of_url(url))
    return tuple(sorted((word for word in words if len(word) >= MIN_SECRET_CHARACTERS), key=len, reverse=True))


def hide(text: str, secrets: tuple[str, ...]) -> str:
    """Return a text with its secrets replaced, also where JSON or a URL escapes their characters."""
    return _pattern(secrets).sub(HIDDEN_TEXT, text) if secrets else text


def hide_in(value: Any, secrets: tuple[str, ...]) -> Any:
    """Return a JSON value with the secrets in its keys and strings replaced."""
    if isinstance(value, str):
        return hide(value, secrets)
    if isinstance(value, dict):
        return {hide(key, secrets): hide_in(inner, secrets) for key, inner in value.items()}
    if isinstance(value, list):
        return [hide_in(inner, secrets) for inner in value]
    return value


def _secrets_of_url(url: str) -> list[str]:
    try:
        parts = urlsplit(url)
        return [parts.password or "", *(value for name, value in parse_qsl(parts.query) if name != "api-version")]
    except ValueError:
        # Not a URL: the call itself reports it.
        return []


@lru_cache(maxsize=256)
def _pattern(secrets: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join("".join(map(_escaped_character_pattern, secret)) for secret in secrets))


def _escaped_character_pattern(character: str) -> str:
    """Return a pattern for a character: plain, as \\u00xx (also of JSON within JSON), as \\x, and as %xx."""
    code = ord(character)
    # A letter after a backslash is another character: \\n is a line's end.
    character_pattern = character if character.isalnum() else rf"\\*{re.escape(character)}"
    in_url = "".join(f"%{byte:02x}" for byte in character.encode("utf-8", "replace"))
    return rf"(?:{character_pattern}|\\+(?i:u{code:04x})|(?i:{in_url}))"
