"""Augmentations: what each may change, and what it may not."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor

from transgan.config import AugmentationName
from transgan.training.augment import apply_augmentation, augment, draw_augmentation

NAMES = get_args(AugmentationName)


def translate(images: Tensor, rng: torch.Generator) -> Tensor:
    return augment(images, ("translation",), 1.0, rng)


def cutout(images: Tensor, rng: torch.Generator) -> Tensor:
    return augment(images, ("cutout",), 1.0, rng)


def jitter_color(images: Tensor, rng: torch.Generator) -> Tensor:
    return augment(images, ("color",), 1.0, rng)


def add_noise(images: Tensor, rng: torch.Generator) -> Tensor:
    return augment(images, ("noise",), 1.0, rng)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photos(num: int = 5, channels: int = 3, side: int = 16) -> Tensor:
    return torch.rand(num, channels, side, side, generator=rng(9)) * 0.9 + 0.05


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_gives_the_same_result_and_another_seed_another(name: AugmentationName) -> None:
    images = photos()
    first = augment(images, (name,), 1.0, rng(1))
    assert first.shape == images.shape
    assert torch.equal(first, augment(images, (name,), 1.0, rng(1)))
    assert not torch.equal(first, augment(images, (name,), 1.0, rng(2)))


@pytest.mark.parametrize("name", NAMES)
def test_each_image_has_its_own_draw(name: AugmentationName) -> None:
    same = photos(1).expand(31, -1, -1, -1)
    results = augment(same, (name,), 1.0, rng())
    assert len(results.flatten(1).unique(dim=0)) > 5


@pytest.mark.parametrize("name", NAMES)
def test_gradient_flows_back_to_the_images(name: AugmentationName) -> None:
    images = photos().requires_grad_(True)
    augment(images, (name,), 1.0, rng()).sum().backward()
    assert images.grad is not None
    assert (images.grad.flatten(1).abs().sum(dim=1) > 0).all()


def test_no_policy_changes_nothing() -> None:
    assert torch.equal(augment(photos(), (), 1.0, rng()), photos())


def test_policy_is_applied_in_the_order_given() -> None:
    images, drawn = photos(), rng()
    expected = jitter_color(cutout(images, drawn), drawn)
    assert torch.equal(augment(images, ("cutout", "color"), 1.0, rng()), expected)


def test_translation_shifts_by_up_to_an_eighth_and_fills_with_grey() -> None:
    image = photos(1, channels=2, side=16)
    padded = torch.nn.functional.pad(image, (2, 2, 2, 2))[0]
    windows = {
        (dy, dx): padded[:, dy : dy + 16, dx : dx + 16] for dy in range(5) for dx in range(5)
    }
    seen = set()
    for shifted in translate(image.expand(307, -1, -1, -1), rng()):
        fitting = [shift for shift, window in windows.items() if torch.equal(shifted, window)]
        assert len(fitting) == 1
        seen.add(fitting[0])
    assert seen == set(windows)


@pytest.mark.parametrize(("side", "length"), [(16, 8), (10, 5), (8, 4), (6, 3)])
def test_cutout_blanks_a_square_of_half_the_side_centred_anywhere(side: int, length: int) -> None:
    image = photos(1, side=side)
    results = cutout(image.expand(509, -1, -1, -1), rng())
    blank = (results == 0).all(dim=1)
    assert torch.equal(results, torch.where(blank[:, None], 0.0, image))
    rows, columns = blank.any(dim=2), blank.any(dim=1)
    assert torch.equal(blank, rows[:, :, None] & columns[:, None, :])
    for lines in (rows, columns):
        counts = lines.sum(dim=1)
        # A centre on the edge leaves half of the square inside.
        assert set(counts.tolist()) == set(range((length + 1) // 2, length + 1))
        edges = (lines[:, 1:] != lines[:, :-1]).sum(dim=1)
        assert edges.max() <= 2  # one stretch
        often = lines.float().mean(dim=0)
        torch.testing.assert_close(often, often.flip(0), rtol=0, atol=0.12)


def test_color_changes_brightness_and_contrast_of_one_channel_linearly() -> None:
    images = photos(53, channels=1)
    results = jitter_color(images, rng())
    spread = results.flatten(1).std(dim=1) / images.flatten(1).std(dim=1)
    moved = results.flatten(1).mean(dim=1) - images.flatten(1).mean(dim=1)
    assert 0.5 <= spread.min() < 0.6
    assert 1.4 < spread.max() <= 1.5 + 1e-5
    assert -0.5 - 1e-5 <= moved.min() < -0.4
    assert 0.4 < moved.max() <= 0.5 + 1e-5
    level = images.mean(dim=(1, 2, 3), keepdim=True)
    linear = (images - level) * spread.view(-1, 1, 1, 1) + level + moved.view(-1, 1, 1, 1)
    torch.testing.assert_close(results, linear)


def test_color_of_a_grey_image_in_three_channels_is_that_of_one_channel() -> None:
    grey = photos(7, channels=1)
    results = jitter_color(grey.expand(-1, 3, -1, -1), rng())
    torch.testing.assert_close(results, jitter_color(grey, rng()).expand(-1, 3, -1, -1))


def test_saturation_runs_from_none_to_double() -> None:
    images = photos(101)
    results = jitter_color(images, rng())

    def colourfulness(x: Tensor) -> Tensor:
        return (x - x.mean(dim=1, keepdim=True)).flatten(1).norm(dim=1)

    def contrast(x: Tensor) -> Tensor:
        return x.mean(dim=1).flatten(1).std(dim=1)

    ratio = colourfulness(results) / colourfulness(images) / (contrast(results) / contrast(images))
    assert ratio.min() < 0.1
    assert 1.9 < ratio.max() <= 2.001


def test_noise_is_gaussian_of_deviation_a_tenth() -> None:
    images = photos(31, channels=1)
    noise = add_noise(images, rng()) - images
    assert noise.std().item() == pytest.approx(0.1, rel=0.05)
    assert noise.mean().item() == pytest.approx(0, abs=0.005)
    assert (noise.abs() < 0.1).float().mean().item() == pytest.approx(0.683, abs=0.02)


def test_each_augmentation_reaches_the_share_of_images_that_it_should() -> None:
    images = torch.zeros(997, 1, 8, 8) - 1
    changed = augment(images, ("color",), 0.3, rng()) != images
    assert changed.flatten(1).any(dim=1).float().mean() == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("probability", [1.0, 0.5])
def test_parts_of_a_batch_come_out_as_in_the_whole(probability: float) -> None:
    images = photos(11)
    draws = draw_augmentation(NAMES, probability, (11, 3, 16, 16), rng())
    whole = apply_augmentation(images, draws)
    assert torch.equal(whole, augment(images, NAMES, probability, rng()))
    first, last = slice(2, 5), slice(7, 11)
    part = torch.cat([images[first], images[last]])
    result = apply_augmentation(part, tuple(draw.of(first, last) for draw in draws))
    torch.testing.assert_close(result, torch.cat([whole[first], whole[last]]))


@pytest.mark.parametrize("name", NAMES)
def test_real_and_fake_halves_of_a_batch_are_augmented_alike(name: AugmentationName) -> None:
    same = photos(1, channels=1, side=8).expand(2 * 4001, -1, -1, -1)
    real, fake = augment(same, (name,), 0.7, rng()).chunk(2)
    torch.testing.assert_close(real.mean(dim=0), fake.mean(dim=0), rtol=0, atol=0.03)
    torch.testing.assert_close(real.std(dim=0), fake.std(dim=0), rtol=0, atol=0.03)
