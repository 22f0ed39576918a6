"""The classifier score as sums over images, so that no image's probabilities need to be kept.

Salimans et al. 2016, arXiv:1606.03498, sec. 4: exp E KL(p(y|x) ‖ p(y)), the mean over splits. Since
E KL = E Σ p(y|x) log p(y|x) − Σ p(y) log p(y), a split needs the sums of p(y|x) and of its negative
entropy. Splits are those of torch-fidelity: images shuffled by a seed, then cut into ten.
Shapes: N images, K classes, S splits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64

from evaluation.class_score import class_vectors, score_estimate
from evaluation.intervals import Estimate
from evaluation.statistics import Moments

MIN_IMAGES_TO_SPLIT = 500
"""From here on the score is the mean over ten splits, as in Salimans et al. 2016; below, over
one."""


def num_splits(num_images: int) -> int:
    """How many parts the score of so many images is averaged over."""
    return 10 if num_images >= MIN_IMAGES_TO_SPLIT else 1


def splits_of_images(num_images: int, seed: int) -> Int64[np.ndarray, " N"]:
    """The split to which each image belongs: torch-fidelity's shuffle with this seed."""
    order = np.random.RandomState(seed).permutation(num_images)
    splits = num_splits(num_images)
    split_of = np.empty(num_images, dtype=np.int64)
    for split in range(splits):
        split_of[order[split * num_images // splits : (split + 1) * num_images // splits]] = split
    return split_of


@dataclass(frozen=True)
class ClassSums:
    """What the classifier score needs of a set of images; sets can be merged."""

    counts: Int64[np.ndarray, " S"]
    """Number of images in each split."""
    probabilities: Float64[np.ndarray, "S K"]
    """Sum over the images of a split of their class probabilities."""
    information: Float64[np.ndarray, " S"]
    """Sum over the images of a split of Σ p log p."""
    moments: Moments
    """Of the vectors (p, Σ p log p), K + 1 numbers an image, over all splits."""

    @classmethod
    def of(
        cls, logits: Float[np.ndarray, "N K"], split_of: Int64[np.ndarray, " N"], splits: int
    ) -> ClassSums:
        """The sums of images with these logits, which belong to these of all `splits` splits."""
        vectors = class_vectors(logits)
        members = (split_of == np.arange(splits)[:, None]).astype(np.float64)  # (S, N)
        return cls(
            counts=np.bincount(split_of, minlength=splits),
            probabilities=members @ vectors[:, :-1],
            information=members @ vectors[:, -1],
            moments=Moments.of(vectors),
        )

    def merge(self, other: ClassSums) -> ClassSums:
        """The sums of both sets of images together."""
        return ClassSums(
            counts=self.counts + other.counts,
            probabilities=self.probabilities + other.probabilities,
            information=self.information + other.information,
            moments=self.moments.merge(other.moments),
        )

    @property
    def score(self) -> Estimate:
        """The score, 1 to K, with its uncertainty; every split must hold an image."""
        marginal = self.probabilities / self.counts[:, None]
        divergence = self.information / self.counts - np.sum(marginal * _log(marginal), axis=1)
        return score_estimate(float(np.mean(np.exp(divergence))), self.moments, len(self.counts))


def _log(probabilities: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    """Logarithm, where a probability of zero counts as the smallest number there is."""
    return np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
