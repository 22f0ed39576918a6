"""A classifier on the pooled features of all levels of a backbone."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from transgan.backbone import Levels


class PooledFeatures(nn.Module):
    """One vector an image: each level's map averaged to a small grid, all in a row.

    As Radford et al. 2016 (arXiv:1511.06434, sec. 5.1) have it, with averages for their maxima.
    """

    def __init__(self, levels: Levels, pooled_width: int) -> None:
        super().__init__()
        self.levels = levels
        widths = [min(pooled_width, levels.image_size // stride) for stride in levels.strides]
        self.widths = tuple(widths)
        self.dim = sum(
            channels * width**2 for channels, width in zip(levels.channels, widths, strict=True)
        )

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch dim"]:
        """Features of images in [-1, 1] units."""
        pooled = [
            F.adaptive_avg_pool2d(features, width).flatten(1)
            for features, width in zip(self.levels(images), self.widths, strict=True)
        ]
        return torch.cat(pooled, dim=1)


class Classifier(nn.Module):
    """Images (N, channels, H, W) in [-1, 1] units → logits (N, classes).

    Each feature is brought to zero mean and unit variance by the statistics of the training
    batches, so that features of any backbone come to the head at one scale (He et al. 2022,
    arXiv:2111.06377, appendix A.1, do so for their linear probes).

    Args:
        levels: the backbone.
        num_classes: how many there are.
        pooled_width: cells a side of the grid that each level is averaged to, at most.
        hidden_dim: channels of a hidden layer; None for a linear head.
    """

    def __init__(
        self, levels: Levels, num_classes: int, *, pooled_width: int, hidden_dim: int | None
    ) -> None:
        super().__init__()
        self.features = PooledFeatures(levels, pooled_width)
        self.norm = nn.BatchNorm1d(self.features.dim, affine=False)
        if hidden_dim is None:
            self.head: nn.Module = nn.Linear(self.features.dim, num_classes)
        else:
            self.head = nn.Sequential(
                nn.Linear(self.features.dim, hidden_dim),
                nn.GELU(),
                nn.Linear(hidden_dim, num_classes),
            )

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Logits of `images`."""
        logits: Tensor = self.head(self.norm(self.features(images)))
        return logits
