"""What a sweep will be, before it starts: its trials, their size, and how long it will take."""

from __future__ import annotations

import heapq
import math
import os
import random
import statistics
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch

from reports.infeasible import InfeasibleProposal
from reports.records import Forecast
from sweeps.early_stopping import Answer, EarlyStopping, History, Score
from sweeps.feasibility import MOST_REFUSALS, infeasible_because
from sweeps.proposals import Proposals, trial_seed
from sweeps.race_forecast import Run, imagined_races, race_seconds, runs_left
from sweeps.resources import Node
from sweeps.sampler_check import sampler_notes
from sweeps.search_space import corners
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
SIMULATIONS = 300
FEWEST_SIMULATIONS = 20
MANY_TRIALS = 300
"""Beyond, fewer simulations do: each takes time by the square of the trials, and varies less."""
SCORE_SPREAD = 0.4
"""Standard deviation of the logarithm of imagined scores. With it, and no baseline, 8 to 96 trials
train as much as when real ones are searched again (benchmarks/search_efficiency.py), within an
eighth for slacks of 0.15 to 0.25, and within a sixth for none."""
BASELINE_MERIT = 0.25
"""Simulated sweeps take the baseline, where there is one, to be among this best share of trials."""


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
    sampler_notes: tuple[str, ...]
    """What the sampler does with this space that one might not expect."""


