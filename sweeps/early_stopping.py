"""When a trial is scored, and whether it goes on: ASHA, Hyperband and the median rule, in kimg.

What becomes of a population (`pbt`) is in `sweeps/population.py`.

Sources: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", arXiv:1810.05934,
alg. 2, in the form that stops trials instead of pausing them (as Ray Tune and Optuna have it); Li
et al. 2018, "Hyperband", JMLR 18(185), alg. 1, for the brackets; Golovin et al. 2017, "Google
Vizier", KDD, doi:10.1145/3097983.3098043, sec. 3.2.2, for the median.

Optuna has pruners of these names. They are not used, since they decide otherwise on the same
records: they know no standard error; they ask once a rung and keep the answer in the study, where a
trial that came first is never judged again; Hyperband's bracket there hangs on the study's name,
so that a sweep in another folder would stop others; the median there looks at completed trials
alone; and their steps are whole numbers. Here a decision is a function of scores on record.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Any, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from evaluation.metrics import Goal
from transgan.frozen_model import FrozenModel

DISTANCE_SLACK = 0.2
"""Share of the bar by which a distance may miss it; what it saves is in docs/sweeps/efficiency.md.

Trainings of the same settings from three seeds are 13 to 36 % apart on their way (the classifier's
distances in docs/learning/digits.csv), of which the standard error of images knows nothing. Name
and form are those of Azure ML's bandit policy.
"""

MOST_TURNS = 10_000
"""Twice the most trials that a sweep can have: no bracket is asked for beyond."""

LEAST_OTHERS = 3
"""Trials that the median rule wants to know before it stops another, as many as Ray Tune's."""

EVENLY_SPACED = ("median", "none", "pbt")
"""Rules whose rungs may lie at even intervals: they don't keep a share of each."""

MOST_EVEN_RUNGS = 200
"""At each a trial is scored, and with `pbt` all wait for the last and start anew."""


class Score(NamedTuple):
    """A trial's objective at a rung."""

    value: float
    """Finite."""
    standard_error: float | None = None
    """None where no honest one is known."""


History = Sequence[Score]
"""A trial's scores from its first rung to the one in question, not empty."""


class Answer(StrEnum):
    """What a rule says of a trial."""

    GOES_ON = "goes_on"
    TIED = "tied"
    """It goes on since images or another seed may make the difference to one that does."""
    STOPPED = "stopped"


class Judged(NamedTuple):
    """What a rule says of a trial, and by what."""

    answer: Answer
    bar: float | None = None
    """What it was to reach; None where it is above all question."""


