"""Failures are grouped by cause, whatever numbers are in it."""

from __future__ import annotations

from collections.abc import Callable

from reports.failures import NO_CAUSE, failure_groups
from reports.records import TrialRecord, TrialState

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
