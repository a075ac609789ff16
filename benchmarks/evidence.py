"""Simulates A/B tests with a look after every feedback: how often they are wrong, and how soon they end.

python -m benchmarks.evidence          # prints the tables of docs/guides/ab-tests.md, in some minutes
"""

from __future__ import annotations

import math
import random
import statistics
import sys
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

from afterword.statistics.anytime_valid import (
    SIGNIFICANCE_LEVEL,
    WARM_UP_SAMPLES,
    Duel,
    SampleStatistics,
    verdict_of_preferences,
    verdict_of_values,
)

SEED = 20261123
RUN_COUNT = 2_000
POWER_RUN_COUNT = 300
MAX_FEEDBACK_COUNT = 2_000
# Bound on the squared distance in standard errors: below it the evidence is under 1 / alpha, so the look is skipped.
SCREEN = 2 * math.log(1 / SIGNIFICANCE_LEVEL)

Draw = Callable[[random.Random], float]


class TestEnd(NamedTuple):
    """The end of a simulated test: the winner, and the feedbacks per variant until then; None without a winner."""

    winner: int | None
    feedbacks: int


def bools(share: float) -> Draw:
    """Draw true with this probability."""
    return lambda rng: rng.random() < share


def normal(mean: float) -> Draw:
    """Draw around this mean with a standard deviation of 1."""
    return lambda rng: rng.gauss(mean, 1)


def stars(*weights: float) -> Draw:
    """Draw 1 to 5 stars with these probabilities."""
    return lambda rng: rng.choices((1, 2, 3, 4, 5), weights)[0]


def values(rng: random.Random, draws: Sequence[Draw], max_feedbacks: int) -> TestEnd:
    """Give the variants values in turn, with a look after each."""
    variants = range(len(draws))
    n, sums, squares = [0] * len(draws), [0.0] * len(draws), [0.0] * len(draws)
    for turn in range(max_feedbacks):
        for variant, draw in enumerate(draws):
            value = draw(rng)
            n[variant] += 1
            sums[variant] += value
            squares[variant] += value * value
            if turn >= WARM_UP_SAMPLES and _may_differ(n, sums, squares):
                samples = [
                    SampleStatistics(
                        n[index], sums[index] / n[index], max(0.0, squares[index] - sums[index] ** 2 / n[index])
                    )
                    for index in variants
                ]
                winner = verdict_of_values(samples).winner
                if winner is not None:
                    return TestEnd(winner, turn + 1)
    return TestEnd(None, max_feedbacks)


def _may_differ(n: Sequence[int], sums: Sequence[float], squares: Sequence[float]) -> bool:
    """Tell whether any pair is so far apart that a look can end the test."""
    for i, j in combinations(range(len(n)), 2):
        variance = 0.0
        for variant in (i, j):
            variance += (squares[variant] - sums[variant] ** 2 / n[variant]) / n[variant] ** 2
        if (sums[i] / n[i] - sums[j] / n[j]) ** 2 >= SCREEN * variance:
            return True
    return False


def preferences(rng: random.Random, strengths: Sequence[float], max_feedbacks: int, ties: float = 0.2) -> TestEnd:
    """Compare random pairs of variants, with a look after each. A variant wins in proportion to its strength."""
    pairs = list(combinations(range(len(strengths)), 2))
    count = {pair: [0, 0, 0] for pair in pairs}
    comparisons = 0
    while comparisons < max_feedbacks * len(strengths) / 2:
        pair = rng.choice(pairs)
        comparisons += 1
        if rng.random() < ties:
            count[pair][2] += 1
            continue
        first, second = (strengths[variant] for variant in pair)
        count[pair][rng.random() >= first / (first + second)] += 1
        wins, losses, _ = count[pair]
        # The evidence of a lead of x among n is at most 2 ** (x² / n).
        if (wins - losses) ** 2 * math.log(4) < SCREEN * (wins + losses):
            continue
        duels = {pair: Duel(wins, losses, tied) for pair, (wins, losses, tied) in count.items()}
        winner = verdict_of_preferences(len(strengths), duels).winner
        if winner is not None:
            return TestEnd(winner, round(comparisons * 2 / len(strengths)))
    return TestEnd(None, max_feedbacks)


EQUAL_CASES: tuple[tuple[str, Callable[[random.Random, int], TestEnd]], ...] = (
    ("bool, 10 % true", lambda rng, k: values(rng, [bools(0.1)] * k, MAX_FEEDBACK_COUNT)),
    ("bool, 50 % true", lambda rng, k: values(rng, [bools(0.5)] * k, MAX_FEEDBACK_COUNT)),
    ("scalar, normal", lambda rng, k: values(rng, [normal(0)] * k, MAX_FEEDBACK_COUNT)),
    (
        "scalar, 1 to 5 stars, mostly 5",
        lambda rng, k: values(rng, [stars(0.1, 0.05, 0.1, 0.25, 0.5)] * k, MAX_FEEDBACK_COUNT),
    ),
    ("preferences, 20 % ties", lambda rng, k: preferences(rng, [1.0] * k, MAX_FEEDBACK_COUNT)),
)
UNEQUAL_CASES: tuple[tuple[str, Callable[[random.Random], TestEnd]], ...] = (
    ("bool, 10 % against 15 %", lambda rng: values(rng, [bools(0.15), bools(0.1)], 10_000)),
    ("bool, 50 % against 55 %", lambda rng: values(rng, [bools(0.55), bools(0.5)], 10_000)),
    ("bool, 50 % against 60 %", lambda rng: values(rng, [bools(0.6), bools(0.5)], 10_000)),
    ("scalar, 0.2 standard deviations apart", lambda rng: values(rng, [normal(0.2), normal(0)], 10_000)),
    ("scalar, 0.5 standard deviations apart", lambda rng: values(rng, [normal(0.5), normal(0)], 10_000)),
    ("3 variants, one 0.3 of them better", lambda rng: values(rng, [normal(0.3), normal(0), normal(0)], 10_000)),
    ("preferences, 55 to 45, 20 % ties", lambda rng: preferences(rng, [0.55, 0.45], 10_000)),
    ("preferences, 60 to 40, 20 % ties", lambda rng: preferences(rng, [0.6, 0.4], 10_000)),
)  # fmt: skip


def main() -> None:
    """Print both tables. An optional argument is the number of runs."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUN_COUNT
    print(f"| with no difference ({runs:,} runs each) | 2 variants | 3 variants |\n|---|---|---|")
    for name, simulate in EQUAL_CASES:
        rates = []
        for variants in (2, 3):
            rng = random.Random(f"{SEED} {name} {variants}")
            wrong = sum(simulate(rng, variants).winner is not None for _ in range(runs))
            rates.append(f"{100 * wrong / runs:.1f} %")
        print(f"| {name} | {' | '.join(rates)} |", flush=True)
    runs = min(runs, POWER_RUN_COUNT)
    print(f"\n| with a difference ({runs:,} runs each) | found by 2,000 each | median at the end | in 9 of 10 by |")
    print("|---|---|---|---|")
    for name, simulate in UNEQUAL_CASES:
        rng = random.Random(f"{SEED} {name}")
        test_ends = [simulate(rng) for _ in range(runs)]
        correct = sum(test_end.winner == 0 and test_end.feedbacks <= MAX_FEEDBACK_COUNT for test_end in test_ends)
        needed = sorted(test_end.feedbacks for test_end in test_ends)
        tenth = statistics.quantiles(needed, n=10)[-1]
        row = (f"{100 * correct / runs:.0f} %", f"{statistics.median(needed):,.0f}", f"{tenth:,.0f}")
        print(f"| {name} | {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
