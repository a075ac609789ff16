"""Anytime-valid comparison of variants: intervals and p-values that hold however often they are looked at.

A test that ends by itself is looked at after every feedback. Ordinary p-values are made for one look: with 2,000 looks,
44 of 100 tests without any difference would declare a winner. The methods here hold for all looks together: without a
difference, the probability that a test ever declares a winner is at most alpha.

Means are compared by the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas,
"Time-uniform central limit theory and asymptotic confidence sequences", Annals of Statistics 52 (2024), theorem 2.2: a
normal mixture over the difference. Preferences are compared by a beta-binomial mixture against a fair coin, which is
exact at every size (Ville's inequality; Robbins, "Statistical methods related to the law of the iterated logarithm",
Annals of Mathematical Statistics 41, 1970).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

SIGNIFICANCE_LEVEL = 0.05
"""Significance level: the probability of declaring a winner when no variant is better."""
WARM_UP_SAMPLES = 30
"""Each variant needs this many feedbacks before anything is concluded: means of fewer are not close to normal."""
TUNED_FOR_SAMPLES = 500
"""Feedbacks per variant at which the intervals are narrowest. They hold at any other number, too."""
COIN_PRIOR_COUNT = 10.0
"""Concentration of the mixture over win rates around one half: Beta(10, 10) has half of its mass from 43 to 57 %."""


class SampleStatistics(NamedTuple):
    """The values of a variant: their count, their mean, and the sum of their squared deviations from it."""

    n: int
    mean: float
    squares: float


class Duel(NamedTuple):
    """The preferences between two variants, from the side of the first."""

    wins: int
    losses: int
    ties_good: int = 0
    ties_bad: int = 0

    @property
    def n(self) -> int:
        """The number of preferences."""
        return sum(self)

    @property
    def points(self) -> float:
        """The wins; a tie counts half."""
        return self.wins + (self.ties_good + self.ties_bad) / 2

    def plus(self, duel: Duel) -> Duel:
        """Return the sum of both."""
        return Duel(*(own_count + other for own_count, other in zip(self, duel, strict=True)))

    def reversed_duel(self) -> Duel:
        """Return the preferences from the side of the other variant."""
        return self._replace(wins=self.losses, losses=self.wins)


class Interval(NamedTuple):
    """The confidence interval of the true mean, valid for all looks together."""

    start: float
    middle: float
    end: float


class Verdict(NamedTuple):
    """The result of a comparison so far. `p_value` belongs to the claim that the leading variant is better than all
    others; it is None during the warm-up. `winner` is the index of that variant once the claim is proven."""

    p_value: float | None
    winner: int | None
    has_enough_feedbacks: bool
    samples: Sequence[SampleStatistics]
    intervals: Sequence[Interval | None]


def verdict_of_values(
    samples: Sequence[SampleStatistics],
    *,
    lower_is_better: bool = False,
    is_share: bool = False,
    alpha: float = SIGNIFICANCE_LEVEL,
) -> Verdict:
    """Compare variants by the means of their values. `is_share` bounds the intervals to 0 and 1, for shares of true."""
    sign = -1 if lower_is_better else 1

    def pair_p_value(i: int, j: int) -> float:
        is_better = sign * samples[i].mean > sign * samples[j].mean
        return means_differ(samples[i], samples[j]) if is_better else 1.0

    return _verdict(samples, pair_p_value, is_share, alpha)


def verdict_of_preferences(
    variants: int, duels: Mapping[tuple[int, int], Duel], *, alpha: float = SIGNIFICANCE_LEVEL
) -> Verdict:
    """Compare variants by the preferences between them: `duels` has those of indexes (i, j), i < j, from the side of i.

    A tie counts as half a win in the win rate, and not at all in the test.
    """
    samples = [
        _points_statistics([duel_between(duels, index, other) for other in range(variants)])
        for index in range(variants)
    ]

    def pair_p_value(i: int, j: int) -> float:
        duel = duel_between(duels, i, j)
        return coin_is_unfair(duel.wins, duel.losses) if duel.wins > duel.losses else 1.0

    return _verdict(samples, pair_p_value, True, alpha)


def _verdict(
    samples: Sequence[SampleStatistics], pair_p_value: Callable[[int, int], float], is_share: bool, alpha: float
) -> Verdict:
    """Compare variants; `pair_p_value(i, j)` is the p-value of i being better than j.

    A variant is better than all others if it is better than each. The p-value of that is the largest of the pairs',
    with a Bonferroni correction for the k variants that could have come to lead. A pair's p-value is two-sided and the
    claim is one-sided, which halves it: with k = 2 the two factors cancel out.
    """
    indexes = range(len(samples))
    spread = _spread(samples)
    intervals = [interval(sample, spread, is_share=is_share, alpha=alpha) for sample in samples]
    if any(sample.n < WARM_UP_SAMPLES for sample in samples):
        return Verdict(None, None, False, samples, intervals)
    claims = [max(pair_p_value(index, other) for other in indexes if other != index) for index in indexes]
    p_value = min(1.0, min(claims) * len(samples) / 2)
    winner = claims.index(min(claims)) if p_value <= alpha else None
    return Verdict(p_value, winner, True, samples, intervals)


# ------------------------------------------------------------------------------------------------ pairs


def means_differ(first: SampleStatistics, other: SampleStatistics) -> float:
    """Return the anytime-valid p-value of the hypothesis that both means are equal."""
    if min(first.n, other.n) < 2:
        return 1.0
    size = first.n * other.n / (first.n + other.n)
    spread = _spread((first, other))
    variance = sum((sample.squares + spread) / sample.n**2 for sample in (first, other))
    distance = (first.mean - other.mean) * (first.mean - other.mean)
    if not (0 < variance < math.inf) or not math.isfinite(distance):
        # All values are the same, or too large to be squared.
        return 1.0
    return math.exp(
        -max(0.0, _log_evidence(distance / variance, size * _width(SIGNIFICANCE_LEVEL, TUNED_FOR_SAMPLES / 2)))
    )


def coin_is_unfair(wins: int, losses: int) -> float:
    """Return the anytime-valid p-value of the hypothesis that a win is as likely as a loss."""
    log_evidence = (
        _log_beta(COIN_PRIOR_COUNT + wins, COIN_PRIOR_COUNT + losses)
        - _log_beta(COIN_PRIOR_COUNT, COIN_PRIOR_COUNT)
        + (wins + losses) * math.log(2)
    )
    return math.exp(-max(0.0, log_evidence))


# ------------------------------------------------------------------------------------------------ one variant


def interval(
    sample: SampleStatistics, spread: float, *, is_share: bool = False, alpha: float = SIGNIFICANCE_LEVEL
) -> Interval | None:
    """Return the interval of a variant's true mean, valid for all looks together; None if there is none yet."""
    if sample.n < WARM_UP_SAMPLES:
        return None
    size = sample.n * _width(alpha, TUNED_FOR_SAMPLES)
    # The distance in standard errors at which the evidence against a mean would be 1 / alpha.
    standard_errors = math.sqrt((1 + size) / size * (2 * math.log(1 / alpha) + math.log1p(size)))
    half_width = standard_errors * math.sqrt(sample.squares + spread) / sample.n
    if not (0 < half_width < math.inf):
        return None
    lower_bound, upper_bound = (0.0, 1.0) if is_share else (-math.inf, math.inf)
    return Interval(max(lower_bound, sample.mean - half_width), sample.mean, min(upper_bound, sample.mean + half_width))


