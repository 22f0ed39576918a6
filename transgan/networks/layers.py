"""The bricks both networks are built of: norms, MLP, blocks, and changes of a token grid's width.

Shapes: B batch, N tokens of a square grid (N = H·W), C channels.
Source: Jiang et al. 2021, arXiv:2102.07074, sec. 3.1 and 3.4.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from transgan.network_config import NormName
from transgan.networks import block
from transgan.networks.attention import Attention, CrossAttention
from transgan.networks.layer_norm import layer_norm
from transgan.networks.mlp import Mlp


class PixelNorm(nn.Module):
    """Scale each token to unit root mean square over its channels; no parameters (sec. 3.4)."""

    def forward(self, x: Float[Tensor, "*tokens dim"]) -> Float[Tensor, "*tokens dim"]:
        """Normalise `x` over its last axis."""
        return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + 1e-8)


def build_norm(name: NormName, dim: int) -> nn.Module:
    """The normalisation called `name`, for tokens of `dim` channels."""
    return PixelNorm() if name == "pixelnorm" else nn.LayerNorm(dim, eps=1e-5)


class Block(nn.Module):
    """One transformer encoder block, normalised before each branch (sec. 3.1).

    Args:
        dim: channels of the tokens.
        num_heads: attention heads; divides `dim`.
        mlp_ratio: hidden size of the MLP, in multiples of `dim`.
        norm: normalisation before each branch.
        window_size: side of attention windows; None for all to all.
        bias_width: side of the grid (or window) with a position bias; None for none.
        noise: whether noise joins what attention sees.
        source_dim: channels of the tokens that the block first attends to; None for none.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_ratio: float,
        norm: NormName,
        *,
        window_size: int | None,
        bias_width: int | None,
        noise: bool,
        source_dim: int | None = None,
    ) -> None:
        super().__init__()
        self.cross_attn = None if source_dim is None else CrossAttention(dim, source_dim, num_heads)
        self.norm1 = build_norm(norm, dim)
        self.attn = Attention(dim, num_heads, window_size, bias_width, noise)
        self.norm2 = build_norm(norm, dim)
        self.mlp = Mlp(dim, round(dim * mlp_ratio))

    def forward(
        self,
        x: Float[Tensor, "batch tokens dim"],
        source: Float[Tensor, "batch source_tokens source_dim"] | None = None,
        *,
        first_only: bool = False,
        twice: bool = False,
    ) -> Float[Tensor, "batch queries dim"]:
        """Attention and MLP, each added to what came in; with `first_only` the first token's.

        `twice` tells that a second derivative is to come, which is then cheaper.
        """
        if not twice and block.serves(self, x):
            return block.run_block(self, x, first_only=first_only)
        if self.cross_attn is not None:
            assert source is not None
            x = self.cross_attn(x, source)
        found = self.attn(normed(self.norm1, x, twice), first_only=first_only, twice=twice)
        x = (x[:, :1] if first_only else x) + found
        return self.mlp(normed(self.norm2, x, twice), x)


def normed(norm: nn.Module, x: Tensor, twice: bool) -> Tensor:
    """`x` normalised over its last axis; `twice` tells that a second derivative is to come."""
    if isinstance(norm, nn.LayerNorm):
        return layer_norm(x, norm.weight, norm.bias, norm.eps, twice=twice)
    out: Tensor = norm(x)
    return out


def pixel_shuffle_tokens(
    x: Float[Tensor, "batch tokens dim"],
) -> Float[Tensor, "batch more_tokens less_dim"]:
    """Turn each token of a square grid into 2×2 tokens of a quarter of its channels (sec. 3.1).

    Channel order as in `torch.nn.PixelShuffle`: (c, dy, dx), the offset running fastest.
    """
    B, N, C = x.shape
    width = round(N**0.5)
    # In two copies, each of long stretches: one alone takes several times as long on its way back.
    x = x.view(B, N, C // 4, 2, 2).permute(0, 1, 3, 4, 2).contiguous()  # B N 2 2 C/4
    x = x.view(B, width, width, 2, C // 2).transpose(2, 3)  # B H 2 W 2·C/4
    return x.reshape(B, 4 * N, C // 4)


def upsample_tokens(
    x: Float[Tensor, "batch tokens dim"],
) -> Float[Tensor, "batch more_tokens dim"]:
    """Bicubic interpolation to a grid twice as wide, channels kept (sec. 4.3, 256×256)."""
    B, N, C = x.shape
    width = round(N**0.5)
    grid = x.transpose(1, 2).reshape(B, C, width, width)
    return F.interpolate(grid, scale_factor=2, mode="bicubic").flatten(2).transpose(1, 2)


def pool_tokens(x: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch fewer_tokens dim"]:
    """Average each 2×2 neighbourhood of a square grid of tokens."""
    B, N, C = x.shape
    width = round(N**0.5)
    grid = x.transpose(1, 2).reshape(B, C, width, width)  # a view, in channels-last order
    return F.avg_pool2d(grid, 2).flatten(2).transpose(1, 2)


class Blur(nn.Module):
    """Bicubic interpolation to four times the width and back by averaging: a slight blur.

    The authors' CelebA-HQ generator does so before two of its pixel shuffles. As it is linear and
    separable, it is here one matrix for the rows and the same for the columns, without the grid of
    sixteen times as many tokens.
    """

    matrix: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        identity = torch.eye(width)[None, None]
        wide = F.interpolate(identity, scale_factor=(4, 1), mode="bicubic")
        self.register_buffer("matrix", F.avg_pool2d(wide, (4, 1))[0, 0], persistent=False)

    def forward(self, x: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch tokens dim"]:
        """`x` blurred."""
        B, N, C = x.shape
        width = len(self.matrix)
        x = self.matrix @ x.view(B, width, width * C)  # rows
        x = self.matrix @ x.view(B * width, width, C)  # columns
        return x.view(B, N, C)
