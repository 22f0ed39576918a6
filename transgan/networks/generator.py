"""The generator: stages of transformer blocks on ever wider grids of ever narrower tokens.

Source: Jiang et al. 2021, arXiv:2102.07074, sec. 3.1, fig. 2 left; at 256×256 sec. 3.2 and 4.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from transgan.network_config import GeneratorConfig
from transgan.networks.attention import NoiseInjection
from transgan.networks.layers import Block, Blur, pixel_shuffle_tokens, upsample_tokens
from transgan.networks.linear import Linear


class Generator(nn.Module):
    """z (N, latent_dim) → images (N, channels, H, W) in [-1, 1] units, which nothing clamps.

    Args:
        config: depths, channels, attention of each stage.
        image_channels: channels of the images.
        activation_checkpointing: whether blocks are computed again for the gradient.
    """

    def __init__(
        self,
        config: GeneratorConfig,
        image_channels: int,
        *,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        dims, widths = config.stage_dims, config.stage_widths
        self.config = config
        self.latent_dim = config.latent_dim
        self.image_size = config.image_size
        self.activation_checkpointing = activation_checkpointing
        self.bottom_tokens = config.bottom_width**2
        self.latent_to_tokens = Linear(config.latent_dim, self.bottom_tokens * dims[0])
        self.latent_to_source: nn.Linear | None = None
        self.source_positions: nn.Parameter | None = None
        if config.cross_attention:
            self.latent_to_source = Linear(config.latent_dim, self.bottom_tokens * dims[0])
            self.source_positions = nn.Parameter(torch.empty(1, self.bottom_tokens, dims[0]))
        self.position_embeddings = nn.ParameterList()
        self.stages = nn.ModuleList()
        self.blurs = nn.ModuleList()
        first_blurred = len(dims) - config.blurred_upsamplings
        for stage, (dim, width) in enumerate(zip(dims, widths, strict=True)):
            self.position_embeddings.append(nn.Parameter(torch.empty(1, width**2, dim)))
            window = config.stage_windows[stage]
            blocks = [
                Block(
                    dim,
                    config.stage_heads[stage],
                    config.mlp_ratio,
                    config.norm,
                    window_size=window,
                    bias_width=(window or width) if config.relative_position_bias else None,
                    noise=config.noise,
                    source_dim=dims[0] if config.cross_attention else None,
                )
                for _ in range(config.depths[stage])
            ]
            self.stages.append(nn.ModuleList(blocks))
            blurred = stage >= first_blurred
            self.blurs.append(Blur(width // 2) if blurred else nn.Identity())
        self.tokens_to_image = Linear(dims[-1], image_channels)
        self._init_weights()

    def _init_weights(self) -> None:
        """Weights at the start.

        | layer               | distribution                        |
        |---------------------|-------------------------------------|
        | position embedding  | truncated normal, sd 0.02           |
        | relative bias table | truncated normal, sd 0.02           |
        | tokens to image     | Xavier uniform, bias 0              |
        | noise strength      | 0                                   |
        | other linear layers | PyTorch's default (Kaiming uniform) |
        """
        for embedding in self.position_embeddings:
            nn.init.trunc_normal_(embedding, std=0.02)
        if self.source_positions is not None:
            nn.init.trunc_normal_(self.source_positions, std=0.02)
        nn.init.xavier_uniform_(self.tokens_to_image.weight)
        nn.init.zeros_(self.tokens_to_image.bias)

    @contextmanager
    def constant_noise(self) -> Iterator[None]:
        """Within it, an image depends on its latent alone, not on its place in the batch."""
        injections = [module for module in self.modules() if isinstance(module, NoiseInjection)]
        for injection in injections:
            injection.constant = True
        try:
            yield
        finally:
            for injection in injections:
                injection.constant = False

    def forward(
        self, z: Float[Tensor, "batch latent_dim"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Images for latents drawn from N(0, I)."""
        # Latent to the bottom grid, and to what blocks attend to
        x = self.latent_to_tokens(z).view(len(z), self.bottom_tokens, -1)  # B N C
        source = None
        if self.latent_to_source is not None:
            source = self.latent_to_source(z).view(x.shape) + self.source_positions

        # Stages, each on a grid twice as wide
        for stage, (blocks, positions, blur) in enumerate(
            zip(self.stages, self.position_embeddings, self.blurs, strict=True)
        ):
            if stage and self.config.upsamplings[stage - 1] == "bicubic":
                x = upsample_tokens(blur(x))  # B 4N C
            elif stage:
                x = pixel_shuffle_tokens(blur(x))  # B 4N C/4
            x = x + positions
            assert isinstance(blocks, nn.ModuleList)
            for block in blocks:
                if self.activation_checkpointing and torch.is_grad_enabled():
                    x = checkpoint(block, x, source, use_reentrant=False)
                else:
                    x = block(x, source)

        # Tokens to pixels
        image = self.tokens_to_image(x)  # B H·W channels
        if self.config.output == "tanh":
            image = image.tanh()
        return image.transpose(1, 2).reshape(len(z), -1, self.image_size, self.image_size)
