"""Feature extractors: from uint8 images to the features and logits that metrics look at.

Two kinds. A classifier trained on the data's own labels, for any data without downloads; and
Inception-v3 with the official weights, whose distances alone are called FID and KID. One is never
silently put in the other's place. Shapes: N images, D features, K classes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from evaluation import fidelity
from evaluation.classifier import FEATURE_DIM, Classifier
from evaluation.images import check_images
from evaluation.metrics import INCEPTION, ExtractorKind, extractor_kind
from evaluation.storage import file_sha256

INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
INCEPTION_URL = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth"
)
INCEPTION_FILES = (
    "weights-inception-2015-12-05-6726825d.pth",
    "pt_inception-2015-12-05-6726825d.pth",
)
"""Names under which torch-fidelity and pytorch-fid keep the same file in torch hub's cache."""
INCEPTION_VARIABLE = "TG_SWEEP_INCEPTION_WEIGHTS"
INCEPTION_DIM = 2048


class InceptionWeightsError(ValueError):
    """The official Inception weights are not there, or the file is another one."""


class Features(NamedTuple):
    """What an extractor sees in a set of images; on the CPU."""

    features: Float[Tensor, "N D"]
    logits: Float[Tensor, "N K"]


@dataclass(frozen=True)
class Extractor:
    """A network that turns images into features, pinned by name and by the hash of its weights."""

    name: str
    sha256: str
    dim: int
    """Number of features."""
    registered: str
    """Its name with torch-fidelity."""
    batch_size: int
    """Images at a time. Fixed, since the last digits of features depend on it."""
    network: nn.Module
    device: torch.device
    classifier: Classifier | None
    """The classifier behind it; None for Inception."""

    @property
    def kind(self) -> ExtractorKind:
        """Classifier or inception."""
        return extractor_kind(self.name)

    def __call__(self, images: Tensor) -> Features:
        """Features and logits, float32, of uint8 images (N, C, H, W).

        Raises:
            ImagesError: not a set of uint8 images.
            ClassifierError: images of another size or other channels than the classifier's.
        """
        images = self._accept(images)
        features, logits = [], []
        # TensorFloat-32 and autotuned kernels change a distance between one batch size and another.
        with (
            torch.inference_mode(),
            torch.backends.cudnn.flags(benchmark=False, deterministic=True, allow_tf32=False),
        ):
            for batch in torch.split(images, self.batch_size):
                of_batch = self.network(batch.to(self.device))
                features.append(of_batch[0])
                logits.append(of_batch[1])
        return Features(torch.cat(features).float().cpu(), torch.cat(logits).float().cpu())

    def _accept(self, images: Tensor) -> Tensor:
        if self.classifier is not None:
            self.classifier.check(images, "the images")
            return images
        check_images(images, "the images")
        # Inception sees three channels; a grey image is the same image with equal channels.
        return images.expand(-1, 3, -1, -1)


def classifier_extractor(classifier: Classifier, device: torch.device | str = "cpu") -> Extractor:
    """The extractor that a trained classifier is."""
    network = classifier.network.to(device)
    registered = fidelity.register_network(classifier.name, classifier.sha256, network)
    return Extractor(
        name=classifier.name,
        sha256=classifier.sha256,
        dim=FEATURE_DIM,
        registered=registered,
        batch_size=250,
        network=fidelity.create_registered(registered, [fidelity.FEATURES, fidelity.LOGITS]),
        device=torch.device(device),
        classifier=classifier,
    )


def inception_extractor(
    weights: Path | None = None, device: torch.device | str = "cpu"
) -> Extractor:
    """Inception-v3 with the official weights, verified by their hash before they are loaded.

    Args:
        weights: the file; by default as `find_inception_weights` finds it.
        device: where to run it.

    Raises:
        InceptionWeightsError: no such file, or not the official one.
    """
    path = find_inception_weights(weights)
    actual = file_sha256(path)
    if actual != INCEPTION_SHA256:
        raise InceptionWeightsError(
            f"{path} does not hold the official Inception weights (SHA-256 {actual[:12]}…, "
            f"official {INCEPTION_SHA256[:12]}…), and a distance in its features would not be "
            f"FID; replace it with the file from {INCEPTION_URL}, or choose extractor: classifier"
        )
    network = fidelity.load_inception(path).to(device)
    registered = fidelity.register_network(INCEPTION, actual, network)
    return Extractor(
        name=INCEPTION,
        sha256=actual,
        dim=INCEPTION_DIM,
        registered=registered,
        batch_size=64,
        network=fidelity.create_registered(registered, [fidelity.FEATURES, fidelity.LOGITS]),
        device=torch.device(device),
        classifier=None,
    )


def find_inception_weights(weights: Path | None = None) -> Path:
    """The file of Inception weights: as given, else as the variable says, else torch hub's.

    Raises:
        InceptionWeightsError: it is in none of these places; the message has three ways out.
    """
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    named = weights or os.environ.get(INCEPTION_VARIABLE)
    places = [Path(named)] if named else [cache / name for name in INCEPTION_FILES]
    for place in places:
        if place.is_file():
            return place
    raise InceptionWeightsError(
        f"no Inception weights at {places[0]}; give their path (--inception-weights PATH or "
        f"{INCEPTION_VARIABLE}=PATH), or put the file from {INCEPTION_URL} into {cache}, or choose "
        "extractor: classifier"
    )


def load_extractor(path: Path, device: torch.device | str = "cpu") -> Extractor:
    """The classifier in a `.safetensors` file as an extractor.

    Raises:
        ClassifierError: no such file, or not a classifier of ours.
    """
    return classifier_extractor(Classifier.load(path), device)
