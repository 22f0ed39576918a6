"""The bricks of the family conv-attention, after three sketches in an article on TransGAN.

Shapes: B batch, C channels, H = W side of a square grid, N = H·W its places, A heads.

The article sketches three classes, none of which runs as printed. What was mended, and why:

- `Block(dim)`: 3×3 convolution without bias, batch norm, residual. Here `LocalConvolution`. A GELU
  stands before the convolution, as in pre-activation residual networks (He et al. 2016,
  arXiv:1603.05027, sec. 3): without any, several in a row would be little more than one linear map.
- `Attention(dim)`: q, k and v from one 1×1 convolution, a learned scale for each channel in place
  of 1/√D, softmax, output of the input's shape. Here `GlobalAttention`. The printed reshapes mix
  channels with places, so that the products don't fit; here the product is over the channels of a
  head, the softmax over places. The printed average pool would shrink what the residual is to be
  added to; averaged here are keys and values alone, where there are too many (below). The heads,
  which the sketch takes and never uses, are used, and a projection joins them again.
- `TransGANBlock(dim, head=4)`: layer norm, attention, residual, layer norm, MLP of 4× width with
  GELU, residual. Here `GlobalBlock`. The printed layer norm is over an axis that is not the
  channels'; here it is over the channels of each place.

All places attend to all at a cost of N², which nobody can pay at 1024×1024 (N = 2²⁰). Beyond
`key_width` a side, keys and values are averages over squares of places: each place still sees the
whole image, at N·M for a fixed M = `key_width`². So do Wang et al. 2021, arXiv:2102.12122, sec. 3.2
(spatial-reduction attention), and, by a factor of two, the authors of self-attention GANs in their
code (Zhang et al. 2018, arXiv:1805.08318). No table of weights is kept at that size (`attend`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from transgan.networks.attend import attend
from transgan.networks.linear import Linear, linear
from transgan.networks.mlp import Mlp


class BatchNorm(nn.Module):
    """Batch normalisation of each channel (Ioffe & Szegedy 2015, arXiv:1502.03167).

    In training by the mean and variance of the rows that go through at once (a microbatch, or what
    one of several processes has of a batch), in evaluation by their running averages. Unlike
    torch's, the averages can be left alone (`unobserved`).
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, dim: int, *, momentum: float = 0.1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))
        self.register_buffer("running_mean", torch.zeros(dim))
        self.register_buffer("running_var", torch.ones(dim))
        self.momentum = momentum
        self.observes = True

    def forward(
        self, x: Float[Tensor, "batch dim height width"]
    ) -> Float[Tensor, "batch dim height width"]:
        """`x` with each channel at a learned mean and deviation."""
        momentum = self.momentum if self.observes else 0.0
        buffers = (self.running_mean, self.running_var)
        return F.batch_norm(x, *buffers, self.weight, self.bias, self.training, momentum)


@contextmanager
def unobserved(module: nn.Module) -> Iterator[None]:
    """Within it, what passes through `module` leaves its batch norms' running averages alone."""
    norms = [part for part in module.modules() if isinstance(part, BatchNorm)]
    for norm in norms:
        norm.observes = False
    try:
        yield
    finally:
        for norm in norms:
            norm.observes = True


def running_averages(module: nn.Module) -> list[Tensor]:
    """Those of all batch norms in `module`."""
    norms = [part for part in module.modules() if isinstance(part, BatchNorm)]
    return [buffer for norm in norms for buffer in norm.buffers()]


class LocalConvolution(nn.Module):
    """x + BN(conv 3×3 (GELU x)); the article's `Block`."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(dim, dim, 3, padding=1, bias=False)
        self.norm = BatchNorm(dim)

    def forward(
        self, x: Float[Tensor, "batch dim height width"]
    ) -> Float[Tensor, "batch dim height width"]:
        """`x` and what each place makes of its neighbourhood."""
        out: Tensor = x + self.norm(self.conv(F.gelu(x)))
        return out


class GlobalAttention(nn.Module):
    """Every place attends to the whole grid; the article's `Attention`.

    Args:
        dim: channels.
        num_heads: attention heads; divides `dim`.
        width: side of the grid.
        key_width: side of the grid that keys and values are averaged to; None for no averages.
    """

    def __init__(self, dim: int, num_heads: int, width: int, key_width: int | None) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.width = width
        self.pooling = max(1, width // (key_width or width))
        self.qkv = nn.Conv2d(dim, 3 * dim, 1, bias=False)
        self.scale = nn.Parameter(torch.full((dim,), (dim // num_heads) ** -0.5))
        self.proj = Linear(dim, dim)

    def forward(self, x: Float[Tensor, "batch places dim"]) -> Float[Tensor, "batch places dim"]:
        """What each place finds."""
        B, N, C = x.shape
        A, S = self.num_heads, self.pooling
        q_weight, kv_weight = self.qkv.weight.flatten(1).split([C, 2 * C])
        seen = x
        if S > 1:  # a 1×1 convolution of averages is the average of the convolution
            grid = x.transpose(1, 2).unflatten(2, (self.width, self.width))
            seen = F.avg_pool2d(grid, S).flatten(2).transpose(1, 2)  # B M C
        q = linear(x, q_weight)
        q = q * (self.scale * (C // A) ** 0.5).to(q.dtype)  # `attend` divides by the root
        q = q.view(B, N, A, -1).transpose(1, 2)  # B A N D
        k, v = linear(seen, kv_weight).view(B, -1, 2, A, C // A).permute(2, 0, 3, 1, 4)  # B A M D
        found = attend(q, k, v, None)
        out: Tensor = self.proj(found.transpose(1, 2).reshape(B, N, C))
        return out


class GlobalBlock(nn.Module):
    """Global attention and an MLP, each normalised before and added; the article's TransGANBlock.

    Args:
        dim: channels.
        num_heads: attention heads; divides `dim`.
        mlp_ratio: hidden size of the MLP, in multiples of `dim`.
        width: side of the grid.
        key_width: side of the grid that keys and values are averaged to; None for no averages.
    """

    def __init__(
        self, dim: int, num_heads: int, mlp_ratio: float, width: int, key_width: int | None
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = GlobalAttention(dim, num_heads, width, key_width)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, round(dim * mlp_ratio))

    def forward(
        self, x: Float[Tensor, "batch dim height width"]
    ) -> Float[Tensor, "batch dim height width"]:
        """`x`, each place with what it has found anywhere."""
        tokens = to_places(x)
        tokens = tokens + self.attn(self.norm1(tokens))
        return to_grid(self.mlp(self.norm2(tokens), tokens), x)


def to_places(
    x: Float[Tensor, "batch dim height width"],
) -> Float[Tensor, "batch places dim"]:
    """The places of a grid in row order, the channels of each side by side."""
    return x.flatten(2).transpose(1, 2).contiguous()


def to_grid(
    places: Float[Tensor, "batch places dim"], like: Float[Tensor, "batch dim height width"]
) -> Float[Tensor, "batch dim height width"]:
    """The grid that places in row order make, of the same shape as `like`."""
    return places.transpose(1, 2).reshape(like.shape)
