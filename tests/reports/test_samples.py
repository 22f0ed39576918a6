"""Sample images come from the run folder, or say why they don't."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reports import samples
from reports.build import build_report
from reports.comparison import compare
from reports.records import RungScores, SweepRecord, TrialRecord
from reports.run_folder import RunFolder
from reports.samples import Gallery, gallery

Trials = Callable[[], list[TrialRecord]]
Sweep = Callable[..., SweepRecord]


@pytest.fixture
def shown(run: RunFolder, make_sweep: Sweep, make_trials: Trials) -> Callable[[], Gallery]:
    """Makes the gallery of the nine trials."""
    return lambda: gallery(compare(make_sweep(), make_trials()), run)


def test_best_trials_stand_beside_the_real_images(shown: Callable[[], Gallery]) -> None:
    grids = shown().grids
    assert [grid.trial for grid in grids] == [None, "0003", "0001", "0000", "0007"]
    assert all(grid.image.uri.startswith("data:image/png;base64,") for grid in grids)
    assert grids[1].caption == "FD digits_classifier@1000 = 4.21 ± 0.31, 60 kimg"
    assert (grids[1].image.width, grids[1].image.is_crisp) == (71, True)


def test_films_show_the_ranked_trials_from_first_rung_to_last(shown: Callable[[], Gallery]) -> None:
    films = shown().films
    assert [film.trial for film in films] == ["0003", "0001", "0000", "0007", "0004", "0002"]
    assert [frame.kimg for frame in films[0].frames] == [20.0, 40.0, 60.0]
    assert films[0].frames[0].caption == "FD digits_classifier@1000 = 24.42 ± 0.31"
    assert [frame.kimg for frame in films[4].frames] == [20.0, 40.0]


def test_last_frame_is_in_the_page_once(shown: Callable[[], Gallery]) -> None:
    """As the grid of one of the best, and else in the film itself."""
    films = shown().films
    assert [film.frames[-1].image is None for film in films] == [True] * 4 + [False] * 2
    assert all(frame.image for film in films for frame in film.frames[:-1])


def test_frames_of_a_long_training_are_spread_evenly(
    run: RunFolder, make_sweep: Sweep, make_trial: Callable[..., TrialRecord]
) -> None:
    record = run.trial("0003").read()
    scores = tuple(record.scores[0].model_copy(update={"kimg": float(k)}) for k in range(1, 17))
    (film,) = gallery(compare(make_sweep(), [make_trial(3, scores=scores)]), run).films
    assert [frame.kimg for frame in film.frames] == [1, 4, 7, 10, 13, 16]


def test_copies_are_told_from_samples_as_far_as_real_images(shown: Callable[[], Gallery]) -> None:
    best, copying, *_ = shown().films
    assert best.closeness is not None
    assert copying.closeness is not None
    assert not best.closeness.is_beyond_chance
    assert copying.closeness.is_beyond_chance
    assert copying.nearest.distances == ("0.100",) * 8


def test_missing_or_broken_image_is_named(run: RunFolder, shown: Callable[[], Gallery]) -> None:
    run.reals.unlink()
    trial = run.trial("0003")
    (trial.path / "fakes000060.png").write_bytes(b"GIF89a")
    trial.interpolation(60).unlink()
    trial.nearest(60).with_suffix(".json").write_text("{")
    page = shown()
    real, best = page.grids[:2]
    assert real.image.missing_because == "reals.png is not in the run folder"
    assert best.image.missing_because == "fakes000060.png is not a PNG image"
    film = page.films[0]
    assert film.walks.missing_because == "interpolation000060.png is not in the run folder"
    assert film.nearest.image.missing_because == "nearest000060.json is damaged"
    assert film.closeness is None


def test_distances_without_those_of_held_out_images_are_not_judged(
    run: RunFolder, shown: Callable[[], Gallery]
) -> None:
    run.nearest_reals.with_suffix(".json").unlink()
    page = shown()
    assert page.films[0].closeness is None
    assert page.films[0].nearest.distances
    assert page.num_training is None


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
    grid = gallery(compare(make_sweep(), [trial]), run).grids[1]
    assert grid.image.uri == ""
    assert grid.image.missing_because == "the record names a file outside the run folder"


@pytest.mark.slow
def test_page_of_twelve_trials_is_light_however_heavy_their_images(
    run: RunFolder,
    make_sweep: Sweep,
    make_trial: Callable[..., TrialRecord],
    make_scores: Callable[..., tuple[RungScores, ...]],
) -> None:
    """Grids of 64 images of 32 pixels in colour, that compress no better than noise."""
    heavy = np.random.default_rng(0).integers(0, 256, (263, 263, 3), dtype=np.uint8)
    trials = [make_trial(number, scores=make_scores(5.0 + number)) for number in range(12)]
    Image.fromarray(heavy).save(run.reals)
    for record in trials:
        folder = run.trial(record.trial)
        folder.path.mkdir(exist_ok=True)
        folder.write(record)
        for rung in record.scores:
            for path in (folder.path / rung.fakes_path, folder.interpolation(rung.kimg)):
                path.write_bytes(run.reals.read_bytes())
    assert run.reals.stat().st_size > 200_000
    build_report(run.path)
    assert run.report.stat().st_size <= 6_000_000
    shown = gallery(compare(make_sweep(), trials), run)
    assert all(grid.image.uri for grid in shown.grids[:3])
    assert "the page is full" in str(shown.films[-1].walks.missing_because)


def test_page_that_is_full_names_what_it_left_out(
    shown: Callable[[], Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = shown()
    lengths = [len(grid.image.uri) * 3 // 4 for grid in whole.grids]
    monkeypatch.setattr(samples, "IMAGE_BYTES", sum(lengths[:3]))
    grids = shown().grids
    assert [bool(grid.image.uri) for grid in grids] == [True, True, True, False, False]
    assert grids[3].image.missing_because == (
        "the page is full; fakes000060.png is in the run folder"
    )
