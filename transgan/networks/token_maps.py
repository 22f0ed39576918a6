"""The token grids that a transformer discriminator has after each level, as images of features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn

from transgan.networks.layers import pool_tokens

if TYPE_CHECKING:
    from transgan.networks.discriminator import Discriminator


def token_maps(
    discriminator: Discriminator, images: Float[Tensor, "batch channels height width"]
) -> list[Tensor]:
    """What `discriminator` has made of `images` after each level, (N, C, H, W), fine to coarse.

    The way is that of its forward pass up to the class token.
    """
    x = discriminator.patch_embeddings[0](images)  # B N C
    maps = []
    for level, (blocks, positions) in enumerate(
        zip(discriminator.levels, discriminator.position_embeddings, strict=True)
    ):
        if level:
            coarser = discriminator.patch_embeddings[level](images)
            x = torch.cat([pool_tokens(x), coarser], dim=-1)
        x = x + positions  # B N/4 C'
        assert isinstance(blocks, nn.ModuleList)
        for block in blocks:
            x = block(x)
        width = round(x.shape[1] ** 0.5)
        maps.append(x.transpose(1, 2).unflatten(2, (width, width)))  # B C H W
    return maps
