"""Population based training: who takes over whose training at a rung, and with which settings.

Source: Jaderberg et al. 2017, "Population Based Training of Neural Networks", arXiv:1711.09846,
with truncation selection (sec. 4.1.1) and perturbation by a factor.

Ray has a scheduler of this name. It is not used, since it keeps its state in the driver: which
trial took over from which, and the draws that came of it, would be lost with a driver that is
killed. Here trials wait for one another at each rung, so that an exchange is a function of the
scores on record and the sweep's seed, whatever the number of trials at once.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from reports.records import Setting
from sweeps.early_stopping import EarlyStopping, Score, is_tied
from sweeps.search_space import SearchSpace
from sweeps.spec_text import SpecError

if TYPE_CHECKING:
    from evaluation.metrics import Goal
    from sweeps.spec import SweepSpec

PERTURBABLE = (
    *("optimizer.generator_lr", "optimizer.discriminator_lr", "optimizer.beta1"),
    *("optimizer.beta2", "optimizer.weight_decay", "optimizer.gradient_clip"),
    *("loss.gradient_penalty", "loss.phi", "loss.drift_weight", "loss.mode_seeking_weight"),
    *("ema.half_life_kimg", "ema.ramp_up", "augment_probability"),
)
"""Settings that a training can go on with others of: numbers that no tensor's shape hangs on."""
FEWEST_MEMBERS = 2
"""Of one there is nobody to take over from."""


class TakeOver(NamedTuple):
    """One trial that goes on from another's checkpoint."""

    loser: int
    donor: int


def take_overs(
    stopping: EarlyStopping, scores: Mapping[int, Score], rung: int, seed: int, goal: Goal
) -> tuple[TakeOver, ...]:
    """Who takes over from whom at a rung, a function of all that is given.

    The worst `quantile` of the population each draw one of the best `quantile`, and take over from
    it unless the two can't be told apart.

    Args:
        stopping: the rule's options.
        scores: the finite scores of all that go on, by trial.
        rung: index of the rung.
        seed: the sweep's.
        goal: which scores are better.
    """
    if len(scores) < FEWEST_MEMBERS:
        return ()
    sign = 1.0 if goal == "minimize" else -1.0
    ranked = sorted(scores, key=lambda number: (sign * scores[number].value, number))
    num = max(1, math.floor(len(ranked) * stopping.resolved_quantile))
    found = []
    for loser in ranked[-num:]:
        donor = _random(seed, rung, loser, "donor").choice(ranked[:num])
        if sign * scores[loser].value <= sign * scores[donor].value:
            continue  # all are equally good
        if not is_tied(scores[loser], scores[donor], stopping.tie_standard_errors):
            found.append(TakeOver(loser, donor))
    return tuple(found)


def perturbed(
    space: SearchSpace,
    settings: Mapping[str, Setting],
    factor: float,
    rung: int,
    seed: int,
    loser: int,
) -> dict[str, Setting]:
    """A donor's settings, each times or over `factor` as the seed has it, within its domain."""
    changed: dict[str, Setting] = {}
    for path, setting in settings.items():
        assert isinstance(setting, int | float)  # check_population
        up = _random(seed, rung, loser, path).random() < 0.5
        changed[path] = space[path].to_setting(setting * factor if up else setting / factor)
    return changed


def check_population(spec: SweepSpec, source: str) -> None:
    """Refuse what a population can't be trained with.

    Raises:
        SpecError: with the dotted path of what to change.
    """
    if spec.early_stopping.name != "pbt":
        return
    if spec.sampler.name != "random":
        raise SpecError(
            f"{source}: sampler.name: {spec.sampler.name} proposes by what settings led to which "
            "score, and pbt changes settings on the way; set it to random, or "
            "early_stopping.name to asha"
        )
    if spec.finalists is not None:
        raise SpecError(
            f"{source}: finalists: they train one configuration from start to end, and pbt changes "
            "settings on the way; set finalists to null, or early_stopping.name to asha"
        )
    if spec.budget.trials < FEWEST_MEMBERS:
        raise SpecError(
            f"{source}: budget.trials: {spec.budget.trials} given, and pbt is a population of "
            f"trials; set it to {FEWEST_MEMBERS} or more"
        )
    if not spec.search:
        raise SpecError(
            f"{source}: search: is empty, so that pbt has nothing to change on the way; search "
            "such as optimizer.generator_lr, or set early_stopping.name to asha"
        )
    for path, domain in spec.search.items():
        if path not in PERTURBABLE:
            raise SpecError(
                f"{source}: search.{path}: a training can't go on with another one, as pbt would "
                f"have it; put a value into training, or set early_stopping.name to asha (pbt "
                f"can search {', '.join(PERTURBABLE)})"
            )
        if domain.uniform is None and domain.loguniform is None:
            raise SpecError(
                f"{source}: search.{path}: pbt changes settings by a factor; give its bounds as "
                "uniform or loguniform"
            )
        if domain.when is not None:
            raise SpecError(
                f"{source}: search.{path}.when: with pbt every trial has every setting; leave it "
                "out"
            )


def _random(seed: int, rung: int, loser: int, what: str) -> random.Random:
    text = f"{seed}/pbt/{rung}/{loser}/{what}"
    return random.Random(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]))
