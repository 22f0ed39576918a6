"""Curves as a table: a row a rung and a tick, thinned where many, read without a hint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from reports import curves_csv
from reports.build import build_report
from reports.comparison import compare
from reports.csv_cells import plain_text
from reports.curves_csv import curves_columns, curves_table, write_curves
from reports.reading import read_comparison
from reports.records import SweepRecord, TrialRecord
from reports.run_folder import RunFolder
from reports.stats import TrialStats, read_stats

OBJECTIVE = "fd_digits_classifier"


@pytest.mark.slow
def test_every_rung_and_tick_of_the_records_is_a_row(run: RunFolder) -> None:
    build_report(run.path)
    table = pd.read_csv(run.curves)
    expected = []
    for record in run.read_trials():
        ticks = [entry["kimg"] for entry in run.trial(record.trial).read_stats()]
        rungs = [(rung.kimg, rung.measurements[0].value) for rung in record.scores]
        mine = table[table["trial"] == record.number]
        assert mine[mine["kind"] == "tick"]["kimg"].tolist() == ticks
        scored = mine[mine["kind"] == "rung"]
        assert list(zip(scored["kimg"], scored[OBJECTIVE], strict=True)) == rungs
        assert mine["kimg"].is_monotonic_increasing
        expected += [record.number] * (len(ticks) + len(rungs))
    assert table["trial"].tolist() == expected


def test_pandas_reads_the_curves_without_a_hint(
    make_sweep: Callable[..., SweepRecord], make_trial: Callable[..., TrialRecord], tmp_path: Path
) -> None:
    entries = (
        {"kimg": 1, "d_loss": float("nan"), "findings": ["=1+1", "mode-collapse"], "odd": 3},
        {"kimg": 2.5, "d_loss": 0.1 + 0.2, "word": "x", "flag": True},
    )
    comparison = compare(make_sweep(), [make_trial(0)])
    columns = curves_columns(comparison, [(make_trial(0), TrialStats(entries))])
    path = tmp_path / "curves.csv"
    write_curves(columns, path)
    table = pd.read_csv(path)
    pd.testing.assert_frame_equal(table, curves_table(columns), check_exact=True)
    assert pd.isna(table.loc[0, "d_loss"])
    assert table.loc[1, "d_loss"] == 0.1 + 0.2
    assert plain_text(table.loc[0, "findings"]) == "=1+1; mode-collapse"
    assert table.columns[-1] == "odd"
    assert not {"word", "flag"} & set(table.columns)


def test_of_too_many_ticks_every_nth_and_the_last_are_kept(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    comparison = read_comparison(run.path)
    stats = [(s.record, read_stats(run.trial(s.trial).stats)) for s in comparison.standings]
    monkeypatch.setattr(curves_csv, "MAX_TICKS", 9 * 50)
    table = curves_table(curves_columns(comparison, stats))
    for record, trial_stats in stats:
        ticks = table[(table["trial"] == record.number) & (table["kind"] == "tick")][
            "kimg"
        ].tolist()
        every = [entry["kimg"] for entry in trial_stats.entries]
        assert 25 < len(ticks) <= 50
        assert ticks[-1] == every[-1]
        assert set(ticks) < set(every)
    assert (table["kind"] == "rung").sum() == sum(len(record.scores) for record, _ in stats)
