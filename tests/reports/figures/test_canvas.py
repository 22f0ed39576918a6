"""Ticks that people can read, and times in a unit of their size."""

from __future__ import annotations

import itertools

import plotly.graph_objects as go
import pytest

from reports.figures.canvas import log_axis, log_ticks, needs_log, plain, time_unit


@pytest.mark.parametrize(
    ("low", "high"), [(0.43, 366.0), (1e-4, 3e-3), (4.0, 61.0), (3.9, 4.1), (1e-9, 1e9)]
)
def test_log_ticks_are_few_rise_and_lie_around_the_values(low: float, high: float) -> None:
    ticks = log_ticks(low, high)
    assert 1 <= len(ticks) <= 8
    assert all(a < b for a, b in itertools.pairwise(ticks))
    assert ticks[0] <= low


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (0.6, 1.8),
        (0.85, 1.2),
        (0.97, 1.02),
        (1.0, 1.0),
        (4.9, 4.9),
        (2.1, 4.9),
        (3.1e-4, 4.7e-4),
        (1234.5, 1234.9),
        (0.0999, 1.01),
        (0.4, 6.0),
        (2.3, 9.0),
    ],
)
def test_narrow_log_axis_shows_three_ticks_with_texts_of_their_own(low: float, high: float) -> None:
    axis = go.layout.YAxis()
    log_axis(axis, [low, high])
    bottom, top = (10**end for end in axis.range)
    shown = [
        (tick, text)
        for tick, text in zip(axis.tickvals, axis.ticktext, strict=True)
        if bottom <= tick <= top
    ]
    assert 3 <= len(shown) <= 8
    assert len({text for _, text in shown}) == len(shown)
    assert all(float(text) == pytest.approx(tick) for tick, text in shown)


def test_narrow_axis_of_ratios_has_the_average_among_its_ticks() -> None:
    assert log_ticks(0.6, 1.8) == [0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0]
    assert log_ticks(0.85, 1.2) == [0.8, 0.9, 1.0, 1.1, 1.2, 1.3]


def test_wide_log_axis_keeps_powers() -> None:
    assert log_ticks(0.43, 366.0) == pytest.approx([0.3, 1, 3, 10, 30, 100, 300, 1000])
    assert log_ticks(4.0, 61.0) == pytest.approx([2, 5, 10, 20, 50, 100])
    assert log_ticks(1e-4, 3e-3) == pytest.approx([1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3])


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
