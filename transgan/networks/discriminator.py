"""The multi-scale discriminator: a transformer that sees the image at several patch sizes.

Source: Jiang et al. 2021, arXiv:2102.07074, sec. 3.1 (multi-scale discriminator), fig. 2 right.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from transgan.network_config import DiscriminatorConfig
from transgan.networks.layers import Block, build_norm, normed, pool_tokens
from transgan.networks.linear import Linear
from transgan.networks.token_maps import token_maps


class PatchEmbedding(nn.Module):
    """Cut an image into square patches and project each to a token.

    With `overlapping` the patches are twice as wide as their distance.
    """

    def __init__(
        self, patch_size: int, image_channels: int, dim: int, *, overlapping: bool = False
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.overlapping = overlapping
        side = 2 * patch_size if overlapping else patch_size
        self.proj = Linear(image_channels * side**2, dim)

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch tokens dim"]:
        """Tokens in row order; equal to a convolution with the same weights, (c, y, x) in order."""
        B, C, H, W = images.shape
        P = self.patch_size
        if self.overlapping:
            return self.proj(F.unfold(images, 2 * P, stride=P, padding=P // 2).transpose(1, 2))
        patches = images.view(B, C, H // P, P, W // P, P).permute(0, 2, 4, 1, 3, 5)
        return self.proj(patches.reshape(B, (H // P) * (W // P), C * P * P))


class Discriminator(nn.Module):
    """Images (N, channels, H, W) in [-1, 1] units → logits (N,); larger means more real.

    Args:
        config: patches, channels, attention of each level.
        image_size: side of the images, in pixels.
        image_channels: channels of the images.
        activation_checkpointing: whether blocks are computed again for the gradient.
    """

    def __init__(
        self,
        config: DiscriminatorConfig,
        image_size: int,
        image_channels: int,
        *,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.config = config
        self.activation_checkpointing = activation_checkpointing
        self.patch_embeddings = nn.ModuleList()
        self.position_embeddings = nn.ParameterList()
        self.levels = nn.ModuleList()
        narrower = 0
        for level, (dim, width) in enumerate(
            zip(config.embed_dims, config.level_widths(image_size), strict=True)
        ):
            patches = PatchEmbedding(
                config.patch_size * 2**level,
                image_channels,
                dim - narrower,
                overlapping=config.overlapping_patches and not level,
            )
            self.patch_embeddings.append(patches)
            self.position_embeddings.append(nn.Parameter(torch.empty(1, width**2, dim)))
            blocks = [
                Block(
                    dim,
                    config.level_heads[level],
                    config.mlp_ratio,
                    config.norm,
                    window_size=window,
                    bias_width=(window or width) if config.relative_position_bias else None,
                    noise=config.noise,
                )
                for window in config.level_windows[level]
            ]
            self.levels.append(nn.ModuleList(blocks))
            narrower = dim
        self.class_token = nn.Parameter(torch.empty(1, 1, narrower))
        last = [
            Block(
                narrower,
                config.level_heads[-1],
                config.mlp_ratio,
                config.norm,
                window_size=None,
                bias_width=None,  # with the class token, tokens are no grid any more
                noise=config.noise,
            )
            for _ in range(config.last_depth)
        ]
        self.last_blocks = nn.ModuleList(last)
        self.norm = build_norm(config.norm, narrower)
        self.head = Linear(narrower, 1)
        self._init_weights(image_channels)

    def _init_weights(self, image_channels: int) -> None:
        """Weights at the start.

        | layer                           | distribution                      |
        |---------------------------------|-----------------------------------|
        | linear layers in blocks, head   | truncated normal, sd 0.02, bias 0 |
        | patch embedding                 | Xavier uniform · gain, bias 0     |
        | position embedding, class token | truncated normal, sd 0.02         |
        | relative bias table             | truncated normal, sd 0.02         |
        | noise strength                  | 0                                 |

        Xavier's fans of a patch embedding are those of a convolution, as in the authors' code: each
        tap of the kernel counts as an output.
        """
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for embedding in self.patch_embeddings:
            assert isinstance(embedding, PatchEmbedding)
            dim, fan_in = embedding.proj.weight.shape
            fan_out = dim * fan_in // image_channels
            reach = self.config.patch_gain * (6 / (fan_in + fan_out)) ** 0.5
            nn.init.uniform_(embedding.proj.weight, -reach, reach)
        for parameter in (*self.position_embeddings, self.class_token):
            nn.init.trunc_normal_(parameter, std=0.02)

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, " batch"]:
        """Logits of `images`."""
        # Images whose own gradient is asked for are those of a penalty, which has it differentiated
        # again. (Where that guess is wrong, the blocks' second derivative takes a forward pass.)
        compiling = torch.compiler.is_compiling()  # penalties never are
        twice = not compiling and images.requires_grad and images.is_leaf

        # Levels, each with a coarser view joined in
        x = self.patch_embeddings[0](images)  # B N C
        for level, (blocks, positions) in enumerate(
            zip(self.levels, self.position_embeddings, strict=True)
        ):
            if level:
                x = torch.cat([pool_tokens(x), self.patch_embeddings[level](images)], dim=-1)
            x = x + positions  # B N/4 C'
            assert isinstance(blocks, nn.ModuleList)
            for block in blocks:
                x = self._run(block, x, twice)

        # Class token, the only one whose way through the last block matters
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x], dim=1)
        *others, last = self.last_blocks
        for block in others:
            x = self._run(block, x, twice)
        x = last(x, first_only=True, twice=twice)
        return self.head(normed(self.norm, x[:, 0], twice)).squeeze(-1)

    def _run(self, block: nn.Module, x: Tensor, twice: bool) -> Tensor:
        if self.activation_checkpointing and torch.is_grad_enabled():
            again: Tensor = checkpoint(block, x, twice=twice, use_reentrant=False)
            return again
        out: Tensor = block(x, twice=twice)
        return out

    @property
    def feature_channels(self) -> tuple[int, ...]:
        """Channels of each of `feature_maps`."""
        return self.config.embed_dims

    @property
    def feature_strides(self) -> tuple[int, ...]:
        """Pixels of the image from one place of each of `feature_maps` to the next."""
        levels = range(len(self.config.depths))
        return tuple(self.config.patch_size * 2**level for level in levels)

    def feature_maps(self, images: Float[Tensor, "batch channels height width"]) -> list[Tensor]:
        """What it has made of `images` after each level, (N, C, H, W), fine to coarse."""
        return token_maps(self, images)
