"""CMA-ES and NSGA-II, which remember generations, as functions of what is known of a sweep.

Optuna keeps a generation in its trials' attributes and draws from one stream of random numbers, so
that a study filled with finished trials would teach these samplers nothing. Here the study is lived
through again: every trial is asked for and told in the order of the sweep, whatever the order in
which trials came to an end, and whichever process does it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import optuna
from optuna.samplers import BaseSampler, CmaEsSampler, NSGAIISampler, RandomSampler
from optuna.trial import TrialState

from evaluation.metrics import Goal
from reports.infeasible import InfeasibleProposal
from reports.records import Setting
from sweeps.known import Known, worst
from sweeps.sampler_config import SamplerConfig
from sweeps.search_space import SearchSpace
from sweeps.suggestion import past_trial, suggest


class Evolution:
    """One such sampler with the study that it has lived through so far."""

    def __init__(
        self, config: SamplerConfig, space: SearchSpace, goals: tuple[Goal, ...], behind: int
    ) -> None:
        self.config, self.space, self.goals, self.behind = config, space, goals, behind
        self._begin()

    def propose(
        self,
        number: int,
        known: Mapping[int, Known],
        infeasible: Sequence[InfeasibleProposal],
    ) -> dict[str, Setting]:
        """Settings for trial `number`, after those that were refused for it (in `infeasible`).

        That a generation's members can't be trained is taken in by drawing others in their place
        (Hansen 2016, arXiv:1604.00772, sec. B.5).
        """
        attempts = [proposal.number for proposal in infeasible] + list(range(number))
        before = sorted(attempts)  # whatever was asked for before this, by the number of its trial
        if self._asked != before[: len(self._asked)]:
            self._begin()
        for earlier in before[len(self._asked) :]:
            self._ask(earlier, known)
        return self._ask(number, known)

    def _begin(self) -> None:
        sampler = _sampler(self.config)
        self._study = optuna.create_study(directions=list(self.goals), sampler=sampler)
        self._asked: list[int] = []
        self._num_told = 0
        self._waiting: dict[int, optuna.Trial] = {}

    def _ask(self, number: int, known: Mapping[int, Known]) -> dict[str, Setting]:
        for earlier in range(self._num_told, number - self.behind):
            self._tell(earlier, known)
        self._num_told = max(self._num_told, number - self.behind)
        if number in self._waiting:  # was refused
            self._study.tell(self._waiting[number], state=TrialState.FAIL)
        trial = self._study.ask()
        settings = suggest(trial, self.space)
        self._asked.append(number)
        self._waiting[number] = trial
        return settings

    def _tell(self, number: int, known: Mapping[int, Known]) -> None:
        """Enter a trial's values, with the settings that it had and its place in a generation."""
        trial = self._waiting.pop(number)
        self._study.tell(trial, state=TrialState.FAIL)
        ended, its = self._study.get_trials(deepcopy=False)[trial.number], known[number]
        earlier = (known[n] for n in range(number + 1))
        values = its.values or worst(earlier, self.goals)
        if values is not None:
            attributes = dict(ended.system_attrs)
            self._study.add_trial(
                past_trial(its.settings, self.space, values, system_attrs=attributes)
            )


def _sampler(config: SamplerConfig) -> BaseSampler:
    if config.name == "nsga2":
        return NSGAIISampler(seed=config.seed, population_size=config.resolved_population_size)
    return CmaEsSampler(
        seed=config.seed,
        n_startup_trials=config.startup_trials,
        independent_sampler=RandomSampler(seed=config.seed),
        warn_independent_sampling=False,
    )
