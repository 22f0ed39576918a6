"""GPU time is counted from what trials hold, and ends with the budget."""

from __future__ import annotations

import pytest

from sweeps.gpu_budget import LONGEST_GAP, GpuMeter


def meter(times: list[float], **changes: float | None) -> GpuMeter:
    given: dict[str, float | None] = {"gpus_per_trial": 0.5, "earlier_seconds": 0.0, "hours": 1.0}
    return GpuMeter(**given | changes, clock=iter(times).__next__)  # type: ignore[arg-type]


def test_time_counts_for_each_trial_with_its_fraction_of_a_gpu() -> None:
    counted = meter([100.0, 110.0, 112.0, 120.0])
    counted.look(3)
    assert counted.seconds == 3 * 0.5 * 10
    counted.look(0)
    counted.look(1)
    assert counted.seconds == 15 + 0.5 * 8


def test_budget_is_that_of_all_starts_together() -> None:
    counted = meter([0.0, 20.0], earlier_seconds=3585.0)
    assert not counted.is_used_up
    counted.look(2)
    assert counted.is_used_up
    assert counted.total_hours == pytest.approx(3605 / 3600)


@pytest.mark.parametrize("changes", [{"hours": None}, {"gpus_per_trial": 0.0}])
def test_without_a_budget_or_gpus_it_never_ends(changes: dict[str, float | None]) -> None:
    counted = meter([0.0, *(60.0 * n for n in range(1, 999))], **changes)
    for _ in range(998):
        counted.look(100)
    assert not counted.is_used_up


def test_time_in_which_nobody_looked_counts_in_part() -> None:
    counted = meter([0.0, 9000.0])  # a laptop that was closed
    counted.look(2)
    assert counted.seconds == LONGEST_GAP
