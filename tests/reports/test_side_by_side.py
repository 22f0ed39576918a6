"""Several sweeps: the best of each, how sure that is, and a refusal where scores do not compare."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Generator
from pathlib import Path

import pandas as pd
import pytest

from evaluation.protocol import ProtocolRecord
from reports.build import OutputError, sweeps_steps
from reports.comparison import compare
from reports.reading import Step
from reports.records import SweepRecord, TrialRecord
from reports.run_folder import RunFolder
from reports.side_by_side import IncomparableSweepsError, SideBySide, side_by_side
from reports.sweeps_csv import sweeps_table, write_sweeps

Make = Callable[..., TrialRecord]
Sweep = Callable[..., SweepRecord]
Trials = Callable[[], list[TrialRecord]]
Scores = Callable[..., object]

SCORING = ProtocolRecord(
    metrics=("fd",),
    num_images=1000,
    seed=0,
    kd_subsets=25,
    kd_subset_size=1000,
    extractor="digits_classifier",
    extractor_sha256="3f",
    resize="none",
    reference_sha256="ab",
    device="cpu",
    versions={"torch": "2.9"},
)


def _end(steps: Generator[Step, None, SideBySide]) -> SideBySide:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            compared: SideBySide = end.value
            return compared


def test_best_of_all_comes_first_with_its_interval(
    make_sweep: Sweep, make_trials: Trials, make_trial: Make, make_scores: Scores
) -> None:
    worse = compare(make_sweep(name="small"), [make_trial(0, scores=make_scores(9.0))])
    better = compare(make_sweep(name="large"), make_trials())
    compared = side_by_side([worse, better])
    assert compared.order == (1, 0)
    assert compared.headline == (
        "large has the best trial, 0003: FD digits_classifier@1000 = 4.21 ± 0.31 "
        "(95% interval 3.28 to 4.52)."
    )
    assert "can be told apart from the best of every other sweep" in compared.sentences[0]


def test_best_within_the_sampling_of_images_is_said_to_be_so(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    sweeps = [
        compare(make_sweep(name=name), [make_trial(0, scores=make_scores(level))])
        for name, level in (("a", 4.5), ("b", 4.2), ("c", 9.0))
    ]
    compared = side_by_side(sweeps)
    assert compared.headline.startswith("b has the best trial")
    assert compared.sentences[0].startswith("The best of a can't be told apart from it by 1,000")


def test_settings_that_differ_come_first_and_names_are_told_apart(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    sweeps = [
        compare(make_sweep(), [make_trial(0, scores=make_scores(5.0), settings=settings)])
        for settings in ({"same": 1, "other": 2}, {"same": 1, "other": 3, "third": None})
    ]
    compared = side_by_side(sweeps)
    assert [sweep.name for sweep in compared.sweeps] == ["digits (1)", "digits (2)"]
    assert [(row.path, row.are_different) for row in compared.settings] == [
        ("other", True),
        ("same", False),
        ("third", False),
    ]
    assert compared.settings[0].values == (2, 3)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"objective": "precision"}, "objective is fd_digits_classifier"),
        ({"num_reference": 601}, "num_reference is 600 for the first and 601"),
        ({"extractor": "inception (4f)"}, "extractor is digits_classifier"),
        ({"metrics": None}, "number of images is FD digits_classifier@1000"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_sweeps_of_older_records_are_refused_where_these_differ(
    changes: dict[str, object], reason: str, make_sweep: Sweep, make_trials: Trials
) -> None:
    sweep = make_sweep()
    if "metrics" in changes:
        first, *others = sweep.metrics
        label = first.label.replace("1000", "2000")
        changes = {"metrics": (first.model_copy(update={"label": label}), *others)}
    other = make_sweep(name="other", **changes)
    with pytest.raises(IncomparableSweepsError, match=reason):
        side_by_side([compare(sweep, make_trials()), compare(other, make_trials())])


@pytest.mark.parametrize("field", ["reference_sha256", "extractor_sha256", "num_images", "seed"])
def test_sweeps_are_refused_where_the_recorded_protocols_differ(
    field: str, make_sweep: Sweep
) -> None:
    changed = {"num_images": 999, "seed": 3}.get(field, "ff")
    one = compare(make_sweep(scoring=SCORING), [])
    two = compare(make_sweep(scoring=SCORING.model_copy(update={field: changed})), [])
    with pytest.raises(
        IncomparableSweepsError, match=f"{field} is .* and {changed} for the second"
    ):
        side_by_side([one, two])


def test_metric_of_a_sweep_without_its_record_is_spelt_as_in_one_with_it(
    run: RunFolder, make_sweep: Sweep, make_trials: Trials, write_run: Callable[..., RunFolder]
) -> None:
    other = write_run(run.path.parent / "b", make_sweep(), make_trials())
    trials = [
        trial.model_copy(
            update={
                "scores": tuple(
                    rung.model_copy(
                        update={
                            "measurements": tuple(
                                m.model_copy(update={"num_images": 500}) for m in rung.measurements
                            )
                        }
                    )
                    for rung in trial.scores
                )
            }
        )
        for trial in make_trials()
    ]
    for record in trials:
        other.trial(record.trial).write(record)
    other.sweep.unlink()
    other.spec.write_text("sampler: {name: tpe, seed: 0}\nbudget: {trials: 9}\n")
    reason = (
        "objective and number of images is FD digits_classifier@1000 for the first and "
        "FD digits_classifier@500 for the second"
    )
    with pytest.raises(IncomparableSweepsError, match=reason):
        _end(sweeps_steps([run.path, other.path], run.path / "s.html", run.path / "s.csv"))


def test_other_device_or_version_is_no_reason_to_refuse(make_sweep: Sweep) -> None:
    other = SCORING.model_copy(update={"device": "cuda", "versions": {"torch": "3"}})
    one, two = (compare(make_sweep(scoring=scoring), []) for scoring in (SCORING, other))
    assert side_by_side([one, two]).headline == ("None of these sweeps has a completed trial yet.")


def test_trial_scored_otherwise_than_its_sweep_is_left_out_and_named(
    make_sweep: Sweep, make_trials: Trials
) -> None:
    trials = make_trials()
    rung = trials[3].scores[0].model_copy(update={"protocol_sha256": "beef"})
    trials[3] = trials[3].model_copy(update={"scores": (rung,)})
    sweep = compare(make_sweep(scoring=SCORING), trials)
    found = side_by_side([sweep, compare(make_sweep(scoring=SCORING), [])])
    assert [damaged.trial for damaged in sweep.damaged] == ["0003"]
    assert all(s.trial != "0003" for s in found.sweeps[0].comparison.standings)


def test_budget_ends_at_all_that_ended_trials_took(make_sweep: Sweep, make_trials: Trials) -> None:
    comparison = compare(make_sweep(), make_trials())
    budgets = side_by_side([comparison, comparison]).budgets[0]
    ended = [s.record.cost for s in comparison.standings if s.record.state.is_final]
    assert budgets[-1].seconds == pytest.approx(
        sum(cost.train_seconds + cost.score_seconds for cost in ended)
    )
    assert budgets[-1].expected_best == 4.21
    assert all(a.expected_best > b.expected_best for a, b in itertools.pairwise(budgets))


def test_table_of_sweeps_reads_back_with_the_sweep_first(
    make_sweep: Sweep, make_trials: Trials, make_trial: Make, tmp_path: Path
) -> None:
    few = [make_trial(0, settings={"only": 1})]
    compared = side_by_side(
        [compare(make_sweep(name="=1+1"), make_trials()), compare(make_sweep(), few)]
    )
    path = tmp_path / "sweeps.csv"
    write_sweeps(compared, path)
    table = pd.read_csv(path)
    pd.testing.assert_frame_equal(table, sweeps_table(compared), check_exact=True)
    assert list(table.columns[:3]) == ["sweep", "trial", "state"]
    assert table["sweep"].value_counts().to_dict() == {"'=1+1": 9, "digits": 1}
    assert table["only"].tolist()[-1] == 1


def test_page_and_table_are_written_and_the_folders_left_alone(
    run: RunFolder,
    make_sweep: Sweep,
    make_trials: Trials,
    write_run: Callable[..., RunFolder],
    tmp_path: Path,
) -> None:
    other = write_run(tmp_path / "b", make_sweep(name="b"), make_trials()[:4])
    before = sorted(path for path in tmp_path.rglob("*"))
    page, table = tmp_path / "s.html", tmp_path / "s.csv"
    _end(sweeps_steps([run.path, other.path], page, table))
    assert sorted(set(tmp_path.rglob("*")) - set(before)) == [table, page]
    values = pd.read_csv(table).set_index(["sweep", "trial"])["fd_digits_classifier"]
    raw = json.loads(other.trial("0003").record.read_text())
    assert values[("b", 3)] == raw["scores"][-1]["measurements"][0]["value"] == 4.21
    text = page.read_text()
    assert "4.21 ± 0.31" in text
    for folder in (run.path, other.path):
        assert f"<td>{folder}</td>" in text
    with pytest.raises(OutputError, match="the same sweep as"):
        _end(sweeps_steps([run.path, run.path / "."], page, table))
