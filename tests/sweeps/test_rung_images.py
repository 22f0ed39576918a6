"""What a scoring leaves to be seen is a function of generator and seed, and finds copies."""

import numpy as np
import pytest
import torch
from PIL import Image

from evaluation.training_neighbours import TrainingNeighbours
from reports.nearest import closeness, read_nearest
from reports.run_folder import RunFolder, TrialFolder
from sweeps.rung_images import prepare_neighbours, save_nearest
from sweeps.trial import run_trial
from transgan.sampling import seeded_images
from transgan.training.checkpoint import load_snapshot

TILE = 9
"""Images of 8 pixels, and a gap."""


def tiles(path):
    sheet = np.asarray(Image.open(path)).astype(int)
    rows, columns = -(-sheet.shape[0] // TILE), -(-sheet.shape[1] // TILE)
    return [
        [sheet[r * TILE : r * TILE + 8, c * TILE : c * TILE + 8] for c in range(columns)]
        for r in range(rows)
    ]


@pytest.fixture
def neighbours(tmp_path, evaluator, data):
    return TrainingNeighbours.prepare(tmp_path, evaluator.extractor, data.train_images)


def test_trial_leaves_walks_and_strip_at_each_scoring_and_the_same_when_run_again(
    task, data, evaluator, neighbours, tmp_path
):
    task = task.model_copy(update={"rungs": (1.0, 2.0)})
    one, two = TrialFolder(tmp_path / "one"), TrialFolder(tmp_path / "two")
    for folder in (one, two):
        list(run_trial(task, data, evaluator, folder, neighbours=neighbours))
    for kimg in task.rungs:
        for of_one, of_two in (
            (one.interpolation(kimg), two.interpolation(kimg)),
            (one.nearest(kimg), two.nearest(kimg)),
            (one.nearest(kimg).with_suffix(".json"), two.nearest(kimg).with_suffix(".json")),
        ):
            assert of_one.read_bytes() == of_two.read_bytes()
    assert one.interpolation(1.0).read_bytes() != one.interpolation(2.0).read_bytes()


def test_walks_begin_and_end_at_the_grids_first_images(task, data, evaluator, tmp_path):
    folder = TrialFolder(tmp_path / "0000")
    list(run_trial(task, data, evaluator, folder))
    generator, _ = load_snapshot(folder.snapshot)
    images = seeded_images(generator, evaluator.protocol.seed)(range(8)).numpy().astype(int)[:, 0]
    walks = tiles(folder.interpolation(task.rungs[-1]))
    assert [len(row) for row in walks] == [9, 9, 9, 9]
    for row, walk in enumerate(walks):
        # Matrix products round differently by batch: at most one level of grey.
        assert np.abs(walk[0] - images[2 * row]).max() <= 1
        assert np.abs(walk[-1] - images[2 * row + 1]).max() <= 1


def test_strip_shows_copies_above_what_they_copy(data, evaluator, neighbours, tmp_path):
    run = RunFolder(tmp_path)
    evaluation = run.evaluation
    evaluation.mkdir()
    prepare_neighbours(run, evaluator, data)
    copied = [7, 100, 900]
    noise = torch.randint(0, 256, (61, 1, 8, 8), generator=torch.Generator().manual_seed(0)).byte()
    path = tmp_path / "nearest000001.png"
    save_nearest(torch.cat([noise, data.train_images[copied]]), neighbours, path)
    record = read_nearest(path.with_suffix(".json"))
    assert sorted(column.image for column in record.shown[:3]) == [61, 62, 63]
    assert sorted(column.training[0] for column in record.shown[:3]) == copied
    assert sorted(record.distances)[:8] == [column.distances[0] for column in record.shown]
    assert (record.num_shown_of, record.num_looked_among) == (64, 1197)
    columns = list(zip(*tiles(path), strict=True))
    assert [len(column) for column in columns] == [4] * 8
    for shown, column in zip(record.shown, columns, strict=True):
        for place, image in zip(shown.training, column[1:], strict=True):
            assert np.array_equal(image, data.train_images[place, 0].numpy())
    for top, nearest, *_ in columns[:3]:
        assert np.array_equal(top, nearest)


def test_memory_is_told_from_reality(data, evaluator, neighbours, tmp_path):
    run = RunFolder(tmp_path)
    run.evaluation.mkdir()
    prepare_neighbours(run, evaluator, data)
    held_out = read_nearest(run.nearest_reals.with_suffix(".json"))
    verdicts = {}
    for name, images in (
        ("copies", data.train_images[:64]),
        ("reals", data.held_out_images[100:164]),
    ):
        save_nearest(images, neighbours, tmp_path / f"{name}.png")
        found = closeness(read_nearest(tmp_path / f"{name}.json"), held_out)
        verdicts[name] = found.is_beyond_chance
    assert verdicts == {"copies": True, "reals": False}


def test_held_out_strip_is_made_once(data, evaluator, tmp_path):
    run = RunFolder(tmp_path)
    run.evaluation.mkdir()
    prepare_neighbours(run, evaluator, data)
    written = run.nearest_reals.stat().st_mtime_ns
    prepare_neighbours(run, evaluator, data)
    assert run.nearest_reals.stat().st_mtime_ns == written
