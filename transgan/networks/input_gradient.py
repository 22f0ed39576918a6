"""The gradient of a network for its input, with a graph of its own, and without that for weights.

A gradient penalty differentiates this gradient. Operations that are whole to autograd (`mlp`,
`self_attention`, `layer_norm`) cannot see for which of their inputs a gradient is asked, and would
compute those for their weights too, with graphs; so they are told here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor

# Not of one thread: backward passes on a GPU run in a thread of torch's own.
_weights_are_left_out = False


def weights_are_left_out() -> bool:
    """Whether the backward pass that runs is that of `input_gradient`."""
    return _weights_are_left_out


def input_gradient(
    logits: Float[Tensor, " batch"], inputs: Float[Tensor, "*shape"]
) -> Float[Tensor, "*shape"]:
    """∂Σ logits / ∂inputs, to be differentiated once more, for what `logits` were made of.

    Of images that no layer mixes, this is for each the gradient of its own logit.
    """
    with _without_weights():
        (gradient,) = torch.autograd.grad(logits.sum(), inputs, create_graph=True)
    return gradient


@contextmanager
def _without_weights() -> Iterator[None]:
    global _weights_are_left_out
    _weights_are_left_out = True
    try:
        yield
    finally:
        _weights_are_left_out = False
