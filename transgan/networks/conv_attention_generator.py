"""The generator of the family conv-attention: blocks of attention, MLP and local convolutions.

Source: an article on TransGAN; `conv_attention_layers` says what of its sketches was mended.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from transgan.conv_attention_config import ConvAttentionGeneratorConfig
from transgan.networks.conv_attention_layers import (
    BatchNorm,
    GlobalBlock,
    LocalConvolution,
    unobserved,
)


class Stage(nn.Module):
    """One of the article's n blocks: a global layer, then local ones.

    Args:
        config: the generator's.
        stage: which of its stages, from 0.
    """

    def __init__(self, config: ConvAttentionGeneratorConfig, stage: int) -> None:
        super().__init__()
        dim = config.embed_dims[stage]
        self.attention = GlobalBlock(
            dim,
            config.stage_heads[stage],
            config.mlp_ratio,
            config.stage_widths[stage],
            config.key_width,
        )
        self.convolutions = nn.ModuleList(
            LocalConvolution(dim) for _ in range(config.depths[stage])
        )

    def forward(
        self, x: Float[Tensor, "batch dim height width"]
    ) -> Float[Tensor, "batch dim height width"]:
        """The grid after both."""
        x = self.attention(x)
        for convolution in self.convolutions:
            x = convolution(x)
        return x


class ConvAttentionGenerator(nn.Module):
    """z (N, latent_dim) or (N, latent_dim, 1, 1) → images (N, channels, H, W) in [-1, 1] units.

    Nothing clamps them.

    Args:
        config: depths, channels, attention of each stage.
        image_channels: channels of the images.
        activation_checkpointing: whether blocks are computed again for the gradient.
    """

    def __init__(
        self,
        config: ConvAttentionGeneratorConfig,
        image_channels: int,
        *,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        dims = config.embed_dims
        self.config = config
        self.latent_dim = config.latent_dim
        self.image_size = config.image_size
        self.activation_checkpointing = activation_checkpointing
        self.latent_to_grid = nn.ConvTranspose2d(config.latent_dim, dims[0], config.bottom_width)
        self.transitions = nn.ModuleList(
            nn.Conv2d(narrow, wide, 1) for narrow, wide in pairwise(dims)
        )
        self.stages = nn.ModuleList(Stage(config, stage) for stage in range(len(dims)))
        self.norm = BatchNorm(dims[-1])
        self.to_image = nn.Conv2d(dims[-1], image_channels, 3, padding=1)
        self._init_weights()

    def _init_weights(self) -> None:
        """Weights at the start.

        | layer                          | distribution                          |
        |--------------------------------|---------------------------------------|
        | latent to grid                 | normal, sd 1/√latent_dim, bias 0      |
        | convolution to pixels          | Xavier uniform, bias 0                |
        | scale of attention             | 1/√(channels a head)                  |
        | batch and layer norms          | weight 1, bias 0                      |
        | other convolutions and linears | PyTorch's default (Kaiming uniform)   |
        """
        nn.init.normal_(self.latent_to_grid.weight, std=self.latent_dim**-0.5)
        nn.init.xavier_uniform_(self.to_image.weight)
        for layer in (self.latent_to_grid, self.to_image):
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    @contextmanager
    def constant_noise(self) -> Iterator[None]:
        """Within it, an image depends on its latent alone; in this family it does anyway.

        In evaluation, that is: batch norm in training mode looks at the whole batch.
        """
        yield

    def forward(
        self, z: Float[Tensor, "batch latent_dim *ones"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Images for latents drawn from N(0, I)."""
        x = self.latent_to_grid(z.view(len(z), self.latent_dim, 1, 1))  # B C W W

        # Stages, each on a grid twice as wide
        for index, stage in enumerate(self.stages):
            if index:
                x = self._grown(self.transitions[index - 1](x))
            x = self._run(stage, x)

        # Grid to pixels
        image: Tensor = self.to_image(F.gelu(self.norm(x)))
        return image.tanh() if self.config.output == "tanh" else image

    def _grown(self, x: Tensor) -> Tensor:
        if self.config.upsampling == "bilinear":
            return F.interpolate(x, scale_factor=2, mode="bilinear")
        return F.interpolate(x, scale_factor=2, mode="nearest")

    def _run(self, stage: nn.Module, x: Tensor) -> Tensor:
        if not (self.activation_checkpointing and torch.is_grad_enabled()):
            out: Tensor = stage(x)
            return out

        if torch.compiler.is_compiling():  # which counts what a pass leaves behind once in any case
            compiled: Tensor = checkpoint(stage, x, use_reentrant=False)
            return compiled

        def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
            # What is computed again has been counted in the running averages already.
            return nullcontext(), unobserved(stage)

        again: Tensor = checkpoint(stage, x, use_reentrant=False, context_fn=contexts)
        return again
