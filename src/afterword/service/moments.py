"""Times: milliseconds since 1970 in UTC inside, RFC 3339 outside, many forms on input."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta

from afterword.errors import Invalid
from afterword.types import Moment

DAY = 86_400_000
# The last millisecond that a datetime can show.
LATEST = 253_402_300_799_999

_RELATIVE = re.compile(
    r"now(?:\s*([+-])\s*(\d{1,9})\s*(second|minute|hour|day|week|month|quarter|year)s?)?", re.I | re.A
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def shown(moment: int) -> datetime:
    """Return a stored time as the wire shows it."""
    return _EPOCH + timedelta(milliseconds=moment)


def parse_moment(value: Moment, *, param: str, now: int) -> int:
    """Read a time in any of its forms; return milliseconds.

    RFC 3339 text, a bare date (the start of that day), epoch milliseconds as number or digits, or `now`,
    `now - 1 month`, each with an optional ` | Europe/Paris`. Without a zone it is UTC. Raises `Invalid` naming `param`.
    """
    try:
        if isinstance(value, bool):
            raise ValueError
        moment = _number(value) if isinstance(value, int | float) else _text(value.strip(), now)
    except (ValueError, OverflowError, KeyError, OSError):
        moment = None
    if moment is None or not 0 <= moment <= LATEST:
        raise Invalid(
            f"{param} is {value!r:.80}, which is not a time from 1970 on.",
            code="invalid_time",
            param=param,
            hint="Give RFC 3339 (2026-11-23T10:00:00Z), a date (2026-11-23), epoch milliseconds, or 'now - 1 month'.",
        )
    return moment


def parse_created_at(value: Moment | None, *, param: str, now: int) -> int:
    """Read a created_at: the default is now; more than a day ahead is refused with `Invalid`."""
    if value is None:
        return now
    moment = parse_moment(value, param=param, now=now)
    if moment > now + DAY:
        raise Invalid(
            f"{param} is {value!r:.80}, more than a day in the future.",
            code="future_time",
            param=param,
            hint="Give the time at which the completion was made. Numbers are milliseconds, not seconds.",
        )
    return moment


def _number(value: float) -> int:
    if not math.isfinite(value):
        raise ValueError
    return int(value)


def _text(text: str, now: int) -> int:
    text, _, zone_name = (part.strip() for part in text.partition("|"))
    zone: tzinfo = ZoneInfo(zone_name) if zone_name else UTC
    if text.isascii() and text.isdigit() and len(text) > 8:
        return int(text)
    if relative := _RELATIVE.fullmatch(text):
        moment = shown(now).astimezone(zone)
        sign, amount, unit = relative.groups()
        if unit:
            unit, amount = unit.lower(), int(amount) * (3 if unit.lower() == "quarter" else 1)
            step = relativedelta(**{"months" if unit == "quarter" else unit + "s": amount})  # pyright: ignore[reportArgumentType]
            moment = moment + step if sign == "+" else moment - step
    else:
        # RFC 3339 takes t and z, too; Python does not.
        moment = datetime.fromisoformat(text.upper())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
    return round((moment - _EPOCH) / timedelta(milliseconds=1))
