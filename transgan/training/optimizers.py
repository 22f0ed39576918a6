"""How a network goes down its gradient: optimizer, learning rate, clipping, loss scaling."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from transgan.config import OptimizerConfig, PrecisionName
from transgan.training.fused_step import FusedStep
from transgan.training.ranks import Ranks


def build_optimizer(module: nn.Module, config: OptimizerConfig, lr: float) -> torch.optim.Optimizer:
    """The optimizer of one network, with its learning rate."""
    betas = (config.beta1, config.beta2)
    match config.name:
        case "adam":
            return torch.optim.Adam(module.parameters(), lr=lr, betas=betas, fused=True)
        case "adamw":
            return torch.optim.AdamW(
                module.parameters(),
                lr=lr,
                betas=betas,
                weight_decay=config.weight_decay,
                fused=True,
            )


def learning_rate_factor(
    config: OptimizerConfig, kimg: float, step_kimg: float, total_kimg: float
) -> float:
    """What both learning rates are multiplied by in the step that begins at `kimg`.

    The warm-up counts the step's own images, so that the first step moves too.
    """
    floor, done = config.final_lr_factor, min(kimg / total_kimg, 1.0)
    left = 1 - done if config.lr_decay == "linear" else (1 + math.cos(math.pi * done)) / 2
    factor = floor + (1 - floor) * left
    if config.warmup_kimg:
        factor *= min((kimg + step_kimg) / config.warmup_kimg, 1.0)
    return factor


def clip_gradients(parameters: Sequence[Tensor], largest: float) -> None:
    """Scale all gradients by one factor so that their norm, as one vector, is at most `largest`.

    As `torch.nn.utils.clip_grad_norm_` does for tensors of one device and type, without sorting
    them by these first.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = torch.stack(torch._foreach_norm(gradients)).norm()
    # A GPU would have to be waited for, and where memory is rehearsed there is no value.
    if type(norm) is Tensor and norm.is_cpu and norm < largest - 1e-6:
        return
    torch._foreach_mul_(gradients, (largest / (norm + 1e-6)).clamp(max=1))


class Descent:
    """The steps of one network: gradients gathered part by part, then taken at once."""

    def __init__(
        self,
        module: nn.Module,
        config: OptimizerConfig,
        lr: float,
        precision: PrecisionName,
        ranks: Ranks,
    ) -> None:
        self.module, self.ranks, self.lr = module, ranks, lr
        self.parameters = list(module.parameters())
        self.clip = config.gradient_clip
        self.optimizer = build_optimizer(module, config, lr)
        self._fused_step = FusedStep(self.optimizer)
        device = next(module.parameters()).device
        # Gradients of float16 underflow; Micikevicius et al. 2018, arXiv:1710.03740, sec. 3.2.
        self.scaler = torch.amp.GradScaler(device.type) if precision == "float16" else None

    def set_factor(self, factor: float) -> None:
        """Multiply the learning rate that was given by `factor`."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr * factor

    def begin(self) -> None:
        """Forget the last step's gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def gather(self, loss: Tensor) -> None:
        """Add the gradients of `loss`, and let go of its graph."""
        if self.scaler is not None:
            loss = self.scaler.scale(loss)
        loss.backward()

    def take(self) -> None:
        """Move the weights by the gradients gathered, over all processes; no waiting for a GPU.

        A step whose scaled gradients overflow float16 is left out and the scale lowered.
        """
        self.ranks.sum_gradients(self.module)
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        if self.clip is not None:
            clip_gradients(self.parameters, self.clip)
        if self.scaler is None:
            self._fused_step.take(self.optimizer)
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()
