"""How often A/B tests are wrong, and how soon they end: simulated, looking after every feedback.

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

from afterword.service.evidence import ALPHA, WARM_UP, Duel, Sample, of_preferences, of_values

SEED = 20261123
RUNS = 2_000
POWER_RUNS = 300
MOST = 2_000
# The evidence in a distance of so many standard errors is at most 1 / alpha: a look at less need not be calculated.
SCREEN = 2 * math.log(1 / ALPHA)

Draw = Callable[[random.Random], float]


class Ended(NamedTuple):
    """How a simulated test ended: who won, and after how many feedbacks a variant; None where nobody did."""

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


def values(rng: random.Random, draws: Sequence[Draw], most: int) -> Ended:
    """Give the variants values in turn, looking after each."""
    places = range(len(draws))
    n, sums, squares = [0] * len(draws), [0.0] * len(draws), [0.0] * len(draws)
    for turn in range(most):
        for place, draw in enumerate(draws):
            value = draw(rng)
            n[place] += 1
            sums[place] += value
            squares[place] += value * value
            if turn >= WARM_UP and _may_differ(n, sums, squares):
                samples = [
                    Sample(n[at], sums[at] / n[at], max(0.0, squares[at] - sums[at] ** 2 / n[at])) for at in places
                ]
                winner = of_values(samples).winner
                if winner is not None:
                    return Ended(winner, turn + 1)
    return Ended(None, most)


def _may_differ(n: Sequence[int], sums: Sequence[float], squares: Sequence[float]) -> bool:
    """Tell whether some pair is so far apart that it is worth a look."""
    for i, j in combinations(range(len(n)), 2):
        variance = 0.0
        for place in (i, j):
            variance += (squares[place] - sums[place] ** 2 / n[place]) / n[place] ** 2
        if (sums[i] / n[i] - sums[j] / n[j]) ** 2 >= SCREEN * variance:
            return True
    return False


def preferences(rng: random.Random, strengths: Sequence[float], most: int, ties: float = 0.2) -> Ended:
    """Compare pairs of variants, chosen at random; the stronger wins in proportion. Look after each."""
    pairs = list(combinations(range(len(strengths)), 2))
    count = {pair: [0, 0, 0] for pair in pairs}
    given = 0
    while given < most * len(strengths) / 2:
        pair = rng.choice(pairs)
        given += 1
        if rng.random() < ties:
            count[pair][2] += 1
            continue
        first, second = (strengths[place] for place in pair)
        count[pair][rng.random() >= first / (first + second)] += 1
        wins, losses, _ = count[pair]
        # The evidence in a lead of x among n is at most 2 ** (x² / n).
        if (wins - losses) ** 2 * math.log(4) < SCREEN * (wins + losses):
            continue
        duels = {pair: Duel(wins, losses, tied) for pair, (wins, losses, tied) in count.items()}
        winner = of_preferences(len(strengths), duels).winner
        if winner is not None:
            return Ended(winner, round(given * 2 / len(strengths)))
    return Ended(None, most)


SAME: tuple[tuple[str, Callable[[random.Random, int], Ended]], ...] = (
    ("bool, 10 % true", lambda rng, k: values(rng, [bools(0.1)] * k, MOST)),
    ("bool, 50 % true", lambda rng, k: values(rng, [bools(0.5)] * k, MOST)),
    ("scalar, normal", lambda rng, k: values(rng, [normal(0)] * k, MOST)),
    ("scalar, 1 to 5 stars, mostly 5", lambda rng, k: values(rng, [stars(0.1, 0.05, 0.1, 0.25, 0.5)] * k, MOST)),
    ("preferences, 20 % ties", lambda rng, k: preferences(rng, [1.0] * k, MOST)),
)
DIFFERENT: tuple[tuple[str, Callable[[random.Random], Ended]], ...] = (
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
    """Print both tables. An argument is the number of runs, where fewer will do."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    print(f"| with no difference ({runs:,} runs each) | 2 variants | 3 variants |\n|---|---|---|")
    for name, simulate in SAME:
        rates = []
        for variants in (2, 3):
            rng = random.Random(f"{SEED} {name} {variants}")
            wrong = sum(simulate(rng, variants).winner is not None for _ in range(runs))
            rates.append(f"{100 * wrong / runs:.1f} %")
        print(f"| {name} | {' | '.join(rates)} |", flush=True)
    runs = min(runs, POWER_RUNS)
    print(f"\n| with a difference ({runs:,} runs each) | found by 2,000 each | median at the end | in 9 of 10 by |")
    print("|---|---|---|---|")
    for name, simulate in DIFFERENT:
        rng = random.Random(f"{SEED} {name}")
        ended = [simulate(rng) for _ in range(runs)]
        found = sum(one.winner == 0 and one.feedbacks <= MOST for one in ended)
        needed = sorted(one.feedbacks for one in ended)
        tenth = statistics.quantiles(needed, n=10)[-1]
        row = (f"{100 * found / runs:.0f} %", f"{statistics.median(needed):,.0f}", f"{tenth:,.0f}")
        print(f"| {name} | {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
