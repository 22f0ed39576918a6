"""Training of the classifiers: deterministic, a few seconds for a thousand small images.

The extractor learns plain classification. A judge, which has to say how sure it is, also learns
that some images are of no class: noise and shuffled pixels, with the uniform distribution as their
target (outlier exposure: Hendrycks et al. 2019, arXiv:1812.04606, eq. 1).
Without it, a network trained on digits is sure of three noise images in four.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from evaluation.classifier import (
    MIN_IMAGE_SIZE,
    Classifier,
    ClassifierCard,
    ClassifierNetwork,
    dataset_slug,
    to_pixels,
)
from evaluation.images import check_images

BATCH_SIZE = 64
LEARNING_RATE = 3e-3
MIN_KIMG = 30.0
MIN_EPOCHS = 4

TRAINING_VERSION = 1
"""Goes up whenever the same images would give another classifier, so that cached ones retire."""


class TrainingDataError(ValueError):
    """Images and labels that no classifier can learn from."""


def train_classifier(
    images: Tensor,
    labels: Tensor,
    *,
    dataset: str,
    seed: int,
    held_out: tuple[Tensor, Tensor] | None = None,
    kimg: float | None = None,
    device: torch.device | str = "cpu",
) -> Classifier:
    """The `<dataset>_classifier`: from one seed, on one CPU, always the same weights bit for bit.

    Args:
        images: training images, uint8 (N, C, S, S).
        labels: their labels, any integers, int64 (N,).
        dataset: name of the data set, part of the name of every score taken.
        seed: seed of weights, order and augmentation.
        held_out: images and labels to measure the accuracy on.
        kimg: thousand images to show; by default 30, or four times over all images if that is more.
        device: where to train; the result is there too.

    Raises:
        TrainingDataError: too few images or classes, not square, or smaller than 8×8.
        ImagesError: not a set of uint8 images.
    """
    name = f"{dataset_slug(dataset)}_classifier"
    return _train(images, labels, name, dataset, seed, held_out, kimg, device, outliers=False)


def train_judge(
    images: Tensor,
    labels: Tensor,
    *,
    dataset: str,
    seed: int,
    held_out: tuple[Tensor, Tensor] | None = None,
    kimg: float | None = None,
    device: torch.device | str = "cpu",
) -> Classifier:
    """The `<dataset>_judge`: a classifier that has also learned when not to be sure.

    Arguments and errors are those of `train_classifier`.
    """
    name = f"{dataset_slug(dataset)}_judge"
    return _train(images, labels, name, dataset, seed, held_out, kimg, device, outliers=True)


def _train(
    images: Tensor,
    labels: Tensor,
    name: str,
    dataset: str,
    seed: int,
    held_out: tuple[Tensor, Tensor] | None,
    kimg: float | None,
    device: torch.device | str,
    *,
    outliers: bool,
) -> Classifier:
    _check_training_data(images, labels)
    kimg = kimg or max(MIN_KIMG, MIN_EPOCHS * len(images) / 1000)
    classes, targets = torch.unique(labels, return_inverse=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ClassifierNetwork(images.shape[1], images.shape[2], len(classes)).to(device)
    batches = _batches(to_pixels(images), targets, seed)
    _fit(network, batches, int(kimg * 1000 / BATCH_SIZE), seed if outliers else None)
    card = ClassifierCard(
        name=name,
        dataset=dataset,
        channels=images.shape[1],
        image_size=images.shape[2],
        labels=tuple(classes.tolist()),
        num_training_images=len(images),
        kimg=kimg,
        seed=seed,
        held_out_accuracy=None,
        torch_version=str(torch.__version__),
    )
    classifier = Classifier.of(card, network)
    if held_out is None:
        return classifier
    accuracy = classifier.accuracy(*held_out)
    return Classifier.of(card.model_copy(update={"held_out_accuracy": accuracy}), network)


def _check_training_data(images: Tensor, labels: Tensor) -> None:
    check_images(images, "training images")
    side = tuple(images.shape[2:])
    if side[0] != side[1] or side[0] < MIN_IMAGE_SIZE:
        raise TrainingDataError(
            f"training images are {side[0]}×{side[1]}; they must be square and at least "
            f"{MIN_IMAGE_SIZE}×{MIN_IMAGE_SIZE}: crop or resize them"
        )
    if len(labels) != len(images):
        raise TrainingDataError(
            f"{len(images)} training images came with {len(labels)} labels; give one label each"
        )
    num_classes = len(torch.unique(labels))
    if num_classes < 2:
        raise TrainingDataError(
            f"a classifier needs at least 2 classes, got {num_classes}; give labelled data, or "
            "choose extractor: inception"
        )
    if len(images) < 2 * num_classes:
        raise TrainingDataError(
            f"{len(images)} training images are too few for {num_classes} classes; "
            "give at least 2 a class"
        )


def _fit(
    network: ClassifierNetwork,
    batches: Iterator[tuple[Tensor, Tensor]],
    num_steps: int,
    outlier_seed: int | None,
) -> None:
    """Train in place for `num_steps` batches, beside outliers where a seed for them is given."""
    device = network.head.weight.device
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=max(num_steps, 2)
    )
    generator = torch.Generator().manual_seed(outlier_seed or 0)
    network.train()
    for _ in range(num_steps):
        pixels, targets = next(batches)
        num_real = len(pixels)
        if outlier_seed is not None:
            pixels = torch.cat([pixels, _outliers(pixels, generator)])
        _, logits = network.of_pixels(pixels.to(device))
        loss = functional.cross_entropy(logits[:num_real], targets.to(device))
        if len(logits) > num_real:
            loss = loss - functional.log_softmax(logits[num_real:], dim=1).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()


def _batches(
    pixels: Float[Tensor, "N C S S"], targets: Int64[Tensor, " N"], seed: int
) -> Iterator[tuple[Float[Tensor, "batch C S S"], Int64[Tensor, " batch"]]]:
    """Shuffled, shifted batches without end. The order depends on the seed alone."""
    generator = torch.Generator().manual_seed(seed)
    batch_size = min(BATCH_SIZE, len(pixels))
    while True:
        order = torch.randperm(len(pixels), generator=generator)
        for chosen in torch.split(order, batch_size):
            if len(chosen) == batch_size:
                yield _shifted(pixels[chosen], generator), targets[chosen]


def _shifted(
    pixels: Float[Tensor, "N C S S"], generator: torch.Generator
) -> Float[Tensor, "N C S S"]:
    """Each image moved up to a sixteenth of its side (a pixel at least), its edge drawn out."""
    n, _, size, _ = pixels.shape
    reach = max(1, size // 16)
    shift = torch.randint(0, 2 * reach + 1, (n, 2, 1), generator=generator) + torch.arange(size)
    padded = functional.pad(pixels, (reach,) * 4, mode="replicate")
    rows, columns = shift[:, 0, :, None], shift[:, 1, None, :]
    image = torch.arange(n)[:, None, None]
    return padded[image, :, rows, columns].permute(0, 3, 1, 2).contiguous()


def _outliers(
    pixels: Float[Tensor, "N C S S"], generator: torch.Generator
) -> Float[Tensor, "M C S S"]:
    """Images of no class made of a batch: half as many as it has, noise and shuffled in turn."""
    n, c, size, _ = pixels.shape
    quarter = max(1, n // 4)
    noise = 2 * torch.rand(quarter, c, size, size, generator=generator) - 1
    places = torch.rand(quarter, 1, size * size, generator=generator).argsort(dim=2)
    shuffled = pixels[:quarter].flatten(2).gather(2, places.expand(-1, c, -1)).view_as(noise)
    return torch.cat([noise, shuffled])
