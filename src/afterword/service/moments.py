"""Times: milliseconds since 1970 in UTC inside, RFC 3339 outside, many forms on input."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
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
_DIGITS = re.compile(r"[+-]?\d{9,}(?:\.\d*)?", re.A)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A number tells its unit by its size: each range holds the years 1973 to 5138 (the milliseconds those to 9999).
_LEAST_SECONDS = 10**8
_UNITS = ((10**11, 1000, 1), (LATEST + 1, 1, 1), (10**17, 1, 1000), (10**20, 1, 1_000_000))
"""Below which number, by what to multiply and to divide it to get milliseconds: seconds, milli-, micro- and
nanoseconds."""


def shown(moment: int) -> datetime:
    """Return a stored time as the wire shows it."""
    return _EPOCH + timedelta(milliseconds=moment)


def parse_moment(value: Moment, *, param: str, now: int) -> int:
    """Read a time in any of its forms; return milliseconds.

    RFC 3339 text, a bare date (the start of that day), seconds, milli-, micro- or nanoseconds since 1970 as number or
    digits, or `now`, `now - 1 month`, each with an optional ` | Europe/Paris`. Without a zone it is UTC. Numbers other
    than 0 that would be a time before 1973 are refused: they are no times. Raises `Invalid` naming `param`.
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
            hint="Give RFC 3339 (2026-11-23T10:00:00Z), a date (2026-11-23), seconds or milliseconds since 1970, "
            "or 'now - 1 month'.",
        )
    return moment


def parse_created_at(value: Moment | None, *, param: str, now: int) -> int:
    """Read a created_at: the default is now; more than a day ahead is refused with `Invalid`."""
    if value is None:
        return now
    moment = parse_moment(value, param=param, now=now)
    if moment == 0 and not isinstance(value, str):
        raise Invalid(
            f"{param} is {value!r}, which stands for no time.",
            code="invalid_time",
            param=param,
            hint="Leave it out where the time is not known: it is then the time of the call.",
        )
    if moment > now + DAY:
        raise Invalid(
            f"{param} is {value!r:.80}, more than a day in the future.",
            code="future_time",
            param=param,
            hint="Give the time at which the completion was made.",
        )
    return moment


def _number(value: int | float | Decimal) -> int:
    """Return the milliseconds that a number means. Raises `ValueError` for one that is no time."""
    if value == 0:
        return 0
    if value >= _LEAST_SECONDS:
        for limit, times, divisor in _UNITS:
            if value < limit:
                return int(value * times) // divisor
    raise ValueError


def _text(text: str, now: int) -> int:
    text, _, zone_name = (part.strip() for part in text.partition("|"))
    zone: tzinfo = ZoneInfo(zone_name) if zone_name else UTC
    if _DIGITS.fullmatch(text):
        return _number(Decimal(text))
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
