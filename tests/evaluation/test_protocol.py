"""The protocol's validation, and look-up in scores."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from pydantic import ValidationError

from evaluation.protocol import (
    EvaluationProtocol,
    ProtocolMismatchError,
    ProtocolRecord,
    Score,
    Scores,
    check_comparable,
    package_versions,
)


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


@pytest.mark.parametrize(
    ("extractor", "message"),
    [
        ("incepton", "unknown extractor 'incepton'; did you mean inception"),
        ("nets.Encoder", "a module of your own by its import path, package.module:Name"),
        ("nets:", "unknown extractor 'nets:'"),
        ("nets:1st", "unknown extractor 'nets:1st'"),
        ("nets:DinoV2", "metrics would be called fd_dinov2, which means another extractor"),
    ],
)
def test_extractor_that_can_not_be_is_refused(extractor: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        make(extractor=extractor)
    assert caught.value.errors()[0]["loc"] == ("extractor",)


def test_module_and_dinov2_take_distances_under_their_own_names() -> None:
    assert make(extractor="nets.faces:Encoder").recorded_names("encoder") == ("fd_encoder",)
    assert make(extractor="dinov2").recorded_names("dinov2") == ("fd_dinov2",)
    with pytest.raises(ValidationError, match="classifier_score needs logits, but the extractor"):
        make(extractor="dinov2", metrics=("classifier_score",))
    with pytest.raises(ValidationError, match="ask for fd, or choose extractor: inception"):
        make(extractor="dinov2", metrics=("fid",))


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


def test_scores_of_versions_without_a_protocol_record_are_read() -> None:
    fields = json.loads(scores().model_dump_json())
    del fields["protocol"]
    assert Scores.model_validate(fields).protocol is None


def record(**changes: object) -> ProtocolRecord:
    fields = {
        "metrics": ("fd",),
        "num_images": 7,
        "seed": 0,
        "kd_subsets": 3,
        "kd_subset_size": 5,
        "extractor": "a_classifier",
        "extractor_sha256": "0" * 64,
        "resize": "none",
        "judge_sha256": "4" * 64,
        "reference_sha256": "1" * 64,
        "device": "cpu",
        "versions": package_versions(),
    }
    return ProtocolRecord.model_validate(fields | changes)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_images", 11),
        ("seed", 1),
        ("kd_subsets", 5),
        ("kd_subset_size", 7),
        ("extractor", "b_classifier"),
        ("extractor_sha256", "2" * 64),
        ("resize", "tf1-bilinear-299"),
        ("judge_sha256", "5" * 64),
        ("reference_sha256", "3" * 64),
    ],
)
def test_scores_of_two_protocols_do_not_compare_and_the_field_is_named(
    field: str, value: object
) -> None:
    former, changed = record(), record(**{field: value})
    with pytest.raises(ProtocolMismatchError) as caught:
        check_comparable(former, changed, first_name="trial 0003", second_name="runs/b")
    assert str(caught.value).startswith(
        f"scores of trial 0003 and of runs/b do not compare: {field} is {getattr(former, field)} "
        f"for the first and {value} for the second; "
    )
    assert former.sha256 != changed.sha256


@pytest.mark.parametrize(
    ("field", "value"),
    [("metrics", ("kd", "fd")), ("device", "cuda"), ("versions", {"torch": "1.0"})],
)
def test_what_leaves_the_meaning_of_a_value_as_it_is_does_not_matter(
    field: str, value: object
) -> None:
    changed = record(**{field: value})
    check_comparable(record(), changed, first_name="one", second_name="other")
    assert record().sha256 == changed.sha256


def test_scores_that_no_judge_had_a_part_in_compare_with_those_of_any_judge() -> None:
    check_comparable(record(), record(judge_sha256=None), first_name="one", second_name="other")


def test_every_field_of_the_record_is_either_compared_or_known_not_to_matter() -> None:
    compared = {"num_images", "seed", "kd_subsets", "kd_subset_size", "extractor"}
    compared |= {"extractor_sha256", "resize", "judge_sha256", "reference_sha256"}
    assert set(ProtocolRecord.model_fields) == compared | {"metrics", "device", "versions"}


def test_protocol_and_metrics_load_neither_torch_nor_numpy() -> None:
    program = (
        "import sys, evaluation, evaluation.metrics, evaluation.protocol\n"
        "print(sorted({'torch', 'numpy', 'torch_fidelity', 'ray'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
