"""Sums of floats, also of those near the ends of their range.

PostgreSQL raises an error on overflow, and on underflow to 0; SQLite returns infinity or null. A metric's values may be
any finite numbers, so this module keeps their sums and squares within the range.
"""

from __future__ import annotations

import math
import sys
from typing import Any

from sqlalchemy import ColumnElement, Float, case, cast, func, literal, null, or_

MAX_FLOAT = sys.float_info.max
# The square of a larger difference overflows, that of a smaller one underflows to 0.
MAX_SQUARED, MIN_SQUARED = 1e150, 1e-150
# Values are multiplied by this before they are summed. It is a power of 2, so that no digit is lost; 2**64 of the
# largest values have a finite sum.
SCALE = 2.0**-64
# The squares of larger values may have no finite sum, those of smaller ones may underflow to 0.
LARGEST_SUMMABLE, SMALLEST_SUMMABLE = 1e100, 1e-100
# Smaller values count as 0 in a sum: scaling the smallest is an error in PostgreSQL.
SCALED_VALUE_LIMIT = 1e-250
# The difference of any finite value from a number up to this is finite.
REFERENCE_LIMIT = 1e290


def scaled_sum(value: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the sum of values times SCALE, as `mean` takes it."""
    return func.sum(case((func.abs(value) < SCALED_VALUE_LIMIT, 0.0), else_=value * literal(SCALE, Float)))


def mean(count: int, scaled_total: float, minimum: float = -MAX_FLOAT, maximum: float = MAX_FLOAT) -> float:
    """Return the mean of `count` values between a minimum and a maximum, from their `scaled_sum`."""
    return min(max(float(scaled_total) / count / SCALE, minimum), maximum)


def summable(value: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a value as a float, or null if it is too large or too small for a sum of squares."""
    fits = or_(value == 0, func.abs(value).between(SMALLEST_SUMMABLE, LARGEST_SUMMABLE))
    return case((fits, cast(value, Float)), else_=null())


def reference(value: float | None) -> float:
    """Return a number near `value` whose difference from any finite value is finite."""
    return float(value) if value is not None and abs(value) <= REFERENCE_LIMIT else 0.0


def squarable(above: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a difference, clamped so that its square neither overflows nor underflows."""
    return case(
        (above > MAX_SQUARED, MAX_SQUARED),
        (above < -MAX_SQUARED, -MAX_SQUARED),
        (func.abs(above) < MIN_SQUARED, 0.0),
        else_=above,
    )


def within_square(number: float) -> float:
    """Return a number, clamped to the range in which its square is finite: `**` raises beyond it."""
    return min(max(number, -MAX_SQUARED), MAX_SQUARED)


def deviation(count: int, above: float, squares: float) -> float | None:
    """Return the sample standard deviation, from the sums of the differences from a reference and of their squares."""
    if count < 2:
        return None
    return math.sqrt(min(max(0.0, squares - above * (above / count)), MAX_FLOAT) / (count - 1))
