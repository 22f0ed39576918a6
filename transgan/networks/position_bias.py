"""The bias of each query for each key on a square grid, from a table of offsets.

Source: Liu et al. 2021, arXiv:2103.14030, eq. 4. Shapes: A heads, W the grid's side.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def position_bias(
    table: Float[Tensor, "offsets heads"], width: int
) -> Float[Tensor, "heads queries keys"]:
    """The bias for each query and key.

    Row dy·(2W - 1) + dx of the table, each counted from -(W - 1), is for the offset of query minus
    key. That makes the bias of one query a W×W patch of the table seen as an image, with rows and
    columns reversed; so all of them are the table's patches, which torch can cut out (and sum up
    again in the backward pass) far faster than it can gather and scatter.
    """
    W, A = width, table.shape[1]
    image = table.t().reshape(1, A, 2 * W - 1, 2 * W - 1)
    return F.unfold(image, W).view(A, W * W, W * W).flip(-1)


def table_gradient(
    d_bias: Float[Tensor, "heads queries keys"], width: int
) -> Float[Tensor, "offsets heads"]:
    """The gradient for the table, from that for the bias, without a graph."""
    W, A = width, len(d_bias)
    patches = d_bias.flip(-1).view(1, A * W * W, W * W)
    return F.fold(patches, (2 * W - 1, 2 * W - 1), W).view(A, -1).t()
