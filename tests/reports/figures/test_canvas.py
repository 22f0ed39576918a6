"""Ticks that people can read, and times in a unit of their size."""

from __future__ import annotations

import itertools

import pytest

from reports.figures.canvas import log_ticks, needs_log, plain, time_unit


@pytest.mark.parametrize(
    ("low", "high"), [(0.43, 366.0), (1e-4, 3e-3), (4.0, 61.0), (3.9, 4.1), (1e-9, 1e9)]
)
def test_log_ticks_are_few_rise_and_lie_around_the_values(low: float, high: float) -> None:
    ticks = log_ticks(low, high)
    assert 1 <= len(ticks) <= 8
    assert all(a < b for a, b in itertools.pairwise(ticks))
    assert ticks[0] <= low


def test_log_axis_is_for_positive_values_that_span_more_than_ten() -> None:
    assert needs_log([1.0, 11.0])
    assert not needs_log([1.0, 9.0])
    assert not needs_log([-1.0, 100.0])


@pytest.mark.parametrize(("seconds", "unit"), [(90.0, "s"), (120.0, "min"), (7200.0, "h")])
def test_time_is_told_in_a_unit_of_its_size(seconds: float, unit: str) -> None:
    assert time_unit(seconds)[0] == unit


def test_chart_text_is_drawn_as_it_stands() -> None:
    assert plain("a <b>bold</b> $x$") == "a &lt;b&gt;bold&lt;/b&gt; &#36;x&#36;"


def test_long_lines_keep_their_ends_and_stay_apart() -> None:
    names = ["x" * 40 + middle + "y" * 40 for middle in ("one", "two")]
    short = [plain(f"{name}\nb", at_most=20) for name in names]
    assert short[0] != short[1]
    for text in short:
        assert text.startswith("xxxxxxx…yyy (")
        assert text.endswith(")\nb")
        assert len(text) == 20 + len("\nb")
