"""The resources of a trial where the user gives none: from predicted memory, devices and cores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sweeps.memory import needed_gb
from sweeps.resources import Node, Resources
from sweeps.search_space import corners
from sweeps.space_check import building_fault
from sweeps.spec import MOST_TRIALS, SweepSpec
from transgan.config import TrainingConfig
from transgan.cost import model_cost

MOST_THREADS = 4
"""Cores of a trial that are derived at most, an assumption: the small networks of a search gain
little from more."""
MOST_SHARING = 4
"""Trials that share a GPU at most, where that is derived; an assumption too, since they take turns
at it."""


class Derived(NamedTuple):
    """A spec whose resources are all said."""

    spec: SweepSpec
    reason: str | None
    """Where the derived ones come from, in one line; None where the user gave all."""


def derive_resources(spec: SweepSpec, nodes: Sequence[Node]) -> Derived:
    """Fill in the GPUs and CPUs of a trial where `spec` leaves them to the machines.

    GPUs: such a share of one that the largest trials fit beside each other; whole ones else; and
    several, one for each of several workers, where the largest trials fit none alone but parts of
    their batches do. No more trials share a GPU than there are trials and cores for. Without GPUs
    that torch finds: none. CPUs: equal shares of the cores for the trials that run at once.

    What still does not fit is for the check of each proposal (`sweeps.feasibility`) to refuse.
    """
    given = spec.resources
    reasons = []
    resources = given
    if given.gpus_per_trial is None:
        gpus, reason = _gpus(spec, nodes)
        resources = _changed(resources, gpus_per_trial=gpus)
        reasons.append(reason)
    if given.cpus_per_trial is None:
        at_once = min(
            _changed(resources, cpus_per_trial=resources.workers).trials_on(nodes),
            spec.budget.concurrent_trials or MOST_TRIALS,
            spec.budget.trials,
        )
        cpus = _cpus(resources, nodes, at_once)
        resources = _changed(resources, cpus_per_trial=cpus)
        reasons.append(f"{cpus} of {sum(node.cpus for node in nodes)} CPUs for each of {at_once}")
    settled = spec.model_copy(update={"resources": resources})
    return Derived(settled, "; ".join(reasons) or None)


def _gpus(spec: SweepSpec, nodes: Sequence[Node]) -> tuple[float, str]:
    """GPUs of each trial, and why."""
    usable = [node for node in nodes if node.gpus and node.gpu_gb is not None]
    if not usable or spec.resources.device == "cpu":
        return 0.0, "no GPU"
    if spec.task != "generate":
        return 1.0, f"1 GPU a trial: the memory of task {spec.task} is not predicted"
    memory = min(node.gpu_gb for node in usable if node.gpu_gb is not None)
    largest = _largest(spec)

    def needed(workers: int) -> float:
        return max(needed_gb(config, on_gpu=True, workers=workers) for config in largest)

    alone = needed(1)
    need = f"the largest trials need about {alone:.3g} of {memory:.3g} GB"
    if alone > memory:
        most = min(max(node.gpus for node in usable), *(config.batch_size for config in largest))
        workers = 2
        while workers <= most and spec.resources.workers_per_trial is None:
            if needed(workers) <= memory:
                return float(
                    workers
                ), f"{workers} GPUs a trial, a part of each batch on each: {need}"
            workers *= 2
        return 1.0, f"1 GPU a trial: {need}, and those that do not fit are refused as proposed"
    if (spec.resources.workers_per_trial or 1) > 1:
        workers = spec.resources.workers
        return float(workers), f"{workers} GPUs a trial, one for each of its workers"
    num_gpus, num_cpus = sum(node.gpus for node in usable), sum(node.cpus for node in usable)
    at_once = min(spec.budget.concurrent_trials or MOST_TRIALS, spec.budget.trials)
    sharing = max(
        1,
        min(int(memory / alone), MOST_SHARING, -(-at_once // num_gpus), num_cpus // num_gpus),
    )
    share = int(10_000 / sharing) / 10_000  # Ray counts to four digits
    return share, f"{share:g} GPU a trial: {need}"


def _cpus(resources: Resources, nodes: Sequence[Node], at_once: int) -> int:
    """The most cores with which so many trials still run at once, a multiple of the workers."""
    workers, cpus = resources.workers, resources.workers
    while cpus + workers <= MOST_THREADS * workers:
        more = _changed(resources, cpus_per_trial=cpus + workers)
        if more.trials_on(nodes) < max(at_once, 1):
            break
        cpus += workers
    return cpus


def _largest(spec: SweepSpec) -> list[TrainingConfig]:
    """The trials at the corners of the space with most parameters, and with the largest steps."""
    configs = [
        spec.trial_config(settings, spec.training.seed)
        for settings in corners(spec.search)
        if building_fault(spec, settings) is None
    ]

    def parameters(config: TrainingConfig) -> int:
        cost = model_cost(config)
        return cost.generator_parameters + cost.discriminator_parameters

    def operations(config: TrainingConfig) -> float:
        return model_cost(config).flops_per_real_image * config.batch_size

    return [max(configs, key=parameters), max(configs, key=operations)]


def _changed(resources: Resources, **changes: float) -> Resources:
    return Resources.model_validate(resources.model_dump() | changes)
