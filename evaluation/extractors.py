"""Feature extractors: from uint8 images to the features and logits that metrics look at.

A classifier trained on the data's own labels, for any data without downloads; Inception-v3 with the
official weights, whose distances alone are called FID and KID; DINOv2; and a module of the user's
own. One is never silently put in another's place. Shapes: N images, D features, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from evaluation import fidelity
from evaluation.classifier import FEATURE_DIM, Classifier
from evaluation.dinov2_weights import Dinov2WeightsError, find_dinov2_weights, read_dinov2_weights
from evaluation.extractor_module import FeaturesAndLogits, load_module
from evaluation.extractor_names import (
    CLASSIFIER,
    DINOV2,
    INCEPTION,
    INCEPTION_UNVERIFIED,
    ExtractorKind,
    extractor_kind,
    module_name,
)
from evaluation.images import check_images
from evaluation.inception_weights import (
    INCEPTION_SHA256,
    USUAL_FILE,
    InceptionFile,
    InceptionWeightsError,
    clean_copy,
    verify_inception_weights,
)
from evaluation.metrics import MetricError, find_metric
from evaluation.storage import file_sha256, tensors_sha256

INCEPTION_DIM = 2048
INCEPTION_LOGITS = 1008
DINOV2_DIM = 768

RESIZE_NONE = "none"
"""Images of another size are refused."""
RESIZE_INCEPTION = "tf1-bilinear-299"
"""TensorFlow 1's bilinear resizing to 299 pixels a side: corners not aligned, no half-pixel
centres, no antialiasing (torch-fidelity's)."""
RESIZE_DINOV2 = "tf1-bilinear-224"
"""The same to 224 pixels a side."""
RESIZE_OWN = "its own"
"""Whatever a module of the user's own does."""


class Features(NamedTuple):
    """What an extractor sees in a set of images; on the CPU."""

    features: Float[Tensor, "N D"]
    logits: Float[Tensor, "N K"]


@dataclass(frozen=True)
class Extractor:
    """A network that turns images into features, pinned by name and by the hash of its weights."""

    name: str
    choice: str
    """What a protocol calls it: `classifier`, `inception`, `dinov2`, or an import path."""
    sha256: str
    dim: int
    """Number of features."""
    num_logits: int
    """Number of logits; 0 where it gives features alone."""
    resize: str
    """The rule by which images are brought to the network's size."""
    registered: str
    """Its name with torch-fidelity."""
    batch_size: int
    """Images at a time. Fixed, since the last digits of features depend on it."""
    network: nn.Module
    device: torch.device
    classifier: Classifier | None
    """The classifier behind it; None for the other kinds."""

    @property
    def kind(self) -> ExtractorKind:
        """Which kind of extractor it is."""
        return extractor_kind(self.name)

    def __call__(self, images: Tensor) -> Features:
        """Features and logits, float32, of uint8 images (N, C, H, W).

        Logits are (N, 0) where the extractor gives features alone.

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

    def check_metrics(self, metrics: Sequence[str]) -> None:
        """Refuse metrics that look at logits where there are none.

        Raises:
            MetricError: one of them does, and there are none.
        """
        for key in metrics:
            if find_metric(key).needs == "logits" and not self.num_logits:
                raise MetricError(
                    f"{key} needs logits, and {self.choice} gives features alone; leave {key} out, "
                    "or have it give a pair of features and logits"
                )

    def _accept(self, images: Tensor) -> Tensor:
        if self.classifier is not None:
            self.classifier.check(images, "the images")
            return images
        check_images(images, "the images")
        # The others see three channels; a grey image is the same image with equal channels.
        return images.expand(-1, 3, -1, -1)


def classifier_extractor(classifier: Classifier, device: torch.device | str = "cpu") -> Extractor:
    """The extractor that a trained classifier is."""
    return _registered(
        classifier.network.to(device),
        name=classifier.name,
        choice=CLASSIFIER,
        sha256=classifier.sha256,
        dim=FEATURE_DIM,
        num_logits=len(classifier.card.labels),
        resize=RESIZE_NONE,
        batch_size=250,
        device=device,
        classifier=classifier,
    )


def inception_extractor(
    weights: Path | None = None,
    device: torch.device | str = "cpu",
    *,
    allow_unverified: bool = False,
) -> Extractor:
    """Inception-v3, its weights verified by their hash before they are loaded.

    Args:
        weights: the file; by default as `find_inception_weights` finds it.
        device: where to run it.
        allow_unverified: take other weights than the official ones too. The extractor is then
            called `inception_unverified`, and what is taken with it never FID. The variable
            TG_SWEEP_ALLOW_UNVERIFIED_WEIGHTS=1 says the same.

    Raises:
        InceptionWeightsError: no such file, or not the official one and others are not allowed, or
            not weights of Inception-v3 at all.
    """
    path, sha256, is_official = verify_inception_weights(
        weights, allow_unverified=allow_unverified, official=INCEPTION_SHA256
    )
    if is_official:
        name, network = INCEPTION, fidelity.load_inception(path)
    else:
        name = INCEPTION_UNVERIFIED
        try:
            network = fidelity.load_inception(clean_copy(path))
        except RuntimeError as error:  # torch's, for names or shapes that don't fit
            first = str(error).splitlines()[1:2] or [str(error)]
            raise InceptionWeightsError(
                f"{path} holds no weights of Inception-v3 ({first[0].strip()[:100]}); give a file "
                "in the format of the official one"
            ) from error
    return _registered(
        network.to(device),
        name=name,
        choice=INCEPTION,
        sha256=sha256,
        dim=INCEPTION_DIM,
        num_logits=INCEPTION_LOGITS,
        resize=RESIZE_INCEPTION,
        batch_size=64,
        device=device,
    )


def dinov2_extractor(device: torch.device | str = "cpu") -> Extractor:
    """DINOv2's ViT-B/14 (Oquab et al. 2023, arXiv:2304.07193): features alone.

    Raises:
        Dinov2WeightsError: code or weights are not in torch hub's cache, or what its code loads is
            not what is in the file.
    """
    path = find_dinov2_weights()
    expected = tensors_sha256(read_dinov2_weights(path))
    network = fidelity.load_dinov2()
    if tensors_sha256(fidelity.dinov2_state(network)) != expected:
        raise Dinov2WeightsError(
            f"DINOv2: torch hub's code has not loaded the weights in {path}; remove both from its "
            "cache and fetch them anew"
        )
    return _registered(
        FeaturesAndLogits(network).to(device),
        name=DINOV2,
        choice=DINOV2,
        sha256=file_sha256(path),
        dim=DINOV2_DIM,
        num_logits=0,
        resize=RESIZE_DINOV2,
        batch_size=64,
        device=device,
    )


def module_extractor(
    choice: str, image_size: tuple[int, int], device: torch.device | str = "cpu"
) -> Extractor:
    """The user's own module at an import path (what it must do: extractor_module.py).

    Args:
        choice: `package.module:Name`.
        image_size: height and width of the images to come, in pixels; it is tried on some.
        device: where to run it.

    Raises:
        ExtractorNameError: its metrics would be called like another extractor's.
        ExtractorModuleError: it can't be imported or made, or does not do what an extractor must.
    """
    name = module_name(choice)
    own = load_module(choice, image_size, torch.device(device))
    return _registered(
        own.network,
        name=name,
        choice=choice,
        sha256=own.sha256,
        dim=own.dim,
        num_logits=own.num_logits,
        resize=RESIZE_OWN,
        batch_size=64,
        device=device,
    )


def pretrained_extractor(
    choice: str,
    image_size: tuple[int, int],
    *,
    inception: InceptionFile = USUAL_FILE,
    device: torch.device | str = "cpu",
) -> Extractor:
    """The extractor that a protocol chooses, where nothing has to be trained for it.

    Args:
        choice: `inception`, `dinov2`, or an import path.
        image_size: height and width of the images to come, in pixels.
        inception: which file of Inception weights to take.
        device: where to run it.

    Raises:
        ValueError: it can't be had; each kind has its error.
    """
    match choice:
        case "inception":
            return inception_extractor(
                inception.path, device, allow_unverified=inception.allow_unverified
            )
        case "dinov2":
            return dinov2_extractor(device)
    assert choice != CLASSIFIER, "a classifier is trained, or loaded from its file"
    return module_extractor(choice, image_size, device)


def load_extractor(path: Path, device: torch.device | str = "cpu") -> Extractor:
    """The classifier in a `.safetensors` file as an extractor.

    Raises:
        ClassifierError: no such file, or not a classifier of ours.
    """
    return classifier_extractor(Classifier.load(path), device)


def _registered(
    network: nn.Module,
    *,
    name: str,
    choice: str,
    sha256: str,
    dim: int,
    num_logits: int,
    resize: str,
    batch_size: int,
    device: torch.device | str,
    classifier: Classifier | None = None,
) -> Extractor:
    """An extractor of a network, which torch-fidelity is told of."""
    registered = fidelity.register_network(name, sha256, network)
    return Extractor(
        name=name,
        choice=choice,
        sha256=sha256,
        dim=dim,
        num_logits=num_logits,
        registered=registered,
        batch_size=batch_size,
        resize=resize,
        network=fidelity.create_registered(registered, [fidelity.FEATURES, fidelity.LOGITS]),
        device=torch.device(device),
        classifier=classifier,
    )
