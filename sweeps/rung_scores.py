"""A generator scored at a rung: its snapshot, what is to be seen of it, and its scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor

from evaluation.evaluator import Evaluator
from evaluation.protocol import Scores
from evaluation.training_neighbours import TrainingNeighbours
from reports.records import Measurement, RungScores
from reports.run_folder import TrialFolder
from sweeps.rung_images import GRID_IMAGES, save_rung_images
from transgan.config import TrainingConfig
from transgan.networks.families import AnyGenerator
from transgan.sampling import seeded_images
from transgan.training.checkpoint import save_snapshot

Generate = Callable[[range], Tensor]
"""Gives the images of a range of indices."""

Scorer = Callable[[Evaluator, Generate, Path], Scores]
"""Scores the images of a generator, whose snapshot lies at the path."""


def score_here(evaluator: Evaluator, generate: Generate, snapshot: Path) -> Scores:
    """Score in this process alone."""
    return evaluator.score_generator(generate)


def score_rung(
    generator: AnyGenerator,
    config: TrainingConfig,
    kimg: float,
    *,
    evaluators: Sequence[Evaluator],
    folder: TrialFolder,
    score: Scorer,
    neighbours: TrainingNeighbours | None,
) -> tuple[RungScores, ...]:
    """Score a generator in each of the ways there are, and keep its snapshot and images.

    Args:
        generator: the averaged one of a trial.
        config: what it was trained with.
        kimg: the rung.
        evaluators: the ways, the one that counts first.
        folder: the trial's.
        score: takes the scores.
        neighbours: what knows the training images nearest to a sample; None where nothing does.
    """
    protocol = evaluators[0].protocol
    generate = seeded_images(generator, protocol.seed)
    first = generate(range(min(GRID_IMAGES, protocol.num_images)))
    save_snapshot(folder.snapshot, generator, config, kimg)
    fakes = save_rung_images(folder, kimg, generator, first, protocol.seed, neighbours)
    taken = [score(evaluator, generate, folder.snapshot) for evaluator in evaluators]
    return tuple(
        RungScores(
            kimg=kimg,
            measurements=measurements(scores),
            fakes_path=fakes,
            protocol_sha256=scores.protocol.sha256 if scores.protocol else None,
        )
        for scores in taken
    )


def measurements(scores: Scores) -> tuple[Measurement, ...]:
    """Scores as a record keeps them."""
    return tuple(
        Measurement(
            name=score.name,
            value=score.value,
            standard_error=score.standard_error,
            low=score.low,
            high=score.high,
            floor=score.floor,
            num_images=score.num_generated,
        )
        for score in scores.scores
    )
