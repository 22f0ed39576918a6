"""Scores of one image set against another, with nothing else of ours."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from evaluation.cached import cached_reference
from evaluation.extractor_names import CLASSIFIER
from evaluation.extractors import Extractor, load_extractor, pretrained_extractor
from evaluation.image_files import open_zip
from evaluation.image_sets import ImageSet
from evaluation.image_sources import ImageSource, open_images
from evaluation.images import ImagesError
from evaluation.measurement import check_num_images, measure
from evaluation.npz_images import ARRAY, STATISTICS, npz_names
from evaluation.protocol import EvaluationProtocol, ProtocolMismatchError, Scores
from evaluation.reference import Reference


def score(
    generated: ImageSource,
    reference: ImageSource | Reference,
    protocol: EvaluationProtocol,
    *,
    extractor: Extractor | Path | str | None = None,
    device: torch.device | str = "cpu",
    size: int | None = None,
) -> Scores:
    """Score `generated` against `reference`.

    Args:
        generated: as many images as the protocol says, as a tensor, an image set, or the path of a
            folder, a zip or an `.npz` with `arr_0`.
        reference: real images, likewise, in any number; or statistics: a `Reference`, or the path
            of an `.npz` with `mu` and `sigma` and no images, for the Fréchet distance alone.
        protocol: which metrics to take, and how.
        extractor: an extractor, or the `.safetensors` file of a classifier. May be left out where
            the protocol says another one than `classifier`.
        device: where to run an extractor that is loaded here.
        size: side that all images are brought to, as `open_images` says; by default none is
            resized, and both sets must have the same.

    Raises:
        ProtocolMismatchError: no extractor where one is needed, one of the other kind, or another
            number of images than the protocol's.
        ImagesError: no images there, or not of one size, or otherwise unfit.
        ReferenceFileError: statistics that are damaged, or of another extractor.
        ClassifierError: the file is not a classifier, or images are not of its size.
        InceptionWeightsError: the Inception weights are not there; dinov2 and modules have errors
            of their own.
    """
    open_generated = partial(open_images, generated, size=size, what="the generated images")
    chosen = _extractor(extractor, protocol, device, open_generated)
    images = open_generated(channels=image_channels(chosen))
    check_num_images(images.num_images, protocol)
    known = reference_of(reference, chosen, size=size, like=images)
    return measure(images, known, protocol, extractor=chosen)


def reference_of(
    reference: ImageSource | Reference,
    extractor: Extractor,
    *,
    size: int | None = None,
    like: ImageSet | None = None,
) -> Reference:
    """The reference that images or statistics are to `extractor`; arguments as for `score`.

    Args:
        reference: what it is made from.
        extractor: what it is taken with.
        size: side to bring its images to.
        like: images that it will be compared with, which must have the same size.

    Raises:
        ImagesError: no images there, or unfit, or of another size.
        ReferenceFileError: statistics that are damaged, or of another extractor.
    """
    if isinstance(reference, Reference):
        return reference
    if isinstance(reference, Path | str) and _holds_statistics(Path(reference).expanduser()):
        return Reference.load_statistics(Path(reference).expanduser(), extractor)
    channels = image_channels(extractor)
    images = open_images(reference, channels=channels, size=size, what="the reference images")
    if like is not None and images.shape[1:] != like.shape[1:]:
        raise ImagesError(
            f"images of {like.name} are {_size(like)}, those of {images.name} {_size(images)}, and "
            "a distance would tell of that; bring both to one size (size=, --size)"
        )
    return cached_reference(images, extractor)


def image_channels(extractor: Extractor) -> int:
    """The channels of the images that an extractor looks at."""
    return 3 if extractor.classifier is None else extractor.classifier.card.channels


def _extractor(
    extractor: Extractor | Path | str | None,
    protocol: EvaluationProtocol,
    device: torch.device | str,
    open_generated: Callable[[], ImageSet],
) -> Extractor:
    if isinstance(extractor, Extractor):
        return extractor
    if extractor is not None:
        return load_extractor(Path(extractor), device)
    if protocol.extractor != CLASSIFIER:
        _, height, width = open_generated().shape
        return pretrained_extractor(protocol.extractor, (height, width), device=device)
    raise ProtocolMismatchError(
        "extractor: classifier needs a classifier, and images alone can't train one; give its file "
        "(evaluation/extractor.safetensors of a run folder), or choose extractor: inception"
    )


def _holds_statistics(path: Path) -> bool:
    if path.suffix.lower() != ".npz":
        return False
    with open_zip(path) as archive:
        names = npz_names(archive)
    # Of half a pair the reading of statistics says best what is missing; images go before both.
    return ARRAY not in names and bool(names & STATISTICS)


def _size(images: ImageSet) -> str:
    _, height, width = images.shape
    return f"{width}×{height}"
