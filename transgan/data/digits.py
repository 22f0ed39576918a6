"""Handwritten digits that need no download."""

from __future__ import annotations

import numpy as np
import torch

from transgan.data.image_data import ImageData


def digits() -> ImageData:
    """The 1,797 handwritten digits of 8×8 pixels that scikit-learn carries: 1,197 + 600."""
    from sklearn.datasets import load_digits  # heavy, and wanted by this data set alone

    bunch = load_digits()
    images = torch.from_numpy((bunch.images * (255 / 16)).round().astype(np.uint8))[:, None]
    labels = torch.from_numpy(bunch.target.astype(np.int64))
    return ImageData.split("digits", images, labels, num_held_out=600)
