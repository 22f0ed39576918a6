"""Scores of one image set against another, with nothing else of ours: tensors or folders."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from evaluation.extractors import Extractor, inception_extractor, load_extractor
from evaluation.images import read_images
from evaluation.measurement import check_num_images, measure
from evaluation.protocol import EvaluationProtocol, ProtocolMismatchError, Scores
from evaluation.reference import Reference

ImageSource = Tensor | Path | str
"""uint8 images (N, C, H, W), or a folder of image files."""


def score(
    generated: ImageSource,
    reference: ImageSource,
    protocol: EvaluationProtocol,
    *,
    extractor: Extractor | Path | str | None = None,
    device: torch.device | str = "cpu",
) -> Scores:
    """Score `generated` against `reference`.

    Args:
        generated: as many images as the protocol says, as a uint8 tensor (N, C, H, W) or a folder.
        reference: real images, likewise, in any number.
        protocol: which metrics to take, and how.
        extractor: an extractor, or the `.safetensors` file of a classifier. May be left out where
        the
            protocol says extractor: inception.
        device: where to run an extractor that is loaded here.

    Raises:
        ProtocolMismatchError: no extractor where one is needed, one of the other kind, or another
            number of images than the protocol's.
        ImagesError: a folder without images, or what is not a set of uint8 images.
        ClassifierError: the file is not a classifier, or images are not of its size.
        InceptionWeightsError: the Inception weights are not there.
    """
    chosen = _extractor(extractor, protocol, device)
    channels = 3 if chosen.classifier is None else chosen.classifier.card.channels
    images = _images(generated, channels)
    check_num_images(len(images), protocol)
    statistics = Reference.of(_images(reference, channels), chosen)
    return measure(images, statistics, protocol, extractor=chosen)


def _extractor(
    extractor: Extractor | Path | str | None,
    protocol: EvaluationProtocol,
    device: torch.device | str,
) -> Extractor:
    if isinstance(extractor, Extractor):
        return extractor
    if extractor is not None:
        return load_extractor(Path(extractor), device)
    if protocol.extractor == "inception":
        return inception_extractor(device=device)
    raise ProtocolMismatchError(
        "extractor: classifier needs a classifier, and images alone can't train one; give its file "
        "(evaluation/extractor.safetensors of a run folder), or choose extractor: inception"
    )


def _images(source: ImageSource, channels: int) -> Tensor:
    return source if isinstance(source, Tensor) else read_images(Path(source), channels)
