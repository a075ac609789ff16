"""Ratings from pairs: right where the truth is known, finite everywhere."""

from __future__ import annotations

import math
from itertools import combinations
from random import Random

import pytest

from afterword.statistics.bradley_terry import ELO_SCALE, MEAN_RATING, PairCounts, ratings, win_rate


def random_comparisons(
    random: Random, strengths: list[float], tie: float, each: int
) -> dict[tuple[int, int], PairCounts]:
    """Return what comes out of so many comparisons of each two, with these logarithms of strengths and of v."""
    found = {}
    for first, second in combinations(range(len(strengths)), 2):
        a, b = math.exp(strengths[first]), math.exp(strengths[second])
        shares = (a, b, math.exp(tie) * math.sqrt(a * b))
        said = random.choices(range(3), weights=shares, k=each)
        found[first, second] = PairCounts(*(said.count(one) for one in range(3)))
    return found


def test_two_models_without_ties_stand_apart_by_the_odds():
    first, second = ratings(2, {(0, 1): PairCounts(7500, 2500, 0)})
    assert first.value - second.value == pytest.approx(ELO_SCALE * math.log(3), rel=0.01)
    assert first.value + second.value == pytest.approx(2 * MEAN_RATING)
    assert first.low < first.value < first.high


def test_the_truth_lies_in_the_interval_as_often_as_is_said():
    random = Random(3)
    truth = [0.8, 0.3, 0.0, -0.2, -0.9]
    inside = total = 0
    for _ in range(150):
        for one, rating in zip(truth, ratings(5, random_comparisons(random, truth, -0.5, 60)), strict=True):
            inside += rating.low <= MEAN_RATING + ELO_SCALE * one <= rating.high
            total += 1
    assert 0.92 <= inside / total <= 0.98


def test_who_wins_always_or_was_never_compared_has_a_finite_rating():
    said = {(0, 1): PairCounts(10, 0, 0), (2, 3): PairCounts(0, 0, 5)}
    found = ratings(5, said)
    assert all(map(math.isfinite, (number for one in found for number in (one.value, one.low, one.high))))
    assert found[0].value > found[4].value > found[1].value
    assert found[2].value == pytest.approx(found[3].value)
    assert found[4].high - found[4].low > found[0].high - found[0].low


def test_whose_side_a_pair_is_told_from_changes_nothing():
    one = ratings(3, {(0, 1): PairCounts(5, 2, 3), (1, 2): PairCounts(4, 4, 1)})
    other = ratings(3, {(1, 0): PairCounts(2, 5, 3), (2, 1): PairCounts(4, 4, 1)})
    assert [rating.value for rating in one] == pytest.approx([rating.value for rating in other])


def test_extreme_numbers_do_not_overflow():
    found = ratings(2, {(0, 1): PairCounts(10**7, 0, 0)})
    assert math.isfinite(found[0].value)


def test_a_win_rate_counts_a_tie_as_half_a_win():
    share, low, high = win_rate(PairCounts(6, 2, 4))
    assert share == pytest.approx(8 / 12)
    assert 0 < low < share < high < 1
    assert win_rate(PairCounts(0, 3, 0))[0:2] == pytest.approx((0.0, 0.0))
    # Wilson's interval for 15 of 20, as the literature has it.
    assert win_rate(PairCounts(15, 5, 0))[1:] == pytest.approx((0.531, 0.888), abs=0.001)
