"""The last rung says what it lacks, and takes no weights but the official ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.agreement.golden import golden
from evaluation.extractors import InceptionWeightsError


@pytest.mark.parametrize(
    ("has_data", "has_weights", "reason"),
    [
        (False, True, "CIFAR-10 is not there (a folder with cifar-10-batches-py)"),
        (True, False, "the official Inception weights are not there"),
    ],
)
def test_what_is_missing_is_named(
    tmp_path: Path, has_data: bool, has_weights: bool, reason: str
) -> None:
    (check,) = golden(tmp_path if has_data else None, tmp_path if has_weights else None)
    assert (check.outcome, check.not_run) == ("not run", reason)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"others")
    with pytest.raises(InceptionWeightsError, match="official"):
        list(golden(tmp_path, weights))
