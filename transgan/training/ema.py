"""The exponential moving average of the generator, with its half-life in images."""

from __future__ import annotations

import torch
from torch import nn

from transgan.config import EmaConfig


def ema_decay(config: EmaConfig, images_seen: int, images_between: int) -> float:
    """Share of the average that survives an update, `images_between` images after the last one.

    The half-life is `half_life_kimg`, but early on no more than `ramp_up` times the images seen, so
    that the first random weights are soon forgotten. (The authors' code applies a decay meant for
    one discriminator batch once per generator step, so that its half-life is n_critic times as
    long.)
    """
    half_life = config.half_life_kimg * 1000
    if config.ramp_up is not None:
        half_life = min(half_life, config.ramp_up * images_seen)
    return 0.5 ** (images_between / max(half_life, 1e-8))


@torch.no_grad()
def update_ema(average: nn.Module, module: nn.Module, decay: float) -> None:
    """Move `average` towards `module`, parameter by parameter; buffers are copied."""
    torch._foreach_lerp_(list(average.parameters()), list(module.parameters()), 1 - decay)
    for kept, current in zip(average.buffers(), module.buffers(), strict=True):
        kept.copy_(current)
