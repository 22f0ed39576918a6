"""The resources of a trial where the user gives none: from predicted memory, devices and cores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from reports.formats import counted
from sweeps.memory import GB, PROCESS_GB, needed_gb
from sweeps.resources import Node, Resources
from sweeps.search_space import corners
from sweeps.space_check import building_fault
from sweeps.spec import MOST_TRIALS, SweepSpec
from transgan.config import TrainingConfig
from transgan.cost import model_cost
from transgan.sampling import IMAGES_AT_ONCE

MOST_THREADS = 4
"""Cores of a trial that are derived at most, an assumption: the small networks of a search gain
little from more. Where memory lets fewer trials run than cores, they have more."""
BESIDE_TRIALS_GB = 2.0
"""What a machine's memory holds beside its trials: the driver, which takes 1.0 (docs/sweeps/
scale.md), and Ray's own processes, which are taken for as much."""
BYTES_A_PARAMETER = 20
"""A weight, its gradient, two moments, its average."""
MOST_BYTES_AN_OPERATION = 0.25
"""Of a step's tensors by its operations, as `transgan.cost.model_cost` has them: three times what
the digits take, whose tensors are thin (0.09; photos 0.04, the larger presets 0.003 or less)."""
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
    that torch finds: none. CPUs: equal shares of the cores for the trials that run at once. Trials
    that compute on CPUs are no more at once than each node's memory holds of the largest; where
    their CPUs are given, so that these can't see to it, `budget.concurrent_trials` does.

    What still does not fit is for the check of each proposal (`sweeps.feasibility`) to refuse.
    """
    given = spec.resources
    reasons = []
    resources = given
    if given.gpus_per_trial is None:
        gpus, reason = _gpus(spec, nodes)
        resources = _changed(resources, gpus_per_trial=gpus)
        reasons.append(reason)
    budget = spec.budget
    least = _changed(resources, cpus_per_trial=given.cpus_per_trial or resources.workers)
    wanted = min(least.trials_on(nodes), budget.concurrent_trials or MOST_TRIALS, budget.trials)
    is_free = given.cpus_per_trial is None or budget.concurrent_trials is None
    memory = _memory(spec, least, nodes, wanted) if is_free and wanted > 1 else None
    if given.cpus_per_trial is None:
        if memory is not None:
            least = memory.spread(least, nodes, wanted)
        at_once = min(wanted, least.trials_on(nodes))
        resources = _with_cpus(least, nodes, at_once)
        num_cpus = sum(node.cpus for node in nodes)
        reasons.append(f"{resources.cpus} of {num_cpus} CPUs for each of {at_once}")
        if memory is not None and at_once < wanted:
            reasons.append(memory.reason)
    elif memory is not None:
        at_once = sum(min(least.trials_on([node]), memory.held_by(node)) for node in nodes)
        if at_once < wanted:
            budget = budget.model_copy(update={"concurrent_trials": at_once})
            reasons.append(f"{counted(at_once, 'trial')} at once: {memory.reason}")
    settled = spec.model_copy(update={"resources": resources, "budget": budget})
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


class _Memory(NamedTuple):
    """The memory that trials which compute on CPUs share."""

    needed_gb: float
    """Of one of the largest trials, with all its processes."""
    smallest_gb: float
    """Of the node with the least memory."""

    @property
    def reason(self) -> str:
        """Why no more run at once."""
        return (
            f"the largest trials need about {self.needed_gb:.3g} of {self.smallest_gb:.3g} GB, of "
            f"which {BESIDE_TRIALS_GB:g} are for the driver and Ray"
        )

    def held_by(self, node: Node) -> int:
        """How many trials a node's memory holds at once; one, however small it is."""
        if node.memory_gb is None:
            return MOST_TRIALS
        return max(1, int((node.memory_gb - BESIDE_TRIALS_GB) / self.needed_gb))

    def spread(self, least: Resources, nodes: Sequence[Node], wanted: int) -> Resources:
        """The fewest cores a trial, from `least` on, with which no node gets more than it holds."""
        while any(min(least.trials_on([node]), wanted) > self.held_by(node) for node in nodes):
            least = _changed(least, cpus_per_trial=least.cpus + least.workers)
        return least


def _memory(
    spec: SweepSpec, resources: Resources, nodes: Sequence[Node], wanted: int
) -> _Memory | None:
    """The memory that bounds trials at once; None where it is not known, or trials are on GPUs."""
    known = {node: node.memory_gb for node in nodes if node.memory_gb is not None}
    if not known or resources.computes_on_gpu or spec.task != "generate":
        return None
    settled = spec.model_copy(update={"resources": resources})
    ample = min(
        (memory - BESIDE_TRIALS_GB) / max(1, min(resources.trials_on([node]), wanted))
        for node, memory in known.items()
    )
    needed = largest_need(settled, ample / resources.scoring_workers)
    return _Memory(needed * resources.scoring_workers, min(known.values()))


def largest_need(spec: SweepSpec, ample_gb: float) -> float:
    """Peak memory, in GB, of the largest trials of `spec`, whose resources are settled.

    Where `ample_gb` are more than they can need, a bound of that in its place: to predict takes
    seconds, which a sweep of small trainings is spared.
    """
    on_gpu, workers = spec.resources.computes_on_gpu, spec.resources.workers
    largest = _largest(spec)
    bound = max(map(_bound_gb, largest)) * (1 if on_gpu else workers)
    if bound <= ample_gb:
        return bound
    return max(needed_gb(config, on_gpu=on_gpu, workers=workers) for config in largest)


def _bound_gb(config: TrainingConfig) -> float:
    """What one process of a trial does not exceed, by its operations."""
    cost = model_cost(config)
    trained = max(config.batch_size, config.resolved_generator_batch_size)
    operations = max(cost.flops_per_real_image * trained, cost.generator_flops * IMAGES_AT_ONCE)
    held = BYTES_A_PARAMETER * (cost.generator_parameters + cost.discriminator_parameters)
    return PROCESS_GB + (held + MOST_BYTES_AN_OPERATION * operations) / GB


def _with_cpus(least: Resources, nodes: Sequence[Node], at_once: int) -> Resources:
    """The most cores with which so many trials still run at once, a multiple of the workers."""
    while least.cpus + least.workers <= MOST_THREADS * least.workers:
        more = _changed(least, cpus_per_trial=least.cpus + least.workers)
        if more.trials_on(nodes) < max(at_once, 1):
            break
        least = more
    return least


def _largest(spec: SweepSpec) -> list[TrainingConfig]:
    """The trials at the corners of the space with most parameters, and with the largest steps."""
    configs = [
        spec.trial_config(settings, spec.training.seed)
        for settings in corners(spec.search)
        if building_fault(spec, settings) is None
    ]

    def by_loss(config: TrainingConfig) -> tuple[bool, bool]:
        """Of the same networks, those with a penalty take more, and with reals in G's step too."""
        return config.loss.resolved_penalty != "none", config.loss.name == "rpgan"

    def parameters(config: TrainingConfig) -> tuple[float, bool, bool]:
        cost = model_cost(config)
        return cost.generator_parameters + cost.discriminator_parameters, *by_loss(config)

    def operations(config: TrainingConfig) -> tuple[float, bool, bool]:
        return model_cost(config).flops_per_real_image * config.batch_size, *by_loss(config)

    return [max(configs, key=parameters), max(configs, key=operations)]


def _changed(resources: Resources, **changes: float) -> Resources:
    return Resources.model_validate(resources.model_dump() | changes)
