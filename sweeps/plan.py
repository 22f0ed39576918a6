"""What a sweep will be, before it starts: its trials, their size, and the pace of the first."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from reports.infeasible import InfeasibleProposal
from sweeps.feasibility import MOST_REFUSALS, infeasible_because
from sweeps.proposals import Proposals, trial_seed
from sweeps.resources import Node
from sweeps.sampler_check import sampler_notes
from sweeps.search_space import corners, num_combinations
from sweeps.space_check import Corners, building_fault, judge_corners
from sweeps.spec import SweepSpec
from sweeps.spec_text import SpecError
from sweeps.trainers import trainer_of
from transgan.config import TrainingConfig
from transgan.cost import ModelCost, model_cost
from transgan.data import ImageData

CALIBRATION_SECONDS = 1.0
"""Training time per measured config."""
CALIBRATED_TRIALS = 8


@dataclass(frozen=True)
class Plan:
    """The sweep in numbers, known without running anything."""

    num_trials: int
    most_finalist_runs: int
    """Runs of finalists, after the trials, if all of their seeds are needed."""
    num_networks: int
    concurrent: int | None
    """Trials at once; None where only a cluster can say."""
    smallest: ModelCost
    largest: ModelCost
    corners: Corners
    num_combinations: int
    """Of every choice and every bound of the space; where they are too many, the corners that were
    looked at are a spread of them."""
    sampler_notes: tuple[str, ...]
    """What the sampler does with this space that one might not expect."""


def make_plan(spec: SweepSpec, concurrent: int | None) -> Plan:
    """The plan of `spec` with `concurrent` trials at once; every corner of its space is built.

    Corners that can't be built are counted, and leave no network.
    """
    costs = [model_cost(config) for config in _distinct_networks(spec)]
    by_parameters = sorted(costs, key=_parameters)
    return Plan(
        num_trials=spec.budget.trials,
        most_finalist_runs=spec.most_finalist_runs,
        num_networks=len(costs),
        concurrent=concurrent,
        smallest=by_parameters[0],
        largest=by_parameters[-1],
        corners=judge_corners(spec),
        num_combinations=num_combinations(spec.search),
        sampler_notes=sampler_notes(spec, concurrent),
    )


def concurrent_trials(spec: SweepSpec, nodes: Sequence[Node]) -> int:
    """How many trials run at once on `nodes`, no more than there are or are wanted.

    Raises:
        SpecError: not even one fits.
    """
    wanted = spec.budget.concurrent_trials or spec.budget.trials
    return min(fitting_trials(spec, nodes), wanted, spec.budget.trials)


def fitting_trials(spec: SweepSpec, nodes: Sequence[Node]) -> int:
    """How many trials fit at once on `nodes`, however many are wanted.

    Raises:
        SpecError: not even one does.
    """
    needs = spec.resources
    fitting = needs.trials_on(nodes)
    if fitting:
        return fitting
    cpus, gpus = max(node.cpus for node in nodes), max(node.gpus for node in nodes)
    there_are = "there are" if len(nodes) == 1 else "the nodes have at most"
    if needs.cpus > cpus:
        raise SpecError(
            f"resources.cpus_per_trial: {needs.cpus} wanted, but {there_are} {cpus} CPUs; give at "
            f"most {cpus}, or leave it out"
        )
    if needs.gpus > gpus:
        way_out = f"give at most {gpus}, or 0" if gpus else "set it to 0"
        raise SpecError(
            f"resources.gpus_per_trial: {needs.gpus:g} wanted, but {there_are} {gpus} GPUs; "
            f"{way_out} to train on CPU"
        )
    if needs.scoring_workers > 1:
        raise SpecError(
            f"resources.scoring_workers: {needs.scoring_workers} wanted, each with the resources "
            f"of a trial, but there are {sum(node.cpus for node in nodes)} CPUs and "
            f"{sum(node.gpus for node in nodes)} GPUs; lower it"
        )
    beside = max(node.cpus for node in nodes if node.gpus >= needs.gpus)
    raise SpecError(
        f"resources: {needs.cpus} CPUs and {needs.gpus:g} GPUs a trial wanted, and no node has "
        f"both; give cpus_per_trial of at most {beside}, which there are beside so many GPUs"
    )


def device_for(spec: SweepSpec) -> str:
    """Where trials compute: `cpu` or `cuda`."""
    return "cuda" if spec.resources.computes_on_gpu else "cpu"


def device_here(spec: SweepSpec) -> str:
    """The same, for trials on this machine.

    Raises:
        SpecError: they are to compute on GPUs, and there is none.
    """
    device = device_for(spec)
    if device == "cuda" and not torch.cuda.is_available():
        raise SpecError(
            "resources.gpus_per_trial: torch finds no CUDA device here; set it to 0 to train on CPU"
        )
    return device


def available_cpus() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def first_configs(spec: SweepSpec, num: int = CALIBRATED_TRIALS) -> list[TrainingConfig]:
    """Configs of the trials that are known before any score is: the baseline and random ones.

    Raises:
        SpecError: hardly any settings of the space can be trained.
    """
    proposals = Proposals(
        spec.sampler, spec.search, spec.goals, behind=num, baseline=spec.baseline()
    )
    configs: list[TrainingConfig] = []
    infeasible: list[InfeasibleProposal] = []
    while len(configs) < min(num, spec.budget.trials) and len(infeasible) < MOST_REFUSALS:
        settings = proposals.propose(len(configs), {}, infeasible)
        if settings is None:
            break
        cause = infeasible_because(spec, settings)
        if cause is None:
            configs.append(spec.trial_config(settings, trial_seed(spec.sampler.seed, settings)))
        else:
            attempt = sum(proposal.number == len(configs) for proposal in infeasible)
            infeasible.append(
                InfeasibleProposal(
                    number=len(configs), attempt=attempt, settings=settings, cause=cause
                )
            )
    if not configs:
        raise SpecError(
            f"search: {len(infeasible)} proposals in a row can't be trained, the last since "
            f"{infeasible[-1].cause}; take such settings out of the search"
        )
    return configs


def measure_seconds_per_kimg(
    config: TrainingConfig, data: ImageData, threads: int, device: str
) -> float:
    """Train `config` for a moment; seconds for thousand images at this pace."""
    torch.set_num_threads(threads)
    trainer = trainer_of(config, data, device)
    steps = trainer.run(tick_kimg=config.loss.penalty_interval * config.batch_size / 1000)
    next(steps)  # the first steps allocate
    kimg, started = trainer.kimg, time.perf_counter()
    for _ in steps:
        if time.perf_counter() - started > CALIBRATION_SECONDS:
            break
    return (time.perf_counter() - started) / max(trainer.kimg - kimg, 1e-9)


def _distinct_networks(spec: SweepSpec) -> Sequence[TrainingConfig]:
    """One config for each pair of networks in the space."""
    distinct = {}
    for settings in corners(spec.search):
        if building_fault(spec, settings) is not None:
            continue
        config = spec.trial_config(settings, spec.training.seed)
        distinct[config.generator, config.discriminator] = config
    return list(distinct.values())


def _parameters(cost: ModelCost) -> int:
    return cost.generator_parameters + cost.discriminator_parameters
