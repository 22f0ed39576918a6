"""Which finalist runs are still worth their training: here the full grid, every seed of all."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.metrics import Goal
from reports.seeds.scores import SeedScore


def next_seeds(
    scores: Sequence[SeedScore],
    configs: Sequence[str],
    goal: Goal,
    *,
    max_seeds: int,
    confidence: float = 0.95,
) -> tuple[tuple[str, int], ...]:
    """The full grid: all runs that have not been done, whatever the scores say.

    Args:
        scores: of the runs that have ended.
        configs: the finalists, best first.
        goal: which scores are better.
        max_seeds: most seeds of one finalist.
        confidence: of the claims that are to be decided.
    """
    done = {(score.config, score.seed) for score in scores}
    grid = ((config, seed) for seed in range(max_seeds) for config in configs)
    return tuple(run for run in grid if run not in done)
