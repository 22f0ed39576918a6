"""Real images for the ladder: many, different, and the same each time."""

from __future__ import annotations

import pytest
import torch

from evaluation.agreement.real_images import degraded, digit_sets, mixed_images


def test_digits_come_in_two_parts_that_share_no_place() -> None:
    digits = digit_sets()
    assert (len(digits.training), len(digits.labels), len(digits.reference)) == (1197, 1197, 600)
    assert digits.training.dtype == torch.uint8
    assert int(digits.training.max()) == 255


@pytest.mark.slow
@pytest.mark.parametrize("size", [32, 64, 512])
def test_mixed_images_differ_from_each_other_and_not_from_call_to_call(size: int) -> None:
    images = mixed_images(6, size, seed=3)
    assert images.shape == (6, 3, size, size)
    assert torch.equal(images, mixed_images(6, size, seed=3))
    assert len({image.numpy().tobytes() for image in images}) == 6
    # Digits are grey, photographs are not.
    coloured = [not torch.equal(image[0], image[2]) for image in images]
    assert coloured == [False, True] * 3


def test_degraded_images_are_darker_in_every_third_column() -> None:
    images = digit_sets().reference[:7]
    darker = degraded(images)
    assert torch.equal(darker[..., ::3], images[..., ::3] // 2)
    assert torch.equal(darker[..., 1::3], images[..., 1::3])
