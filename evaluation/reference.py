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
import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor

from evaluation import neighbours
from evaluation.extraction import extract
from evaluation.extractors import Extractor
from evaluation.image_files import ZIP_ERRORS
from evaluation.image_sets import ImageSet, TensorImages
from evaluation.images import ImagesError
from evaluation.manifolds import neighbour_distances
from evaluation.statistics import covariance_factor, sampling_floor
from evaluation.storage import arrays_sha256
from evaluation.whole_files import write_atomically

REFERENCE_VERSION = 1
"""Goes up whenever the same images would give other statistics, so that cached ones retire."""

_ABOUT_IMAGES = ("images_sha256", "extractor_sha256")
_ROUND_OFF = 1e-5
"""Relative; statistics of other programs may have been taken in float32."""


class ReferenceFileError(ValueError):
    """A reference's file is missing or damaged, or belongs to another extractor."""


@dataclass(frozen=True)
class Reference:
    """Statistics and features of the reference images under one extractor."""

    images_sha256: str
    """Hash of the images: the reference is known by its content. Of statistics whose images are not
    known, hash of the statistics."""
    extractor_sha256: str
    num_images: int | None
    """None for statistics that don't say how many images they are of."""
    mean: Float64[np.ndarray, " D"]
    """Mean feature of all images."""
    factor: Float64[np.ndarray, "D D"]
    """h with h hᵀ = covariance of all images."""
    features: Float32[np.ndarray, "M D"]
    """Features of all images, or of 10,000 drawn from them; of none, where statistics are all there
    is."""

    @classmethod
    def of(cls, images: ImageSet | Tensor, extractor: Extractor) -> Reference:
        """The reference that `images`, a set or a uint8 tensor (N, C, H, W), are to `extractor`.

        Raises:
            ImagesError: fewer than two images.
            ValueError: images that the extractor does not take.
        """
        images = TensorImages(images) if isinstance(images, Tensor) else images
        if images.num_images < 2:
            raise ImagesError(
                f"{images.name}: a reference needs two images, since a covariance does; it has "
                f"{images.num_images}; give more"
            )
        extracted = extract(images, extractor)
        return cls(
            images_sha256=images.sha256,
            extractor_sha256=extractor.sha256,
            num_images=extracted.num_images,
            mean=extracted.moments.mean,
            factor=covariance_factor(extracted.moments.covariance),
            features=extracted.features,
        )

    @cached_property
    def sha256(self) -> str:
        """Hash of images, extractor and statistics together."""
        return arrays_sha256(self._arrays())

    @cached_property
    def neighbour_distances(self) -> Float[Tensor, " M"]:
        """Distance of each image to its third neighbour, for precision and recall."""
        return neighbour_distances(torch.from_numpy(self.features))

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

    def save_statistics(self, path: Path) -> None:
        """Write mean and covariance as the `.npz` that pytorch-fid and clean-fid read.

        Beside `mu` and `sigma` it holds what they don't ask for: the number of images, and the
        hashes of images and extractor.

        Raises:
            ReferenceFileError: it can't be written.
        """
        arrays = {"mu": self.mean, "sigma": self.factor @ self.factor.T}
        arrays |= {name: np.array(getattr(self, name)) for name in _ABOUT_IMAGES}
        if self.num_images is not None:
            arrays["num_images"] = np.array(self.num_images)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        try:
            write_atomically(path, buffer.getvalue())
        except OSError as error:
            raise ReferenceFileError(f"{path} can't be written ({error.strerror})") from None

    @classmethod
    def load_statistics(cls, path: Path, extractor: Extractor) -> Reference:
        """A reference of `mu` and `sigma` alone, which serves the Fréchet distance alone.

        Files that don't say which extractor they were taken with are trusted in that; the number of
        features is checked.

        Raises:
            ReferenceFileError: no such file, damaged, no mean and covariance of the extractor's
                features, or of another extractor.
        """
        arrays = _read_statistics(path)
        mean, covariance = arrays["mu"], arrays["sigma"]
        dim = extractor.dim
        if mean.shape != (dim,) or covariance.shape != (dim, dim):
            raise ReferenceFileError(
                f"{path}: mu is {mean.shape} and sigma {covariance.shape}, but {extractor.name} "
                f"has {dim} features; give statistics of that extractor"
            )
        taken_with = str(arrays.get("extractor_sha256", extractor.sha256))
        if taken_with != extractor.sha256:
            raise ReferenceFileError(
                f"{path} was taken with extractor {taken_with[:12]}…, not with {extractor.name} "
                f"{extractor.sha256[:12]}…; use that extractor, or take the statistics anew"
            )
        statistics = {"mu": mean.astype(np.float64), "sigma": covariance.astype(np.float64)}
        return cls(
            images_sha256=str(arrays.get("images_sha256", arrays_sha256(statistics))),
            extractor_sha256=extractor.sha256,
            num_images=int(arrays["num_images"]) if "num_images" in arrays else None,
            mean=statistics["mu"],
            factor=_checked_factor(path, statistics["mu"], statistics["sigma"]),
            features=np.empty((0, dim), dtype=np.float32),
        )

    def _arrays(self) -> dict[str, np.ndarray]:
        return {
            "images_sha256": np.array(self.images_sha256),
            "extractor_sha256": np.array(self.extractor_sha256),
            "num_images": np.array(self.num_images or 0, dtype=np.int64),
            "mean": self.mean,
            "factor": self.factor,
            "features": self.features,
        }


def _read_statistics(path: Path) -> dict[str, np.ndarray]:
    try:
        # Opened here: numpy leaves a file open in which it finds no archive.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise ReferenceFileError(f"there are no statistics at {path}; give an .npz file") from None
    except (ValueError, TypeError, *ZIP_ERRORS) as error:
        raise ReferenceFileError(f"{path} is damaged ({error}); write it anew") from None
    missing = sorted({"mu", "sigma"} - arrays.keys())
    if missing:
        raise ReferenceFileError(
            f"{path} holds {', '.join(sorted(arrays))}, but no {' and no '.join(missing)}; give "
            "statistics as pytorch-fid writes them"
        )
    return arrays


def _checked_factor(
    path: Path, mean: Float64[np.ndarray, " D"], covariance: Float64[np.ndarray, "D D"]
) -> Float64[np.ndarray, "D D"]:
    """The factor of what can be a covariance: finite, symmetric, without negative eigenvalues."""
    fault = None
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        fault = "NaN or infinite values"
    elif np.abs(covariance - covariance.T).max() > _ROUND_OFF * np.abs(covariance).max():
        fault = "a sigma that is not symmetric"
    else:
        factor = covariance_factor(covariance)
        # The factor leaves negative eigenvalues out, and the trace without them is larger.
        trace = np.trace(covariance)
        if np.sum(factor**2) - trace <= _ROUND_OFF * abs(trace):
            return factor
        fault = "a sigma with negative eigenvalues, which is no covariance"
    raise ReferenceFileError(f"{path} holds {fault}; take the statistics anew")
