"""The exponential moving average of the generator, with its half-life in images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

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


class MovingAverage:
    """Moves `average` towards `module`, whose parameters are looked up once: a walk costs more.

    Buffers are copied.
    """

    def __init__(self, average: nn.Module, module: nn.Module) -> None:
        self._average, self._module = average, module
        self._averaged: list[Tensor] = list(average.parameters())
        self._current: list[Tensor] = list(module.parameters())
        self._has_buffers = any(True for _ in module.buffers())

    @torch.no_grad()
    def update(self, decay: float) -> None:
        """Let this share of the average survive."""
        torch._foreach_lerp_(self._averaged, self._current, 1 - decay)
        if self._has_buffers:
            buffers = zip(self._average.buffers(), self._module.buffers(), strict=True)
            for kept, new in buffers:
                kept.copy_(new)
