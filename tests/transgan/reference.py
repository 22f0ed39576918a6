"""A plain TransGAN: the oracle our networks and training step are compared with.

Written from the paper (Jiang et al. 2021, arXiv:2102.07074, sec. 3.1 and 3.4) and a description of
the authors' code, in the plainest torch there is: attention spelled out, position bias gathered in
each pass, grids pooled and shuffled as NCHW, one pass of the discriminator for each batch it sees.
It is slow on purpose: what is fast in `transgan` is right when it gives what this gives.

Shapes: B batch, N tokens of a square grid, C channels, A heads, D channels of a head.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from transgan.config import TrainingConfig


class ChannelNorm(nn.Module):
    """Divide each token by the root mean square of its channels."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(torch.mean(x**2, dim=2, keepdim=True) + 1e-8)


def make_norm(name: str, dim: int) -> nn.Module:
    return {"layernorm": nn.LayerNorm(dim, eps=1e-5), "pixelnorm": ChannelNorm()}[name]


class PlainAttention(nn.Module):
    """softmax(q kᵀ · D^-½ + bias) v over all tokens; `width` 0 for none of the bias."""

    index: Tensor

    def __init__(self, dim: int, num_heads: int, width: int) -> None:
        super().__init__()
        self.num_heads, self.width = num_heads, width
        self.to_qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim)
        if width:
            span = 2 * width - 1
            self.table = nn.Parameter(torch.zeros(span * span, num_heads))
            numbers = [
                [(y - v + width - 1) * span + (x - u + width - 1) for v, u in _cells(width)]
                for y, x in _cells(width)
            ]
            self.register_buffer("index", torch.tensor(numbers), persistent=False)  # N N

    def forward(self, x: Tensor) -> Tensor:
        B, N, C = x.shape
        D = C // self.num_heads
        qkv = self.to_qkv(x).reshape(B, N, 3, self.num_heads, D).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]  # B A N D
        logits = (q @ k.transpose(-2, -1)) * D**-0.5  # B A N N
        if self.width:
            bias = self.table[self.index.reshape(-1)].reshape(N, N, self.num_heads)
            logits = logits + bias.permute(2, 0, 1).contiguous().unsqueeze(0)
        mixed = logits.softmax(dim=-1) @ v  # B A N D
        return self.out(mixed.transpose(1, 2).reshape(B, N, C))


def _cells(width: int) -> list[tuple[int, int]]:
    return [(row, column) for row in range(width) for column in range(width)]


