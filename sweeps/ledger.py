"""The sweep's memory: which trials there are, what each is to do next, who goes on and who stops.

Its truth is the records in the run folder; a ledger opened on a folder after any crash knows what
the one before it knew. It mirrors all into an Optuna study, for Optuna's own tools to show.
"""

from __future__ import annotations

import itertools

from reports.infeasible import InfeasibleProposal
from reports.judgements import Verdict
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
from sweeps.feasibility import infeasible_because
from sweeps.finalists import Finalists
from sweeps.generations import Generations
from sweeps.judging import Judging
from sweeps.proposals import trial_seed
from sweeps.proposer import Proposer
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
        self._judging = Judging(spec, run, objective, self.records.values())
        self._catch_up()
        self._study = StudyMirror(spec, run, objective)
        self._proposer = Proposer(
            spec, run, self.records, self._judging, self._study, concurrent=concurrent
        )
        self._generations: Generations | None = None
        if spec.early_stopping.name == "pbt":
            self._generations = Generations(spec, run, self._judging, self.records)
        self._unstarted = [n for n, r in sorted(self.records.items()) if not r.state.is_final]
        self._attempts = Attempts(run, spec.faults, spec.budget.trials + spec.most_finalist_runs)
        refused = {proposal.number for proposal in self._proposer.infeasible}
        for number in sorted({*self.records, *refused}):
            self._mirror_again(number)

    @property
    def infeasible(self) -> list[InfeasibleProposal]:
        """Proposals that were refused, by trial and attempt."""
        return self._proposer.infeasible

    @property
    def ended_because(self) -> str | None:
        """Why nothing more can be proposed, though the budget has trials left."""
        return self._proposer.ended_because

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
        if self._generations is not None:
            return self._next_of_population(self._generations)
        while self._unstarted:
            record = self.records[self._unstarted.pop(0)]
            cause = infeasible_because(self.spec, record.settings)
            if cause is None:
                return self._task(record.number, record.settings)
            self._refuse(record, cause)  # it could be trained where it was proposed
        number = self._next_number()
        if number >= self.spec.budget.trials or self.ended_because is not None:
            raise StopIteration
        settings = self._proposer.proposal(number)
        if settings is None:
            return None
        task = self._task(number, settings)
        self._enter(task)
        return task

    def _next_of_population(self, generations: Generations) -> TrialTask | None:
        """What is next of a population, whose trials wait for each other at every rung."""
        start = self._next_number()
        is_complete = start >= self.spec.budget.trials or self.ended_because is not None
        number = generations.next_number(is_complete=is_complete)
        if number is None and is_complete:
            if all(record.state.is_final for record in self.records.values()):
                raise StopIteration
            return None
        if number is None:
            try:
                settings = self._proposer.proposal(start)
            except StopIteration:  # then those that there are go on by themselves
                return self._next_of_population(generations)
            if settings is None:
                return None
            number = start
            self._enter(self._task(number, settings))
        generations.begin(number)
        record = self.records[number]
        config = TrainingConfig.model_validate(record.config)
        task = self._task(number, record.settings)
        return task.model_copy(update={"config": config})

    def _next_number(self) -> int:
        """Of the trial that is started next: where a trial's folder was removed, that one."""
        return next(n for n in itertools.count() if n not in self.records)

    def think_ahead(self) -> None:
        """Make the next proposal while others train, so that no free worker waits for it."""
        number = self._next_number()
        if number < self.spec.budget.trials and self.ended_because is None:
            self._proposer.think_ahead(number)

    def hear(self, trial: str, report: TrialReport) -> bool:
        """Take in the report of the trial of that name; whether the trial is to be stopped."""
        self.reports[trial] = report
        if self.finalists is not None and trial in self.finalists.records:
            return self.finalists.hear(trial, report)
        folder, number = self.run.trial(trial), int(trial)
        if report.rung is not None or report.state.is_final:
            self.records[number] = folder.read()
        rung = len(self.records[number].scores) - 1
        if rung >= 0 and (report.rung is not None or not report.state.is_final):
            self._act_on(number, self._judging.judge(self.records[number], rung, report.kimg))
            if (value := self.value_at(number, rung)) is not None:
                self._study.scored(number, rung, value)
        if self.records[number].state.is_final:
            self._end(number)
        if self._generations is not None and self._generations.is_at_rung(number):
            self._generations.end(number)
            return True
        return self.records[number].state.is_final

    @property
    def stop_because(self) -> str | None:
        """Why the sweep is to stop before it burns its budget; None while it may go on."""
        return self._attempts.stop_because

    def stop(self, because: str) -> None:
        """Have the sweep stop, to be resumed; the first reason stays."""
        self._attempts.stop_because = self._attempts.stop_because or because

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
        if self._generations is not None:
            self._generations.end(number)
        if self.records[number].state.is_final:
            return
        self.records[number] = self._attempts.lost(self.records[number], loss, kimg)
        self._take_scores(number)
        state = self.records[number].state
        if state.is_final:
            self._end(number)
        elif state is TrialState.RUNNING:
            self._unstarted.insert(0, number)

    def _end(self, number: int) -> None:
        """Take in that a trial has ended; with others of its fault, it may be set aside."""
        self._mirror_end(number)
        for record in self._attempts.ended(self.records[number]):
            self.records[record.number] = record
        num_left = self.num_left if self.ended_because is None else 0
        self._attempts.look_at_first(number, self.records, num_left)

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
        return self._judging.value_at(number, rung)

    def _take_scores(self, number: int) -> None:
        """Know of scores on a trial's record that it could not report any more."""
        record = self.records[number]
        for rung in range(len(record.scores)):
            self._act_on(number, self._judging.judge(record, rung, record.kimg))

    def _catch_up(self) -> None:
        """Do what an earlier ledger would have done next, had it not been killed."""
        for number, rung in self._judging.unheard:
            record = self.records[number]
            self._act_on(number, self._judging.judge(record, rung, record.kimg))
        for number, record in list(self.records.items()):
            said = self._judging.last_said(number, len(record.scores) - 1)
            if said is not None:
                self._act_on(number, said.verdict)

    def _act_on(self, number: int, verdict: Verdict) -> None:
        """End a trial that was judged so; what is over stays as it is."""
        record = self.records[number]
        folder = self.run.trial(record.trial)
        if verdict is Verdict.STOPPED and not record.state.is_final:
            self.records[number] = end_trial(folder, TrialState.STOPPED_EARLY)
        if verdict is Verdict.DIVERGED and not record.state.is_failure:
            rung = len(record.scores) - 1
            cause = (
                f"{self.objective} was {self.value_at(number, rung)} at "
                f"{self.spec.rungs[rung]:g} kimg, which is no finite number"
            )
            self.records[number] = end_trial(folder, TrialState.DIVERGED, cause)

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
        self._study.ended(record, self._proposer.values(number, last))
