"""Third rung: the resizing in front of Inception against TensorFlow 1's rule, written in numpy."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float32, Float64, UInt8
from torch import Tensor

from evaluation import fidelity
from evaluation.agreement.check import Check, Rung, measured
from evaluation.agreement.real_images import mixed_images

Resize = Callable[[UInt8[Tensor, "N C H W"], int], Float32[Tensor, "N C size size"]]

RUNG: Rung = "resize"
INCEPTION_SIZE = 299
SIZES = (32, 64, 512)
BOUND = 1e-6
"""On the largest difference of a pixel, relative to white."""


def resize(function: Resize = fidelity.resize_like_tensorflow) -> Iterator[Check]:
    """The rung's checks of `function`, from three sizes to Inception's."""
    for size in SIZES:
        images = mixed_images(4, size, seed=size)
        ours = function(images, INCEPTION_SIZE).double().numpy()
        theirs = tensorflow_resized(images.numpy(), INCEPTION_SIZE)
        yield measured(
            RUNG,
            f"{size} → {INCEPTION_SIZE} pixels, TensorFlow 1's rule in numpy",
            float(np.abs(ours - theirs).max() / 255),
            BOUND,
        )


def tensorflow_resized(
    images: UInt8[np.ndarray, "N C H W"], size: int
) -> Float64[np.ndarray, "N C size size"]:
    """Bilinear resizing by the rule of TensorFlow 1's `resize_bilinear(align_corners=False)`.

    Output pixel i lies at input position i·(input size / output size), so that the first pixels
    coincide and no half pixel is added; nothing is averaged when an image shrinks. Positions are in
    float32, as in TensorFlow's kernel.
    """
    pixels = images.astype(np.float64)
    for axis in (2, 3):
        length = pixels.shape[axis]
        position = np.arange(size, dtype=np.float32) * np.float32(length / size)
        low = np.floor(position).astype(np.int64)
        high = np.minimum(low + 1, length - 1)
        weight = (position - low.astype(np.float32)).astype(np.float64)
        shape = [1, 1, 1, 1]
        shape[axis] = size
        weight = weight.reshape(shape)
        lower, upper = pixels.take(low, axis=axis), pixels.take(high, axis=axis)
        pixels = lower * (1 - weight) + upper * weight
    return pixels
