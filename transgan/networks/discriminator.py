"""The multi-scale discriminator: a transformer that sees the image at several patch sizes.

Source: Jiang et al. 2021, arXiv:2102.07074, sec. 3.1 (multi-scale discriminator), fig. 2 right.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from transgan.config import DiscriminatorConfig
from transgan.networks.layers import Block, build_norm


class PatchEmbedding(nn.Module):
    """Cut an image into square patches and project each to a token."""

    def __init__(self, patch_size: int, image_channels: int, dim: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Linear(image_channels * patch_size**2, dim)

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch tokens dim"]:
        """Tokens in row order; equal to a convolution whose stride is its kernel size."""
        B, C, H, W = images.shape
        P = self.patch_size
        patches = images.view(B, C, H // P, P, W // P, P).permute(0, 2, 4, 1, 3, 5)
        return self.proj(patches.reshape(B, (H // P) * (W // P), C * P * P))


class Discriminator(nn.Module):
    """Images (N, channels, H, W) in [-1, 1] units → logits (N,); larger means more real."""

    def __init__(self, config: DiscriminatorConfig, image_size: int, image_channels: int) -> None:
        super().__init__()
        self.patch_embeddings = nn.ModuleList()
        self.position_embeddings = nn.ParameterList()
        self.levels = nn.ModuleList()
        self.grid_widths = []
        narrower = 0
        for level, (dim, depth) in enumerate(zip(config.embed_dims, config.depths, strict=True)):
            patch_size = config.patch_size * 2**level
            width = image_size // patch_size
            self.grid_widths.append(width)
            self.patch_embeddings.append(PatchEmbedding(patch_size, image_channels, dim - narrower))
            self.position_embeddings.append(nn.Parameter(torch.empty(1, width**2, dim)))
            blocks = [
                Block(dim, config.num_heads, config.mlp_ratio, config.norm, width)
                for _ in range(depth)
            ]
            self.levels.append(nn.Sequential(*blocks))
            narrower = dim
        self.class_token = nn.Parameter(torch.empty(1, 1, narrower))
        last = [
            Block(narrower, config.num_heads, config.mlp_ratio, config.norm, None)
            for _ in range(config.last_depth)
        ]
        self.last_blocks = nn.Sequential(*last)
        self.norm = build_norm(config.norm, narrower)
        self.head = nn.Linear(narrower, 1)
        self._init_weights()

    def _init_weights(self) -> None:
        """Weights at the start.

        | layer                           | distribution                      |
        |---------------------------------|-----------------------------------|
        | linear layers in blocks, head   | truncated normal, sd 0.02, bias 0 |
        | patch embedding                 | Xavier uniform, bias 0            |
        | position embedding, class token | truncated normal, sd 0.02         |
        | relative bias table             | truncated normal, sd 0.02         |
        """
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for embedding in self.patch_embeddings:
            assert isinstance(embedding, PatchEmbedding)
            nn.init.xavier_uniform_(embedding.proj.weight)
        for parameter in (*self.position_embeddings, self.class_token):
            nn.init.trunc_normal_(parameter, std=0.02)

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, " batch"]:
        """Logits of `images`."""
        # Levels, each with a coarser view joined in
        x = self.patch_embeddings[0](images)  # B N C
        for level, (blocks, positions) in enumerate(
            zip(self.levels, self.position_embeddings, strict=True)
        ):
            if level:
                view = self.patch_embeddings[level](images)
                pooled = _pool_tokens(x, self.grid_widths[level - 1])
                x = torch.cat([pooled, view], dim=-1)  # B N/4 C'
            x = blocks(x + positions)

        # Class token
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x], dim=1)  # B 1+N C
        x = self.last_blocks(x)
        return self.head(self.norm(x[:, 0])).squeeze(-1)


def _pool_tokens(
    x: Float[Tensor, "batch tokens dim"], width: int
) -> Float[Tensor, "batch fewer_tokens dim"]:
    """Average each 2×2 neighbourhood of a `width`×`width` grid of tokens."""
    B, _, C = x.shape
    grid = x.transpose(1, 2).reshape(B, C, width, width)
    return F.avg_pool2d(grid, 2).flatten(2).transpose(1, 2)
