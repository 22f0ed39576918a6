"""The metric table and its names."""

from __future__ import annotations

import pytest

from evaluation.metric_names import at_num_images, printed_label, recorded_name
from evaluation.metrics import METRICS, MetricError, check_metric, find_metric


@pytest.mark.parametrize(
    ("key", "extractor", "name"),
    [
        ("fd", "digits_classifier", "fd_digits_classifier"),
        ("kd", "digits_classifier", "kd_digits_classifier"),
        ("precision", "digits_classifier", "precision_digits_classifier"),
        ("precision", "inception", "precision_inception"),
        ("density", "inception", "density_inception"),
        ("md", "digits_classifier", "md_digits_classifier"),
        ("mind", "inception", "mind"),
        ("fid_infinity", "inception", "fid_infinity"),
        ("fid", "inception", "fid"),
        ("kid", "inception", "kid"),
        ("inception_score", "inception", "inception_score"),
        ("confident_fraction", "digits_classifier", "confident_fraction"),
        ("fd", "dinov2", "fd_dinov2"),
        ("fd", "encoder", "fd_encoder"),
        ("classifier_score", "encoder", "classifier_score_encoder"),
        ("fid", "inception_unverified", "fd_inception_unverified"),
        ("fd", "inception_unverified", "fd_inception_unverified"),
        ("kid", "inception_unverified", "kd_inception_unverified"),
        ("inception_score", "inception_unverified", "classifier_score_inception_unverified"),
        ("recall", "inception_unverified", "recall_inception_unverified"),
    ],
)
def test_recorded_name_says_the_extractor_unless_it_is_official_inception(
    key: str, extractor: str, name: str
) -> None:
    assert recorded_name(key, extractor) == name


@pytest.mark.parametrize("extractor", ["inception_unverified", "dinov2", "encoder", "a_classifier"])
@pytest.mark.parametrize("key", sorted(METRICS))
def test_no_extractor_but_the_official_inception_records_fid_kid_or_inception_score(
    key: str, extractor: str
) -> None:
    try:
        name = recorded_name(key, extractor)
    except MetricError:
        return
    assert name not in ("fid", "kid", "inception_score")
    assert not printed_label(key, extractor).startswith(("FID", "KID", "IS"))


@pytest.mark.parametrize("key", sorted(METRICS))
def test_no_recorded_name_of_a_classifier_mentions_inception(key: str) -> None:
    if "classifier" in METRICS[key].kinds:
        name = recorded_name(key, "digits_classifier")
        assert not set(name.split("_")) & {"inception", "fid", "kid", "mind", "is"}


@pytest.mark.parametrize(
    ("key", "instead"),
    [
        ("fid", "fd"),
        ("fid_infinity", "fd_infinity"),
        ("kid", "kd"),
        ("mind", "md"),
        ("inception_score", "classifier_score"),
    ],
)
def test_inception_metric_with_a_classifier_says_what_to_ask_for(key: str, instead: str) -> None:
    with pytest.raises(MetricError, match=rf"ask for {instead}, or choose extractor: inception"):
        recorded_name(key, "digits_classifier")


@pytest.mark.parametrize(
    ("key", "instead"), [("fd", "fid"), ("kd", "kid"), ("classifier_score", "inception_score")]
)
def test_classifier_metric_with_inception_says_what_to_ask_for(key: str, instead: str) -> None:
    with pytest.raises(MetricError, match=rf"ask for {instead}, or choose extractor: classifier"):
        check_metric(key, "inception")


def test_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(MetricError, match="unknown metric 'presicion'; did you mean precision"):
        find_metric("presicion")


def test_metric_unlike_any_other_lists_all() -> None:
    with pytest.raises(MetricError, match="choose among fd, fid, fd_infinity, fid_infinity, kd"):
        find_metric("zzz")


@pytest.mark.parametrize(
    ("key", "extractor", "num_images", "label"),
    [
        ("fd", "digits_classifier", 1000, "FD digits_classifier@1000"),
        ("fid", "inception", 5000, "FID@5k"),
        ("fid", "inception", 50_000, "FID@50k"),
        ("fid", "inception", 503, "FID@503"),
        ("fid", "inception_unverified", 5000, "FD inception_unverified@5k"),
        ("confident_fraction", "digits_classifier", 503, "confident fraction@503"),
        ("recall", "digits_classifier", None, "recall digits_classifier"),
    ],
)
def test_printed_label_carries_the_number_of_images(
    key: str, extractor: str, num_images: int | None, label: str
) -> None:
    assert printed_label(key, extractor, num_images) == label


def test_recorded_name_with_number_of_images() -> None:
    assert at_num_images("fd_digits_classifier", 1000) == "fd_digits_classifier@1000"


def test_goals_are_minimize_for_distances_and_maximize_for_the_rest() -> None:
    minimized = {key for key, metric in METRICS.items() if metric.goal == "minimize"}
    assert minimized == {
        "fd",
        "fid",
        "fd_infinity",
        "fid_infinity",
        "kd",
        "kid",
        "md",
        "mind",
    }


def test_only_the_judge_may_not_rank() -> None:
    assert [key for key, metric in METRICS.items() if not metric.may_rank] == ["confident_fraction"]


def test_every_metric_has_a_partner_that_names_it_back() -> None:
    for metric in METRICS.values():
        if metric.elsewhere is not None:
            assert METRICS[metric.elsewhere].elsewhere == metric.key
            assert METRICS[metric.elsewhere].goal == metric.goal
