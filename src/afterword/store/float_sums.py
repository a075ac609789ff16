"""Sums of floats, also of those near the ends of their range.

PostgreSQL refuses to compute what is not finite, and what is so small that it becomes 0; SQLite answers infinity or
null. Any finite number may be a value of a metric, so that its sums and squares are kept within the range here.
"""

from __future__ import annotations

import math
import sys
from typing import Any

from sqlalchemy import ColumnElement, Float, case, cast, func, literal, null, or_

MAX_FLOAT = sys.float_info.max
# The square of a larger difference is not finite, that of a smaller one is lost.
MAX_SQUARED, MIN_SQUARED = 1e150, 1e-150
# Values are added up in this scale, a power of 2 so that no digit is lost: 2**64 of the largest have a finite sum.
SCALE = 2.0**-64
# The squares of values beyond these may have no finite sum, those of smaller ones may be lost.
LARGEST_SUMMABLE, SMALLEST_SUMMABLE = 1e100, 1e-100
# Smaller values count as 0 in a sum: PostgreSQL refuses to scale the smallest.
MIN_SCALED = 1e-250
# Any finite value is at a finite distance from a number up to this.
MAX_REFERENCE = 1e290


def scaled_sum(value: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the sum of values times SCALE. `mean` reads it."""
    return func.sum(case((func.abs(value) < MIN_SCALED, 0.0), else_=value * literal(SCALE, Float)))


def mean(count: int, scaled_total: float, least: float = -MAX_FLOAT, most: float = MAX_FLOAT) -> float:
    """Return the mean of so many values between two, whose `scaled_sum` this is."""
    return min(max(float(scaled_total) / count / SCALE, least), most)


def summable(value: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a value as a float, null where it is too large or too small for sums of its squares."""
    fits = or_(value == 0, func.abs(value).between(SMALLEST_SUMMABLE, LARGEST_SUMMABLE))
    return case((fits, cast(value, Float)), else_=null())


def reference(value: float | None) -> float:
    """Return a number near a value, which differences from any other value can be computed from."""
    return float(value) if value is not None and abs(value) <= MAX_REFERENCE else 0.0


def squarable(above: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a difference whose square is finite and not lost."""
    return case(
        (above > MAX_SQUARED, MAX_SQUARED),
        (above < -MAX_SQUARED, -MAX_SQUARED),
        (func.abs(above) < MIN_SQUARED, 0.0),
        else_=above,
    )


def within_square(number: float) -> float:
    """Return a number, or the largest one whose square is finite: `**` raises for larger ones."""
    return min(max(number, -MAX_SQUARED), MAX_SQUARED)


def deviation(count: int, above: float, squares: float) -> float | None:
    """Return the sample standard deviation, from the sums of what values are above some number, and of its squares."""
    if count < 2:
        return None
    return math.sqrt(min(max(0.0, squares - above * (above / count)), MAX_FLOAT) / (count - 1))
