"""The third rung passes TensorFlow 1's resizing, and fails the one that most libraries have."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from evaluation.agreement.resize import resize, tensorflow_resized


def test_our_resizing_passes() -> None:
    assert [check.outcome for check in resize()] == ["passed"] * 3


def test_half_pixel_centres_fail_at_every_size() -> None:
    def half_pixel(images: Tensor, size: int) -> Tensor:
        return F.interpolate(images.float(), (size, size), mode="bilinear", align_corners=False)

    assert [check.outcome for check in resize(half_pixel)] == ["failed"] * 3


def test_resizing_is_off_by_the_position_that_the_rule_gives() -> None:
    ramp = np.arange(4, dtype=np.uint8).reshape(1, 1, 1, 4).repeat(4, axis=2)
    row = tensorflow_resized(ramp, 8)[0, 0, 0]
    # Output pixel i lies at i/2, and beyond the last input pixel there is only that pixel.
    assert row.tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3]


def test_resizing_to_the_same_size_changes_nothing() -> None:
    images = torch.randint(0, 256, (2, 3, 13, 13), dtype=torch.uint8)
    assert np.array_equal(tensorflow_resized(images.numpy(), 13), images.numpy())
