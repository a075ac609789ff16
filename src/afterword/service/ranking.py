"""A ranking from pairs: the model of Bradley and Terry, with ties as Davidson has them.

R. R. Davidson, On Extending the Bradley-Terry Model to Accommodate Ties in Paired Comparison Experiments, Journal of
the American Statistical Association 65 (1970). Two models of strengths p and q win, lose and tie as
p : q : v * sqrt(p q). The logarithms of the strengths and of v are estimated together by Newton's method, each with a
normal prior of mean 0 and deviation `SPREAD`: with many preferences it is as good as none, with few or one-sided ones
it keeps the estimates finite. Intervals are from the inverse of the information matrix, for the distance to the mean
of all models.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SPREAD = 2.0
Z = 1.959964
SCALE = 400 / math.log(10)
CENTRE = 1000.0
MOST_STEPS = 50


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Of one pair, from the first one's side; `ties` are good and bad ones."""

    wins: int
    losses: int
    ties: int


@dataclass(frozen=True, slots=True)
class Rating:
    """On the scale of Elo, with the ends of the 95 % interval."""

    value: float
    low: float
    high: float


def ratings(number: int, pairs: Mapping[tuple[int, int], Outcomes]) -> list[Rating]:
    """Return the ratings of so many models, from what came out between each two, `(first, second)`."""
    # The last parameter is the logarithm of v.
    at = [0.0] * (number + 1)
    inverse: list[list[float]] = []
    for _ in range(MOST_STEPS):
        gradient, information = _slope(at, pairs)
        inverse = _inverted(information)
        step = [sum(one * by for one, by in zip(row, gradient, strict=True)) for row in inverse]
        # Far from the top a whole step may go beyond it.
        longest = max(map(abs, step))
        at = [one + by * min(1.0, 2.0 / longest if longest else 1.0) for one, by in zip(at, step, strict=True)]
        if longest < 1e-9:
            break
    mean = sum(at[:number]) / number
    found = []
    for index in range(number):
        # The distance to the mean: its variance is that of a contrast.
        contrast = [(1.0 if index == other else 0.0) - 1.0 / number for other in range(number)]
        variance = sum(a * b * inverse[i][j] for i, a in enumerate(contrast) for j, b in enumerate(contrast) if a and b)
        value, reach = CENTRE + SCALE * (at[index] - mean), Z * SCALE * math.sqrt(max(0.0, variance))
        found.append(Rating(value, value - reach, value + reach))
    return found


def win_rate(outcomes: Outcomes) -> tuple[float, float, float]:
    """Return the share of wins, a tie being half of one, with Wilson's 95 % interval."""
    count = outcomes.wins + outcomes.losses + outcomes.ties
    share = (outcomes.wins + outcomes.ties / 2) / count
    below = 1 + Z * Z / count
    middle = (share + Z * Z / (2 * count)) / below
    reach = Z / below * math.sqrt(share * (1 - share) / count + Z * Z / (4 * count * count))
    return share, max(0.0, middle - reach), min(1.0, middle + reach)


def _slope(at: Sequence[float], pairs: Mapping[tuple[int, int], Outcomes]) -> tuple[list[float], list[list[float]]]:
    """Return the gradient of the logarithm of the likelihood, and the information: the Hessian's negative."""
    size = len(at)
    last = size - 1
    gradient = [-one / SPREAD**2 for one in at]
    information = [[1 / SPREAD**2 if i == j else 0.0 for j in range(size)] for i in range(size)]
    for (first, second), said in pairs.items():
        # Over the larger strength, so that nothing overflows.
        half = (at[first] - at[second]) / 2
        top = max(half, -half, at[last])
        win, lose, tie = math.exp(half - top), math.exp(-half - top), math.exp(at[last] - top)
        whole = win + lose + tie
        win, lose, tie = win / whole, lose / whole, tie / whole
        count = said.wins + said.losses + said.ties
        mine, its = win + tie / 2, lose + tie / 2
        gradient[first] += said.wins + said.ties / 2 - count * mine
        gradient[second] += said.losses + said.ties / 2 - count * its
        gradient[last] += said.ties - count * tie
        information[first][first] += count * (win + tie / 4 - mine * mine)
        information[second][second] += count * (lose + tie / 4 - its * its)
        information[last][last] += count * tie * (1 - tie)
        for i, j, value in (
            (first, second, tie / 4 - mine * its),
            (first, last, tie / 2 - mine * tie),
            (second, last, tie / 2 - its * tie),
        ):
            information[i][j] += count * value
            information[j][i] += count * value
    return gradient, information


def _inverted(matrix: Sequence[Sequence[float]]) -> list[list[float]]:
    """Return the inverse of a positive definite matrix, by Gauss and Jordan."""
    size = len(matrix)
    rows = [[*row, *(1.0 if i == j else 0.0 for j in range(size))] for i, row in enumerate(matrix)]
    for pivot in range(size):
        head = rows[pivot][pivot]
        rows[pivot] = [one / head for one in rows[pivot]]
        for other in range(size):
            if other != pivot and (by := rows[other][pivot]):
                rows[other] = [a - by * b for a, b in zip(rows[other], rows[pivot], strict=True)]
    return [row[size:] for row in rows]
