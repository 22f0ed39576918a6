"""How good is a set of images: uint8 images in, `Scores` out.

Metrics and protocol load neither torch nor numpy; what needs them is loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from evaluation.metric_names import printed_label, recorded_name
from evaluation.metrics import METRICS, Metric, MetricError
from evaluation.protocol import (
    EvaluationProtocol,
    EvaluationRecord,
    ProtocolMismatchError,
    ProtocolRecord,
    Score,
    Scores,
    check_comparable,
)

if TYPE_CHECKING:
    from evaluation.evaluator import Evaluator
    from evaluation.extractors import Extractor
    from evaluation.image_sets import GeneratedImages, ImageSet
    from evaluation.image_sources import open_images
    from evaluation.reference import Reference
    from evaluation.scoring import score

__all__ = [
    "METRICS",
    "EvaluationProtocol",
    "EvaluationRecord",
    "Evaluator",
    "Extractor",
    "GeneratedImages",
    "ImageSet",
    "Metric",
    "MetricError",
    "ProtocolMismatchError",
    "ProtocolRecord",
    "Reference",
    "Score",
    "Scores",
    "check_comparable",
    "open_images",
    "printed_label",
    "recorded_name",
    "score",
]

_HEAVY = {
    "Evaluator": "evaluator",
    "Extractor": "extractors",
    "GeneratedImages": "image_sets",
    "ImageSet": "image_sets",
    "Reference": "reference",
    "open_images": "image_sources",
    "score": "scoring",
}


def __getattr__(name: str) -> object:
    if name not in _HEAVY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HEAVY[name]}"), name)
