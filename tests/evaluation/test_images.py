"""What counts as a batch of images, and how floats become uint8."""

from __future__ import annotations

import pytest
import torch

from evaluation.images import ImagesError, check_images, check_units, to_uint8


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(2, 3, 8, 8), "must be uint8 in 0..255, got torch.float32"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), r"must have shape \(N, C, H, W\).*\(3, 8, 8\)"),
        (
            torch.zeros(2, 8, 8, 3, dtype=torch.uint8),
            r"must .* 1 or 3 channels, got \(2, 8, 8, 3\)",
        ),
        (torch.zeros(0, 3, 8, 8, dtype=torch.uint8), "must .* N at least 1"),
    ],
)
def test_what_is_not_a_set_of_images_is_refused(images: torch.Tensor, message: str) -> None:
    with pytest.raises(ImagesError, match="the pictures " + message):
        check_images(images, "the pictures")


def test_rounding_gives_every_grey_level_back_and_is_the_trainers() -> None:
    from transgan.images import to_float
    from transgan.images import to_uint8 as to_uint8_of_the_trainer

    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    assert torch.equal(to_uint8(to_float(levels), "levels"), levels)
    drawn = torch.randn(7, 3, 11, 13, generator=torch.Generator().manual_seed(0))
    assert torch.equal(to_uint8(drawn, "drawn"), to_uint8_of_the_trainer(drawn))


def test_rounding_is_to_the_nearest_and_clamps() -> None:
    values = torch.tensor([-9.0, -1.0, -1 + 0.49 / 127.5, -1 + 0.51 / 127.5, 1.0, 9.0])
    assert to_uint8(values.view(1, 1, 1, 6), "values").flatten().tolist() == [0, 0, 0, 1, 255, 255]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_no_numbers_are_counted_and_the_first_is_named(value: float) -> None:
    images = torch.zeros(11, 1, 3, 5)
    images[[4, 7], 0, 2, 4] = value
    with pytest.raises(
        ImagesError, match=r"2 of images 100 to 110 hold NaN.* image 104 is the fir"
    ):
        to_uint8(images, "the pictures", start=100)


def test_pixels_kept_as_floats_are_not_taken_for_white() -> None:
    with pytest.raises(ImagesError, match="floats from 0 to 255, and floats are taken to be in"):
        check_units(torch.arange(256.0).view(1, 1, 16, 16), "the pictures")
