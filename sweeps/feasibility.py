"""Whether a trial with given settings can be trained at all, known before any training."""

from __future__ import annotations

from reports.records import Setting
from sweeps.memory import needed_gb
from sweeps.refusal import refusal
from sweeps.space_check import building_fault
from sweeps.spec import SweepSpec
from transgan.config import TrainingConfig

MOST_REFUSALS = 100
"""Proposals for one trial that may be refused in a row; then hardly anything can be trained."""


def infeasible_because(spec: SweepSpec, settings: dict[str, Setting]) -> str | None:
    """Why a trial with `settings` can't be trained, in one line; None if nothing speaks against it.

    That is a config that means no training, or memory: what a trial is predicted to take of its
    device (`sweeps.memory`), against `resources.memory_gb`.
    """
    fault = building_fault(spec, settings)
    if fault is not None:
        return refusal(fault, TrainingConfig)
    limit = spec.resources.memory_gb
    if limit is None or spec.task != "generate":  # whose memory is not predicted
        return None
    config = spec.trial_config(settings, spec.training.seed)
    resources = spec.resources
    needed = needed_gb(config, on_gpu=resources.computes_on_gpu, workers=resources.workers)
    if needed <= limit:
        return None
    return f"needs about {needed:.3g} GB of memory, and resources.memory_gb is {limit:.3g}"
