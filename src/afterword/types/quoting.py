"""Reads and writes a key and a value as one text: `KEY:VALUE`, `KEY=VALUE`, `METRIC>=4`, with optional "quotes".

Keys and values may hold any character, so that a text without quotes can often be read in several ways: `a:b:c` is the
value `b:c` under `a`, or `c` under `a:b`, or the key alone. `label_readings` and `comparison_readings` list
all, the likeliest first; a caller takes the first that names an existing key. In quotes, a backslash escapes the next
character.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.S)
_ESCAPED = re.compile(r"\\(.)", re.S)
# The most ways to read one text, so that many signs in it do not cost more.
MAX_SPLIT_COUNT = 50

_SEPARATOR = re.compile("[:=]")
_SIGN = re.compile(">=|<=|!=|>|<|=")


def quoted(text: str) -> str:
    """Return a text in quotes, so that nothing in it is a separator."""
    return '"{}"'.format(re.sub(r'(["\\])', r"\\\1", text))


def unquoted(text: str) -> str | None:
    """Return the text without its quotes; None if the whole text is not in quotes."""
    match = _QUOTED.fullmatch(text)
    return match and _ESCAPED.sub(r"\1", match[1])


def label_readings(text: str) -> list[tuple[str, str | None]]:
    """Return the keys and values that a label may mean, the likeliest first. The value None stands for any value."""
    splits = [
        (key, value) for key, _, value_text in _splits(text, _SEPARATOR) for value in (unquoted(value_text), value_text)
    ]
    readings = [(key, value) for key, value in splits if value is not None]
    # A text in quotes is a key.
    bare_keys = [(key, None) for key in (unquoted(text), text) if key is not None]
    quoted_keys = readings[:0] if unquoted(text) is None else bare_keys[:1]
    return [(key, value) for key, value in dict.fromkeys([*quoted_keys, *readings, *bare_keys]) if key]


def comparison_readings(text: str) -> list[tuple[str, str, str]]:
    """Return the metrics, signs and values that a comparison may mean, the likeliest first."""
    return [(key.strip(), sign, value.strip()) for key, sign, value in _splits(text, _SIGN) if key.strip()]


def split_label(text: str) -> tuple[str, str] | None:
    """Return key and value of `KEY=VALUE`. Without quotes, the key ends at the first `=`."""
    match = _QUOTED.match(text)
    if match and text[match.end() : match.end() + 1] == "=":
        return _ESCAPED.sub(r"\1", match[1]), text[match.end() + 1 :]
    key, separator, value = text.partition("=")
    return (key, value) if separator else None


def _splits(text: str, separator: re.Pattern[str]) -> Iterator[tuple[str, str, str]]:
    """Yield key, separator and rest for each possible split of a text; first the split after a quoted key."""
    match = _QUOTED.match(text)
    if match:
        remaining_text = text[match.end() :].lstrip() if separator is _SIGN else text[match.end() :]
        separator_match = separator.match(remaining_text)
        if separator_match:
            yield _ESCAPED.sub(r"\1", match[1]), separator_match[0], remaining_text[separator_match.end() :]
    places = (separator_match for start in range(1, len(text)) if (separator_match := separator.match(text, start)))
    for separator_match in islice(places, MAX_SPLIT_COUNT):
        yield text[: separator_match.start()], separator_match[0], text[separator_match.end() :]
