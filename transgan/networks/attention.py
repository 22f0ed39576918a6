"""Multi-head attention: over a grid or its windows, with a bias for each offset, or across tokens.

Shapes: B batch, N tokens of a square grid (N = W²), C channels, A heads, D = C/A channels a head.
Sources: Jiang et al. 2021, arXiv:2102.07074, sec. 3.2 (grid self-attention) and 3.4; the relative
position bias is that of Liu et al. 2021, arXiv:2103.14030, eq. 4.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from transgan.networks.attend import attend
from transgan.networks.linear import Linear
from transgan.networks.position_bias import position_bias, position_index
from transgan.networks.self_attention import self_attention


class NoiseInjection(nn.Module):
    """Adds to each token one number of N(0, 1), the same for all channels, at a learned strength.

    It comes from torch's default generator, also in eval mode (as in the authors' code), unless
    `constant` is set: then each position has its own number, the same in every image and call.
    """

    def __init__(self) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(()))
        self.constant = False

    def forward(
        self, x: Float[Tensor, "batch tokens dim"], window_size: int | None
    ) -> Float[Tensor, "batch tokens dim"]:
        """`x` with noise; drawn window by window, as the authors' code draws it."""
        B, N, _ = x.shape
        if self.constant:
            rng = torch.Generator().manual_seed(N)
            noise = torch.randn(1, N, 1, generator=rng).to(x)
        elif window_size is None:
            noise = torch.randn(B, N, 1, device=x.device, dtype=x.dtype)
        else:
            windows = N // window_size**2
            noise = torch.randn(B * windows, window_size**2, 1, device=x.device, dtype=x.dtype)
            noise = from_windows(noise, window_size, N)
        return x + noise * self.strength


class Attention(nn.Module):
    """Multi-head self-attention: softmax(q kᵀ / √D + bias) v, with q, k, v from one projection.

    Args:
        dim: channels of the tokens.
        num_heads: attention heads; divides `dim`.
        window_size: side of the square windows within which tokens attend; None for all to all.
        bias_width: side of the grid (or window) whose offsets have a learned bias; None for none.
        noise: whether noise joins the tokens first.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        window_size: int | None,
        bias_width: int | None,
        noise: bool,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.window_size = window_size
        self.bias_width = bias_width
        self.qkv = Linear(dim, 3 * dim, bias=False)
        self.proj = Linear(dim, dim)
        self.bias_table: nn.Parameter | None = None
        if bias_width is not None:
            self.bias_table = nn.Parameter(torch.empty((2 * bias_width - 1) ** 2, num_heads))
            nn.init.trunc_normal_(self.bias_table, std=0.02)
            position_index(bias_width)
        self.noise = NoiseInjection() if noise else None

    def position_bias(self) -> Float[Tensor, "heads queries keys"]:
        """The bias for each query and key, from the table of offsets (dy, dx)."""
        assert self.bias_table is not None
        assert self.bias_width is not None
        return position_bias(self.bias_table, self.bias_width)

    def forward(
        self,
        x: Float[Tensor, "batch tokens dim"],
        *,
        first_only: bool = False,
        twice: bool = False,
    ) -> Float[Tensor, "batch queries dim"]:
        """Let every token attend to all in its window; with `first_only` the first one alone.

        `twice` tells that a second derivative is to come, which is then cheaper.
        """
        N = x.shape[1]
        if self.noise is not None:
            x = self.noise(x, self.window_size)
        bias = None if self.bias_table is None else self.position_bias()
        if self.window_size is not None:
            x = to_windows(x, self.window_size)
        found = self_attention(
            x,
            self.qkv.weight,
            bias,
            self.proj.weight,
            self.proj.bias,
            self.num_heads,
            first_only=first_only,
            twice=twice,
        )
        return found if self.window_size is None else from_windows(found, self.window_size, N)


class CrossAttention(nn.Module):
    """Lets tokens attend to tokens of another kind, and adds what they find to them.

    The authors' CelebA-HQ generator has it in each block, before self-attention and without a norm
    of its own; the paper speaks of self-modulation.
    """

    def __init__(self, dim: int, source_dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q = Linear(dim, dim, bias=False)
        self.k = Linear(source_dim, dim, bias=False)
        self.v = Linear(source_dim, dim, bias=False)
        self.proj = Linear(dim, dim)

    def forward(
        self,
        x: Float[Tensor, "batch tokens dim"],
        source: Float[Tensor, "batch source_tokens source_dim"],
    ) -> Float[Tensor, "batch tokens dim"]:
        """`x` plus what it finds in `source`."""
        q, k, v = (
            layer(tokens).view(*tokens.shape[:2], self.num_heads, -1).transpose(1, 2)
            for layer, tokens in ((self.q, x), (self.k, source), (self.v, source))
        )
        return x + self.proj(attend(q, k, v, None).transpose(1, 2).flatten(2))


def to_windows(
    x: Float[Tensor, "batch tokens dim"], window_size: int
) -> Float[Tensor, "windows window_tokens dim"]:
    """Cut the grid of tokens into square windows, each a batch entry of its own, in row order."""
    B, N, C = x.shape
    S = window_size
    per_row = round(N**0.5) // S
    x = x.view(B, per_row, S, per_row, S, C).transpose(2, 3)  # B R R S S C
    return x.reshape(B * per_row**2, S * S, C)


def from_windows(
    windows: Float[Tensor, "windows window_tokens dim"], window_size: int, tokens: int
) -> Float[Tensor, "batch tokens dim"]:
    """Put windows back into grids of `tokens` tokens; the inverse of `to_windows`."""
    S, C = window_size, windows.shape[-1]
    per_row = round(tokens**0.5) // S
    x = windows.view(-1, per_row, per_row, S, S, C).transpose(2, 3)  # B R S R S C
    return x.reshape(-1, tokens, C)
