"""How long a sweep will take: many sweeps are imagined, with the spec's own stopping rule."""

from __future__ import annotations

import heapq
import math
import random
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from reports.records import Forecast
from sweeps.early_stopping import Answer, EarlyStopping, History, Score
from sweeps.race_forecast import Run, imagined_races, race_seconds, runs_left
from sweeps.spec import SweepSpec

SIMULATIONS = 300
FEWEST_SIMULATIONS = 20
MANY_TRIALS = 300
"""Beyond, fewer simulations do: each takes time by the square of the trials, and varies less."""
SCORE_SPREAD = 0.25
"""Standard deviation of the logarithms of imagined scores at a rung: among the better half of real
trials, which set the bars, it is 0.24 and 0.23 at the first two (benchmarks/tables/digits.csv)."""
RUNG_CORRELATION = 0.75
"""Of those at neighbouring rungs; 0.66 and 0.79 by rank in that table."""
IMAGINED_ERROR = 0.03
"""Standard error of an imagined score, as a share of it: that of 1,000 digits."""
MACHINE_SPREAD = 0.1
"""Standard deviation of the logarithm of the time that things take in a sweep, as a share of what
they took when they were measured: what else a machine does changes by the minute. The shipped
sweeps of GANs were trained by up to 15 % faster and 7 % slower than measured, on two machines."""
BASELINE_MERIT = 0.25
"""Simulated sweeps take the baseline, where there is one, to be in this best share at the end."""


@dataclass(frozen=True)
class Calibration:
    """Times measured on the machine at hand."""

    seconds_per_kimg: tuple[float, ...]
    """Of the first trials' configs, in their order."""
    seconds_to_start: float
    """From a trial's launch to its first step."""
    seconds_to_score: float


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

    Each simulation gives the trials a random order of merit at their end (the baseline a good place
    in it, since presets are tuned), scores on their way there, and a measured speed, and runs the
    spec's own stopping rule on them with as many workers. The mean, since they are of two kinds, in
    which the last trial to start is stopped or goes on alone: their median says nothing of how long
    the others take. Then the finalists run, round by round of an imagined race (`race_forecast`).
    All of it on a machine that is somewhat faster or slower than it was when it was measured.

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
    imagine = _simulate_population if spec.early_stopping.name == "pbt" else _simulate
    runs = []
    for slowness in _slownesses(max(enough, FEWEST_SIMULATIONS), spec.sampler.seed):
        searching, searched_kimg = imagine(spec, calibration, concurrent, done, ended, rng)
        racing, raced_kimg = _simulate_finalists(spec, calibration, concurrent, races, rng)
        runs.append((slowness * (searching + racing), searched_kimg + raced_kimg))
    seconds = sorted(run[0] for run in runs)
    return Forecast(
        seconds=statistics.fmean(seconds),
        low_seconds=seconds[len(seconds) // 20],
        high_seconds=seconds[-1 - len(seconds) // 20],
        seconds_per_kimg=statistics.fmean(calibration.seconds_per_kimg),
        expected_kimg=statistics.fmean(run[1] for run in runs),
    )


def with_past(told: Forecast, seconds: float, kimg: float = 0.0) -> Forecast:
    """A forecast of what is left as one of the whole, of which so much is done."""
    names = ("seconds", "low_seconds", "high_seconds")
    longer = {name: getattr(told, name) + seconds for name in names}
    return told.model_copy(update=longer | {"expected_kimg": told.expected_kimg + kimg})


def _slownesses(num: int, seed: int) -> list[float]:
    """What all times are multiplied by in each simulation; 1 in the mean."""
    normal = statistics.NormalDist(sigma=MACHINE_SPREAD)
    # Evenly spread over the distribution, and so as wide and as centred however few there are.
    drawn = [math.exp(normal.inv_cdf((place + 0.5) / num)) for place in range(num)]
    mean = statistics.fmean(drawn)
    random.Random(seed).shuffle(drawn)
    return [slowness / mean for slowness in drawn]


def _simulate_population(
    spec: SweepSpec,
    calibration: Calibration,
    concurrent: int,
    done: Mapping[int, float],
    ended: Collection[int],
    rng: random.Random,
) -> tuple[float, float]:
    """The same of a population, whose trials wait at each rung for the last.

    So each rung takes as many waves as its trials need with so few workers, and in the last wave
    workers are idle. Each stretch from rung to rung has a process of its own.
    """
    speeds = _speeds(spec, calibration, rng)
    clock, trained, before = 0.0, 0.0, 0.0
    for rung in spec.rungs:
        workers = [clock] * concurrent
        for trial in range(spec.budget.trials):  # in the order in which workers get them
            start = max(before, done.get(trial, 0.0))
            if trial in ended or (start >= rung and rung < spec.rungs[-1]):
                continue
            kimg = max(rung - start, 0.0)
            seconds = kimg * speeds[trial]
            seconds += calibration.seconds_to_start + calibration.seconds_to_score
            heapq.heapreplace(workers, workers[0] + seconds)
            trained += kimg
        clock, before = max(workers), rung
    return clock, trained


def _speeds(spec: SweepSpec, calibration: Calibration, rng: random.Random) -> list[float]:
    """Seconds per kimg of each trial: the first were measured, the others are like one of them."""
    speeds = list(calibration.seconds_per_kimg)
    return speeds + [rng.choice(speeds) for _ in range(spec.budget.trials - len(speeds))]


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
    histories = [_imagined_scores(merit, len(rungs), rng) for merit in merits]
    speeds = _speeds(spec, calibration, rng)
    at_rung: list[dict[int, History]] = [{} for _ in rungs]
    at_rung[0] = {trial: histories[trial][:1] for trial in ended}
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
            at_rung[rung][trial] = histories[trial][: rung + 1]
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


def _imagined_scores(merit: float, num_rungs: int, rng: random.Random) -> History:
    """Scores of one trial on its way to the last rung, where it is at this share of all trials."""
    at = statistics.NormalDist().inv_cdf(merit)
    backwards = [at]
    for _ in range(num_rungs - 1):
        at = RUNG_CORRELATION * at + math.sqrt(1 - RUNG_CORRELATION**2) * rng.gauss(0, 1)
        backwards.append(at)
    values = [math.exp(SCORE_SPREAD * at) for at in reversed(backwards)]
    return tuple(Score(value, IMAGINED_ERROR * value) for value in values)


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
    """Whether a trial would stop at a rung."""
    bracket = stopping.bracket(number, num_rungs)
    others = [
        history
        for other, history in at_rung.items()
        if other != number and stopping.bracket(other, num_rungs) == bracket
    ]
    return stopping.judge(at_rung[number], others, "minimize").answer is Answer.STOPPED
