"""The table on disk: reads back as it was, blank where nothing is, inert in a spreadsheet."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from reports.comparison import compare
from reports.csv_cells import plain_text
from reports.records import SweepRecord, TrialFinding, TrialRecord, TrialState
from reports.results_csv import results_table, write_results

Make = Callable[..., TrialRecord]
Sweep = Callable[..., SweepRecord]
Trials = Callable[[], list[TrialRecord]]


@pytest.fixture
def table(make_sweep: Sweep, make_trials: Trials, tmp_path: Path) -> pd.DataFrame:
    path = tmp_path / "results.csv"
    write_results(compare(make_sweep(), make_trials()), path)
    return pd.read_csv(path, dtype={"trial": str})


def test_first_columns_are_trial_state_and_the_objective(table: pd.DataFrame) -> None:
    assert list(table.columns[:5]) == [
        "trial",
        "state",
        "fd_digits_classifier",
        "fd_digits_classifier_se",
        "fd_digits_classifier_num_images",
    ]


def test_table_reads_back_exactly(
    table: pd.DataFrame, make_sweep: Sweep, make_trials: Trials
) -> None:
    records = {record.trial: record for record in make_trials()}
    assert set(table["trial"]) == set(records)
    for row in table.to_dict("records"):
        record = records[row["trial"]]
        assert row["state"] == record.state.value
        assert row["train_seconds"] == record.cost.train_seconds
        assert row["optimizer.generator_lr"] == record.settings["optimizer.generator_lr"]
        depths = record.settings["generator.depths"]
        assert isinstance(depths, tuple)
        assert json.loads(row["generator.depths"]) == list(depths)


def test_pandas_reads_the_table_without_a_hint(
    make_sweep: Sweep, make_trials: Trials, make_trial: Make, tmp_path: Path
) -> None:
    odd: list[dict[str, object]] = [
        {"heads": 2, "flag": True, "mixed": 3, "word": "null", "batch_size": 8, "seed": 0.5},
        {"heads": 4, "mixed": "auto", "word": "1e5", "batch_size": 16, "seed": 0.25},
        {"flag": False, "mixed": False, "word": "", "batch_size": 8, "seed": 1},
        {"heads": 2, "word": "'quoted", "list": ["=1", ";-2"], "batch_size": 8, "seed": 2},
        {"word": "a;=1+1\r\nb", "batch_size": 2**61, "big": 2**61, "seed": 3},
    ]
    trials = make_trials()
    trials += [make_trial(9 + place, settings=values) for place, values in enumerate(odd)]
    comparison = compare(make_sweep(), trials)
    path = tmp_path / "results.csv"
    write_results(comparison, path)
    read, table = pd.read_csv(path), results_table(comparison)
    pd.testing.assert_frame_equal(read, table, check_exact=True)
    kinds = {name: table[name].dtype.kind for name in table}
    assert [kinds[name] for name in ("trial", "attempts", "seed", "train_seconds")] == list("iiif")
    assert kinds["tied_with_best"] == "b"
    rows = read.set_index("trial")
    assert [plain_text(rows.loc[9 + place, "word"]) for place in range(5)] == [
        values["word"] for values in odd
    ]
    assert json.loads(rows.loc[12, "list"]) == ["=1", ";-2"]
    assert plain_text(rows.loc[13, "big"]) == str(2**61)
    assert rows.loc[10, "setting.seed"] == 0.25
    assert rows.loc[10, "seed"] == 1010


def test_interval_and_floor_stand_beside_the_value(make_sweep: Sweep, make_trials: Trials) -> None:
    trial = make_trials()[0]
    *earlier, rung = trial.scores
    fd, *others = rung.measurements
    fd = fd.model_copy(update={"value": 4.0, "low": 2.5, "high": 4.5, "floor": 0.5})
    rung = rung.model_copy(update={"measurements": (fd, *others)})
    trial = trial.model_copy(update={"scores": (*earlier, rung)})
    table = results_table(compare(make_sweep(), [trial]))
    assert table.loc[0, f"{fd.name}_low"] == 2.5
    assert table.loc[0, f"{fd.name}_high"] == 4.5
    assert table.loc[0, f"{fd.name}_floor_corrected"] == 3.5
    assert pd.isna(table.loc[0, f"{others[0].name}_floor_corrected"])


def test_missing_measurement_is_blank(table: pd.DataFrame) -> None:
    is_blank = table.set_index("trial").isna()
    assert is_blank.loc["0001", "confident_fraction"]
    assert not is_blank.loc["0003", "confident_fraction"]
    assert is_blank.loc["0005", "fd_digits_classifier"]
    assert is_blank.loc["0005", "rank"]


@pytest.mark.parametrize("cause", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1"])
def test_formula_in_free_text_is_kept_as_text(
    cause: str, make_sweep: Sweep, make_trial: Make
) -> None:
    failed = make_trial(0, TrialState.FAILED, cause=cause)
    cell = results_table(compare(make_sweep(), [failed])).loc[0, "cause"]
    assert cell[0] in "'\""
    assert plain_text(cell) == cause


def test_integers_beside_absent_values_stay_integers(
    make_sweep: Sweep, make_trial: Make, tmp_path: Path
) -> None:
    trials = [make_trial(0, settings={"heads": 2}), make_trial(1, settings={})]
    path = tmp_path / "results.csv"
    write_results(compare(make_sweep(space=()), trials), path)
    with path.open(newline="") as file:
        assert [row["heads"] for row in csv.DictReader(file)] == ["2", ""]


def test_paths_are_relative_to_the_run_folder(table: pd.DataFrame) -> None:
    row = table.set_index("trial").loc["0003"]
    assert row["snapshot_path"] == "trials/0003/snapshot000060.safetensors"


def test_sweep_without_trials_is_a_header(make_sweep: Sweep, tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    write_results(compare(make_sweep(), []), path)
    assert path.read_text().startswith("trial,state,fd_digits_classifier,")
    assert pd.read_csv(path).empty


def test_findings_are_a_cell_of_text_and_blank_where_there_are_none(
    make_sweep: Sweep, make_trial: Make, tmp_path: Path
) -> None:
    findings = [
        TrialFinding(name="mode-collapse", kimg=12.0, message="…"),
        TrialFinding(name="discriminator-saturation", kimg=17.5, message="…"),
    ]
    path = tmp_path / "results.csv"
    write_results(compare(make_sweep(), [make_trial(0, findings=findings), make_trial(1)]), path)
    table = pd.read_csv(path, dtype={"trial": str}).set_index("trial")
    text = "mode collapse at 12 kimg; discriminator saturation at 17.5 kimg"
    assert table.loc["0000", "findings"] == text
    assert table.isna().loc["0001", "findings"]
