"""Times: milliseconds since 1970 in UTC inside, RFC 3339 outside, many forms on input."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta

from afterword.errors import Invalid
from afterword.types import Moment

DAY_MS = 86_400_000
# The last millisecond that a datetime can show.
LATEST_TIMESTAMP_MS = 253_402_300_799_999

_RELATIVE = re.compile(
    r"now(?:\s*([+-])\s*(\d{1,9})\s*(second|minute|hour|day|week|month|quarter|year)s?)?", re.I | re.A
)
_DIGITS = re.compile(r"[+-]?\d{9,}(?:\.\d*)?", re.A)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A number tells its unit by its size: each range holds the years 1973 to 5138 (the milliseconds those to 9999).
_MIN_EPOCH_SECONDS = 10**8
_UNIT_CONVERSIONS = ((10**11, 1000, 1), (LATEST_TIMESTAMP_MS + 1, 1, 1), (10**17, 1, 1000), (10**20, 1, 1_000_000))
"""(limit, factor, divisor) for seconds, milli-, micro- and nanoseconds. A number below `limit` is converted to
milliseconds by `factor` and `divisor`."""


def to_datetime(timestamp: int) -> datetime:
    """Return a stored time as the API shows it."""
    return _EPOCH + timedelta(milliseconds=timestamp)


def parse_timestamp(value: Moment, *, param: str, now: int) -> int:
    """Parse a time; return milliseconds.

    It may be RFC 3339 text, a bare date (the start of that day), seconds, milli-, micro- or nanoseconds since 1970 as a
    number or digits, or `now`, `now - 1 month`. Text may end with a time zone, such as ` | Europe/Paris`; the default
    is UTC. Numbers for times before 1973 are refused, except 0. Raises `Invalid` naming `param`.
    """
    try:
        if isinstance(value, bool):
            raise ValueError
        timestamp = (
            _milliseconds_of_number(value)
            if isinstance(value, int | float)
            else _milliseconds_of_text(value.strip(), now)
        )
    except (ValueError, OverflowError, KeyError, OSError):
        timestamp = None
    if timestamp is None or not 0 <= timestamp <= LATEST_TIMESTAMP_MS:
        raise Invalid(
            f"{param} is {value!r:.80}, which is not a time from 1970 on.",
            code="invalid_time",
            param=param,
            hint="Give RFC 3339 (2026-11-23T10:00:00Z), a date (2026-11-23), seconds or milliseconds since 1970, "
            "or 'now - 1 month'.",
        )
    return timestamp


def parse_created_at(value: Moment | None, *, param: str, now: int) -> int:
    """Parse a created_at; the default is now. Raises `Invalid` for times more than a day ahead."""
    if value is None:
        return now
    timestamp = parse_timestamp(value, param=param, now=now)
    if timestamp == 0 and not isinstance(value, str):
        raise Invalid(
            f"{param} is {value!r}, which stands for no time.",
            code="invalid_time",
            param=param,
            hint="Leave it out where the time is not known: it is then the time of the call.",
        )
    if timestamp > now + DAY_MS:
        raise Invalid(
            f"{param} is {value!r:.80}, more than a day in the future.",
            code="future_time",
            param=param,
            hint="Give the time at which the completion was made.",
        )
    return timestamp


def _milliseconds_of_number(value: int | float | Decimal) -> int:
    """Convert a number to milliseconds. Raises `ValueError` if it is not a time."""
    if value == 0:
        return 0
    if value >= _MIN_EPOCH_SECONDS:
        for limit, factor, divisor in _UNIT_CONVERSIONS:
            if value < limit:
                return int(value * factor) // divisor
    raise ValueError


def _milliseconds_of_text(text: str, now: int) -> int:
    text, _, zone_name = (part.strip() for part in text.partition("|"))
    zone: tzinfo = ZoneInfo(zone_name) if zone_name else UTC
    if _DIGITS.fullmatch(text):
        return _milliseconds_of_number(Decimal(text))
    if relative := _RELATIVE.fullmatch(text):
        local_time = to_datetime(now).astimezone(zone)
        sign, amount, unit = relative.groups()
        if unit:
            unit, amount = unit.lower(), int(amount) * (3 if unit.lower() == "quarter" else 1)
            step = relativedelta(**{"months" if unit == "quarter" else unit + "s": amount})  # pyright: ignore[reportArgumentType]
            local_time = local_time + step if sign == "+" else local_time - step
    else:
        # RFC 3339 also allows t and z in lower case; Python does not.
        local_time = datetime.fromisoformat(text.upper())
        if local_time.tzinfo is None:
            local_time = local_time.replace(tzinfo=zone)
    return round((local_time - _EPOCH) / timedelta(milliseconds=1))
