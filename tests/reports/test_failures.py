"""Failures are grouped by cause, whatever numbers are in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from reports.comparison import compare
from reports.failures import NO_CAUSE, failure_groups
from reports.html import render_report
from reports.records import FaultKind, SweepRecord, TrialFault, TrialRecord, TrialState
from reports.results_csv import results_rows
from reports.run_folder import RunFolder

Make = Callable[..., TrialRecord]


def test_causes_that_differ_in_numbers_are_one_group_largest_first(make_trial: Make) -> None:
    causes = ["disk full", "NaN at 13 kimg", "NaN at 1,250.5 kimg", "NaN at 4e-05 kimg"]
    trials = [make_trial(i, TrialState.FAILED, cause=cause) for i, cause in enumerate(causes)]
    groups = failure_groups(trials)
    assert [(g.cause, len(g.trials), g.num_wordings) for g in groups] == [
        ("NaN at 13 kimg", 3, 3),
        ("disk full", 1, 1),
    ]


def test_same_words_of_another_state_are_another_group(make_trial: Make) -> None:
    states = [TrialState.FAILED, TrialState.DIVERGED, TrialState.COMPLETED]
    trials = [make_trial(i, state, cause="NaN") for i, state in enumerate(states)]
    assert [group.state for group in failure_groups(trials)] == states[:2]


def test_first_line_stands_for_the_error(make_trial: Make) -> None:
    trials = [
        make_trial(0, TrialState.FAILED, cause="\nboom at 0x7f3a\nTraceback: …"),
        make_trial(1, TrialState.FAILED, cause="boom at 0x1b"),
        make_trial(2, TrialState.FAILED, cause=" \n"),
    ]
    groups = failure_groups(trials)
    assert [(g.cause, g.num_wordings) for g in groups] == [("boom at 0x7f3a", 2), (NO_CAUSE, 1)]


def test_fault_stands_on_page_and_in_table_with_its_way_back(
    make_sweep: Callable[..., SweepRecord], make_trial: Make, tmp_path: Path
) -> None:
    killed, hung, full = (
        TrialFault(kind=kind, message=message, kimg=7.0, outcome=outcome, at="2026-01-01T00:00:00Z")
        for kind, message, outcome in (
            (FaultKind.WORKER_KILLED, "its process was killed", "retried"),
            (FaultKind.HUNG, "no progress for 10 minutes", "ended"),
            (FaultKind.DISK_FULL, "No space left", "set aside"),
        )
    )
    rerun = "tg-sweep rerun runs/mine 0000"
    trials = [
        make_trial(
            0,
            TrialState.FAILED,
            cause=hung.message,
            faults=(killed, hung),
            rerun=rerun,
            checkpoint_kimg=5.0,
        ),
        make_trial(1, TrialState.INTERRUPTED, faults=(full,)),
        make_trial(2, TrialState.COMPLETED, faults=(killed,)),
        make_trial(3, TrialState.INFEASIBLE, cause="needs about 3 GB"),
    ]
    assert [trial.fault for trial in trials] == [hung, full, None, None]
    comparison = compare(make_sweep(), trials)
    assert {group.state for group in comparison.failures} == {
        TrialState.FAILED,
        TrialState.INFEASIBLE,
    }
    assert comparison.num_failed == 1
    rows = {row["trial"]: row for row in results_rows(comparison)}
    failed = rows["0000"]
    assert (failed["fault"], failed["last_good_kimg"], failed["rerun"]) == ("hung", 5.0, rerun)
    assert failed["retried"] == "worker_killed at 7 kimg: its process was killed"
    assert rows["0001"]["fault"] == "disk_full"
    assert rows["0002"]["fault"] is None
    assert rows["0002"]["retried"] == failed["retried"]
    page = render_report(comparison, RunFolder(tmp_path))
    assert f"a checkpoint of 5 kimg; again, alone: <code>{rerun}</code>." in page
    assert "disk_full at 7 kimg: No space left" in page


def test_trial_that_was_started_again_stands_on_the_page_though_it_completed(
    make_sweep: Callable[..., SweepRecord], make_trial: Make, tmp_path: Path
) -> None:
    fault = TrialFault(
        kind=FaultKind.WORKER_KILLED,
        message="its process was killed",
        kimg=7.0,
        outcome="retried",
        at="2026-01-01T00:00:00Z",
    )
    comparison = compare(make_sweep(), [make_trial(0, faults=(fault,)), make_trial(1)])
    assert [record.trial for record in comparison.restarted] == ["0000"]
    page = render_report(comparison, RunFolder(tmp_path))
    section = page[page.index('<section id="failures">') :]
    section = section[: section.index("</section>")]
    assert "Started again" in section
    assert "worker_killed at 7 kimg: its process was killed" in section
    assert "0001" not in section
