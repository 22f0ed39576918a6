"""What the next trial of a sweep tries: proposals that can be trained, made while others train."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping

from reports.infeasible import InfeasibleProposal, note_infeasible, read_infeasible
from reports.records import Setting, TrialRecord
from reports.run_folder import RunFolder
from sweeps.feasibility import MOST_REFUSALS, infeasible_because
from sweeps.judging import Judging
from sweeps.known import Known
from sweeps.objectives import costs_of
from sweeps.proposals import Proposals
from sweeps.spec import SweepSpec
from sweeps.study_mirror import StudyMirror
from sweeps.warm_start import known_of, prior_of
from transgan.config import TrainingConfig


class Proposer:
    """Proposes for one sweep, by what the sweep's ledger knows."""

    def __init__(
        self,
        spec: SweepSpec,
        run: RunFolder,
        records: Mapping[int, TrialRecord],
        judging: Judging,
        study: StudyMirror,
        *,
        concurrent: int,
    ) -> None:
        """The proposer of the sweep in `run`.

        Args:
            spec: what is swept.
            run: where refused proposals are kept.
            records: the ledger's trials, by number, as they stand at any time.
            judging: knows their scores.
            study: is told of refused proposals.
            concurrent: trials at once, where the spec does not say it.
        """
        self.spec, self.run = spec, run
        self._records, self._judging, self._study = records, judging, study
        self.infeasible = read_infeasible(run)
        """Proposals that were refused, by trial and attempt."""
        self.ended_because: str | None = None
        """Why nothing more can be proposed, though the budget has trials left."""
        self._known: dict[int, Known] = {}
        """What proposals learn of the trials that have passed their first rung, or never will."""
        self._costs: dict[int, tuple[float, ...]] = {}
        self._ahead: tuple[int, dict[str, Setting]] | None = None
        """A trial that is still to be started, and what was proposed for it."""
        self._proposals = Proposals(
            spec.sampler,
            spec.search,
            spec.goals,
            behind=spec.budget.concurrent_trials or concurrent,
            baseline=spec.baseline(),
            prior=known_of(prior_of(spec, run)),
        )

    def proposal(self, number: int) -> dict[str, Setting] | None:
        """Settings of a new trial, or None while a score that they depend on is still to come.

        Trial 0 is the spec's own training config where it lies in the search space, so that a sweep
        never ends up worse than its starting point.

        Raises:
            StopIteration: nothing more can be proposed (`ended_because`).
        """
        if self._ahead is not None and self._ahead[0] == number:
            return self._ahead[1]
        looked_at = range(number - self._proposals.behind)  # the last may be on their way
        for earlier in looked_at:
            if earlier in self._known:
                continue
            record = self._records[earlier]
            if not self._judging.was_scored(earlier, 0) and not record.state.is_final:
                return None
            values = self.values(earlier, self._judging.value_at(earlier, 0))
            self._known[earlier] = Known(dict(record.settings), values)
        return self._feasible(number, {n: self._known[n] for n in looked_at})

    def think_ahead(self, number: int) -> None:
        """Make the proposal for a trial that is still to be started, if it depends on no more.

        So that no worker waits for it later: it would be the same then.
        """
        if self._ahead is not None and self._ahead[0] == number:
            return
        with contextlib.suppress(StopIteration):  # whoever asks for it will hear of that
            settings = self.proposal(number)
            self._ahead = None if settings is None else (number, settings)

    def values(self, number: int, score: float | None) -> tuple[float, ...] | None:
        """A value for each objective of the sampler, if the trial has such a score."""
        record, objectives = self._records[number], self.spec.sampler.resolved_objectives
        if score is None or not math.isfinite(score):
            return None
        if len(objectives) == 1:
            return (score,)
        if number not in self._costs:
            config = TrainingConfig.model_validate(record.config)
            self._costs[number] = costs_of(objectives, config)
        return (score, *self._costs[number])

    def _feasible(self, number: int, known: dict[int, Known]) -> dict[str, Setting]:
        """The first proposal that can be trained; those that can't are noted, and told."""
        refused = [proposal for proposal in self.infeasible if proposal.number <= number]
        attempt = sum(proposal.number == number for proposal in refused)
        while True:
            settings = self._proposals.propose(number, known, refused)
            if settings is None:
                self.ended_because = f"the grid has no more combinations than {number}"
                raise StopIteration
            cause = infeasible_because(self.spec, settings)
            if cause is None:
                return settings
            proposal = InfeasibleProposal(
                number=number, attempt=attempt, settings=settings, cause=cause
            )
            note_infeasible(self.run, proposal)
            self.infeasible.append(proposal)
            self._study.refused(proposal)
            refused.append(proposal)
            attempt += 1
            if attempt >= MOST_REFUSALS and self.spec.sampler.name != "grid":
                self.ended_because = (
                    f"{attempt} proposals in a row for trial {number:04d} can't be trained, the "
                    f"last since {cause}; take such settings out of the search"
                )
                raise StopIteration
