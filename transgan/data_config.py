"""Which images a sweep is about, and at which size.

This module is light (no torch), so that a spec can be checked at once.
"""

from __future__ import annotations

from typing import NamedTuple, Self

from pydantic import Field, model_validator

from transgan.frozen_model import FrozenModel


class _Sizes(NamedTuple):
    """Sides that the images of a data set can have, in pixels."""

    default: int
    smallest: int
    largest: int


# What is resized is never enlarged: STL-10 is 96×96, the middle of CelebA's aligned images 178×178,
# and half a photograph 320 wide.
_OWN_SIZES = {
    "digits": _Sizes(8, 8, 8),
    "photos": _Sizes(32, 4, 320),
    "digit-scenes": _Sizes(64, 32, 320),
    "cifar10": _Sizes(32, 32, 32),
    "stl10": _Sizes(48, 4, 96),
    "celeba": _Sizes(64, 4, 178),
}
DATA_SETS = tuple(_OWN_SIZES)
"""Names of the data sets that are known; any other name is a path."""


class DataConfig(FrozenModel):
    """Which images, and at which size."""

    name: str = Field(min_length=1)
    """`digits`, `photos`, `digit-scenes`, `cifar10`, `stl10`, `celeba`, or the path of a folder or
    zip file of images (`./photos` for a folder that is called like a data set), or of annotations
    in COCO's format (`.json`), whose images lie beside them. A relative path goes by the working
    folder, not by the spec's; a resume looks there again."""
    image_size: int | None = Field(None, ge=4, le=1024)
    """Side of the images, in pixels. Needed for files; by default 8 for digits, 32 for photos
    (at most 320) and cifar10, 48 for stl10 (at most 96), 64 for celeba (at most 178) and
    digit-scenes (32 to 320)."""

    @property
    def channels(self) -> int:
        """Channels of the images; files are read as RGB."""
        return 1 if self.name == "digits" else 3

    @property
    def resolved_size(self) -> int:
        """Side of the images, in pixels, also where the data set has its own."""
        return self.image_size or _OWN_SIZES[self.name].default

    @model_validator(mode="after")
    def _size_is_known(self) -> Self:
        if not self.name.strip():
            raise ValueError(
                f"name is blank, got {self.name!r}; give a path, or one of {', '.join(DATA_SETS)}"
            )
        own = _OWN_SIZES.get(self.name)
        if own is None:
            if self.image_size is None:
                raise ValueError(
                    f"image_size is missing: {self.name} is no data set with a size of its own "
                    f"({', '.join(DATA_SETS)}), so say the size to use, such as 32"
                )
        elif not own.smallest <= self.resolved_size <= own.largest:
            if own.smallest == own.largest:
                raise ValueError(
                    f"{self.name} is {own.default}×{own.default}, got image_size "
                    f"{self.image_size}; leave it out"
                )
            raise ValueError(
                f"{self.name} gives images of {own.smallest}×{own.smallest} to "
                f"{own.largest}×{own.largest}, got image_size {self.image_size}; say "
                f"{own.smallest} to {own.largest}"
            )
        return self
