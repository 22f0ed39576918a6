"""The leaderboard: an empty cell says why, and sorts last."""

from __future__ import annotations

from collections.abc import Callable

from reports.comparison import compare
from reports.leaderboard import NO_SETTING, TIED, leaderboard
from reports.records import (
    SettingDomain,
    SweepRecord,
    TrialCost,
    TrialFinding,
    TrialRecord,
    TrialState,
)

Make = Callable[..., TrialRecord]
Sweep = Callable[..., SweepRecord]
Scores = Callable[..., object]


def test_missing_measurement_is_a_dash_with_its_reason(
    make_sweep: Sweep, make_trials: Callable[[], list[TrialRecord]]
) -> None:
    board = leaderboard(compare(make_sweep(), make_trials()))
    place = [column.key for column in board.columns].index("confident_fraction")
    cell = next(row for row in board.rows if row.standing.trial == "0001").cells[place]
    assert cell.missing_because == "was not measured at 60 kimg"
    assert cell.sort is None
    assert cell.text == ""
    assert board.reasons["was not measured at 60 kimg"] == ("0001",)


def test_interval_stands_with_its_score_and_nowhere_without(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    with_one = make_trial(0, scores=make_scores(5.0, precision=0.7))
    without = make_trial(1, scores=make_scores(6.0, error=None))
    board = leaderboard(compare(make_sweep(), [with_one, without]))
    assert board.has_intervals
    intervals = {row.standing.trial: [cell.interval for cell in row.cells] for row in board.rows}
    assert intervals["0000"][4:6] == ["4.07 to 5.31", ""]
    assert not any(intervals["0001"])
    assert not leaderboard(compare(make_sweep(), [without])).has_intervals


def test_every_cell_has_either_text_or_a_reason(
    make_sweep: Sweep, make_trials: Callable[[], list[TrialRecord]]
) -> None:
    board = leaderboard(compare(make_sweep(), make_trials()))
    for row in board.rows:
        assert len(row.cells) == len(board.columns)
        for cell in row.cells:
            assert bool(cell.text) != bool(cell.missing_because)


def test_score_of_an_earlier_rung_says_its_kimg(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    trial = make_trial(0, TrialState.INTERRUPTED, kimg=44.0, scores=make_scores(5.0, until=40.0))
    (row,) = leaderboard(compare(make_sweep(), [trial])).rows
    assert row.cells[3].text == "44"
    assert row.cells[4].note == "at 40 kimg"


def test_costs_never_taken_are_missing_not_zero(make_sweep: Sweep, make_trial: Make) -> None:
    trial = make_trial(0, TrialState.RUNNING, kimg=0.0, cost=TrialCost())
    (row,) = leaderboard(compare(make_sweep(), [trial])).rows
    assert all(cell.missing_because for cell in row.cells[-5:])


def test_single_trial_shows_its_settings_though_nothing_differs(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    board = leaderboard(compare(make_sweep(), [make_trial(0, scores=make_scores(5.0))]))
    assert "loss.name" in [column.key for column in board.columns]


def test_finding_stands_in_the_row_in_few_words_and_below_in_full(
    make_sweep: Sweep, make_trial: Make
) -> None:
    finding = TrialFinding(name="mode-collapse", kimg=12.0, message="mode collapse: lower the rate")
    board = leaderboard(compare(make_sweep(), [make_trial(0, findings=[finding]), make_trial(1)]))
    notes = {row.standing.trial: row.cells[2].note for row in board.rows}
    assert notes == {"0000": "mode collapse at 12 kimg", "0001": ""}
    assert board.findings == {"0000": ("mode collapse: lower the rate",)}


def test_conditional_setting_says_when_it_applies_and_is_a_dash_where_it_does_not(
    make_sweep: Sweep, make_trial: Make
) -> None:
    path, base = "loss.gradient_penalty", make_trial(0).settings
    domain = SettingDomain(
        path=path, kind="uniform", values=(0.1, 9.0), when={"loss.name": ("wgan-gp", "hinge")}
    )
    sweep = make_sweep()
    sweep = sweep.model_copy(update={"space": (*sweep.space, domain)})
    trials = [
        make_trial(0, settings={**base, "loss.name": "nonsaturating"}),
        make_trial(1, settings={**base, "loss.name": "hinge", path: 2.5}),
        make_trial(2, settings={**base, "loss.name": "wgan-gp", path: 5.5}),
    ]
    board = leaderboard(compare(sweep, trials))
    place = [column.key for column in board.columns].index(path)
    assert board.columns[place].hint == f"{path}, when loss.name is wgan-gp or hinge"
    cells = {row.standing.trial: row.cells[place] for row in board.rows}
    assert cells["0000"].missing_because == NO_SETTING
    assert (cells["0001"].text, cells["0002"].sort) == ("2.5", 5.5)
    assert all("when" not in column.hint for column in board.columns if column.key != path)


def test_trials_stand_under_the_heading_of_their_group(
    make_sweep: Sweep, make_trials: Callable[[], list[TrialRecord]]
) -> None:
    board = leaderboard(compare(make_sweep(), make_trials()))
    groups: dict[str, list[str]] = {}
    for row in board.rows:
        groups.setdefault(row.group, []).append(row.standing.trial)
    assert groups == {
        TIED: ["0003", "0001"],
        "Other completed trials": ["0000", "0007"],
        "Stopped early, longest training first": ["0004", "0002"],
        "Not ranked": ["0008", "0005", "0006"],
    }


def test_trials_of_one_kind_need_no_heading(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    trials = [make_trial(number, scores=make_scores(5.0 + 9 * number)) for number in range(3)]
    board = leaderboard(compare(make_sweep(), trials))
    assert [row.group for row in board.rows] == ["", "", ""]


def test_trials_that_are_all_tied_are_said_to_be(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    trials = [make_trial(number, scores=make_scores(5.0)) for number in range(3)]
    board = leaderboard(compare(make_sweep(), trials))
    assert [row.group for row in board.rows] == [TIED] * 3


def test_tie_beyond_a_trial_that_is_told_apart_keeps_its_place(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    """Its own standard error is large: that ties it with the best, not with those between."""
    trials = [
        make_trial(0, scores=make_scores(5.0, error=0.1)),
        make_trial(1, scores=make_scores(5.1, error=0.1)),
        make_trial(2, scores=make_scores(6.0, error=0.1)),
        make_trial(3, scores=make_scores(7.0, error=2.0)),
    ]
    board = leaderboard(compare(make_sweep(), trials))
    assert [row.group for row in board.rows] == [TIED] * 2 + ["Other completed trials"] * 2
    assert [row.standing.tied_with_best for row in board.rows] == [False, True, False, True]
