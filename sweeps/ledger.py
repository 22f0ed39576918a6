"""The sweep's memory: which trials there are, what each is to do next, who goes on and who stops.

Its truth is the records in the run folder; a ledger opened on a folder after any crash knows what
the one before it knew. It mirrors all into an Optuna study, for Optuna's own tools to show.
"""

from __future__ import annotations

import itertools
import math

from reports.infeasible import InfeasibleProposal, note_infeasible, read_infeasible
from reports.records import (
    FaultKind,
    FinalistsRecord,
    Setting,
    TrialFault,
    TrialRecord,
    TrialState,
)
from reports.run_folder import RunFolder
from sweeps.attempts import Attempts
from sweeps.faults import Loss
from sweeps.feasibility import MOST_REFUSALS, infeasible_because
from sweeps.finalists import Finalists
from sweeps.known import Known
from sweeps.objectives import costs_of
from sweeps.proposals import Proposals, trial_seed
from sweeps.spec import SweepSpec
from sweeps.study_mirror import StudyMirror
from sweeps.trial import TrialReport, TrialTask, end_trial, new_record, now
from sweeps.trial_faults import with_fault
from transgan.config import TrainingConfig


class Ledger:
    """Decides for one sweep; single-threaded, in the driver."""

    def __init__(
        self,
        spec: SweepSpec,
        run: RunFolder,
        *,
        objective: str,
        concurrent: int,
        device: str,
        finalists: FinalistsRecord | None = None,
    ) -> None:
        """The ledger of the sweep in `run`.

        Args:
            spec: what is swept.
            run: where its records are.
            objective: recorded name of the metric that ranks.
            concurrent: trials at once.
            device: where they train.
            finalists: how finalists are run after the search; None for a sweep without.
        """
        self.spec, self.run, self.objective = spec, run, objective
        self.concurrent, self.device = concurrent, device
        self.records = {record.number: record for record in run.read_trials()}
        """The trials of the search, by number."""
        self.finalists: Finalists | None = None
        """The finalist runs, which nothing about the search looks at."""
        if finalists is not None:
            self.finalists = Finalists(spec, run, finalists, device=device)
        self.reports: dict[str, TrialReport] = {}
        """Newest report of each trial that has run since this ledger was opened, by its name."""
        self._rung_values: dict[tuple[int, int], float] = {}
        for record in self.records.values():
            self._take_scores(record)
        self._costs: dict[int, tuple[float, ...]] = {}
        self.infeasible = read_infeasible(run)
        """Proposals that were refused, by trial and attempt."""
        self.ended_because: str | None = None
        """Why nothing more can be proposed, though the budget has trials left."""
        behind = spec.budget.concurrent_trials or concurrent
        self._proposals = Proposals(
            spec.sampler, spec.search, spec.goals, behind=behind, baseline=spec.baseline()
        )
        self._unstarted = [n for n, r in sorted(self.records.items()) if not r.state.is_final]
        self._attempts = Attempts(run, spec.faults, spec.budget.trials + spec.most_finalist_runs)
        self._study = StudyMirror(spec, run, objective)
        for number in sorted({*self.records, *self._refused_numbers()}):
            self._mirror_again(number)

    @property
    def num_left(self) -> int:
        """Trials of the search that have not come to an end."""
        ended = sum(record.state.is_final for record in self.records.values())
        return self.spec.budget.trials - ended

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to do: no trial of the search, and no finalist run."""
        if self.num_left and self.ended_because is None:
            return False
        if not self._has_search_ended():
            return False
        return self.finalists is None or self.finalists.is_over

    def next_task(self) -> TrialTask | None:
        """What the next free worker should do: interrupted trials, new ones, then finalist runs.

        None when the next proposal still waits for another trial's first score, the finalists for
        the end of the search, or the next round of theirs for the end of this one.

        Raises:
            StopIteration: everything has been handed out, or nothing more can be proposed
                (`ended_because`).
        """
        try:
            return self._next_of_search()
        except StopIteration:
            if self.finalists is None:
                raise
        return self.finalists.next_task() if self._has_search_ended() else None

    def _has_search_ended(self) -> bool:
        """Whether no trial of the search is on its way; then the finalists are chosen."""
        if any(not record.state.is_final for record in self.records.values()):
            return False
        if self.finalists is not None:
            self.finalists.choose(self.records.values())
        return True

    def _next_of_search(self) -> TrialTask | None:
        """What is next of the search; None and errors as `next_task`."""
        while self._unstarted:
            record = self.records[self._unstarted.pop(0)]
            cause = infeasible_because(self.spec, record.settings)
            if cause is None:
                return self._task(record.number, record.settings)
            self._refuse(record, cause)  # it could be trained where it was proposed
        # Where the folder of a trial was removed, that trial is the next.
        number = next(n for n in itertools.count() if n not in self.records)
        if number >= self.spec.budget.trials or self.ended_because is not None:
            raise StopIteration
        settings = self._proposal(number)
        if settings is None:
            return None
        task = self._task(number, settings)
        self._enter(task)
        return task

    def hear(self, trial: str, report: TrialReport) -> bool:
        """Take in the report of the trial of that name; whether the trial is to be stopped."""
        self.reports[trial] = report
        if self.finalists is not None and trial in self.finalists.records:
            return self.finalists.hear(trial, report)
        folder, number = self.run.trial(trial), int(trial)
        if report.rung is not None:
            self.records[number] = folder.read()
            value = math.nan if report.value is None else report.value
            self._rung_values[number, report.rung] = value
            self._study.scored(number, report.rung, value)
        if not report.state.is_final and self._stops(number, report.kimg):
            self.records[number] = end_trial(folder, TrialState.STOPPED_EARLY)
        if report.state.is_final:
            self.records[number] = folder.read()
        if self.records[number].state.is_final:
            self._end(number)
        return self.records[number].state.is_final

    @property
    def stop_because(self) -> str | None:
        """Why the sweep is to stop before it burns its budget; None while it may go on."""
        return self._attempts.stop_because

    @property
    def needed_bytes(self) -> int | None:
        """About what the trials still to be trained will keep on disk; None if not known yet."""
        sizes = [record.cost for record in self.records.values()]
        if not sizes:
            return None
        return self._attempts.needed_bytes(max(sizes, key=lambda size: size.generator_parameters))

    def lost(self, trial: str, loss: Loss) -> None:
        """Note that a trial's worker died, hung or raised: it is started again where that helps."""
        last = self.reports.get(trial)
        kimg = last.kimg if last else 0.0
        if self.finalists is not None and trial in self.finalists.records:
            self.finalists.lost(trial, loss, kimg, self._attempts)
            return
        number = int(trial)
        if self.records[number].state.is_final:
            return
        record = self._attempts.lost(self.records[number], loss, kimg)
        self.records[number] = record
        self._take_scores(record)
        if record.state.is_final:
            self._end(number)
        elif record.state is TrialState.RUNNING:
            self._unstarted.insert(0, number)

    def _end(self, number: int) -> None:
        """Take in that a trial has ended; with others of its fault, it may be set aside."""
        self._mirror_end(number)
        for record in self._attempts.ended(self.records[number]):
            self.records[record.number] = record

    def _refuse(self, record: TrialRecord, cause: str) -> None:
        """End a trial that this machine, or the spec as it now stands, can't train."""
        fault = TrialFault(
            kind=FaultKind.INFEASIBLE, message=cause, kimg=record.kimg, outcome="ended", at=now()
        )
        folder = self.run.trial(record.trial)
        folder.write(with_fault(record, fault, folder))
        ended = end_trial(folder, TrialState.INFEASIBLE, cause)
        self.records[record.number] = ended
        self._mirror_end(record.number)

    def _take_scores(self, record: TrialRecord) -> None:
        for rung, scores in enumerate(record.scores):
            if taken := scores.measurement(self.objective):
                self._rung_values[record.number, rung] = taken.value

    def interrupt(self) -> None:
        """Note that the trials that run now were interrupted, to be resumed."""
        for number, record in self.records.items():
            if not record.state.is_final:
                folder = self.run.trial(record.trial)
                if folder.record.exists():  # else it was removed, and a resume starts it anew
                    self.records[number] = end_trial(folder, TrialState.INTERRUPTED)
        if self.finalists is not None:
            self.finalists.interrupt()

    def value_at(self, number: int, rung: int) -> float | None:
        """The objective of a trial at a rung, if it was scored there."""
        return self._rung_values.get((number, rung))

    def _stops(self, number: int, kimg: float) -> bool:
        """Whether a trial stops, by its last rung and all that is known of that rung by now."""
        rung = len(self.records[number].scores) - 1
        value = self.value_at(number, rung)
        stopping = self.spec.early_stopping
        if value is None or not stopping.may_judge_again(self.spec.rungs, rung, kimg):
            return False
        others = [
            other
            for (trial, at), other in self._rung_values.items()
            if at == rung and trial != number and math.isfinite(other)
        ]
        return stopping.stops(value, others, self.spec.goal)

    def _proposal(self, number: int) -> dict[str, Setting] | None:
        """Settings of a new trial, or None while a score that they depend on is still to come.

        Trial 0 is the spec's own training config where it lies in the search space, so that a sweep
        never ends up worse than its starting point.
        """
        known: dict[int, Known] = {}
        for earlier in range(number - self._proposals.behind):  # the last may be on their way
            record, value = self.records[earlier], self.value_at(earlier, 0)
            if value is None and not record.state.is_final:
                return None
            known[earlier] = Known(dict(record.settings), self._values(earlier, value))
        return self._feasible_proposal(number, known)

    def _feasible_proposal(self, number: int, known: dict[int, Known]) -> dict[str, Setting]:
        """The first proposal that can be trained; those that can't are noted, and told."""
        refused = [proposal for proposal in self.infeasible if proposal.number <= number]
        attempt = self._refused_numbers().count(number)
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

    def _values(self, number: int, score: float | None) -> tuple[float, ...] | None:
        """A value for each objective of the sampler, if the trial has such a score."""
        record, objectives = self.records[number], self.spec.sampler.resolved_objectives
        if score is None or not math.isfinite(score):
            return None
        if number not in self._costs:
            config = TrainingConfig.model_validate(record.config)
            self._costs[number] = costs_of(objectives, config)
        return (score, *self._costs[number])

    def _task(self, number: int, settings: dict[str, Setting]) -> TrialTask:
        seed = trial_seed(self.spec.sampler.seed, settings)
        return TrialTask(
            trial=f"{number:04d}",
            number=number,
            settings=settings,
            config=self.spec.trial_config(settings, seed),
            rungs=self.spec.rungs,
            objective=self.objective,
            threads=self.spec.resources.threads,
            device=self.device,
            collapse_share=self.spec.faults.collapse_share,
        )

    def _enter(self, task: TrialTask) -> None:
        """A record for a trial that has been handed out, so that no crash forgets its settings."""
        folder = self.run.trial(task.trial)
        folder.path.mkdir(parents=True, exist_ok=True)
        record = new_record(task)
        folder.write(record)
        self.records[task.number] = record
        self._study.started(record)

    def _refused_numbers(self) -> list[int]:
        return [proposal.number for proposal in self.infeasible]

    def _mirror_again(self, number: int) -> None:
        """Enter what earlier ledgers knew of a trial, and of the proposals refused before it."""
        for proposal in self.infeasible:
            if proposal.number == number:
                self._study.refused(proposal)
        record = self.records.get(number)
        if record is None:
            return
        self._study.started(record)
        for rung in range(len(record.scores)):
            if (value := self.value_at(number, rung)) is not None:
                self._study.scored(number, rung, value)
        if record.state.is_final:
            self._mirror_end(number)

    def _mirror_end(self, number: int) -> None:
        record = self.records[number]
        last = self.value_at(number, len(record.scores) - 1)
        self._study.ended(record, self._values(number, last))
