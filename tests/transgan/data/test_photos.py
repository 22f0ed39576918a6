"""Photos: crops that can be had again, and splits that share no pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from transgan.data import load_data
from transgan.data.photos import FILES, Crop, Photos
from transgan.data_config import DataConfig


def area(crops: list[Crop]) -> np.ndarray:
    """Which pixels of the photographs any of the crops covers."""
    covered = np.zeros((2, 427, 640), bool)
    for crop in crops:
        rows, columns = (slice(at, at + crop.side) for at in (crop.top, crop.left))
        covered[crop.photo, rows, columns] = True
    return covered


@pytest.mark.slow
@pytest.mark.parametrize("size", [7, 32, 128, 129, 213, 214, 256, 320])
def test_crops_to_train_on_and_held_out_share_no_pixel_and_none_is_enlarged(size: int) -> None:
    crops = Photos(size).crops
    assert len(crops) == 12_000
    train, held_out = area(crops[:10_000]), area(crops[10_000:])
    assert not (train & held_out).any()
    assert min(crop.side for crop in crops) >= size
    for covered in (train, held_out):
        assert (covered.mean(axis=(1, 2)) > 0.25).all()
    assert (train | held_out).mean() > 0.9


@pytest.mark.slow
def test_photos_are_the_same_each_time() -> None:
    data = load_data(DataConfig(name="photos"))
    assert data.train_images.shape == (10_000, 3, 32, 32)
    assert data.held_out_images.shape == (2_000, 3, 32, 32)
    assert data.name == "photos"
    assert Photos(32).crops == Photos(32).crops
    again = Photos(32)
    for position in (0, 7919, 9_999):
        assert np.array_equal(again.picture(position).pixels, data.train_images[position])
    assert np.array_equal(again.picture(10_000 + 1_013).pixels, data.held_out_images[1_013])


@pytest.mark.slow
def test_label_says_which_photograph_and_crop_shows_it() -> None:
    data, crops = load_data(DataConfig(name="photos", image_size=7)), Photos(7).crops
    assert data.train_labels is not None
    assert data.train_labels.bincount().min() > 4_500
    photos = [Image.fromarray(load_sample_image(file)) for file in FILES]
    for number in range(0, 10_000, 997):
        crop = crops[number]
        assert data.train_labels[number] == crop.photo
        box = (crop.left, crop.top, crop.left + crop.side, crop.top + crop.side)
        expected = photos[crop.photo].crop(box)
        if crop.mirrored:
            expected = expected.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        expected = expected.resize((7, 7), Image.Resampling.LANCZOS)
        shown = data.train_images[number].permute(1, 2, 0)
        assert torch.equal(shown, torch.from_numpy(np.array(expected)))


def test_half_of_the_crops_are_mirrored() -> None:
    share = np.mean([crop.mirrored for crop in Photos(32).crops])
    assert share == pytest.approx(0.5, abs=0.02)
