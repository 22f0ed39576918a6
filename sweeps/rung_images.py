"""The images a trial leaves at each scoring: a grid, walks, and nearest training images.

All are functions of the generator and the protocol's seed. A strip of nearest images has a record
of its distances beside it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from evaluation.evaluator import Evaluator
from evaluation.extraction import pairwise_subset
from evaluation.training_neighbours import Nearest, TrainingNeighbours
from evaluation.whole_files import write_atomically
from reports.nearest import NearestRecord, ShownImage
from reports.run_folder import RunFolder, TrialFolder
from transgan.data import ImageData
from transgan.interpolation import latent_walks
from transgan.networks.families import AnyGenerator
from transgan.sampling import image_grid, sample_images, save_image

GRID_IMAGES = 64
GRID_COLUMNS = 8
WALKS = 4
WALK_STEPS = 9
SHOWN_NEAREST = 8
"""Columns of a strip: of the grid's images those that come nearest to a training image."""
NEIGHBOURS = 3
MOST_HELD_OUT = 1000
"""Held-out images whose distances are kept: enough to tell what is usual."""


def save_grid(images: Tensor, path: Path) -> None:
    """Write images, uint8 (N, C, H, W), as a grid."""
    save_image(image_grid(images[:GRID_IMAGES], columns=GRID_COLUMNS), path)


def save_interpolation(generator: AnyGenerator, seed: int, path: Path) -> None:
    """Write the images along walks between the latents of `seed`, a walk a row.

    Raises:
        NotFiniteError: some are not numbers.
    """
    z = latent_walks(WALKS, WALK_STEPS, generator.latent_dim, seed)
    save_image(image_grid(sample_images(generator, z), columns=WALK_STEPS), path)


def save_nearest(samples: Tensor, neighbours: TrainingNeighbours, path: Path) -> None:
    """Write the samples that come nearest to training images, each above its nearest ones.

    Args:
        samples: those of the grid, uint8 (N, C, H, W).
        neighbours: where training images lie.
        path: of the strip; its record goes beside it.
    """
    nearest = neighbours.nearest(samples, NEIGHBOURS)
    _save_strip(samples, nearest, neighbours, path)


def prepare_neighbours(run: RunFolder, evaluator: Evaluator, data: ImageData) -> None:
    """Keep the features of the training images, and show how near held-out images come to them."""
    neighbours = TrainingNeighbours.prepare(run.evaluation, evaluator.extractor, data.train_images)
    if run.nearest_reals.exists():
        return
    # The reference is the held-out images, or as many of them as metrics of pairs look at.
    features = evaluator.reference.features[:MOST_HELD_OUT]
    places = pairwise_subset(len(data.held_out_images))[: min(len(features), GRID_IMAGES)]
    nearest = neighbours.nearest_to_features(features, NEIGHBOURS)
    _save_strip(data.held_out_images[places], nearest, neighbours, run.nearest_reals)


def _save_strip(
    images: Tensor, nearest: Nearest, neighbours: TrainingNeighbours, path: Path
) -> None:
    """Write strip and record; `nearest` may be of more images than those to choose from."""
    first = nearest.distances[: len(images), 0]
    columns = np.argsort(first, kind="stable")[:SHOWN_NEAREST]
    below = torch.from_numpy(nearest.indices[columns].T.reshape(-1))
    rows = torch.cat([images[torch.from_numpy(columns)], neighbours.images[below]])
    record = NearestRecord(
        extractor=neighbours.extractor.name,
        num_training=len(neighbours.images),
        num_looked_among=neighbours.num_looked_among,
        shown=tuple(
            ShownImage(
                image=int(column),
                training=tuple(int(index) for index in nearest.indices[column]),
                distances=tuple(float(distance) for distance in nearest.distances[column]),
            )
            for column in columns
        ),
        num_shown_of=len(images),
        distances=tuple(float(distance) for distance in nearest.distances[:, 0]),
    )
    write_atomically(path.with_suffix(".json"), record.model_dump_json().encode())
    save_image(image_grid(rows, columns=len(columns)), path)


def save_rung_images(
    folder: TrialFolder,
    kimg: float,
    generator: AnyGenerator,
    samples: Tensor,
    seed: int,
    neighbours: TrainingNeighbours | None,
) -> str:
    """Write all images of one scoring, and give the name of the grid.

    Args:
        folder: the trial's.
        kimg: of the scoring.
        generator: the EMA generator.
        samples: its first images, uint8 (N, C, H, W).
        seed: the protocol's.
        neighbours: where training images lie; None to show none.

    Raises:
        NotFiniteError: images that are not numbers.
        ValueError: features that are not numbers.
    """
    grid = folder.fakes(kimg)
    save_grid(samples, grid)
    save_interpolation(generator, seed, folder.interpolation(kimg))
    if neighbours is not None:
        save_nearest(samples, neighbours, folder.nearest(kimg))
    return grid.name
