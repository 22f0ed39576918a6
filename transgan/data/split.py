"""Which images are held out: the same ones each time, each class in its proportion."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Int64
from torch import Tensor


def held_out_mask(
    num_images: int, labels: Int64[Tensor, " num_images"] | None, num_held_out: int
) -> Bool[Tensor, " num_images"]:
    """True at `num_held_out` of `num_images` images, drawn from a fixed seed."""
    order = torch.from_numpy(np.random.default_rng(0).permutation(num_images))
    if labels is not None:
        # Sorted by class and cut evenly: every class gives its share.
        by_class = order[labels[order].argsort(stable=True)]
        order = by_class[torch.arange(num_held_out) * num_images // num_held_out]
    mask = torch.zeros(num_images, dtype=torch.bool)
    mask[order[:num_held_out]] = True
    return mask
