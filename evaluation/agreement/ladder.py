"""The whole ladder, rung by rung: each rests on those below it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from evaluation.agreement.algebra import algebra
from evaluation.agreement.check import Check, not_run
from evaluation.agreement.end_to_end import digits_end_to_end, inception_end_to_end
from evaluation.agreement.golden import golden
from evaluation.agreement.moments import moments
from evaluation.agreement.network import (
    SIZES,
    network,
    unverified_inception,
    write_seeded_weights,
)
from evaluation.agreement.real_images import digit_sets
from evaluation.agreement.resize import resize
from evaluation.classifier_training import train_classifier
from evaluation.extractors import classifier_extractor

QUICK_SIZES = (32,)
_CLASSIFIER_KIMG = 10.0


def climb(
    *,
    quick: bool = False,
    cifar10: Path | None = None,
    weights: Path | None = None,
    device: torch.device | str = "cpu",
) -> Iterator[Check]:
    """All checks, each as soon as it is done.

    Args:
        quick: Inception on images of 32 pixels alone, and no golden values; without it a minute or
            two, and tens of minutes where golden values are to be had but no GPU.
        cifar10: folder of torchvision's CIFAR-10, for the golden values; None if there is none.
        weights: file of the official Inception weights, for the same; None if there is none.
        device: where Inception runs for the golden values. All else is on the CPU.

    Raises:
        InceptionWeightsError: `weights` are not the official ones.
    """
    sizes = QUICK_SIZES if quick else SIZES
    yield from algebra()
    digits = digit_sets()
    classifier = train_classifier(
        digits.training, digits.labels, dataset="digits", seed=0, kimg=_CLASSIFIER_KIMG
    )
    of_digits = classifier_extractor(classifier)
    yield from moments(of_digits, digits)
    yield from resize()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "seeded-inception.pth"
        write_seeded_weights(path)
        inception = unverified_inception(path)
        yield from network(inception, path, sizes=sizes)
        yield from digits_end_to_end(of_digits, digits)
        yield from inception_end_to_end(inception, sizes=sizes)
    if quick:
        yield not_run("golden", "CIFAR-10", "left out by --quick")
    else:
        yield from golden(cifar10, weights, device)
