"""What the metrics say of real digits made worse in known ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from evaluation.evaluator import Evaluator
from evaluation.extractors import Extractor
from evaluation.measurement import ProtocolMismatchError, measure
from evaluation.protocol import EvaluationProtocol, Scores
from evaluation.reference import Reference

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Digits


def with_noise(images: Tensor, deviation: float) -> Tensor:
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0)) * deviation
    return (images.float() + noise).round().clamp(0, 255).to(torch.uint8)


def value(scores: Scores, key: str) -> float:
    name = key if key == "confident_fraction" else f"{key}_digits_classifier"
    return scores[name].value


def test_every_metric_gets_worse_with_noise(
    prepared: tuple[Evaluator, Path], digits: Digits
) -> None:
    images = digits.train_images[:503]
    scores = [prepared[0].score(with_noise(images, deviation)) for deviation in (0, 40, 80, 160)]
    for key in ("fd", "kd"):
        values = [value(s, key) for s in scores]
        assert values == sorted(values)
    for key in ("precision", "classifier_score", "confident_fraction"):
        values = [value(s, key) for s in scores]
        assert values == sorted(values, reverse=True)


def test_collapse_keeps_precision_and_loses_recall(
    prepared: tuple[Evaluator, Path], digits: Digits
) -> None:
    evaluator = prepared[0]
    collapsed = digits.train_images[:17].repeat(30, 1, 1, 1)[:503]
    scores = evaluator.score(collapsed)
    assert value(scores, "precision") > 0.8
    assert value(scores, "recall") < 0.05
    assert value(scores, "fd") > 5 * evaluator.record.floor["fd_digits_classifier"].value


def test_dropped_classes_show_in_recall_and_score(
    prepared: tuple[Evaluator, Path], digits: Digits
) -> None:
    images = digits.train_images[digits.train_labels < 5][:503]
    scores = prepared[0].score(images)
    assert value(scores, "precision") > 0.8
    assert value(scores, "recall") < 0.7
    assert value(scores, "classifier_score") < 5.5


def test_every_score_carries_an_error_an_interval_and_its_numbers_of_images(
    prepared: tuple[Evaluator, Path], digits: Digits
) -> None:
    scores = prepared[0].score(digits.train_images[:503]).scores
    for score in scores:
        assert score.standard_error is not None, score.name
        assert score.low is not None, score.name
        assert score.high is not None, score.name
        assert score.low < score.high
    assert {score.num_generated for score in scores} == {503}
    assert {score.num_reference for score in scores} == {600, 0}


def test_standard_error_of_fd_is_the_spread_over_fresh_images(
    prepared: tuple[Evaluator, Path], digits: Digits
) -> None:
    evaluator = prepared[0]
    population = with_noise(digits.train_images, 40)
    generator = torch.Generator().manual_seed(0)
    fds = []
    for _ in range(23):
        drawn = torch.randint(0, len(population), (503,), generator=generator)
        protocol = evaluator.protocol.model_copy(update={"metrics": ("fd",)})
        scores = measure(
            population[drawn], evaluator.reference, protocol, extractor=evaluator.extractor
        )
        fds.append(scores["fd_digits_classifier"])
    seen = torch.tensor([fd.value for fd in fds]).std().item()
    predicted = sum(fd.standard_error or 0 for fd in fds) / len(fds)
    assert 0.6 < predicted / seen < 1.7


def test_metric_that_can_not_be_taken_is_absent_with_the_reason(
    extractor: Extractor, digits: Digits
) -> None:
    reference = Reference.of(digits.reference_images[:3], extractor)
    protocol = EvaluationProtocol(
        extractor="classifier", metrics=("fd", "recall", "confident_fraction"), num_images=7
    )
    scores = measure(digits.train_images[:7], reference, protocol, extractor=extractor)
    assert [score.name for score in scores.scores] == ["fd_digits_classifier"]
    assert scores.absent["recall_digits_classifier"] == "needs at least 4 reference images, got 3"
    assert "needs a judge" in scores.absent["confident_fraction"]


def test_too_few_images_leave_only_the_metrics_they_suffice_for(
    prepared: tuple[Evaluator, Path], digits: Digits
) -> None:
    scores = prepared[0].score(digits.train_images[:2], any_number=True)
    assert scores.get("fd_digits_classifier") is not None
    assert scores["fd_digits_classifier"].standard_error is None
    assert "needs at least 4 images, got 2" in scores.absent["precision_digits_classifier"]
    assert "needs at least 3 images, got 2" in scores.absent["kd_digits_classifier"]


def test_reference_of_another_extractor_is_refused(
    prepared: tuple[Evaluator, Path], coloured_extractor: Extractor
) -> None:
    images = torch.zeros(503, 3, 11, 11, dtype=torch.uint8)
    with pytest.raises(ProtocolMismatchError, match="not with halves_3_classifier"):
        measure(images, prepared[0].reference, prepared[0].protocol, extractor=coloured_extractor)


def test_extractor_of_the_other_kind_is_refused(
    prepared: tuple[Evaluator, Path], digits: Digits
) -> None:
    protocol = EvaluationProtocol(extractor="inception", metrics=("fid",), num_images=503)
    with pytest.raises(ProtocolMismatchError, match="says extractor: inception, but digits_class"):
        measure(
            digits.train_images[:503],
            prepared[0].reference,
            protocol,
            extractor=prepared[0].extractor,
        )


ALL_OF_FEATURES = ("fd", "fd_infinity", "kd", "md", "precision", "recall", "density", "coverage")


@pytest.fixture(scope="module")
def of_features() -> EvaluationProtocol:
    return EvaluationProtocol(extractor="classifier", metrics=ALL_OF_FEATURES, num_images=503)


def measured(
    images: Tensor, prepared: tuple[Evaluator, Path], protocol: EvaluationProtocol
) -> Scores:
    evaluator = prepared[0]
    return measure(images, evaluator.reference, protocol, extractor=evaluator.extractor)


def test_newer_metrics_get_worse_with_noise(
    prepared: tuple[Evaluator, Path], digits: Digits, of_features: EvaluationProtocol
) -> None:
    images = digits.train_images[:503]
    scores = [
        measured(with_noise(images, deviation), prepared, of_features)
        for deviation in (0, 40, 80, 160)
    ]
    for key in ("fd_infinity", "md"):
        values = [value(s, key) for s in scores]
        assert values == sorted(values)
    for key in ("density", "coverage"):
        values = [value(s, key) for s in scores]
        assert values == sorted(values, reverse=True)


def test_interval_of_a_biased_distance_is_around_the_corrected_value(
    prepared: tuple[Evaluator, Path], digits: Digits, of_features: EvaluationProtocol
) -> None:
    scores = measured(with_noise(digits.train_images[:503], 40), prepared, of_features)
    for key in ("fd", "md"):
        score = scores[f"{key}_digits_classifier"]
        assert score.floor is not None
        assert score.floor > 0
        assert score.low is not None
        assert score.high is not None
        assert (score.low + score.high) / 2 == pytest.approx(score.value - score.floor)
    corrected = scores["fd_digits_classifier"].value - (scores["fd_digits_classifier"].floor or 0)
    assert value(scores, "fd_infinity") == pytest.approx(corrected, rel=0.1)


def test_collapse_loses_coverage_and_keeps_density(
    prepared: tuple[Evaluator, Path], digits: Digits, of_features: EvaluationProtocol
) -> None:
    collapsed = digits.train_images[:17].repeat(30, 1, 1, 1)[:503]
    scores = measured(collapsed, prepared, of_features)
    assert value(scores, "density") > 0.5
    assert value(scores, "coverage") < 0.3


def test_line_to_infinity_is_absent_where_two_images_a_feature_make_no_two_points(
    prepared: tuple[Evaluator, Path], digits: Digits, of_features: EvaluationProtocol
) -> None:
    scores = measured(digits.train_images[:211], prepared, of_features)
    reason = scores.absent["fd_infinity_digits_classifier"]
    assert "needs at least 256 images, got 211" in reason


def test_two_images_leave_no_interval_but_values_or_reasons(
    prepared: tuple[Evaluator, Path], digits: Digits, of_features: EvaluationProtocol
) -> None:
    scores = measured(digits.train_images[:2], prepared, of_features)
    taken = {score.name: score for score in scores.scores}
    assert set(taken) == {"fd_digits_classifier", "md_digits_classifier"}
    for score in taken.values():
        assert (score.low, score.high, score.standard_error) == (None, None, None)
    assert "an error needs two halves of two images" in scores.absent["coverage_digits_classifier"]


def test_line_to_infinity_needs_of_the_reference_no_more_than_its_statistics(
    prepared: tuple[Evaluator, Path],
    digits: Digits,
    of_features: EvaluationProtocol,
    tmp_path: Path,
) -> None:
    evaluator, _ = prepared
    evaluator.reference.save_statistics(tmp_path / "statistics.npz")
    statistics = Reference.load_statistics(tmp_path / "statistics.npz", evaluator.extractor)
    images = digits.train_images[:257]
    protocol = of_features.model_copy(update={"metrics": ("fd_infinity", "kd")})
    of_statistics = measure(images, statistics, protocol, extractor=evaluator.extractor)
    of_images = measure(images, evaluator.reference, protocol, extractor=evaluator.extractor)
    name = "fd_infinity_digits_classifier"
    assert of_statistics[name].value == pytest.approx(of_images[name].value, rel=1e-6)
    assert of_statistics[name].num_reference == evaluator.reference.num_images
    assert "needs the reference's images" in of_statistics.absent["kd_digits_classifier"]


def test_record_of_the_scores_knows_the_judge_where_it_was_asked(
    prepared: tuple[Evaluator, Path], digits: Digits
) -> None:
    evaluator, _ = prepared
    assert evaluator.judge is not None
    protocol = evaluator.protocol.model_copy(update={"metrics": ("fd", "confident_fraction")})

    def judge_of(protocol: EvaluationProtocol) -> str | None:
        images, reference = digits.train_images[:17], evaluator.reference
        scores = measure(
            images, reference, protocol, extractor=evaluator.extractor, judge=evaluator.judge
        )
        assert scores.protocol is not None
        return scores.protocol.judge_sha256

    assert judge_of(protocol) == evaluator.judge.sha256
    assert judge_of(protocol.model_copy(update={"metrics": ("fd",)})) is None
