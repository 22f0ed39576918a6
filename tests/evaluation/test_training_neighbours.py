"""A copy of a training image is found, and the features of these are taken once."""

import dataclasses

import numpy as np
import pytest
import torch

from evaluation import training_neighbours
from evaluation.reference import ReferenceFileError
from evaluation.training_neighbours import TRAINING_FILE, TrainingNeighbours


@pytest.fixture
def images():
    return torch.randint(0, 256, (53, 1, 8, 8), generator=torch.Generator().manual_seed(1)).byte()


def plain_nearest(asked, among, num_neighbours):
    """By all differences, without a formula."""
    distances = np.sqrt(((asked[:, None] - among[None]) ** 2).sum(axis=2))
    order = np.argsort(distances, axis=1)[:, :num_neighbours]
    return order, np.take_along_axis(distances, order, axis=1)


def test_copies_are_found_at_no_distance(tmp_path, images, extractor):
    neighbours = TrainingNeighbours.prepare(tmp_path, extractor, images)
    copied = [17, 3, 41]
    nearest = neighbours.nearest(images[copied], 2)
    assert nearest.indices[:, 0].tolist() == copied
    assert (nearest.distances[:, 0] < 1e-3 * nearest.distances[:, 1]).all()


def test_nearest_are_those_of_all_differences(tmp_path, images, extractor):
    neighbours = TrainingNeighbours.prepare(tmp_path, extractor, images)
    rng = np.random.default_rng(0)
    among = neighbours.reference.features
    # More than a block of distances.
    features = rng.normal(among.mean(), among.std(), (701, among.shape[1])).astype(np.float32)
    nearest = neighbours.nearest_to_features(features, 3)
    order, distances = plain_nearest(features.astype(float), among.astype(float), 3)
    assert np.array_equal(nearest.indices, order)
    assert nearest.distances == pytest.approx(distances, rel=1e-6)


def test_among_many_images_places_are_those_in_the_whole_set(
    tmp_path, images, extractor, monkeypatch
):
    chosen = np.array([2, 7, 19, 31, 47])
    monkeypatch.setattr(training_neighbours, "pairwise_subset", lambda number: chosen)
    neighbours = TrainingNeighbours.prepare(tmp_path, extractor, images)
    assert neighbours.num_looked_among == 5
    assert neighbours.nearest(images[[31, 2]], 1).indices[:, 0].tolist() == [31, 2]


def test_features_are_taken_once_and_loaded_then(tmp_path, images, extractor):
    made = TrainingNeighbours.prepare(tmp_path, extractor, images)
    written = (tmp_path / TRAINING_FILE).stat().st_mtime_ns
    again = TrainingNeighbours.prepare(tmp_path, extractor, images)
    assert (tmp_path / TRAINING_FILE).stat().st_mtime_ns == written
    loaded = TrainingNeighbours.load(tmp_path, extractor, images)
    assert made.reference.sha256 == again.reference.sha256 == loaded.reference.sha256


def test_features_of_other_images_or_half_a_file_are_taken_anew(tmp_path, images, extractor):
    TrainingNeighbours.prepare(tmp_path, extractor, images)
    others = TrainingNeighbours.prepare(tmp_path, extractor, 255 - images)
    assert others.nearest(255 - images[[5]], 1).indices[0, 0] == 5
    whole = (tmp_path / TRAINING_FILE).read_bytes()
    (tmp_path / TRAINING_FILE).write_bytes(whole[: len(whole) // 2])
    TrainingNeighbours.prepare(tmp_path, extractor, 255 - images)
    loaded = TrainingNeighbours.load(tmp_path, extractor, 255 - images)
    assert loaded.reference.sha256 == others.reference.sha256


def test_features_of_another_extractor_are_refused(tmp_path, images, extractor):
    TrainingNeighbours.prepare(tmp_path, extractor, images)
    other = dataclasses.replace(extractor, sha256="0" * 64)
    with pytest.raises(ReferenceFileError, match="was taken with extractor"):
        TrainingNeighbours.load(tmp_path, other, images)


def test_more_neighbours_than_images_are_refused(tmp_path, images, extractor):
    neighbours = TrainingNeighbours.prepare(tmp_path, extractor, images)
    with pytest.raises(ValueError, match="54 nearest training images were asked for, and there"):
        neighbours.nearest(images, 54)
