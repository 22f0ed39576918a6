"""The protocol's validation, and look-up in scores."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from evaluation.protocol import EvaluationProtocol, Score, Scores


def make(**changes: object) -> EvaluationProtocol:
    fields = {"extractor": "classifier", "metrics": ("fd",), "num_images": 7} | changes
    return EvaluationProtocol.model_validate(fields)


def test_spec_without_settings_of_detail_is_enough() -> None:
    assert make(metrics=["fd", "kd"]).recorded_names("digits_classifier") == (
        "fd_digits_classifier",
        "kd_digits_classifier",
    )


def test_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(ValidationError, match="did you mean recall") as caught:
        make(metrics=("fd", "recal"))
    assert caught.value.errors()[0]["loc"] == ("metrics",)


def test_fid_of_a_classifier_is_refused() -> None:
    with pytest.raises(ValidationError, match="ask for fd, or choose extractor: inception"):
        make(metrics=("fid",))


def test_fd_of_inception_is_refused() -> None:
    with pytest.raises(ValidationError, match="ask for fid, or choose extractor: classifier"):
        make(extractor="inception")


def test_metric_named_twice_is_refused() -> None:
    with pytest.raises(ValidationError, match="fd stands there twice"):
        make(metrics=("fd", "kd", "fd"))


def test_no_metric_is_refused() -> None:
    with pytest.raises(ValidationError, match="at least 1 item"):
        make(metrics=())


def test_too_few_images_for_a_metric_says_why() -> None:
    message = r"precision needs at least 4 images \(every image needs three neighbours\), got 3"
    with pytest.raises(ValidationError, match=message) as caught:
        make(metrics=("fd", "precision"), num_images=3)
    assert caught.value.errors()[0]["loc"] == ("num_images",)


def test_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        make(num_image=7)


def test_protocol_is_immutable() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        make().num_images = 11  # type: ignore[misc]


def test_unlabelled_data_with_a_classifier_has_two_ways_out() -> None:
    with pytest.raises(ValueError, match=r"one folder per class.*or choose extractor: inception"):
        make().check_labels(has_labels=False)


def test_unlabelled_data_with_a_judge_is_refused_also_for_inception() -> None:
    protocol = make(extractor="inception", metrics=("fid", "confident_fraction"))
    with pytest.raises(ValueError, match="leave it out of metrics"):
        protocol.check_labels(has_labels=False)


def test_unlabelled_data_is_enough_for_fid() -> None:
    make(extractor="inception", metrics=("fid",)).check_labels(has_labels=False)


def scores() -> Scores:
    fd = Score(name="fd_a_classifier", value=2.0, num_generated=7, num_reference=5)
    return Scores(
        extractor="a_classifier",
        extractor_sha256="0" * 64,
        scores=(fd,),
        absent={"kd_a_classifier": "needs three images"},
        seconds=0.1,
    )


def test_scores_are_found_by_recorded_name() -> None:
    assert scores()["fd_a_classifier"].value == 2.0
    assert scores().get("kd_a_classifier") is None


def test_absent_score_says_why() -> None:
    with pytest.raises(KeyError, match="kd_a_classifier is absent: needs three images"):
        scores()["kd_a_classifier"]


def test_score_not_asked_for_names_the_nearest() -> None:
    with pytest.raises(KeyError, match="there is fd_a_classifier"):
        scores()["fd"]


def test_scores_survive_json() -> None:
    assert Scores.model_validate_json(scores().model_dump_json()) == scores()


def test_protocol_and_metrics_load_neither_torch_nor_numpy() -> None:
    program = (
        "import sys, evaluation, evaluation.metrics, evaluation.protocol\n"
        "print(sorted({'torch', 'numpy', 'torch_fidelity', 'ray'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
