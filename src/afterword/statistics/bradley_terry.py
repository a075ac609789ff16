"""Ratings from pairwise preferences: the Bradley-Terry model, with Davidson's extension for ties.

R. R. Davidson, On Extending the Bradley-Terry Model to Accommodate Ties in Paired Comparison Experiments, Journal of
the American Statistical Association 65 (1970). Two models of strengths p and q win, lose and tie as p : q : v *
sqrt(pq). The logarithms of the strengths and of v are estimated together by Newton's method, each with a normal prior
of mean 0 and standard deviation `PRIOR_STANDARD_DEVIATION`. With many preferences the prior has almost no effect; with
few or one-sided ones it keeps the estimates finite. Intervals of the distance to the mean of all models come from the
inverse of the information matrix.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PRIOR_STANDARD_DEVIATION = 2.0
Z_SCORE_OF_95_PERCENT = 1.959964
ELO_SCALE = 400 / math.log(10)
MEAN_RATING = 1000.0
MAX_STEP_COUNT = 50


@dataclass(frozen=True, slots=True)
class PairCounts:
    """The preferences between two models, from the side of the first; `ties` are good and bad ones together."""

    wins: int
    losses: int
    ties: int


@dataclass(frozen=True, slots=True)
class Rating:
    """A rating on the Elo scale, with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def ratings(model_count: int, counts_by_pair: Mapping[tuple[int, int], PairCounts]) -> list[Rating]:
    """Return the ratings of the models, from the preferences between each two, by their indexes (first, second)."""
    # The last parameter is the logarithm of v.
    parameters = [0.0] * (model_count + 1)
    inverse: list[list[float]] = []
    for _ in range(MAX_STEP_COUNT):
        gradient, information = _slope(parameters, counts_by_pair)
        inverse = _inverse(information)
        step = [sum(coefficient * slope for coefficient, slope in zip(row, gradient, strict=True)) for row in inverse]
        # Far from the maximum, a full Newton step may overshoot it.
        longest_change = max(map(abs, step))
        parameters = [
            parameter + change * min(1.0, 2.0 / longest_change if longest_change else 1.0)
            for parameter, change in zip(parameters, step, strict=True)
        ]
        if longest_change < 1e-9:
            break
    mean = sum(parameters[:model_count]) / model_count
    model_ratings = []
    for index in range(model_count):
        # The distance to the mean is a contrast of the parameters, which gives its variance.
        contrast = [(1.0 if index == other else 0.0) - 1.0 / model_count for other in range(model_count)]
        variance = sum(a * b * inverse[i][j] for i, a in enumerate(contrast) for j, b in enumerate(contrast) if a and b)
        value, half_width = (
            MEAN_RATING + ELO_SCALE * (parameters[index] - mean),
            Z_SCORE_OF_95_PERCENT * ELO_SCALE * math.sqrt(max(0.0, variance)),
        )
        model_ratings.append(Rating(value, value - half_width, value + half_width))
    return model_ratings


def win_rate(counts: PairCounts) -> tuple[float, float, float]:
    """Return the share of wins, where a tie counts half, with Wilson's 95 % interval."""
    count = counts.wins + counts.losses + counts.ties
    share = (counts.wins + counts.ties / 2) / count
    denominator = 1 + Z_SCORE_OF_95_PERCENT * Z_SCORE_OF_95_PERCENT / count
    middle = (share + Z_SCORE_OF_95_PERCENT * Z_SCORE_OF_95_PERCENT / (2 * count)) / denominator
    half_width = (
        Z_SCORE_OF_95_PERCENT
        / denominator
        * math.sqrt(share * (1 - share) / count + Z_SCORE_OF_95_PERCENT * Z_SCORE_OF_95_PERCENT / (4 * count * count))
    )
    return share, max(0.0, middle - half_width), min(1.0, middle + half_width)


def _slope(
    parameters: Sequence[float], counts_by_pair: Mapping[tuple[int, int], PairCounts]
) -> tuple[list[float], list[list[float]]]:
    """Return the gradient of the log-posterior, and the information matrix, which is the negative Hessian."""
    size = len(parameters)
    last = size - 1
    gradient = [-parameter / PRIOR_STANDARD_DEVIATION**2 for parameter in parameters]
    information = [[1 / PRIOR_STANDARD_DEVIATION**2 if i == j else 0.0 for j in range(size)] for i in range(size)]
    for (first, second), counts in counts_by_pair.items():
        # Relative to the largest term, so that nothing overflows.
        half = (parameters[first] - parameters[second]) / 2
        top = max(half, -half, parameters[last])
        win, lose, tie = math.exp(half - top), math.exp(-half - top), math.exp(parameters[last] - top)
        total = win + lose + tie
        win, lose, tie = win / total, lose / total, tie / total
        count = counts.wins + counts.losses + counts.ties
        first_share, second_share = win + tie / 2, lose + tie / 2
        gradient[first] += counts.wins + counts.ties / 2 - count * first_share
        gradient[second] += counts.losses + counts.ties / 2 - count * second_share
        gradient[last] += counts.ties - count * tie
        information[first][first] += count * (win + tie / 4 - first_share * first_share)
        information[second][second] += count * (lose + tie / 4 - second_share * second_share)
        information[last][last] += count * tie * (1 - tie)
        for i, j, value in (
            (first, second, tie / 4 - first_share * second_share),
            (first, last, tie / 2 - first_share * tie),
            (second, last, tie / 2 - second_share * tie),
        ):
            information[i][j] += count * value
            information[j][i] += count * value
    return gradient, information


def _inverse(matrix: Sequence[Sequence[float]]) -> list[list[float]]:
    """Return the inverse of a positive definite matrix, by Gauss-Jordan elimination."""
    size = len(matrix)
    rows = [[*row, *(1.0 if i == j else 0.0 for j in range(size))] for i, row in enumerate(matrix)]
    for pivot in range(size):
        head = rows[pivot][pivot]
        rows[pivot] = [element / head for element in rows[pivot]]
        for other in range(size):
            if other != pivot and (factor := rows[other][pivot]):
                rows[other] = [a - factor * b for a, b in zip(rows[other], rows[pivot], strict=True)]
    return [row[size:] for row in rows]
