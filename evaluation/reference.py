"""The reference: what a set of real images looks like to one extractor, computed once and kept.

Shapes: M images (at most 10,000), D features.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64
from torch import Tensor

from evaluation import neighbours
from evaluation.extractors import Extractor
from evaluation.statistics import MAX_PAIRWISE_IMAGES, Moments, covariance_factor, sampling_floor
from evaluation.storage import arrays_sha256, images_sha256, write_atomically


class ReferenceFileError(ValueError):
    """A reference's file is missing or damaged, or belongs to another extractor."""


@dataclass(frozen=True)
class Reference:
    """Statistics and features of the reference images under one extractor."""

    images_sha256: str
    """Hash of the images: the reference is known by its content."""
    extractor_sha256: str
    num_images: int
    mean: Float64[np.ndarray, " D"]
    """Mean feature of all images."""
    factor: Float64[np.ndarray, "D D"]
    """h with h hᵀ = covariance of all images."""
    features: Float32[np.ndarray, "M D"]
    """Features of all images, or of 10,000 drawn from them."""

    @classmethod
    def of(cls, images: Tensor, extractor: Extractor) -> Reference:
        """The reference that `images`, uint8 (N, C, H, W), are to `extractor`.

        Raises:
            ValueError: fewer than two images, or images that the extractor does not take.
        """
        features = extractor(images).features.numpy()
        moments = Moments.of(features)
        return cls(
            images_sha256=images_sha256(images),
            extractor_sha256=extractor.sha256,
            num_images=len(images),
            mean=moments.mean,
            factor=covariance_factor(moments.covariance),
            features=features[pairwise_subset(len(features))],
        )

    @cached_property
    def sha256(self) -> str:
        """Hash of images, extractor and statistics together."""
        return arrays_sha256(self._arrays())

    @cached_property
    def neighbour_radii(self) -> Float64[np.ndarray, " M"]:
        """Squared radii of the balls of density and coverage.

        Raises:
            ValueError: fewer than six images.
        """
        return neighbours.neighbour_radii(self.features)

    def sampling_floor(self, num_images: int) -> float | None:
        """Expected Fréchet distance of so many images of a perfect generator; None if too few."""
        return sampling_floor(self.factor @ self.factor.T, num_images)

    def save(self, path: Path) -> None:
        """Write as `.npz`, atomically."""
        buffer = io.BytesIO()
        np.savez(buffer, sha256=np.array(self.sha256), **self._arrays())  # type: ignore[arg-type]
        write_atomically(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path, extractor: Extractor) -> Reference:
        """Read a reference and check that it is whole and was taken with `extractor`.

        Raises:
            ReferenceFileError: no such file, damaged, or of another extractor.
        """
        if not path.is_file():
            raise ReferenceFileError(f"no reference at {path}; prepare the evaluation first")
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            recorded = str(arrays.pop("sha256"))
            reference = cls(
                images_sha256=str(arrays["images_sha256"]),
                extractor_sha256=str(arrays["extractor_sha256"]),
                num_images=int(arrays["num_images"]),
                mean=arrays["mean"],
                factor=arrays["factor"],
                features=arrays["features"],
            )
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ReferenceFileError(f"{path} is damaged; prepare the evaluation anew") from error
        if reference.sha256 != recorded:
            raise ReferenceFileError(f"{path} was changed; prepare the evaluation anew")
        if reference.extractor_sha256 != extractor.sha256:
            raise ReferenceFileError(
                f"{path} was taken with extractor {reference.extractor_sha256[:12]}…, not with "
                f"{extractor.name} {extractor.sha256[:12]}…; use that extractor, or prepare the "
                "evaluation anew"
            )
        return reference

    def _arrays(self) -> dict[str, np.ndarray]:
        return {
            "images_sha256": np.array(self.images_sha256),
            "extractor_sha256": np.array(self.extractor_sha256),
            "num_images": np.array(self.num_images, dtype=np.int64),
            "mean": self.mean,
            "factor": self.factor,
            "features": self.features,
        }


def pairwise_subset(num_images: int) -> np.ndarray:
    """Indices of the images that enter metrics of quadratic cost: all, or 10,000 at random.

    At random, because image sets come sorted by class; always the same, so that a score is a
    function of its images.
    """
    if num_images <= MAX_PAIRWISE_IMAGES:
        return np.arange(num_images)
    chosen = np.random.default_rng(0).choice(num_images, MAX_PAIRWISE_IMAGES, replace=False)
    return np.sort(chosen)
