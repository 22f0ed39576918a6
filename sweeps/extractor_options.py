"""The options for Inception's weights, held against the spec before anything is written."""

from __future__ import annotations

from pathlib import Path

from evaluation.inception_weights import InceptionFile, verify_inception_weights
from sweeps.spec import SweepSpec
from sweeps.spec_text import SpecError


def inception_file(spec: SweepSpec, weights: Path | None, allow_unverified: bool) -> InceptionFile:
    """The file that trials are to take.

    Args:
        spec: the sweep's.
        weights: `--inception-weights`.
        allow_unverified: `--allow-unverified-weights`.

    Raises:
        SpecError: an option is given, and the spec has another extractor.
        InceptionWeightsError: the weights are needed, and not there or not the official ones.
    """
    extractor = spec.evaluation.extractor
    if extractor == "inception":
        verify_inception_weights(weights, allow_unverified=allow_unverified)
    elif weights is not None or allow_unverified:
        given = "--inception-weights" if weights is not None else "--allow-unverified-weights"
        raise SpecError(
            f"{given}: of no use, since evaluation.extractor is {extractor}; leave it out, or set "
            "evaluation.extractor=inception"
        )
    # Trials have working folders of their own.
    return InceptionFile(None if weights is None else weights.absolute(), allow_unverified)
