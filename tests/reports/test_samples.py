"""Sample images come from the run folder, or say why they don't."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from reports.comparison import compare
from reports.records import RungScores, SweepRecord, TrialRecord
from reports.run_folder import RunFolder
from reports.samples import best_trial_stages, sample_grids

Trials = Callable[[], list[TrialRecord]]
Sweep = Callable[..., SweepRecord]


def test_best_trials_stand_beside_the_real_images(
    run: RunFolder, make_sweep: Sweep, make_trials: Trials
) -> None:
    grids = sample_grids(compare(make_sweep(), make_trials()), run)
    assert [grid.trial for grid in grids] == [None, "0003", "0001", "0000", "0007"]
    assert all(grid.uri.startswith("data:image/png;base64,") for grid in grids)
    assert grids[1].caption == "FD digits_classifier@1000 = 4.21 ± 0.31, 60 kimg"
    assert (grids[1].width, grids[1].is_crisp) == (71, True)


def test_stages_show_the_best_trial_from_first_rung_to_last(
    run: RunFolder, make_sweep: Sweep, make_trials: Trials
) -> None:
    stages = best_trial_stages(compare(make_sweep(), make_trials()), run)
    assert [stage.title for stage in stages] == ["20 kimg", "40 kimg", "60 kimg"]


def test_missing_or_broken_image_is_named(
    run: RunFolder, make_sweep: Sweep, make_trials: Trials
) -> None:
    run.reals.unlink()
    (run.trial("0003").path / "fakes000060.png").write_bytes(b"GIF89a")
    real, best = sample_grids(compare(make_sweep(), make_trials()), run)[:2]
    assert real.missing_because == "reals.png is not in the run folder"
    assert best.missing_because == "fakes000060.png is not a PNG image"


def test_record_that_points_out_of_the_run_folder_is_refused(
    run: RunFolder,
    tmp_path: Path,
    make_sweep: Sweep,
    make_trial: Callable[..., TrialRecord],
    make_scores: Callable[..., tuple[RungScores, ...]],
) -> None:
    (tmp_path / "secret.png").write_bytes(run.reals.read_bytes())
    scores = make_scores(5.0)
    last = scores[-1].model_copy(update={"fakes_path": "../../../secret.png"})
    trial = make_trial(0, scores=(*scores[:-1], last))
    grid = sample_grids(compare(make_sweep(), [trial]), run)[1]
    assert grid.uri == ""
    assert grid.missing_because == "the record names a file outside the run folder"
