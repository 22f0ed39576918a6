"""Real digits, one classifier and one prepared evaluation, shared by the tests of `evaluation`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor

from evaluation.classifier import Classifier
from evaluation.classifier_training import train_classifier
from evaluation.evaluator import Evaluator
from evaluation.extractors import Extractor, classifier_extractor
from evaluation.protocol import EvaluationProtocol

ALL_METRICS = (
    "fd",
    "kd",
    "precision",
    "recall",
    "classifier_score",
    "confident_fraction",
)


class Digits(NamedTuple):
    """1197 training and 600 held-out images of 1×8×8, with labels."""

    train_images: Tensor
    train_labels: Tensor
    reference_images: Tensor
    reference_labels: Tensor


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def digits() -> Digits:
    data = load_digits()
    images = torch.from_numpy(np.round(data.images * 255 / 16).astype(np.uint8))[:, None]
    labels = torch.from_numpy(data.target).long()
    train, reference = train_test_split(
        np.arange(len(images)), test_size=600, random_state=0, stratify=data.target
    )
    return Digits(images[train], labels[train], images[reference], labels[reference])


@pytest.fixture(scope="session")
def protocol() -> EvaluationProtocol:
    return EvaluationProtocol(extractor="classifier", metrics=ALL_METRICS, num_images=503)


@pytest.fixture(scope="session")
def prepared(
    digits: Digits, protocol: EvaluationProtocol, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Evaluator, Path]:
    folder = tmp_path_factory.mktemp("prepared") / "evaluation"
    return Evaluator.prepare(protocol, dataset="digits", folder=folder, **digits._asdict()), folder


@pytest.fixture(scope="session")
def extractor(prepared: tuple[Evaluator, Path]) -> Extractor:
    return prepared[0].extractor


@pytest.fixture(scope="session")
def coloured() -> Classifier:
    """A classifier of three-channel 11×11 images, bright above or below, trained in a moment."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 128, (67, 3, 11, 11), generator=generator, dtype=torch.uint8)
    labels = torch.arange(67) % 2
    images[labels == 0, :, :5] += 127
    images[labels == 1, :, 6:] += 127
    return train_classifier(images, labels, dataset="Halves 3", seed=0, kimg=2.0)


@pytest.fixture(scope="session")
def coloured_extractor(coloured: Classifier) -> Extractor:
    return classifier_extractor(coloured)
