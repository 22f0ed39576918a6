"""What is to be detected in an image: boxes and labels."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float32, Int64
from torch import Tensor


class Objects(NamedTuple):
    """The objects of one image."""

    boxes: Float32[Tensor, "objects 4"]
    """Left, top, right and bottom edge, in pixels of the image."""
    labels: Int64[Tensor, " objects"]
    """Classes, from 0."""