class PlainBlock(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)), the MLP with exact GELU."""

    def __init__(self, dim: int, num_heads: int, mlp_ratio: float, norm: str, width: int) -> None:
        super().__init__()
        self.norm_a = make_norm(norm, dim)
        self.attention = PlainAttention(dim, num_heads, width)
        self.norm_b = make_norm(norm, dim)
        self.widen = nn.Linear(dim, round(dim * mlp_ratio))
        self.narrow = nn.Linear(round(dim * mlp_ratio), dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm_a(x))
        hidden = self.widen(self.norm_b(x))
        hidden = hidden * 0.5 * (1.0 + torch.erf(hidden / math.sqrt(2.0)))
        return x + self.narrow(hidden)


class PlainGenerator(nn.Module):
    """z (B, latent_dim) → images (B, channels, H, W)."""

    def __init__(
        self,
        latent_dim: int,
        bottom_width: int,
        embed_dim: int,
        depths: tuple[int, ...],
        num_heads: int,
        mlp_ratio: float,
        norm: str,
        tanh: bool,
        channels: int,
    ) -> None:
        super().__init__()
        self.bottom_width, self.tanh = bottom_width, tanh
        self.enter = nn.Linear(latent_dim, bottom_width**2 * embed_dim)
        self.positions = nn.ParameterList()
        self.stages = nn.ModuleList()
        for stage, depth in enumerate(depths):
            width, dim = bottom_width * 2**stage, embed_dim // 4**stage
            self.positions.append(nn.Parameter(0.02 * torch.randn(1, width**2, dim)))
            self.stages.append(
                nn.Sequential(
                    *(PlainBlock(dim, num_heads, mlp_ratio, norm, width) for _ in range(depth))
                )
            )
        self.to_pixels = nn.Conv2d(embed_dim // 4 ** (len(depths) - 1), channels, 1)

    def forward(self, z: Tensor) -> Tensor:
        B, width = len(z), self.bottom_width
        x = self.enter(z).view(B, width**2, -1)
        for stage, positions in enumerate(self.positions):
            if stage:
                grid = x.permute(0, 2, 1).reshape(B, -1, width, width)
                grid = nn.functional.pixel_shuffle(grid, 2)
                width *= 2
                x = grid.view(B, -1, width**2).permute(0, 2, 1)
            x = x + positions
            x = self.stages[stage](x)
        images = self.to_pixels(x.permute(0, 2, 1).reshape(B, -1, width, width))
        return images.tanh() if self.tanh else images


class PlainDiscriminator(nn.Module):
    """Images (B, channels, H, W) → logits (B,)."""

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        embed_dims: tuple[int, ...],
        depths: tuple[int, ...],
        last_depth: int,
        num_heads: int,
        mlp_ratio: float,
        norm: str,
        channels: int,
    ) -> None:
        super().__init__()
        self.views = nn.ModuleList()
        self.positions = nn.ParameterList()
        self.levels = nn.ModuleList()
        for level, (dim, depth) in enumerate(zip(embed_dims, depths, strict=True)):
            patch = patch_size * 2**level
            width = image_size // patch
            own = dim - (embed_dims[level - 1] if level else 0)
            self.views.append(nn.Conv2d(channels, own, patch, stride=patch))
            self.positions.append(nn.Parameter(0.02 * torch.randn(1, width**2, dim)))
            self.levels.append(
                nn.Sequential(
                    *(PlainBlock(dim, num_heads, mlp_ratio, norm, width) for _ in range(depth))
                )
            )
        last = embed_dims[-1]
        self.token = nn.Parameter(0.02 * torch.randn(1, 1, last))
        self.end = nn.ModuleList(
            PlainBlock(last, num_heads, mlp_ratio, norm, 0) for _ in range(last_depth)
        )
        self.norm = make_norm(norm, last)
        self.logit = nn.Linear(last, 1)

    def forward(self, images: Tensor) -> Tensor:
        B = len(images)
        views = [view(images).flatten(2).permute(0, 2, 1) for view in self.views]  # B N C each
        x = views[0]
        for level, positions in enumerate(self.positions):
            if level:
                width = math.isqrt(x.shape[1])
                grid = x.permute(0, 2, 1).reshape(B, -1, width, width)
                pooled = nn.functional.avg_pool2d(grid, 2).flatten(2).permute(0, 2, 1)
                x = torch.cat([pooled, views[level]], dim=-1)
            x = x + positions
            x = self.levels[level](x)
        x = torch.cat([self.token.expand(B, -1, -1), x], dim=1)
        for block in self.end:
            x = block(x)
        return self.logit(self.norm(x)[:, 0]).view(-1)


def plain_generator(config: TrainingConfig) -> PlainGenerator:
    """The generator that `config` describes, with weights of no account."""
    values = config.generator
    return PlainGenerator(
        values.latent_dim,
        values.bottom_width,
        values.embed_dim,
        values.depths,
        values.num_heads,
        values.mlp_ratio,
        values.norm,
        values.output == "tanh",
        config.image_channels,
    )


def plain_discriminator(config: TrainingConfig) -> PlainDiscriminator:
    """The discriminator that `config` describes, with weights of no account."""
    values = config.discriminator
    return PlainDiscriminator(
        config.image_size,
        values.patch_size,
        values.embed_dims,
        values.depths,
        values.last_depth,
        values.num_heads,
        values.mlp_ratio,
        values.norm,
        config.image_channels,
    )


# Patterns of names, ours and the authors', and what they are called here.
_IN_BLOCK = [
    (r"\.norm1\.(norm\.)?", ".norm_a."),
    (r"\.norm2\.(norm\.)?", ".norm_b."),
    (r"\.attn\.qkv\.", ".attention.to_qkv."),
    (r"\.attn\.proj\.", ".attention.out."),
    (r"\.attn\.(bias_table|relative_position_bias_table)$", ".attention.table"),
    (r"\.mlp\.fc1\.", ".widen."),
    (r"\.mlp\.fc2\.", ".narrow."),
]
_OURS = [
    (r"^latent_to_tokens\.", "enter."),
    (r"^position_embeddings\.", "positions."),
    (r"^tokens_to_image\.", "to_pixels."),
    (r"^patch_embeddings\.(\d+)\.proj\.", r"views.\1."),
    (r"^class_token$", "token"),
    (r"^last_blocks\.", "end."),
    (r"^head\.", "logit."),
]
_AUTHORS = [
    (r"^l1\.", "enter."),
    (r"^blocks\.block\.", "stages.0."),
    (r"^upsample_blocks\.0\.block\.", "stages.1."),
    (r"^upsample_blocks\.1\.block\.", "stages.2."),
    (r"^deconv\.0\.", "to_pixels."),
    (r"^pos_embed_1$", "positions.0"),
    (r"^pos_embed_2$", "positions.1"),
    (r"^pos_embed_3$", "positions.2"),
    (r"^fRGB_1\.", "views.0."),
    (r"^fRGB_2\.", "views.1."),
    (r"^blocks_1\.", "levels.0."),
    (r"^blocks_2\.", "levels.1."),
    (r"^cls_token$", "token"),
    (r"^last_block\.", "end."),
    (r"^norm\.norm\.", "norm."),
    (r"^head\.", "logit."),
]


def name_from_ours(name: str) -> str:
    """What the parameter that `transgan.networks` calls `name` is called here."""
    return _rename(name, _OURS + _IN_BLOCK)


def name_from_authors(name: str) -> str:
    """What the parameter that the authors' CIFAR-10 networks call `name` is called here."""
    return _rename(name, _AUTHORS + _IN_BLOCK)


def _rename(name: str, patterns: list[tuple[str, str]]) -> str:
    for pattern, replacement in patterns:
        name = re.sub(pattern, replacement, name)
    return name


def copy_weights(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Set all parameters of `module`; kernels that came flat get their shape here."""
    shapes = {name: parameter.shape for name, parameter in module.named_parameters()}
    shaped = {name: value.reshape(shapes[name]) for name, value in weights.items()}
    module.load_state_dict(shaped, strict=True)
