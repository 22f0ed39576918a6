"""Whether a trial with given settings can be trained at all, known before any training."""

from __future__ import annotations

from functools import lru_cache

from reports.records import Setting
from sweeps.refusal import refusal
from sweeps.space_check import building_fault
from sweeps.spec import SweepSpec
from transgan.config import EmaConfig, TrainingConfig
from transgan.cost import training_cost

GB = 1e9
MOST_REFUSALS = 100
"""Proposals for one trial that may be refused in a row; then hardly anything can be trained."""


def infeasible_because(spec: SweepSpec, settings: dict[str, Setting]) -> str | None:
    """Why a trial with `settings` can't be trained, in one line; None if nothing speaks against it.

    That is a config that means no training, or memory: what the tensors of a step, or of sampling,
    take by themselves, against `resources.memory_gb`. The data set, libraries and scratch memory
    come on top, so that what is refused here surely does not fit, and some that is not may not.
    """
    fault = building_fault(spec, settings)
    if fault is not None:
        return refusal(fault, TrainingConfig)
    limit = spec.resources.memory_gb
    if limit is None:
        return None
    config = spec.trial_config(settings, spec.training.seed)
    needed = _tensor_bytes(_as_far_as_memory_goes(config)) / GB
    if needed <= limit:
        return None
    return f"needs at least {needed:.3g} GB of memory, and resources.memory_gb is {limit:.3g}"


def _as_far_as_memory_goes(config: TrainingConfig) -> TrainingConfig:
    """The config without what changes from trial to trial and takes no memory."""
    plain = {"generator_lr": 1e-3, "discriminator_lr": 1e-3}
    return config.model_copy(
        update={
            "seed": 0,
            "ema": EmaConfig(),
            "optimizer": config.optimizer.model_copy(update=plain),
        }
    )


@lru_cache(maxsize=1024)
def _tensor_bytes(config: TrainingConfig) -> float:
    cost = training_cost(config)
    return max(cost.peak_tensor_bytes, cost.sampling_bytes)
