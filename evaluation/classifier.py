"""The classifier: a small network trained on the data's own labels, to measure distances by.

Distances in such features are honest as long as they carry the classifier's name and are compared
only under the same weights: TF-GAN's "Fréchet classifier distance". Shapes: N images, C channels, S
pixels a side, D = 64 features, K classes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int64, UInt8
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_bytes
from torch import Tensor, nn

from evaluation.images import check_images
from evaluation.protocol import FrozenModel
from evaluation.storage import tensors_sha256
from evaluation.whole_files import write_atomically

FEATURE_DIM = 64
STEM_WIDTH = 32
MIN_IMAGE_SIZE = 8

CLASSIFIER_VERSION = 1


class ClassifierError(ValueError):
    """A classifier's file is missing, damaged, or does not fit the images."""


class ClassifierCard(FrozenModel):
    """What is known of a classifier beside its weights (the file's metadata)."""

    version: int = CLASSIFIER_VERSION
    name: str
    """`<dataset>_classifier` or `<dataset>_judge`."""
    dataset: str
    channels: int
    image_size: int
    """Pixels a side."""
    labels: tuple[int, ...]
    """Label of each logit."""
    num_training_images: int
    kimg: float
    """Thousand images shown in training."""
    seed: int
    held_out_accuracy: float | None
    """Share of held-out images classified correctly; None where none were given."""
    torch_version: str


def dataset_slug(dataset: str) -> str:
    """The name of a data set as part of a metric's name: lower case, digits and underscores.

    Raises:
        ValueError: nothing is left of it.
    """
    slug = re.sub(r"[^a-z0-9]+", "_", dataset.lower()).strip("_")
    if not slug:
        raise ValueError(f"data set name {dataset!r} has no letter or digit; give it a name")
    return slug


class ClassifierNetwork(nn.Module):
    """Convolutions and pooling down to about 4×4, global average, one linear layer.

    Initial weights are PyTorch's defaults.
    """

    def __init__(self, channels: int, image_size: int, num_classes: int) -> None:
        """A network for square images of `image_size` pixels a side."""
        super().__init__()
        layers = [*_convolution(channels, STEM_WIDTH)]
        width, size = STEM_WIDTH, image_size
        while size >= MIN_IMAGE_SIZE:
            layers += [nn.MaxPool2d(2), *_convolution(width, FEATURE_DIM)]
            width, size = FEATURE_DIM, size // 2
        layers += _convolution(FEATURE_DIM, FEATURE_DIM)
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(FEATURE_DIM, num_classes)

    def forward(
        self, images: UInt8[Tensor, "N C S S"]
    ) -> tuple[Float[Tensor, "N 64"], Float[Tensor, "N K"]]:
        """Features and logits of uint8 images."""
        return self.of_pixels(to_pixels(images))

    def of_pixels(
        self, pixels: Float[Tensor, "N C S S"]
    ) -> tuple[Float[Tensor, "N 64"], Float[Tensor, "N K"]]:
        """Features and logits of images as `to_pixels` gives them."""
        features = self.body(pixels).mean(dim=(2, 3))  # (N, 64)
        return features, self.head(features)


def _convolution(in_channels: int, out_channels: int) -> list[nn.Module]:
    convolution = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(out_channels), nn.ReLU()]


def to_pixels(images: UInt8[Tensor, "N C S S"]) -> Float[Tensor, "N C S S"]:
    """The network's own input range, -1 to 1."""
    return images.float() / 127.5 - 1


@dataclass(frozen=True)
class Classifier:
    """A trained classifier: its card, its network in eval mode, and the hash of its weights."""

    card: ClassifierCard
    network: ClassifierNetwork
    sha256: str

    @classmethod
    def of(cls, card: ClassifierCard, network: ClassifierNetwork) -> Classifier:
        """A classifier of trained weights, frozen."""
        network.eval().requires_grad_(False)
        return cls(card, network, tensors_sha256(network.state_dict()))

    @property
    def name(self) -> str:
        """`digits_classifier`: what its distances are called after."""
        return self.card.name

    def check(self, images: Tensor, what: str) -> None:
        """Refuse images that the network was not made for.

        Raises:
            ClassifierError: other channels or another size.
            ImagesError: not a set of uint8 images.
        """
        check_images(images, what)
        expected = (self.card.channels, self.card.image_size, self.card.image_size)
        if tuple(images.shape[1:]) != expected:
            raise ClassifierError(
                f"{what} are {_shape(tuple(images.shape[1:]))}, but {self.name} was trained on "
                f"{_shape(expected)}; give images of that size, or train a classifier on this one"
            )

    def logits(self, images: UInt8[Tensor, "N C S S"]) -> Float[Tensor, "N K"]:
        """Logits of uint8 images, on the network's device."""
        device = self.network.head.weight.device
        with torch.inference_mode():
            batches = torch.split(images, 500)
            return torch.cat([self.network(batch.to(device))[1] for batch in batches])

    def accuracy(self, images: UInt8[Tensor, "N C S S"], labels: Int64[Tensor, " N"]) -> float:
        """Share of images given their label; a label never seen in training counts as an error."""
        predicted = torch.tensor(self.card.labels)[self.logits(images).argmax(dim=1).cpu()]
        return float((predicted == labels).double().mean())

    def save(self, path: Path) -> None:
        """Write weights and card as safetensors, atomically."""
        # One entry, because safetensors writes several in an order that varies from run to run.
        label = json.dumps({"card": self.card.model_dump(), "sha256": self.sha256})
        metadata = {"classifier": label}
        tensors = {name: tensor.cpu() for name, tensor in self.network.state_dict().items()}
        write_atomically(path, safetensors_bytes(tensors, metadata))

    @classmethod
    def load(cls, path: Path, *, sha256: str | None = None) -> Classifier:
        """Read a classifier and check its weights against their hash.

        Args:
            path: a file written by `save`.
            sha256: the hash that is expected of the weights, where another record knows it.

        Raises:
            ClassifierError: no such file, not a classifier of ours, or other weights than recorded.
        """
        card, recorded, tensors = _read(path)
        actual = tensors_sha256(tensors)
        if actual != recorded or sha256 not in (None, actual):
            raise ClassifierError(
                f"the weights in {path} are not the recorded ones (SHA-256 {actual[:12]}…, "
                f"recorded {(sha256 or recorded)[:12]}…), so scores would not compare; restore "
                "the file, or prepare the evaluation anew"
            )
        network = ClassifierNetwork(card.channels, card.image_size, len(card.labels))
        network.load_state_dict(tensors)
        return cls.of(card, network)


def _read(path: Path) -> tuple[ClassifierCard, str, dict[str, Tensor]]:
    way_out = "give a file written by tg-sweep (evaluation/extractor.safetensors of a run folder)"
    if not path.is_file():
        raise ClassifierError(f"there is no classifier at {path}; {way_out}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
        label = json.loads(metadata["classifier"])
        return ClassifierCard.model_validate(label["card"]), label["sha256"], tensors
    except (SafetensorError, KeyError, json.JSONDecodeError, ValidationError) as error:
        raise ClassifierError(f"{path} is not a classifier of ours; {way_out}") from error


def _shape(shape: tuple[int, ...]) -> str:
    channels, height, width = shape
    return f"{height}×{width} with {channels} channel{'s' if channels > 1 else ''}"
