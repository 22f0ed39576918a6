"""The forecast's imagined sweeps train as much as searches of the table of real trials do."""

from __future__ import annotations

import statistics
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def foreseen(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import foreseen_training

    return foreseen_training


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["asha (default)", "hyperband"])
def test_forecast_is_within_the_searches_own_spread(foreseen: ModuleType, rule: str) -> None:
    """Of eight searches the mean is uncertain by a third of their spread: three of these."""
    (found,) = foreseen.compare([rule], [16], 8, 1)
    mean, apart = statistics.fmean(found.replayed), statistics.stdev(found.replayed)
    assert abs(found.foreseen - mean) < max(3 * apart / 8**0.5, 0.1 * mean)
    assert found.foreseen < 0.8 * 16 * 108  # the rule does stop trials, in both


def test_first_trials_are_the_best_quarter_of_those_that_ended(foreseen: ModuleType) -> None:
    rows = foreseen.read_table(foreseen.TABLE)
    best = foreseen.best_quarter(rows, 108.0)
    ended = [row.scores[108.0].value for row in rows if 108.0 in row.scores]
    assert len(best) == -(-len(ended) // 4)
    worst = max(rows[place].scores[108.0].value for place in best)
    assert sum(value < worst for value in ended) == len(best) - 1


def test_page_says_what_was_found(foreseen: ModuleType) -> None:
    found = foreseen.Comparison("asha (default)", 8, (300.0, 500.0), 440.0)
    assert found.error == pytest.approx(0.1)
    assert "| asha (default) | 8 | 440 | 400 ± 141 (35%) | +10% |" in foreseen.page([found])
