"""Optional fields that a provider refuses: the call is repeated without them, and they are left out for an hour."""

from __future__ import annotations

import re
import time
from collections.abc import Collection

from afterword.gateway.context_overflow import CONTEXT_OVERFLOW
from afterword.gateway.provider import Body, ProviderError
from afterword.types import Target

OPTIONAL_FIELDS = ("stream_options", "store", "metadata", "user")
"""Fields that a call does not need. Afterword adds `stream_options`, and has read the others before it sends them."""
RENAMED_FIELDS = {"max_tokens": "max_completion_tokens"}
"""Fields that OpenAI's newer models want under another name, which their refusal tells."""
REMEMBERED_SECONDS = 3600.0
# Statuses that are not about the fields of a request.
_UNRELATED_STATUSES = frozenset({401, 403, 404, 408, 409, 413, 429})
_COMPLAINT = re.compile(
    rb"extra|unrecogni[sz]ed|unknown|unexpected|unsupported|not (currently )?(supported|permitted|allowed)"
    rb"|no longer|additional propert|forbid|invalid|only (allowed|supported)|cannot find"
    rb"|does(n't| not) (support|accept)",
    re.I,
)


def _name_pattern(name: str) -> re.Pattern[bytes]:
    """Return a pattern that finds a field's name, but not the same word in prose: quoted, in a path, beside `field`."""
    word = name.encode()
    return re.compile(
        rb"[\"'`.\[/]%b[\"'`.\]\\]"
        rb"|\b(supplied|param(eter)?|argument|field|name|property|input)s?\W{1,4}%b\b"
        rb"|\b%b\W{1,3}(extra|unknown|unexpected|unsupported|is not|not )" % (word, word, word),
        re.I,
    )


_NAME_PATTERNS = {name: _name_pattern(name) for name in (*OPTIONAL_FIELDS, *RENAMED_FIELDS)}


def leave_out(request: Body, names: Collection[str]) -> None:
    """Remove refused fields from a request, in place. Those with another name are kept under that."""
    for name in names:
        value = request.pop(name)
        if new_name := RENAMED_FIELDS.get(name):
            request[new_name] = value


class RefusedFields:
    """Remembers which fields each target refused, and whether it accepts `stream_options`.

    A refusal is forgotten after REMEMBERED_SECONDS, and when the target's definition changes.
    """

    def __init__(self) -> None:
        self._refusals_by_target: dict[str, tuple[Target, dict[str, float], bool]] = {}

    def fields_to_leave_out(self, target: Target) -> set[str]:
        """Return the fields that the target has refused lately."""
        refused = self._refusals_of(target)[0]
        now = time.monotonic()
        return {name for name, refused_at in refused.items() if now - refused_at < REMEMBERED_SECONDS}

    def find_refused_names(
        self, error: ProviderError, target: Target, request: Body, *, has_added_options: bool
    ) -> set[str]:
        """Return the fields of a request that a provider's error complains about: optional ones, and RENAMED_FIELDS.

        Some providers answer 400 or 422 to `stream_options` without naming it. It counts as the reason if
        Afterword added it, the error gives no other reason, and the target has not accepted it before.
        """
        if not error.raw or error.status in _UNRELATED_STATUSES:
            return set()
        complains = bool(_COMPLAINT.search(error.raw))
        renamed_fields = [
            name
            for name, new_name in RENAMED_FIELDS.items()
            if new_name.encode() in error.raw and new_name not in request
        ]
        refused_names = {
            name
            for name in (*OPTIONAL_FIELDS, *renamed_fields)
            if name in request and complains and _NAME_PATTERNS[name].search(error.raw)
        }
        if "stream_options" in request:
            mentioned = b"stream_options" in error.raw or b"include_usage" in error.raw
            says_why = refused_names or error.param is not None or error.code == CONTEXT_OVERFLOW
            in_doubt = (
                has_added_options and error.status in (400, 422) and not says_why and not self._refusals_of(target)[1]
            )
            if mentioned or in_doubt:
                refused_names.add("stream_options")
        return refused_names

    def remember(self, target: Target, refused: Collection[str]) -> None:
        """Remember that a target accepted a request without these fields."""
        refused_times, takes_options = self._refusals_of(target)
        now = time.monotonic()
        self._refusals_by_target[target.key] = (target, {**refused_times, **dict.fromkeys(refused, now)}, takes_options)

    def remember_options_accepted(self, target: Target) -> None:
        """Remember that a target accepts `stream_options`."""
        refused_times, takes_options = self._refusals_of(target)
        if not takes_options:
            self._refusals_by_target[target.key] = (target, refused_times, True)

    def _refusals_of(self, target: Target) -> tuple[dict[str, float], bool]:
        refusals = self._refusals_by_target.get(target.key)
        return (refusals[1], refusals[2]) if refusals is not None and refusals[0] == target else ({}, False)
