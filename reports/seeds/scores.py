"""The scores of finalists, each trained again from a fresh seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.metrics import Goal


class SeedScoreError(ValueError):
    """Scores of fresh seeds that can't be compared as they stand."""


@dataclass(frozen=True)
class SeedScore:
    """One finalist's score from one fresh training seed.

    All scores of one comparison are of one number of images, one set of latents and one reference.
    """

    config: str
    """Name of the search trial whose settings these are: `0002`."""
    seed: int
    """Index of the seed, from 0; no two configurations share a seed of that index."""
    value: float
    """Of the objective; `inf` where less is better and `-inf` where more is, for a run that
    diverged or failed."""
    standard_error: float | None
    """From having only so many images; None where no honest one is known."""

    @property
    def has_failed(self) -> bool:
        """Whether the run ended without a score."""
        return math.isinf(self.value)


def scores_by_config(scores: Sequence[SeedScore], goal: Goal) -> dict[str, tuple[SeedScore, ...]]:
    """The scores of each configuration by seed, configurations in the order of their names.

    Raises:
        SeedScoreError: a score is not a number or infinitely good, a standard error is none, or a
            configuration has one seed twice.
    """
    found: dict[str, dict[int, SeedScore]] = {}
    for score in scores:
        _check(score, goal)
        seeds = found.setdefault(score.config, {})
        if score.seed in seeds:
            raise SeedScoreError(
                f"configuration {score.config} has two scores of seed {score.seed}; "
                "give each seed once"
            )
        seeds[score.seed] = score
    return {
        config: tuple(seeds[seed] for seed in sorted(seeds))
        for config, seeds in sorted(found.items())
    }


def _check(score: SeedScore, goal: Goal) -> None:
    where = f"configuration {score.config}, seed {score.seed}"
    failed = failed_value(goal)
    if math.isnan(score.value) or score.value == -failed:
        raise SeedScoreError(
            f"{where}: the score is {score.value}; a run without a score counts as {failed}"
        )
    error = score.standard_error
    if error is not None and not (error >= 0 and math.isfinite(error)):
        raise SeedScoreError(
            f"{where}: the standard error is {error}; give a number of 0 or more, or None"
        )


def failed_value(goal: Goal) -> float:
    """What a run that diverged or failed counts as: infinitely bad."""
    return math.inf if goal == "minimize" else -math.inf