class EarlyStopping(FrozenModel):
    """The rungs at which trials are scored, and the rule by which they are stopped there."""

    name: Literal["asha", "hyperband", "median", "none", "pbt"] = "asha"
    """`asha` keeps the best 1/reduction_factor at each rung. `hyperband` does so in brackets, of
    which each stops nobody before a later rung than the one before it. `median` stops who never was
    as good as the median of the others' running means. `none` scores at the same rungs and stops
    nobody. `pbt` stops nobody either: at each rung the worst go on from the checkpoints of the
    best, with perturbed settings."""
    grace_kimg: float = Field(gt=0)
    """The first rung: no trial is stopped before."""
    reduction_factor: int = Field(3, ge=2)
    """`asha` and `hyperband` let the best 1/reduction_factor of a rung go on; the next rung lies
    that many times as far, whatever the rule, unless `interval_kimg` is given."""
    tie_standard_errors: float = Field(1.0, ge=0)
    """A trial that is to be stopped goes on if it misses the bar by no more than so many standard
    errors of the difference, and with `pbt` one that is to take over from another keeps its own
    training; 0 for no such ties."""
    slack_factor: float | None = Field(None, ge=0, le=10)
    """A trial that is to be stopped goes on if it misses the bar by no more than this share of it:
    with 0.2 and a distance of 10 as the bar, up to 12; a score that is maximized, down to
    bar / 1.2. Another training seed may make as much of a difference. null: 0.2 for what is
    minimized, 0 for what is maximized."""
    interval_kimg: float | None = Field(None, gt=0)
    """For `pbt`, and if you like for `median` and `none`: rungs are its multiples. It stands for
    `grace_kimg` too."""
    quantile: float | None = Field(None, gt=0, le=0.5)
    """For `pbt`: the share of the worst that take over from as many of the best; null for 0.25."""
    perturb_factor: float | None = Field(None, gt=1)
    """For `pbt`: what settings that are taken over are multiplied or divided by; null for 1.2."""

    @model_validator(mode="before")
    @classmethod
    def _interval_is_grace(cls, values: Any) -> Any:
        """At even intervals the first rung is as far as all others."""
        if (
            isinstance(values, dict)
            and values.get("name") in EVENLY_SPACED
            and values.get("interval_kimg") is not None
        ):
            return {"grace_kimg": values["interval_kimg"]} | values
        return values

    @model_validator(mode="after")
    def _options_have_an_effect(self) -> Self:
        if self.name == "pbt" and self.interval_kimg is None:
            raise ValueError("pbt needs interval_kimg, such as interval_kimg: 12")
        if self.interval_kimg is not None:
            if self.name not in EVENLY_SPACED:
                raise ValueError(
                    f"interval_kimg has no effect on {self.name}, whose rungs lie "
                    "reduction_factor times as far as the one before; leave it out, or set name to "
                    f"{' or '.join(EVENLY_SPACED)}"
                )
            if self.grace_kimg != self.interval_kimg or self.reduction_factor != 3:
                raise ValueError(
                    f"grace_kimg and reduction_factor have no effect on {self.name} with "
                    "interval_kimg, whose rungs are its multiples; leave them out"
                )
        for option in ("quantile", "perturb_factor"):
            if self.name != "pbt" and getattr(self, option) is not None:
                raise ValueError(
                    f"{option} has no effect on {self.name}; leave it out, or set name to pbt"
                )
        return self

    def resolved_slack_factor(self, goal: Goal) -> float:
        """The share of the bar by which it may be missed."""
        if self.slack_factor is not None:
            return self.slack_factor
        return DISTANCE_SLACK if goal == "minimize" else 0.0

    def settled(self, goal: Goal) -> EarlyStopping:
        """The same with its slack as a number, whatever a later version takes by default."""
        if self.name in ("none", "pbt"):  # have none
            return self
        return self.model_copy(update={"slack_factor": self.resolved_slack_factor(goal)})

    @property
    def resolved_quantile(self) -> float:
        """The share that takes over with `pbt`."""
        return self.quantile or 0.25

    @property
    def resolved_perturb_factor(self) -> float:
        """What settings are multiplied or divided by with `pbt`."""
        return self.perturb_factor or 1.2

    @model_validator(mode="after")
    def _ties_have_an_effect(self) -> Self:
        without_effect = {
            "tie_standard_errors": self.name == "none" and self.tie_standard_errors != 1.0,
            "slack_factor": self.name in ("none", "pbt") and self.slack_factor is not None,
        }
        for option, given in without_effect.items():
            if given:
                raise ValueError(
                    f"{option} has no effect on {self.name}, which stops nobody; leave it out, or "
                    "set name to asha, hyperband or median"
                )
        return self

    def rungs(self, total_kimg: float) -> tuple[float, ...]:
        """The kimg at which a trial is scored; the last is the end of training."""
        rungs, rung = [], self.grace_kimg
        while rung < total_kimg * (1 - 1e-9):  # 100 times 0.29 is a little less than 29
            rungs.append(rung)
            if self.interval_kimg is None:
                rung *= self.reduction_factor
            else:
                rung = (len(rungs) + 1) * self.interval_kimg
        return (*rungs, total_kimg)

    def bracket(self, number: int, num_rungs: int) -> int:
        """Which trials a trial is held against, and the first rung at which it may be stopped.

        A function of the trial's number alone, so that it is the same after a resume. The brackets
        are as large, to one another, as in Hyperband, and take turns: however many trials there
        are, each bracket has about its share of them.
        """
        if self.name != "hyperband":
            return 0
        turns = _bracket_turns(num_rungs, self.reduction_factor)
        return turns[number % len(turns)]

    def may_stop(self, number: int, rungs: Sequence[float], rung: int, kimg: float) -> bool:
        """Whether a trial that was scored at `rung` may still be stopped, now that it is at `kimg`.

        The first at a rung go on for want of others to compare with. Until they are halfway to
        the next rung they are judged again by what has come since; later, so much is spent that
        the rest is worth having.
        """
        if self.name in ("none", "pbt") or rung + 1 >= len(rungs):
            return False
        if rung < self.bracket(number, len(rungs)):
            return False
        return kimg < (rungs[rung] + rungs[rung + 1]) / 2

    def judge(self, history: History, others: Sequence[History], goal: Goal) -> Judged:
        """What the rule says of a trial with these scores.

        Args:
            history: its scores up to a rung.
            others: those of all other trials of its bracket that were scored at that rung so far.
            goal: which scores are better.
        """
        if self.name in ("none", "pbt"):
            return Judged(Answer.GOES_ON)
        sign = 1.0 if goal == "minimize" else -1.0
        if self.name == "median":
            if len(others) < LEAST_OTHERS:
                return Judged(Answer.GOES_ON)
            own = min(history, key=lambda score: sign * score.value)
            bar = _median(sorted(map(_mean, others)))
            stops = sign * own.value > sign * bar.value
        else:
            own = history[-1]
            ranked = sorted((other[-1] for other in others), key=lambda score: sign * score.value)
            num_kept = max(1, (len(others) + 1) // self.reduction_factor)
            if num_kept > len(ranked):
                return Judged(Answer.GOES_ON)
            bar = ranked[num_kept - 1]  # the last that goes on, where this trial does not
            stops = sign * own.value > sign * bar.value
        if not stops:
            return Judged(Answer.GOES_ON, bar.value)
        slack = self.resolved_slack_factor(goal)
        reach = abs(bar.value) * (slack if goal == "minimize" else 1 - 1 / (1 + slack))
        tied = sign * (own.value - bar.value) <= reach * (1 + 1e-9)  # whatever rounding does
        tied = tied or is_tied(own, bar, self.tie_standard_errors)
        return Judged(Answer.TIED if tied else Answer.STOPPED, bar.value)


def is_tied(one: Score, other: Score, standard_errors: float) -> bool:
    """Whether two scores differ by no more than so many standard errors of their difference.

    One is the rule of Breiman et al. 1984 ("Classification and Regression Trees", sec. 3.4.3) for
    what is as good as the best. The errors are taken to be independent: those of two trials' images
    are, and what is not on record, how they vary together, can't be taken off.
    """
    if one.standard_error is None or other.standard_error is None:
        return False
    reach = standard_errors * math.hypot(one.standard_error, other.standard_error)
    return reach > 0 and abs(one.value - other.value) <= reach


def _mean(history: History) -> Score:
    """The mean of a trial's scores, with its standard error if all have one."""
    return _averaged(list(history))


def _median(scores: Sequence[Score]) -> Score:
    """The middle of sorted scores, or the mean of the two in the middle."""
    middle = len(scores) // 2
    return scores[middle] if len(scores) % 2 else _averaged(list(scores[middle - 1 : middle + 1]))


def _averaged(scores: list[Score]) -> Score:
    errors = [score.standard_error for score in scores if score.standard_error is not None]
    known = len(errors) == len(scores)
    return Score(
        statistics.fmean(score.value for score in scores),
        math.hypot(*errors) / len(scores) if known else None,
    )


@lru_cache
def _bracket_turns(num_rungs: int, reduction_factor: int) -> tuple[int, ...]:
    """The brackets of the first trials, after which they begin anew.

    Bracket b begins at rung b and has ceil((s_max + 1) / (s + 1) · factor^s) trials, s = s_max - b
    (Li et al. 2018, alg. 1). Dealt by the method of Sainte-Laguë, which keeps shares.
    """
    shares = [-(-num_rungs * reduction_factor**s // (s + 1)) for s in reversed(range(num_rungs))]
    dealt = [0] * num_rungs
    turns = []
    for _ in range(min(sum(shares), MOST_TURNS)):
        bracket = max(range(num_rungs), key=lambda b: shares[b] / (2 * dealt[b] + 1))
        dealt[bracket] += 1
        turns.append(bracket)
    return tuple(turns)
