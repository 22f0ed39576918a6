"""Numbers and lists as they are printed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reports import formats
from reports.records import Measurement, Setting, SweepRecord


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (0.83, "0.83 s"),
        (47.6, "48 s"),
        (59.7, "1 min"),
        (190.0, "3 min 10 s"),
        (3540.0, "59 min"),
        (7500.0, "2 h 5 min"),
        (86_400.0, "24 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert formats.duration_text(seconds) == text


@pytest.mark.parametrize(
    ("ends", "text"), [((-0.014, 0.1), "-0.01 to 0.10"), ((None, None), ""), ((1.0, None), "")]
)
def test_interval_is_both_ends_or_nothing(
    ends: tuple[float | None, float | None], text: str, make_sweep: Callable[..., SweepRecord]
) -> None:
    low, high = ends
    measurement = Measurement(name="x", value=0.05, low=low, high=high, num_images=7)
    assert formats.interval_text(make_sweep().metrics[0], measurement) == text


@pytest.mark.parametrize(
    ("setting", "text"),
    [((3, 2, 1), "[3, 2, 1]"), (2.15e-4, "0.000215"), (None, "none"), (True, "true"), ("x", "x")],
)
def test_settings(setting: Setting, text: str) -> None:
    assert formats.setting_text(setting) == text


def test_standard_error_is_never_printed_as_zero(
    make_sweep: Callable[..., SweepRecord],
) -> None:
    assert formats.error_text(make_sweep().metrics[0], 0.0004) == "0.0004"


def test_percentages_with_small_errors_keep_their_sign(
    make_sweep: Callable[..., SweepRecord],
) -> None:
    column = make_sweep().metric("confident_fraction")
    assert formats.error_text(column, 0.012) == "1.2%"
    assert formats.error_text(column, 0.0002) == "0.02%"


def test_long_lists_are_counted() -> None:
    assert formats.listed(["a", "b", "c"]) == "a, b and c"
    assert formats.listed([str(i) for i in range(11)]).endswith("7 and 3 more")


@pytest.mark.parametrize(
    ("flops", "text"),
    [(812.0, "812 FLOPs"), (1.2e9, "1.2 GFLOPs"), (3.456e13, "34.6 TFLOPs")],
)
def test_operations(flops: float, text: str) -> None:
    assert formats.flops_text(flops) == text


@pytest.mark.parametrize(
    ("count", "words"), [(0, "No trial"), (1, "Only 1 trial"), (2, "Only 2 trials")]
)
def test_too_few_are_counted_as_people_do(count: int, words: str) -> None:
    assert formats.only(count, "trial") == words