def _points_statistics(duels: Sequence[Duel]) -> SampleStatistics:
    """Return the points of a variant over all its preferences, as values of 0, ½ and 1."""
    n = sum(duel.n for duel in duels)
    if not n:
        return SampleStatistics(0, 0.0, 0.0)
    mean = sum(duel.points for duel in duels) / n
    ties = sum(duel.ties_good + duel.ties_bad for duel in duels)
    wins = sum(duel.wins for duel in duels)
    squares = wins * (1 - mean) ** 2 + (n - wins - ties) * mean**2 + ties * (0.5 - mean) ** 2
    return SampleStatistics(n, mean, squares)


def duel_between(duels: Mapping[tuple[int, int], Duel], index: int, other: int) -> Duel:
    """Return the preferences between two variants, from the side of the first."""
    if index < other:
        return duels.get((index, other)) or Duel(0, 0)
    return (duels.get((other, index)) or Duel(0, 0)).reversed_duel()


def _spread(samples: Sequence[SampleStatistics]) -> float:
    """Return the variance of all values together.

    Callers add it to a variant's squared deviations, as if the variant had one more value at that distance from its
    mean. Without it, the mean would seem certain while all values are the same, as with rare events at first.
    """
    n = sum(sample.n for sample in samples)
    if not n:
        return 0.0
    mean = sum(sample.n * sample.mean for sample in samples) / n
    # Not by **, which raises `OverflowError`.
    sample_distances = ((sample, sample.mean - mean) for sample in samples)
    return sum(sample.squares + sample.n * distance * distance for sample, distance in sample_distances) / n


# ------------------------------------------------------------------------------------------------ mixtures


def _width(alpha: float, size: float) -> float:
    """Return the variance of the mixture over means, relative to the values' variance, that is best at `size`
    values."""
    return (-2 * math.log(alpha) + math.log(-2 * math.log(alpha)) + 1) / size


def _log_evidence(squared: float, size: float) -> float:
    """Return the logarithm of the evidence in a squared distance in standard errors; `size` is n times `_width`."""
    return squared * size / (2 * (1 + size)) - math.log1p(size) / 2


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
