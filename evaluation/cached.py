"""Trained classifiers and references, taken from this machine's cache or made and put there.

A classifier is known by what it has learned from and how; a reference by its images, the weights of
the extractor and the resize rule. Neither by names of files, times, or the data set's path.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from evaluation.cache import Entries, content_key
from evaluation.classifier import CLASSIFIER_VERSION, Classifier, ClassifierError
from evaluation.classifier_training import TRAINING_VERSION
from evaluation.extractors import Extractor
from evaluation.image_sets import ImageSet, TensorImages
from evaluation.reference import REFERENCE_VERSION, Reference, ReferenceFileError
from evaluation.storage import tensors_sha256


class LabelledImages(NamedTuple):
    """Images, with their labels where there are any."""

    images: Tensor
    labels: Tensor | None

    def sha256(self) -> str:
        """Hash of images and labels, order included."""
        assert self.labels is not None
        return tensors_sha256({"images": self.images, "labels": self.labels})


def cached_classifier(
    train: Callable[..., Classifier],
    training: LabelledImages,
    held_out: LabelledImages,
    *,
    dataset: str,
    seed: int,
    device: torch.device | str,
) -> Classifier:
    """What `train` gives for this data, from the cache if it was trained before.

    Args:
        train: `train_classifier` or `train_judge`; its name is part of what the cache goes by.
        training: what to learn from.
        held_out: what to measure the accuracy on.
        dataset: name of the data set.
        seed: seed of the training.
        device: where to train; the result is there in either case.
    """
    assert training.labels is not None
    assert held_out.labels is not None
    # Not by torch's version or the number of threads, on which the last digits of the weights
    # depend: scores compare under one classifier alone, so the one there is serves best.
    key = content_key(
        train.__name__,
        CLASSIFIER_VERSION,
        TRAINING_VERSION,
        dataset,
        training.sha256(),
        held_out.sha256(),
        seed,
        torch.device(device).type,
    )

    def make() -> Classifier:
        return train(
            training.images,
            training.labels,
            dataset=dataset,
            seed=seed,
            held_out=(held_out.images, held_out.labels),
            device=device,
        )

    entries = Entries(
        kind="classifiers",
        suffix=".safetensors",
        write=Classifier.save,
        read=Classifier.load,
        damage=ClassifierError,
    )
    classifier = entries.get(key, make)
    classifier.network.to(device)
    return classifier


def cached_reference(images: ImageSet | Tensor, extractor: Extractor) -> Reference:
    """What `Reference.of` gives for these images, from the cache if it was taken before.

    Args:
        images: a set, or a uint8 tensor (N, C, H, W).
        extractor: whose features to take.

    Raises:
        ValueError: fewer than two images, or images that the extractor does not take.
    """
    images = TensorImages(images) if isinstance(images, Tensor) else images
    of_images = images.sha256

    def read(path: Path) -> Reference:
        reference = Reference.load(path, extractor)
        if reference.images_sha256 != of_images:
            raise ReferenceFileError(f"{path} is of other images")
        return reference

    entries = Entries(
        kind="references",
        suffix=".npz",
        write=Reference.save,
        read=read,
        damage=ReferenceFileError,
    )
    key = content_key(
        REFERENCE_VERSION, of_images, extractor.sha256, extractor.resize, extractor.device.type
    )
    return entries.get(key, lambda: Reference.of(images, extractor))
