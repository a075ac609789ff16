"""The statistics of A/B tests: known values, symmetry, direction, and how often they are wrong."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest

from afterword.statistics.anytime_valid import (
    SIGNIFICANCE_LEVEL,
    WARM_UP_SAMPLES,
    Duel,
    SampleStatistics,
    coin_is_unfair,
    interval,
    means_differ,
    verdict_of_preferences,
    verdict_of_values,
)


def sample(values: list[float]) -> SampleStatistics:
    mean = sum(values) / len(values)
    return SampleStatistics(len(values), mean, sum((value - mean) ** 2 for value in values))


def shares(n: int, true: int) -> SampleStatistics:
    return sample([1.0] * true + [0.0] * (n - true))


# ------------------------------------------------------------------------------------------------ preferences


def test_the_evidence_of_preferences_is_the_beta_binomial_mixture():
    # By numbers: the mean over p of Beta(10, 10) of (p / ½)^wins ((1 - p) / ½)^losses.
    wins, losses, steps = 40, 20, 20_000
    weights, evidence = 0.0, 0.0
    for step in range(1, steps):
        p = step / steps
        weight = p**9 * (1 - p) ** 9
        weights += weight
        evidence += weight * (2 * p) ** wins * (2 * (1 - p)) ** losses
    assert coin_is_unfair(wins, losses) == pytest.approx(weights / evidence, rel=1e-6)


def test_preferences_are_symmetric_and_grow_more_certain_with_the_lead():
    assert coin_is_unfair(50, 30) == coin_is_unfair(30, 50)
    assert coin_is_unfair(40, 40) == coin_is_unfair(0, 0) == 1.0
    certain = [coin_is_unfair(50 + lead, 50 - lead) for lead in range(51)]
    assert all(one >= other for one, other in pairwise(certain))
    assert certain[-1] < 1e-20


def test_ties_count_half_in_the_rate_and_not_at_all_in_the_test():
    with_ties = verdict_of_preferences(2, {(0, 1): Duel(60, 30, ties_good=7, ties_bad=3)})
    without = verdict_of_preferences(2, {(0, 1): Duel(60, 30)})
    assert with_ties.p_value == without.p_value == coin_is_unfair(60, 30)
    assert [one.mean for one in with_ties.samples] == [0.65, 0.35]
    assert [one.n for one in with_ties.samples] == [100, 100]
    [first, _] = with_ties.samples
    assert first.squares == pytest.approx(60 * 0.35**2 + 30 * 0.65**2 + 10 * 0.15**2)


def test_a_winner_of_preferences_beats_each_of_the_others():
    duels = {(0, 1): Duel(10, 60), (1, 2): Duel(60, 10), (0, 2): Duel(30, 30)}
    assert verdict_of_preferences(3, duels).winner == 1
    # Ahead of both in its rate, but not proven against the last of them.
    assert verdict_of_preferences(3, duels | {(1, 2): Duel(32, 30)}).winner is None
    assert verdict_of_preferences(3, {}).p_value is None


# ------------------------------------------------------------------------------------------------ values


def test_the_evidence_of_means_is_the_normal_mixture():
    # Theorem 2.2, solved for alpha: the p-value at which the sequence of the difference just excludes 0.
    one, other = sample([0.0, 1.0] * 100), sample([0.2, 1.2] * 100)
    p = means_differ(one, other)
    assert 0 < p < 1
    size = 200 * 200 / 400
    everything = [0.0, 1.0] * 100 + [0.2, 1.2] * 100
    spread = sample(everything).squares / 400
    variance = 2 * (50 + spread) / 200**2
    rho = (2 * math.log(20) + math.log(2 * math.log(20)) + 1) / 250
    reach = 2 * (1 + size * rho) / (size * rho) * math.log(math.sqrt(1 + size * rho) / p)
    assert pytest.approx(reach * variance) == 0.2**2


def test_means_are_symmetric_and_unmoved_by_shift_and_scale():
    one, other = sample([1, 2, 3, 4, 5] * 20), sample([2, 3, 3, 4, 5] * 20)
    p = means_differ(one, other)
    assert p == means_differ(other, one)
    moved = [sample([1000 * value + 7 for value in values * 20]) for values in ([1, 2, 3, 4, 5], [2, 3, 3, 4, 5])]
    assert means_differ(*moved) == pytest.approx(p)


def test_the_direction_is_the_metrics():
    fast, slow = sample([1.0, 2.0] * 50), sample([5.0, 6.0] * 50)
    assert verdict_of_values([fast, slow], lower_is_better=True).winner == 0
    assert verdict_of_values([fast, slow]).winner == 1


def test_nothing_is_said_before_the_warm_up():
    few, many = shares(WARM_UP_SAMPLES - 1, 0), shares(500, 500)
    verdict = verdict_of_values([few, many], is_share=True)
    assert (verdict.p_value, verdict.winner, verdict.has_enough_feedbacks) == (None, None, False)
    assert verdict.intervals[0] is None
    verdict = verdict_of_values([shares(WARM_UP_SAMPLES, 0), many], is_share=True)
    assert verdict.has_enough_feedbacks
    assert verdict.winner == 1


def test_a_winner_of_values_is_better_than_each_of_the_others():
    low, high = shares(300, 60), shares(300, 200)
    assert verdict_of_values([low, high, low]).winner == 1
    verdict = verdict_of_values([low, high, shares(300, 195)])
    assert verdict.winner is None
    assert verdict.p_value is not None
    assert verdict.p_value > SIGNIFICANCE_LEVEL


def test_more_variants_must_be_more_certain():
    low, high = shares(300, 140), shares(300, 180)
    two, three = verdict_of_values([low, high]), verdict_of_values([low, high, low])
    assert two.p_value is not None
    assert three.p_value == pytest.approx(1.5 * two.p_value)


def test_equal_values_and_values_beyond_all_bounds_prove_nothing():
    same = SampleStatistics(100, 5.0, 0.0)
    assert verdict_of_values([same, same]).p_value == 1.0
    assert verdict_of_values([same, same]).intervals == [None, None]
    for odd in (
        SampleStatistics(100, math.inf, math.nan),
        SampleStatistics(100, 1e200, math.inf),
        SampleStatistics(100, 1e300, 1.0),
    ):
        verdict = verdict_of_values([odd, same])
        assert verdict.winner is None
        assert verdict.p_value == 1.0


def test_a_rare_event_that_one_variant_has_not_had_yet_proves_nothing():
    assert verdict_of_values([shares(60, 0), shares(60, 2)], is_share=True).winner is None


def test_intervals_contain_mean_narrow_with_feedback_and_stay_in_0_to_1():
    widths = []
    for n in (30, 100, 1_000, 10_000):
        found = interval(shares(n, n // 10), 0.09, is_share=True)
        assert found is not None
        assert 0 <= found.start < found.middle < found.end <= 1
        widths.append(found.end - found.start)
    assert widths == sorted(widths, reverse=True)
    # At most twice as wide as one that allows a single look.
    assert 2 * 1.96 * 0.3 / 100 < widths[-1] < 2 * 2 * 1.96 * 0.3 / 100


def test_looking_after_every_value_is_seldom_wrong():
    rng = random.Random(7)
    wrong = 0
    for _ in range(100):
        n, true = [0, 0], [0, 0]
        for turn in range(600):
            place = turn % 2
            n[place] += 1
            true[place] += rng.random() < 0.5
            if turn >= 60 and verdict_of_values([_share(n[0], true[0]), _share(n[1], true[1])]).winner is not None:
                wrong += 1
                break
    assert wrong <= 8


def _share(n: int, true: int) -> SampleStatistics:
    return SampleStatistics(n, true / n, true * (1 - true / n))
