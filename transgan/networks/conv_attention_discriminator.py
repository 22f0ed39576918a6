"""The discriminator of the family conv-attention: it sees the image at several resolutions.

Source: an article on TransGAN: n residual blocks, each a standard convolution and a global
attention layer. It prints no class for it; `conv_attention_layers` says what of its attention was
mended. There is no batch norm here: gradient penalties are about what one image's logit says of
that image, and batch norm makes it depend on the others (Gulrajani et al. 2017, arXiv:1704.00028,
sec. 4).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from transgan.conv_attention_config import ConvAttentionDiscriminatorConfig
from transgan.networks.conv_attention_layers import GlobalAttention, to_grid, to_places


class ResidualBlock(nn.Module):
    """A convolution of each neighbourhood and a global attention layer, each added (the article).

    Args:
        dim: channels.
        num_heads: attention heads; divides `dim`.
        width: side of the grid.
        key_width: side of the grid that keys and values are averaged to; None for no averages.
    """

    def __init__(self, dim: int, num_heads: int, width: int, key_width: int | None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(dim, dim, 3, padding=1)
        self.norm = nn.LayerNorm(dim)
        self.attn = GlobalAttention(dim, num_heads, width, key_width)

    def forward(
        self, x: Float[Tensor, "batch dim height width"]
    ) -> Float[Tensor, "batch dim height width"]:
        """The grid after both."""
        x = x + self.conv(F.gelu(x))
        places = to_places(x)
        return to_grid(places + self.attn(self.norm(places)), x)


class ConvAttentionDiscriminator(nn.Module):
    """Images (N, channels, H, W) in [-1, 1] units → logits (N,); larger means more real.

    Weights start as PyTorch has them (Kaiming uniform), the scales of attention at 1/√D.

    Args:
        config: channels, depths, attention of each level.
        image_size: side of the images, in pixels.
        image_channels: channels of the images.
        activation_checkpointing: whether blocks are computed again for the gradient.
    """

    def __init__(
        self,
        config: ConvAttentionDiscriminatorConfig,
        image_size: int,
        image_channels: int,
        *,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        dims = config.embed_dims
        self.config = config
        self.activation_checkpointing = activation_checkpointing
        patch = config.patch_size
        # Patches of one or two pixels are seen with their neighbourhood.
        side, padding = (3, 1) if patch < 3 else (patch, 0)
        self.from_image = nn.Conv2d(image_channels, dims[0], side, stride=patch, padding=padding)
        self.views = nn.ModuleList(nn.Conv2d(image_channels, dim, 3, padding=1) for dim in dims[1:])
        self.transitions = nn.ModuleList(
            nn.Conv2d(narrow, wide, 1) for narrow, wide in pairwise(dims)
        )
        self.levels = nn.ModuleList()
        for level, (dim, width) in enumerate(
            zip(dims, config.level_widths(image_size), strict=True)
        ):
            heads = config.level_heads[level]
            self.levels.append(
                nn.ModuleList(
                    ResidualBlock(dim, heads, width, config.key_width)
                    for _ in range(config.depths[level])
                )
            )
        self.norm = nn.LayerNorm(dims[-1])
        self.head = nn.Linear(dims[-1], 1)

    @property
    def feature_channels(self) -> tuple[int, ...]:
        """Channels of each of `feature_maps`."""
        return self.config.embed_dims

    @property
    def feature_strides(self) -> tuple[int, ...]:
        """Pixels of the image from one place of each of `feature_maps` to the next."""
        return tuple(self.config.patch_size * 2**level for level in range(len(self.levels)))

    def feature_maps(self, images: Float[Tensor, "batch channels height width"]) -> list[Tensor]:
        """What each level makes of `images`, (N, channels, H, W), finest first."""
        maps: list[Tensor] = []
        x = self.from_image(images)  # B C W W
        for level, blocks in enumerate(self.levels):
            if level:
                # Half the resolution, where the image itself is looked at anew
                S = self.config.patch_size * 2**level
                view = self.views[level - 1](F.avg_pool2d(images, S))
                x = F.avg_pool2d(self.transitions[level - 1](x), 2) + view
            assert isinstance(blocks, nn.ModuleList)
            for block in blocks:
                x = self._run(block, x)
            maps.append(x)
        return maps

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, " batch"]:
        """Logits of `images`."""
        x = self.feature_maps(images)[-1]
        pooled = F.gelu(self.norm(to_places(x))).mean(dim=1)  # B C
        logits: Tensor = self.head(pooled)
        return logits.squeeze(-1)

    def _run(self, block: nn.Module, x: Tensor) -> Tensor:
        if self.activation_checkpointing and torch.is_grad_enabled():
            again: Tensor = checkpoint(block, x, use_reentrant=False)
            return again
        out: Tensor = block(x)
        return out