@dataclass(frozen=True)
class Calibration:
    """Times measured on the machine at hand."""

    seconds_per_kimg: tuple[float, ...]
    """Of the first trials' configs, in their order."""
    seconds_to_start: float
    """From a trial's launch to its first step."""
    seconds_to_score: float


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
            f"resources.cpus_per_trial: {needs.cpus} wanted, but {there_are} {cpus} CPUs"
        )
    if needs.gpus > gpus:
        raise SpecError(
            f"resources.gpus_per_trial: {needs.gpus:g} wanted, but {there_are} {gpus} GPUs"
            "; set it to 0 to train on CPU"
        )
    if needs.scoring_workers > 1:
        raise SpecError(
            f"resources.scoring_workers: {needs.scoring_workers} wanted, each with the resources "
            f"of a trial, but there are {sum(node.cpus for node in nodes)} CPUs and "
            f"{sum(node.gpus for node in nodes)} GPUs; lower it"
        )
    raise SpecError(
        f"resources: {needs.cpus} CPUs and {needs.gpus:g} GPUs a trial wanted, and no node has both"
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


def forecast(
    spec: SweepSpec,
    calibration: Calibration,
    concurrent: int,
    *,
    done: Mapping[int, float] = {},
    ended: Collection[int] = (),
    finalist_runs_done: int = 0,
) -> Forecast:
    """How long the trials will take: the mean of many simulated sweeps, and 90 % of them.

    Each simulation gives the trials a random order of merit (the baseline a good place in it, since
    presets are tuned) and a measured speed, and runs the spec's own stopping rule on them with as
    many workers. The mean, since they are of two kinds, in which the last trial to start is stopped
    or goes on alone: their median says nothing of how long the others take. Then the finalists run,
    round by round of an imagined race (`race_forecast`).

    Args:
        spec: the sweep.
        calibration: measured times.
        concurrent: trials at once.
        done: kimg that trials already have, by number (a resumed sweep).
        ended: trials that need nothing more.
        finalist_runs_done: finalist runs that need nothing more.
    """
    rng = random.Random(spec.sampler.seed)
    enough = round(SIMULATIONS * min(1.0, MANY_TRIALS / spec.budget.trials) ** 2)
    races = _races_left(spec, finalist_runs_done)
    runs = []
    for _ in range(max(enough, FEWEST_SIMULATIONS)):
        searching, searched_kimg = _simulate(spec, calibration, concurrent, done, ended, rng)
        racing, raced_kimg = _simulate_finalists(spec, calibration, concurrent, races, rng)
        runs.append((searching + racing, searched_kimg + raced_kimg))
    seconds = sorted(run[0] for run in runs)
    return Forecast(
        seconds=statistics.fmean(seconds),
        low_seconds=seconds[len(seconds) // 20],
        high_seconds=seconds[-1 - len(seconds) // 20],
        seconds_per_kimg=statistics.fmean(calibration.seconds_per_kimg),
        expected_kimg=statistics.fmean(run[1] for run in runs),
    )


def _simulate(
    spec: SweepSpec,
    calibration: Calibration,
    concurrent: int,
    done: Mapping[int, float],
    ended: Collection[int],
    rng: random.Random,
) -> tuple[float, float]:
    """Seconds and kimg of one imagined sweep."""
    rungs, stopping = spec.rungs, spec.early_stopping.settled(spec.goal)
    merits = [rng.uniform(1e-9, 1 - 1e-9) for _ in range(spec.budget.trials)]
    if spec.baseline() is not None:
        merits[0] *= BASELINE_MERIT
    # As far apart as distances are, since those that only just miss the bar go on.
    merits = [math.exp(SCORE_SPREAD * statistics.NormalDist().inv_cdf(merit)) for merit in merits]
    speeds = list(calibration.seconds_per_kimg)
    speeds += [rng.choice(speeds) for _ in range(spec.budget.trials - len(speeds))]
    at_rung: list[dict[int, History]] = [{} for _ in rungs]
    at_rung[0] = {trial: (Score(merits[trial]),) for trial in ended}
    waiting = [trial for trial in range(spec.budget.trials) if trial not in ended]
    events: list[tuple[float, int, int]] = []  # time, trial, rung reached
    clock, trained = 0.0, 0.0
    segments: dict[int, tuple[float, float]] = {}  # kimg and time at which a trial's stretch began

    def launch(at: float) -> None:
        if waiting:
            heapq.heappush(events, (at + calibration.seconds_to_start, waiting.pop(0), -1))

    def train_on(trial: int, rung: int) -> None:
        """From a rung (-1: the start) to the next."""
        start = max(rungs[rung] if rung >= 0 else 0.0, done.get(trial, 0.0))
        seconds = max(rungs[rung + 1] - start, 0.0) * speeds[trial] + calibration.seconds_to_score
        if rung >= 0 and stopping.name == "pbt":
            seconds += calibration.seconds_to_start  # a process of its own for each stretch
        segments[trial] = start, clock
        heapq.heappush(events, (clock + seconds, trial, rung + 1))

    def reached(trial: int) -> float:
        """The kimg at which a trial is now."""
        start, began = segments[trial]
        return start + (clock - began) / speeds[trial]

    for _ in range(concurrent):
        launch(0.0)
    while events:
        clock, trial, rung = heapq.heappop(events)
        if rung >= 0:
            trained += max(rungs[rung] - segments[trial][0], 0.0)
            at_rung[rung][trial] = (Score(merits[trial]),) * (rung + 1)
            judged = [(trial, rungs[rung])]
            judged += [
                (other, reached(other)) for _, other, next_rung in events if next_rung == rung + 1
            ]
            stopped = {
                number
                for number, kimg in judged
                if stopping.may_stop(number, rungs, rung, kimg)
                and _would_stop(stopping, number, at_rung[rung], len(rungs))
            }
            for number, kimg in judged[1:]:
                trained += kimg - segments[number][0] if number in stopped else 0.0
            events = [event for event in events if event[1] not in stopped]
            heapq.heapify(events)
            for _ in stopped - {trial}:
                launch(clock)
            if trial in stopped or rung + 1 == len(rungs):
                launch(clock)
                continue
        train_on(trial, rung)
    return clock, trained


def _simulate_finalists(
    spec: SweepSpec,
    calibration: Calibration,
    concurrent: int,
    races: Sequence[Sequence[Sequence[Run]]],
    rng: random.Random,
) -> tuple[float, float]:
    """Seconds and kimg of one of the imagined races, of which there is none if all is done."""
    finalists = spec.finalists
    if finalists is None or not races:
        return 0.0, 0.0
    searched = spec.evaluation.num_images
    scored = finalists.num_images or searched
    if scored != searched:
        scored += searched  # once more at the search's number
    other = calibration.seconds_to_start + calibration.seconds_to_score * scored / searched
    total_kimg, speeds = spec.training.total_kimg, calibration.seconds_per_kimg
    # The larger networks are the slower ones, and oftener the better.
    paces = [max(rng.choice(speeds), rng.choice(speeds)) for _ in range(finalists.count)]
    rounds = rng.choice(races)
    seconds = race_seconds(rounds, lambda place: other + total_kimg * paces[place], concurrent)
    return seconds, sum(map(len, rounds)) * total_kimg


def _races_left(spec: SweepSpec, done: int) -> Sequence[Sequence[Sequence[Run]]]:
    finalists = spec.finalists
    if finalists is None:
        return ()
    races = imagined_races(finalists.count, finalists.seeds, spec.budget.trials, spec.sampler.seed)
    return runs_left(races, done, most=spec.most_finalist_runs)


def _would_stop(
    stopping: EarlyStopping, number: int, at_rung: Mapping[int, History], num_rungs: int
) -> bool:
    """Whether a trial would stop at a rung; merits have no standard errors."""
    bracket = stopping.bracket(number, num_rungs)
    others = [
        history
        for other, history in at_rung.items()
        if other != number and stopping.bracket(other, num_rungs) == bracket
    ]
    return stopping.judge(at_rung[number], others, "minimize").answer is Answer.STOPPED


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
