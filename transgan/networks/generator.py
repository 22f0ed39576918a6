"""The generator: from a latent vector through growing grids of tokens to an image.

Source: Jiang et al. 2021, arXiv:2102.07074, sec. 3.1, fig. 2 left.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from transgan.config import GeneratorConfig
from transgan.networks.layers import Block, pixel_shuffle_tokens


class Generator(nn.Module):
    """z (N, latent_dim) → images (N, channels, H, W) in [-1, 1] units, which nothing clamps."""

    def __init__(self, config: GeneratorConfig, image_channels: int) -> None:
        super().__init__()
        dims, widths = config.stage_dims, []
        self.latent_dim = config.latent_dim
        self.bottom_tokens = config.bottom_width**2
        self.latent_to_tokens = nn.Linear(config.latent_dim, self.bottom_tokens * dims[0])
        self.position_embeddings = nn.ParameterList()
        self.stages = nn.ModuleList()
        for stage, (dim, depth) in enumerate(zip(dims, config.depths, strict=True)):
            width = config.bottom_width * 2**stage
            widths.append(width)
            self.position_embeddings.append(nn.Parameter(torch.empty(1, width**2, dim)))
            blocks = [
                Block(dim, config.num_heads, config.mlp_ratio, config.norm, width)
                for _ in range(depth)
            ]
            self.stages.append(nn.Sequential(*blocks))
        self.tokens_to_image = nn.Linear(dims[-1], image_channels)
        self.image_size = widths[-1]
        self.output = config.output
        self._init_weights()

    def _init_weights(self) -> None:
        """Weights at the start.

        | layer               | distribution                        |
        |---------------------|-------------------------------------|
        | position embedding  | truncated normal, sd 0.02           |
        | relative bias table | truncated normal, sd 0.02           |
        | tokens to image     | Xavier uniform, bias 0              |
        | other linear layers | PyTorch's default (Kaiming uniform) |
        """
        for embedding in self.position_embeddings:
            nn.init.trunc_normal_(embedding, std=0.02)
        nn.init.xavier_uniform_(self.tokens_to_image.weight)
        nn.init.zeros_(self.tokens_to_image.bias)

    def forward(
        self, z: Float[Tensor, "batch latent_dim"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Images for latents drawn from N(0, I)."""
        # Latent to the bottom grid
        x = self.latent_to_tokens(z).view(len(z), self.bottom_tokens, -1)  # B N C

        # Stages, each on a grid twice as wide
        for stage, (blocks, positions) in enumerate(
            zip(self.stages, self.position_embeddings, strict=True)
        ):
            if stage:
                x = pixel_shuffle_tokens(x)  # B 4N C/4
            x = blocks(x + positions)

        # Tokens to pixels
        image = self.tokens_to_image(x)  # B H·W channels
        if self.output == "tanh":
            image = image.tanh()
        return image.transpose(1, 2).reshape(len(z), -1, self.image_size, self.image_size)
