"""The bricks both networks are built of: attention with relative position bias, blocks, norms.

Shapes: B batch, N tokens of a square grid (N = H·W), C channels, A heads.
Sources: Jiang et al. 2021, arXiv:2102.07074, sec. 3.1 and 3.4; the relative position bias is that
of Liu et al. 2021, arXiv:2103.14030, eq. 4, with one window over the whole grid.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from transgan.config import NormName


class PixelNorm(nn.Module):
    """Scale each token to unit root mean square over its channels; no parameters (sec. 3.4)."""

    def forward(self, x: Float[Tensor, "*tokens dim"]) -> Float[Tensor, "*tokens dim"]:
        """Normalise `x` over its last axis."""
        return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + 1e-8)


def build_norm(name: NormName, dim: int) -> nn.Module:
    """The normalisation called `name`, for tokens of `dim` channels."""
    return PixelNorm() if name == "pixelnorm" else nn.LayerNorm(dim, eps=1e-5)


def relative_position_index(width: int) -> Int[Tensor, "tokens tokens"]:
    """For each pair of tokens of a `width`×`width` grid, the number of their offset (dy, dx).

    Offsets run from -(width-1) to width-1 in each direction, so there are (2·width-1)² of them.
    """
    positions = torch.arange(width * width)
    rows, columns = positions // width, positions % width
    dy = rows[:, None] - rows[None, :] + width - 1
    dx = columns[:, None] - columns[None, :] + width - 1
    return dy * (2 * width - 1) + dx


class Attention(nn.Module):
    """Multi-head self-attention; over a grid it adds a learned bias for each offset and head.

    softmax(q kᵀ / √d + bias) v, with q, k, v from one projection without bias.
    `grid_width=None` leaves the position bias out, for token sets that are not a grid.
    """

    relative_index: Tensor

    def __init__(self, dim: int, num_heads: int, grid_width: int | None) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.scale = (dim // num_heads) ** -0.5
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.proj = nn.Linear(dim, dim)
        self.bias_table: nn.Parameter | None = None
        if grid_width is not None:
            self.bias_table = nn.Parameter(torch.empty((2 * grid_width - 1) ** 2, num_heads))
            nn.init.trunc_normal_(self.bias_table, std=0.02)
            index = relative_position_index(grid_width)
            self.register_buffer("relative_index", index.flatten(), persistent=False)

    def position_bias(self, num_tokens: int) -> Float[Tensor, "heads tokens tokens"]:
        """The bias added to the attention logits."""
        assert self.bias_table is not None
        bias = self.bias_table.t().index_select(1, self.relative_index)
        return bias.view(self.num_heads, num_tokens, num_tokens)

    def forward(self, x: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch tokens dim"]:
        """Let every token attend to all."""
        B, N, C = x.shape
        q, k, v = self.qkv(x).view(B, N, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)  # B A N C/A
        logits = (q * self.scale) @ k.transpose(-2, -1)  # B A N N
        if self.bias_table is not None:
            logits = logits + self.position_bias(N)
        out = logits.softmax(dim=-1) @ v  # B A N C/A
        return self.proj(out.transpose(1, 2).reshape(B, N, C))


class Mlp(nn.Module):
    """Two linear layers with GELU between."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, dim)

    def forward(self, x: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch tokens dim"]:
        """Transform each token by itself."""
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """One transformer encoder block, normalised before each branch (sec. 3.1)."""

    def __init__(
        self, dim: int, num_heads: int, mlp_ratio: float, norm: NormName, grid_width: int | None
    ) -> None:
        super().__init__()
        self.norm1 = build_norm(norm, dim)
        self.attn = Attention(dim, num_heads, grid_width)
        self.norm2 = build_norm(norm, dim)
        self.mlp = Mlp(dim, round(dim * mlp_ratio))

    def forward(self, x: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch tokens dim"]:
        """Attention and MLP, each added to what came in."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


def pixel_shuffle_tokens(
    x: Float[Tensor, "batch tokens dim"],
) -> Float[Tensor, "batch more_tokens less_dim"]:
    """Turn each token of a square grid into 2×2 tokens of a quarter of its channels (sec. 3.1).

    Channel order as in `torch.nn.PixelShuffle`: (c, dy, dx), the offset running fastest.
    """
    B, N, C = x.shape
    width = round(N**0.5)
    x = x.view(B, width, width, C // 4, 2, 2).permute(0, 1, 4, 2, 5, 3)  # B H 2 W 2 C/4
    return x.reshape(B, 4 * N, C // 4)
