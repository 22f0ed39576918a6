"""A spec's extractor, and the options for Inception's weights: held against what is here, early."""

from __future__ import annotations

from pathlib import Path

from evaluation.dinov2_weights import find_dinov2_weights
from evaluation.extractor_names import INCEPTION, INCEPTION_UNVERIFIED, chosen_kind
from evaluation.extractors import module_extractor
from evaluation.inception_weights import (
    InceptionFile,
    InceptionWeightsError,
    locate_inception_weights,
    verify_inception_weights,
)
from sweeps.spec import SweepSpec
from sweeps.spec_text import SpecError


def inception_file(spec: SweepSpec, weights: Path | None, allow_unverified: bool) -> InceptionFile:
    """The file that trials are to take, once it is known that the spec's extractor can be had.

    Args:
        spec: the sweep's.
        weights: `--inception-weights`.
        allow_unverified: `--allow-unverified-weights`.

    Raises:
        SpecError: an option is given, and the spec has another extractor.
        InceptionWeightsError: the weights are needed, and not there or not the official ones.
        Dinov2WeightsError: weights or code of DINOv2 are needed, and not there.
        ExtractorModuleError: the user's own module can't serve.
        MetricError: it gives no logits, and a metric needs them.
    """
    evaluation, side = spec.evaluation, spec.training.image_size
    if evaluation.extractor != INCEPTION and (weights is not None or allow_unverified):
        given = "--inception-weights" if weights is not None else "--allow-unverified-weights"
        raise SpecError(
            f"{given}: of no use, since evaluation.extractor is {evaluation.extractor}; leave it "
            "out, or set evaluation.extractor=inception"
        )
    match chosen_kind(evaluation.extractor):
        case "inception":
            verify_inception_weights(weights, allow_unverified=allow_unverified)
        case "dinov2":
            find_dinov2_weights()
        case "module":
            own = module_extractor(evaluation.extractor, (side, side))
            own.check_metrics(evaluation.metrics)
    # Trials have working folders of their own.
    return InceptionFile(None if weights is None else weights.absolute(), allow_unverified)


def planned_metrics(spec: SweepSpec, inception: InceptionFile) -> tuple[str, ...]:
    """The metrics as a plan calls them: by their keys, which say that they are FID or are not.

    Those of weights that are allowed and not the official ones are called as they will be recorded.
    """
    keys = spec.evaluation.metrics
    if spec.evaluation.extractor != INCEPTION:
        return keys
    located = locate_inception_weights(inception.path)
    if located is None:
        return keys
    try:
        found = verify_inception_weights(located, allow_unverified=inception.allow_unverified)
    except InceptionWeightsError:
        return keys  # only the official weights are allowed
    return keys if found.is_official else spec.evaluation.recorded_names(INCEPTION_UNVERIFIED)
