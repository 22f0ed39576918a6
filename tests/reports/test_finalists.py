"""Finalists in the report: kept apart from the search, judged at one number of images, on top."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from evaluation.protocol import ProtocolMismatchError, ProtocolRecord
from reports.build import build_report
from reports.comparison import Comparison, compare
from reports.finalists_section import finalists_section
from reports.importance import setting_importance
from reports.race import select_finalists
from reports.ranking import rank_trials
from reports.reading import read_comparison
from reports.records import (
    FinalistRun,
    FinalistsRecord,
    Measurement,
    MetricColumn,
    RungScores,
    SweepRecord,
    TrialRecord,
    TrialState,
)
from reports.results_csv import results_table
from reports.run_folder import RunFolder
from reports.taken_scores import check_one_kind, check_one_size, taken_score

OBJECTIVE = "fd_digits_classifier"
SEARCH = ProtocolRecord(
    metrics=("fd",),
    num_images=1000,
    seed=0,
    kd_subsets=100,
    kd_subset_size=1000,
    extractor="digits_classifier",
    extractor_sha256="a" * 64,
    resize="none",
    reference_sha256="b" * 64,
    device="cpu",
    versions={},
)
SEARCH_SIZED = SEARCH.model_copy(update={"seed": 77})
FINAL = SEARCH_SIZED.model_copy(update={"num_images": 5000})
COLUMN = MetricColumn(
    name=OBJECTIVE, label="FD digits_classifier@5k", goal="minimize", format=".2f"
)
PLAN = FinalistsRecord(
    count=2, seeds=3, column=COLUMN, scoring=FINAL, search_sized_scoring=SEARCH_SIZED
)
FRESH = {"0003": (5.0, 5.2, 5.1), "0001": (9.0, 9.3, 9.1)}
"""At 5,000 images; at 1,000 each is 1 more."""


def rung(value: float, scoring: ProtocolRecord, kimg: float = 60.0) -> RungScores:
    measured = Measurement(
        name=OBJECTIVE, value=value, standard_error=0.1, num_images=scoring.num_images
    )
    return RungScores(
        kimg=kimg, measurements=(measured,), fakes_path="f.png", protocol_sha256=scoring.sha256
    )


def with_scoring(record: TrialRecord) -> TrialRecord:
    scores = tuple(
        scores.model_copy(update={"protocol_sha256": SEARCH.sha256}) for scores in record.scores
    )
    return record.model_copy(update={"scores": scores})


@pytest.fixture
def trials(make_trials: Callable[[], list[TrialRecord]]) -> list[TrialRecord]:
    """The nine trials of the search; 0003 (4.21) and 0001 (4.60) are the best that completed."""
    ended = [record for record in make_trials() if record.state.is_final]
    return [with_scoring(record) for record in ended]


@pytest.fixture
def sweep(make_sweep: Callable[..., SweepRecord]) -> SweepRecord:
    return make_sweep(scoring=SEARCH, finalists=PLAN)


@pytest.fixture
def make_run(
    make_trial: Callable[..., TrialRecord],
) -> Callable[..., TrialRecord]:
    """Builds a finalist run with both of its scores."""

    def make(
        of: str, index: int, value: float | None, state: TrialState = TrialState.COMPLETED
    ) -> TrialRecord:
        scores = () if value is None else (rung(value, FINAL), rung(value + 1, SEARCH_SIZED))
        finalist = FinalistRun(of=of, seed_index=index)
        cause = "the loss became NaN" if state.is_failure else None
        return make_trial(
            int(of), state, trial=finalist.trial, finalist=finalist, scores=scores, cause=cause
        )

    return make


@pytest.fixture
def runs(make_run: Callable[..., TrialRecord]) -> list[TrialRecord]:
    return [
        make_run(config, index, value)
        for config, values in FRESH.items()
        for index, value in enumerate(values)
    ]


@pytest.fixture
def comparison(
    sweep: SweepRecord, trials: list[TrialRecord], runs: list[TrialRecord]
) -> Comparison:
    return compare(sweep, [*trials, *runs])


def test_selection_is_the_head_of_the_ranking_without_the_trials_stopped_early(
    sweep: SweepRecord, trials: list[TrialRecord]
) -> None:
    ranked = rank_trials(trials, sweep.metric(OBJECTIVE))
    completed = [s.trial for s in ranked if s.rank and s.record.state is TrialState.COMPLETED]
    for count in range(1, 7):
        chosen = select_finalists(trials, OBJECTIVE, "minimize", count)
        assert [record.trial for record in chosen] == completed[:count]


def test_search_is_compared_as_if_there_were_no_finalists(
    sweep: SweepRecord, trials: list[TrialRecord], comparison: Comparison
) -> None:
    alone = compare(sweep, trials)
    assert comparison.standings == alone.standings
    assert comparison.counts == alone.counts
    assert comparison.equal_budget == alone.equal_budget
    assert comparison.milestones == alone.milestones
    assert setting_importance(comparison) == setting_importance(alone)
    assert comparison.ledger.trial_seconds > alone.ledger.trial_seconds  # but it was spent


def test_trial_of_the_search_scored_in_another_way_is_left_out_and_named(
    sweep: SweepRecord, trials: list[TrialRecord]
) -> None:
    winner = next(record for record in trials if record.trial == "0003")
    otherwise = winner.model_copy(update={"scores": (rung(0.1, FINAL),)})
    comparison = compare(sweep, [otherwise, *(r for r in trials if r is not winner)])
    assert comparison.best is not None
    assert comparison.best.trial == "0001"
    (left_out,) = comparison.damaged
    assert left_out.trial == "0003"
    assert left_out.reason.startswith("scored at 60 kimg in another way than the sweep's trials")


def test_headline_is_the_verdict_over_seeds(comparison: Comparison) -> None:
    finalists = comparison.finalists
    assert finalists is not None
    assert finalists.verdict is not None
    assert comparison.verdict.headline == f"{finalists.verdict.sentence}."
    assert "0003 beats 0001 (95%)" in comparison.verdict.headline
    text = " ".join(comparison.verdict.sentences)
    assert "The mean FD digits_classifier@5k of trial 0003 over 3 fresh seeds is 5.10 (95%" in text
    assert (
        "Who beats whom is said of runs that end with a score: none of 3 fresh runs of trial 0003 "
        "failed, which leaves room for 71% failing (95%)."
    ) in text
    assert "By the search, from one training seed each: trial 0003 won" in text
    assert "One training seed each:" not in text


def test_optimism_is_taken_at_the_number_of_images_of_the_search(comparison: Comparison) -> None:
    """Fresh seeds give 6.1 and 10.13 at 1,000 images, and the search said 4.21 and 4.6."""
    finalists = comparison.finalists
    assert finalists is not None
    assert finalists.optimism is not None
    flattered = {row.config: row.flattered_by for row in finalists.rows}
    assert flattered["0003"] == pytest.approx(6.1 - 4.21, abs=0.02)
    assert flattered["0001"] == pytest.approx(10.133 - 4.6, abs=0.02)
    said = " ".join(comparison.verdict.sentences)
    assert "were 3.71 better on average than fresh seeds give, at 1,000 images (95%" in said


def test_scores_of_different_numbers_of_images_never_meet(
    trials: list[TrialRecord], runs: list[TrialRecord]
) -> None:
    searched = taken_score(trials[3], OBJECTIVE, SEARCH)
    final = taken_score(runs[0], OBJECTIVE, FINAL)
    sized = taken_score(runs[0], OBJECTIVE, SEARCH_SIZED)
    assert searched is not None
    assert final is not None
    assert sized is not None
    assert (final.value, sized.value) == (5.0, 6.0)
    assert taken_score(trials[3], OBJECTIVE, FINAL) is None
    check_one_size([searched], [sized])
    with pytest.raises(
        ProtocolMismatchError, match=r"trial 0003 and of trial 0003-s0 .* num_images"
    ):
        check_one_size([searched], [final])
    with pytest.raises(ProtocolMismatchError, match="num_images is 5000 for the first and 1000"):
        check_one_kind([final, sized])
    with pytest.raises(ProtocolMismatchError, match="seed is 0 for the first and 77"):
        check_one_kind([searched, sized])


def test_run_scored_at_another_number_of_images_alone_counts_as_none(
    sweep: SweepRecord, trials: list[TrialRecord], runs: list[TrialRecord]
) -> None:
    runs[0] = runs[0].model_copy(update={"scores": (rung(0.1, SEARCH_SIZED),)})
    finalists = compare(sweep, [*trials, *runs]).finalists
    assert finalists is not None
    assert finalists.verdict is not None
    judged = {entry.config: entry for entry in finalists.verdict.configurations}
    assert judged["0003"].num_failed == 1
    assert judged["0003"].mean == math.inf


def test_failed_run_counts_against_its_configuration_and_is_said(
    sweep: SweepRecord,
    trials: list[TrialRecord],
    runs: list[TrialRecord],
    make_run: Callable[..., TrialRecord],
) -> None:
    runs[1] = make_run("0003", 1, None, TrialState.DIVERGED)
    comparison = compare(sweep, [*trials, *runs])
    assert "0003 failed with 1 of 3 seeds" in comparison.verdict.headline
    assert comparison.num_failed == compare(sweep, trials).num_failed + 1
    assert comparison.finalists is not None
    assert comparison.finalists.rows[0].config == "0001"


def test_who_fails_less_often_is_said_in_these_words(
    sweep: SweepRecord, trials: list[TrialRecord], make_run: Callable[..., TrialRecord]
) -> None:
    long_plan = PLAN.model_copy(update={"seeds": 8})
    fresh = [make_run("0003", index, 5.0 + index / 10) for index in range(8)]
    fresh += [make_run("0001", index, None, TrialState.DIVERGED) for index in range(8)]
    long = sweep.model_copy(update={"finalists": long_plan})
    comparison = compare(long, [*trials, *fresh])
    assert comparison.verdict.headline.startswith("Trial 0003 fails less often than 0001 (95%);")
    section = finalists_section(comparison)
    assert section is not None
    assert section.pairs[0][0] == "0003 fails less often than 0001"
    assert [row.cells[0].note for row in section.rows] == ["none failed", "8 failed"]


def test_headline_stays_the_searchs_until_each_finalist_has_a_fresh_score(
    sweep: SweepRecord, trials: list[TrialRecord], make_run: Callable[..., TrialRecord]
) -> None:
    running = make_run("0001", 0, None, TrialState.RUNNING)
    comparison = compare(sweep, [*trials, make_run("0003", 0, 5.0), running])
    assert comparison.verdict.headline.startswith("Trial 0003 won")
    assert "The finalists are not finished: 1 of at most 6 runs ended, 1 running." in (
        comparison.verdict.sentences
    )


def test_runs_of_which_the_sweeps_record_says_nothing_are_named(
    make_sweep: Callable[..., SweepRecord], trials: list[TrialRecord], runs: list[TrialRecord]
) -> None:
    comparison = compare(make_sweep(), [*trials, *runs])
    assert {damaged.trial for damaged in comparison.damaged} == {run.trial for run in runs}
    assert "sweep.json does not say how finalists were scored" in comparison.damaged[0].reason
    assert comparison.rows == comparison.standings


def test_budget_says_what_the_race_has_saved(
    monkeypatch: pytest.MonkeyPatch,
    sweep: SweepRecord,
    trials: list[TrialRecord],
    runs: list[TrialRecord],
) -> None:
    def two_seeds(
        scores: list[object], configs: list[str], goal: str, *, max_seeds: int
    ) -> tuple[tuple[str, int], ...]:
        return () if scores else tuple((config, index) for config in configs for index in (0, 1))

    monkeypatch.setattr("reports.race.next_seeds", two_seeds)
    spent = [run for run in runs if run.finalist and run.finalist.seed_index < 2]
    section = finalists_section(compare(sweep, [*trials, *spent]))
    assert section is not None
    assert section.budget == (
        "4 of at most 6 runs (3 seeds of each finalist), 240 kimg; the race saved 2 runs."
    )


def test_sweep_whose_search_goes_on_has_no_finalists_yet(
    sweep: SweepRecord, trials: list[TrialRecord]
) -> None:
    going_on = sweep.model_copy(update={"segments": ()})
    comparison = compare(going_on, trials[:5])
    section = finalists_section(comparison)
    assert section is not None
    assert section.explanation.endswith("They are chosen when the search has ended.")
    assert not section.rows
    assert (
        comparison.verdict
        == compare(going_on.model_copy(update={"finalists": None}), trials[:5]).verdict
    )


def test_results_have_a_row_for_each_run_and_say_which_it_is(
    comparison: Comparison, trials: list[TrialRecord]
) -> None:
    table = results_table(comparison)
    searched, fresh = table[table.role == "search"], table[table.role == "finalist"]
    assert list(searched.trial) == [standing.trial for standing in comparison.standings]
    assert searched.finalist_of.isna().all()
    assert len(searched) == len(trials)
    assert sorted(
        zip(fresh.finalist_of, fresh.seed_index, fresh[OBJECTIVE], strict=True)
    ) == sorted(
        (config, index, value)
        for config, values in FRESH.items()
        for index, value in enumerate(values)
    )
    assert set(fresh[f"{OBJECTIVE}_num_images"]) == {5000}
    assert fresh["rank"].isna().all()


@pytest.mark.slow
def test_page_has_the_section_and_a_sweep_without_finalists_has_none(
    tmp_path: Path,
    write_run: Callable[..., RunFolder],
    sweep: SweepRecord,
    trials: list[TrialRecord],
    runs: list[TrialRecord],
) -> None:
    run = write_run(tmp_path / "with", sweep, [*trials, *runs])
    build_report(run.path)
    page = run.report.read_text(encoding="utf-8")
    section = page[page.index('<section id="finalists">') :].partition("</section>")[0]
    for text in ("0003 beats 0001", "0001-s2", "9.10 ± 0.10", "FD digits_classifier@5k"):
        assert text in section.replace("<wbr>", "")
    assert '<a href="#finalists">' in page
    assert page.index("0003 beats 0001 (95%)") < page.index("<nav")
    without = write_run(tmp_path / "without", sweep.model_copy(update={"finalists": None}), trials)
    build_report(without.path)
    body = without.report.read_text(encoding="utf-8").partition("<body")[2].partition("<script")[0]
    assert "inalist" not in body


def test_record_of_a_run_reads_back_and_one_of_the_search_says_it_is_none(
    tmp_path: Path,
    write_run: Callable[..., RunFolder],
    sweep: SweepRecord,
    trials: list[TrialRecord],
    runs: list[TrialRecord],
) -> None:
    run = write_run(tmp_path / "run", sweep, [*trials, *runs])
    assert {record.trial for record in run.read_finalists()} == {r.trial for r in runs}
    assert {record.trial for record in run.read_trials()} == {r.trial for r in trials}
    assert run.read_sweep().finalists == PLAN
    written = json.loads(run.trial("0003-s1").record.read_text(encoding="utf-8"))
    assert written["finalist"] == {"of": "0003", "seed_index": 1}
    again = read_comparison(run.path)
    assert again.finalists is not None
    assert isinstance(results_table(again), pd.DataFrame)
    assert len(again.finalists.runs) == 6
