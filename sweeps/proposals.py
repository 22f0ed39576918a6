"""Which settings a trial gets: samplers behind a function of what is known so far.

A proposal depends on the sweep's seed, the trial's number, the scores *at the first rung* of the
trials before it (but the last few, which may still be on their way there), and what was refused
before as impossible to train. All trials are scored at the first rung, at the same kimg and with
the same latents, so that the comparison is fair; and when a proposal is made no longer matters, so
that a sweep of as many trials at once proposes the same trials on a fast and on a busy machine, and
after a resume.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from evaluation.metrics import Goal
from reports.infeasible import InfeasibleProposal
from reports.records import Setting
from sweeps.evolution import Evolution
from sweeps.grid import Grid
from sweeps.known import Known, worst
from sweeps.sampler_config import SamplerConfig
from sweeps.search_space import SearchSpace
from sweeps.suggestion import distribution, past_trial, suggest, without_experimental_warnings


class _Past(NamedTuple):
    """A study, and the trials that were entered into it."""

    study: optuna.Study
    trials: list[Known]


class Proposals:
    """Proposes settings for trials; what it keeps is only kept to be quick."""

    def __init__(
        self,
        sampler: SamplerConfig,
        space: SearchSpace,
        goals: tuple[Goal, ...],
        *,
        behind: int,
        baseline: dict[str, Setting] | None = None,
        prior: Sequence[Known] = (),
    ) -> None:
        """Proposals of `sampler` in `space`.

        Args:
            sampler: which sampler, with its seed.
            space: what is searched.
            goals: which values of each objective are better.
            behind: how many of the last trials before another may still be on their way, and are
                not looked at.
            baseline: settings that come first.
            prior: trials of an earlier sweep, which `tpe` and `gp` know before the first of this.
        """
        self.sampler, self.space, self.goals = sampler, space, goals
        self.behind, self.baseline, self.prior = behind, baseline, prior
        self._past: _Past | None = None

    def propose(
        self,
        number: int,
        known: Mapping[int, Known] = {},
        infeasible: Sequence[InfeasibleProposal] = (),
    ) -> dict[str, Setting] | None:
        """Settings for trial `number`; None where a grid has no more.

        Args:
            number: the trial's number.
            known: the earlier trials, all but the last `behind`, by number.
            infeasible: proposals refused so far, for earlier trials and for this one.
        """
        attempt = sum(proposal.number == number for proposal in infeasible)
        if self.sampler.name == "grid":
            place = number + len(infeasible)
            return self._grid[place] if place < len(self._grid) else None
        if number == attempt == 0 and self.baseline is not None:
            return self.baseline
        if not self.space:
            return {}
        if self.sampler.name in ("cmaes", "nsga2"):
            return self._evolution.propose(number, known, infeasible)
        with without_experimental_warnings():
            return self._from_history(number, attempt, known, infeasible)

    @cached_property
    def _grid(self) -> tuple[dict[str, Setting], ...]:
        return Grid(self.space, self.sampler.seed).starting_from(self.baseline)

    @cached_property
    def _evolution(self) -> Evolution:
        return Evolution(self.sampler, self.space, self.goals, self.behind)

    def _from_history(
        self,
        number: int,
        attempt: int,
        known: Mapping[int, Known],
        infeasible: Sequence[InfeasibleProposal],
    ) -> dict[str, Setting]:
        """What a sampler says that learns anew from finished trials each time."""
        trials = [*self.prior, *(known[earlier] for earlier in sorted(known))]
        # TPE takes a pruned trial without values to be worse than all others. Gaussian processes
        # take numbers only.
        lacking = worst(trials, self.goals) if self.sampler.name == "gp" else None
        if len(trials) >= self.sampler.startup_trials:  # before, refusals would cut the start short
            trials += [Known(proposal.settings, None) for proposal in infeasible]
        # The same objects as last time, where nothing is put in: so they are quickly compared.
        past = [trial if trial.values else Known(trial.settings, lacking) for trial in trials]
        study = self._study_of(past)
        study.sampler = self._sampler(number, attempt)
        asked = study.ask()
        settings = suggest(asked, self.space)
        study.tell(asked, state=TrialState.FAIL)  # no sampler looks at those
        return settings

    def _sampler(self, number: int, attempt: int) -> BaseSampler:
        config = self.sampler
        text = f"{config.seed}/{number}" + (f"/{attempt}" if attempt else "")
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])
        startup = config.startup_trials
        if config.name == "random":
            return RandomSampler(seed=seed)
        if config.name == "gp":
            return GPSampler(
                seed=seed,
                n_startup_trials=startup,
                independent_sampler=RandomSampler(seed=seed),
                warn_independent_sampling=False,
            )
        if not self._is_conditional:
            return _WholeSpaceTPE(self._distributions, seed=seed, n_startup_trials=startup)
        # Settings that apply together are best looked at together, group by group.
        return TPESampler(
            seed=seed,
            n_startup_trials=startup,
            multivariate=True,
            group=True,
            constant_liar=False,
        )

    @cached_property
    def _distributions(self) -> dict[str, BaseDistribution]:
        """In the order in which Optuna has them, but those that leave no choice."""
        all_of_them = {path: distribution(self.space[path]) for path in sorted(self.space)}
        return {path: known for path, known in all_of_them.items() if not known.single()}

    @cached_property
    def _is_conditional(self) -> bool:
        """Whether there are trials that lack some of the paths."""
        return any(domain.when for domain in self.space.values())

    def _study_of(self, past: list[Known]) -> optuna.Study:
        """A study of these past trials: the last proposal's, if it only lacks some at the end."""
        before = self._past
        if before is None or past[: len(before.trials)] != before.trials:
            before = _Past(optuna.create_study(directions=list(self.goals)), [])
        for settings, values in past[len(before.trials) :]:
            before.study.add_trial(past_trial(settings, self.space, values))
        self._past = _Past(before.study, past)
        return before.study


def trial_seed(sweep_seed: int, settings: Mapping[str, Setting]) -> int:
    """The training seed of a trial: a function of sweep's seed and trial's settings alone."""
    text = repr((sweep_seed, sorted(settings.items())))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])


class _WholeSpaceTPE(TPESampler):
    """TPE in a space of which every trial has all paths.

    Optuna's own finds that out from all earlier trials at each proposal, since it is asked by a new
    sampler each time; with a thousand trials that takes longer than all else about a trial.
    """

    def __init__(
        self, distributions: dict[str, BaseDistribution], *, seed: int, n_startup_trials: int
    ) -> None:
        super().__init__(
            seed=seed,
            n_startup_trials=n_startup_trials,
            multivariate=True,
            constant_liar=False,  # no trial of our studies ever runs
        )
        self._whole = distributions

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self._whole
