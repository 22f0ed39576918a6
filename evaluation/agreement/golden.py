"""Last rung: real FID, IS and KID of CIFAR-10, where its images and the official weights are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from evaluation.agreement.check import Check, Rung, compare, not_run
from evaluation.extractors import inception_extractor
from evaluation.protocol import EvaluationProtocol
from evaluation.scoring import score

if TYPE_CHECKING:
    from torchvision.datasets import CIFAR10

RUNG: Rung = "golden"
NUM_IMAGES = 5000
_SEED = 2020
_COMPARED = f"CIFAR-10, {NUM_IMAGES} training images against {NUM_IMAGES} test images"
_VALUES = {
    "fid": (10.32333, 1e-3, None),
    "inception_score": (10.75051, 1e-3, None),
    # Near zero, since both sides are real: by its deviation over the subsets.
    "kid": (-2.907863e-5, 1e-2, 1.023118e-4),
}
"""Value, bound and scale, as torch-fidelity's own tests have them (its `tests/torch_versions`)."""


def golden(
    cifar10: Path | None, weights: Path | None, device: torch.device | str = "cpu"
) -> Iterator[Check]:
    """The rung's checks.

    Args:
        cifar10: folder in which torchvision's `cifar-10-batches-py` lies; None where there is none.
        weights: file of the official Inception weights; None where there is none.
        device: where to run Inception on 10,000 images: tens of minutes without a GPU.

    Raises:
        InceptionWeightsError: the weights are other ones.
    """
    if cifar10 is None or weights is None:
        missing = []
        if cifar10 is None:
            missing.append("CIFAR-10 is not there (a folder with cifar-10-batches-py)")
        if weights is None:
            missing.append("the official Inception weights are not there")
        yield not_run(RUNG, f"{_COMPARED}: {', '.join(_VALUES)}", "; ".join(missing))
        return
    extractor = inception_extractor(weights, device)
    protocol = EvaluationProtocol(
        extractor="inception", metrics=tuple(_VALUES), num_images=NUM_IMAGES, seed=_SEED
    )
    scores = score(_subset(cifar10, True), _subset(cifar10, False), protocol, extractor=extractor)
    for key, (value, bound, scale) in _VALUES.items():
        compared = f"{_COMPARED}: {key}, torch-fidelity's published value"
        yield compare(RUNG, compared, scores[key].value, value, bound, scale=scale)


def _subset(folder: Path, train: bool) -> UInt8[Tensor, "5000 3 32 32"]:
    """The images that torch-fidelity's tests draw."""
    from torchvision.datasets import CIFAR10  # heavy, and wanted by this rung alone

    images: CIFAR10 = CIFAR10(folder, train=train, download=False)
    chosen = np.random.RandomState(_SEED).choice(len(images.data), NUM_IMAGES, replace=False)
    return torch.from_numpy(images.data[chosen].transpose(0, 3, 1, 2).copy())
