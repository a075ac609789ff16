"""What all words share: forms of values, and how strict inputs and outputs are."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

Value: TypeAlias = bool | int | float
"""A feedback value: true, false, 0 or 1 under a bool key; any finite number under a scalar key."""
Moment: TypeAlias = str | int | float
"""A time on input: RFC 3339, a bare date, a number, or words such as `now - 1 month | Europe/Paris`.

A number is the time since 1970 in seconds, milliseconds, microseconds or nanoseconds: its size tells which.
"""
Message: TypeAlias = dict[str, Any]
"""A message as sent: `role`, `content` (text or a list of parts), and whatever else came with it."""
Kind: TypeAlias = Literal["scalar", "bool"]
ScoringType: TypeAlias = Literal["higher_is_better", "lower_is_better"]
Source: TypeAlias = Literal["LIVE", "OFFLINE", "AUTOMATION", "DATASET", "EVALUATION"]
Role: TypeAlias = Literal["admin", "member", "inference", "ingest", "viewer"]
State: TypeAlias = Literal["open", "complete", "failed", "cancelled", "interrupted"]
Tie: TypeAlias = Literal["good", "bad"]
Key: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]
SessionId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]
"""A session as a caller names it: a UUID, or any text, which then stands for one (`ids.id_of_text`)."""
PAGE_ROWS = 50
"""How many rows a page of a list has where nothing is said."""
MAX_PAGE_ROWS = 500
PageRows: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_PAGE_ROWS)]
Days: TypeAlias = Annotated[int, Meta(ge=0, le=36_500)]
"""How long something is kept: 0 is for ever."""


class Input(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a caller sends. Unknown fields are refused by name."""


class Output(msgspec.Struct, kw_only=True):
    """What the server answers."""
