"""torch-fidelity behind our names, held against its own public entry point."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import torch

from evaluation import fidelity
from evaluation.extractors import Extractor, classifier_extractor
from evaluation.measurement import measure
from evaluation.protocol import EvaluationProtocol
from evaluation.reference import Reference

if TYPE_CHECKING:
    from conftest import Digits


@pytest.mark.slow
@pytest.mark.parametrize("num_images", [211, 503])
def test_our_scores_are_what_torch_fidelity_says_start_to_end(
    extractor: Extractor, digits: Digits, num_images: int
) -> None:
    generated = digits.train_images[:num_images].clone()
    generated[:, :, ::3] //= 2
    oracle = fidelity.oracle_metrics(
        generated,
        digits.reference_images,
        extractor.registered,
        num_subsets=7,
        subset_size=1000,
        seed=11,
        batch_size=extractor.batch_size,
    )
    protocol = EvaluationProtocol(
        extractor="classifier",
        metrics=("fd", "kd", "precision", "recall", "classifier_score"),
        num_images=num_images,
        seed=11,
        kd_subsets=7,
    )
    reference = Reference.of(digits.reference_images, extractor)
    scores = measure(generated, reference, protocol, extractor=extractor)
    values = {key: scores[f"{key}_digits_classifier"].value for key in protocol.metrics}
    assert values["fd"] == pytest.approx(oracle.frechet_distance, rel=1e-6)
    assert values["kd"] == pytest.approx(oracle.kernel_distance, rel=1e-6)
    assert values["precision"] == oracle.precision
    assert values["recall"] == oracle.recall
    assert values["classifier_score"] == pytest.approx(oracle.classifier_score, rel=1e-12)


def test_outputs_come_in_the_order_asked_for(coloured_extractor: Extractor) -> None:
    images = torch.randint(0, 256, (5, 3, 11, 11), dtype=torch.uint8)
    registered = coloured_extractor.registered
    forward = fidelity.create_registered(registered, ["features", "logits"])(images)
    backward = fidelity.create_registered(registered, ["logits", "features"])(images)
    assert [tuple(t.shape) for t in forward] == [(5, 64), (5, 2)]
    assert [tuple(t.shape) for t in backward] == [(5, 2), (5, 64)]


def test_registered_name_carries_the_hash_and_registering_twice_is_harmless(
    coloured_extractor: Extractor,
) -> None:
    assert coloured_extractor.classifier is not None
    again = classifier_extractor(coloured_extractor.classifier)
    assert again.registered == coloured_extractor.registered
    assert coloured_extractor.sha256[:16] in again.registered


def test_few_images_get_a_smaller_subset_and_one_split() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(7, 5, generator=generator), torch.randn(11, 5, generator=generator)
    few = [
        fidelity.oracle_kernel_distance(x, y, num_subsets=3, subset_size=size, seed=0)
        for size in (7, 1000)
    ]
    assert few[0] == few[1]
    assert (fidelity.num_splits(499), fidelity.num_splits(500)) == (1, 10)
    assert 1 <= fidelity.oracle_classifier_score(x, seed=0) <= 5


def test_precision_is_of_the_first_set_and_recall_of_the_second() -> None:
    generator = torch.Generator().manual_seed(0)
    wide = torch.randn(211, 3, generator=generator)
    narrow = wide[:101] * 0.05
    precision, recall = fidelity.oracle_precision_recall(narrow, wide)
    assert precision > 0.9
    assert recall < 0.2


def test_misspelt_option_is_caught() -> None:
    with pytest.raises(AssertionError, match="kid_subsetsize"):
        fidelity._options(kid_subsetsize=100)


@pytest.mark.slow
def test_only_fidelity_imports_torch_fidelity() -> None:
    program = (
        "import sys, evaluation.statistics, evaluation.classifier, evaluation.classifier_training\n"
        "print('torch_fidelity' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
