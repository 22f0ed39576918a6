"""The training images nearest to given images, in the extractor's features: is it memory?

The features of the training images are taken once and kept beside the prepared evaluation. Shapes:
N images asked about, M training images that are looked among (at most 10,000), D features.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int
from torch import Tensor

from evaluation.cached import cached_reference
from evaluation.extraction import extract, pairwise_subset
from evaluation.extractors import Extractor
from evaluation.image_sets import GeneratedImages, ImageSet
from evaluation.neighbours import Points
from evaluation.reference import Reference, ReferenceFileError

TRAINING_FILE = "training.npz"
"""Within the folder of a prepared evaluation."""


class Nearest(NamedTuple):
    """For each image asked about its nearest training images, nearest first."""

    indices: Int[np.ndarray, "N k"]
    """Places among all training images."""
    distances: Float64[np.ndarray, "N k"]
    """Euclidean, in the extractor's features."""


@dataclass(frozen=True)
class TrainingNeighbours:
    """The training images, and where those that are looked among lie in the features."""

    images: Tensor
    """All training images, uint8 (n, C, H, W)."""
    extractor: Extractor
    reference: Reference
    """Of the images that are looked among."""

    @classmethod
    def prepare(cls, folder: Path, extractor: Extractor, images: Tensor) -> TrainingNeighbours:
        """Take the features of the training images, unless `folder` has them, and keep them there.

        Args:
            folder: of the prepared evaluation.
            extractor: the evaluation's.
            images: all training images, uint8 (n, C, H, W), at least two.

        Raises:
            ValueError: images that the extractor does not take.
        """
        looked_among = _looked_among(images)
        path = folder / TRAINING_FILE
        try:
            neighbours = cls.load(folder, extractor, images)
            if neighbours.reference.images_sha256 == looked_among.sha256:
                return neighbours
        except ReferenceFileError:
            pass  # not there yet, or not whole: it holds nothing that can't be taken again
        reference = cached_reference(looked_among, extractor)
        reference.save(path)
        return cls(images, extractor, reference)

    @classmethod
    def load(cls, folder: Path, extractor: Extractor, images: Tensor) -> TrainingNeighbours:
        """What `prepare` has kept in `folder`, for the same images.

        Raises:
            ReferenceFileError: it is missing, damaged, or of another extractor.
        """
        return cls(images, extractor, Reference.load(folder / TRAINING_FILE, extractor))

    @property
    def num_looked_among(self) -> int:
        """Number of training images that are looked among: all, or 10,000 at random."""
        return len(self.reference.features)

    def nearest(self, images: ImageSet | Tensor, num_neighbours: int) -> Nearest:
        """The `num_neighbours` nearest training images of each of `images`, uint8 (N, C, H, W).

        Raises:
            ValueError: images that the extractor does not take, or features that are not numbers.
        """
        return self.nearest_to_features(extract(images, self.extractor).features, num_neighbours)

    def nearest_to_features(
        self, features: Float[np.ndarray, "N D"], num_neighbours: int
    ) -> Nearest:
        """The same for images whose features are known.

        Raises:
            ValueError: fewer training images than neighbours.
        """
        if num_neighbours > self.num_looked_among:
            raise ValueError(
                f"{num_neighbours} nearest training images were asked for, and there are "
                f"{self.num_looked_among}; ask for fewer"
            )
        training = self.reference.features
        asked, among = Points.of(features, training), Points.of(training, training)
        places, squares = [], []
        start = 0
        while start < len(features):
            squared = asked.squared_distances(among, start)
            order = np.argsort(squared, axis=1, kind="stable")[:, :num_neighbours]
            places.append(order)
            squares.append(np.take_along_axis(squared, order, axis=1))
            start += len(squared)
        indices = pairwise_subset(len(self.images))[np.concatenate(places)]
        return Nearest(indices, np.sqrt(np.concatenate(squares)))


def _looked_among(images: Tensor) -> ImageSet:
    """The training images to look among, read block by block: they may not fit into memory."""
    indices = pairwise_subset(len(images))
    _, channels, height, width = images.shape

    def block(places: range) -> Tensor:
        return images[indices[places.start : places.stop]]

    return GeneratedImages(
        block, len(indices), (channels, height, width), name="the training images"
    )
