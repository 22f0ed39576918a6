"""How long the finalists of a sweep will take: races imagined round by round, on so many workers.

A round's runs share the workers, and the next round waits for its last run: with three runs on two
workers, one is idle half of the time. How many runs each round has is decided by the scores, so
races are imagined with scores that spread as those of the digits do (`docs/verdict`), and the code
that runs a race says what each round is.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Sequence
from functools import lru_cache

from reports.seeds.racing import next_seeds
from reports.seeds.scores import SeedScore

IMAGINED_RACES = 40
LEVEL_SPREAD = 0.5
"""Standard deviation of the logarithms of the trials' true scores."""
SEED_SPREAD = 0.3
SAMPLING = 0.14
"""Standard error of a score of 1,000 images, as a share of it."""

Run = tuple[int, int]
"""A finalist, by its place, and the index of a seed."""


@lru_cache
def imagined_races(
    count: int, seeds: int, num_trials: int, seed: int
) -> tuple[tuple[tuple[Run, ...], ...], ...]:
    """The rounds of imagined races, all failures left out.

    Args:
        count: finalists.
        seeds: of each, at most.
        num_trials: of the search that chose the finalists; they are closer together the more.
        seed: of the imagination.
    """
    rng = random.Random(seed)

    def score(level: float) -> float:
        return level + rng.gauss(0, SEED_SPREAD) + rng.gauss(0, SAMPLING)

    races = []
    for _ in range(IMAGINED_RACES):
        levels = [rng.gauss(0, LEVEL_SPREAD) for _ in range(max(num_trials, count))]
        chosen = sorted(levels, key=score)[:count]
        names = [str(place) for place in range(count)]
        scores: list[SeedScore] = []
        rounds = []
        while todo := next_seeds(scores, names, "minimize", max_seeds=seeds):
            rounds.append(tuple((int(name), index) for name, index in todo))
            for name, index in todo:
                value = math.exp(score(chosen[int(name)]))
                scores.append(SeedScore(name, index, value, SAMPLING * value))
        races.append(tuple(rounds))
    return tuple(races)


def runs_left(
    races: Sequence[tuple[tuple[Run, ...], ...]], done: int, *, most: int
) -> Sequence[tuple[tuple[Run, ...], ...]]:
    """What is left of each race after `done` runs, of the races that are not over by then.

    Where no race was imagined that is as long, the longest that there can be.

    Args:
        races: the rounds of each.
        done: runs that need nothing more.
        most: runs of a race that needs all seeds of all finalists.
    """
    left = []
    for rounds in races:
        skip, rest = done, []
        for this_round in rounds:
            rest.append(this_round[skip:])
            skip = max(skip - len(this_round), 0)
        if any(rest):
            left.append(tuple(filter(None, rest)))
    if not left and done < most:
        count = max(finalist for finalist, _ in races[0][0]) + 1
        return [(tuple((place % count, place // count) for place in range(done, most)),)]
    return left


def race_seconds(
    rounds: Sequence[Sequence[Run]], seconds: Callable[[int], float], concurrent: int
) -> float:
    """How long a race takes; of a round the longest runs go first, as `sweeps.finalists` has it.

    Args:
        rounds: the runs of each.
        seconds: that a run of a finalist takes, by the finalist's place.
        concurrent: runs at once.
    """
    total = 0.0
    for this_round in rounds:
        busy_until = [0.0] * concurrent
        for length in sorted((seconds(finalist) for finalist, _ in this_round), reverse=True):
            heapq.heapreplace(busy_until, busy_until[0] + length)
        total += max(busy_until)
    return total
