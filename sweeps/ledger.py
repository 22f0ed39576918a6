"""The sweep's memory: which trials there are, what each is to do next, who goes on and who stops.

Its truth is the records in the run folder; a ledger opened on a folder after any crash knows what
the one before it knew. It mirrors all into an Optuna study, for Optuna's own tools to show.
"""

from __future__ import annotations

import itertools
import math
import warnings

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState as StudyState

from reports.records import Setting, TrialState
from reports.run_folder import RunFolder
from sweeps.proposals import propose, trial_seed
from sweeps.spec import SweepSpec
from sweeps.trial import TrialReport, TrialTask, end_trial, new_record

optuna.logging.set_verbosity(optuna.logging.WARNING)  # a line a trial is said elsewhere


class Ledger:
    """Decides for one sweep; single-threaded, in the driver."""

    def __init__(
        self, spec: SweepSpec, run: RunFolder, *, objective: str, concurrent: int, device: str
    ) -> None:
        self.spec, self.run, self.objective = spec, run, objective
        self.concurrent, self.device = concurrent, device
        self.records = {record.number: record for record in run.read_trials()}
        self.reports: dict[int, TrialReport] = {}
        """Newest report of each trial that has run since this ledger was opened."""
        self._rung_values: dict[tuple[int, int], float] = {
            (number, rung): taken.value
            for number, record in self.records.items()
            for rung, scores in enumerate(record.scores)
            if (taken := scores.measurement(objective))
        }
        self._unstarted = [n for n, r in sorted(self.records.items()) if not r.state.is_final]
        self._study = _StudyMirror(self)

    @property
    def num_left(self) -> int:
        """Trials that have not come to an end."""
        ended = sum(record.state.is_final for record in self.records.values())
        return self.spec.budget.trials - ended

    def next_task(self) -> TrialTask | None:
        """What the next free worker should do: first the interrupted trials, then new ones.

        None when the next proposal still waits for another trial's first score.

        Raises:
            StopIteration: every trial has been handed out.
        """
        if self._unstarted:
            record = self.records[self._unstarted.pop(0)]
            return self._task(record.number, record.settings)
        # Where the folder of a trial was removed, that trial is the next.
        number = next(n for n in itertools.count() if n not in self.records)
        if number >= self.spec.budget.trials:
            raise StopIteration
        settings = self._proposal(number)
        if settings is None:
            return None
        task = self._task(number, settings)
        self._enter(task)
        return task

    def hear(self, number: int, report: TrialReport) -> bool:
        """Take in a trial's report; whether the trial is to be stopped."""
        self.reports[number] = report
        folder = self.run.trial(self.records[number].trial)
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
            self._study.ended(number)
        return self.records[number].state.is_final

    def lost(self, number: int, cause: str) -> None:
        """Note that a trial's worker died or raised."""
        record = self.records[number]
        if not record.state.is_final:
            folder = self.run.trial(record.trial)
            self.records[number] = end_trial(folder, TrialState.FAILED, cause)
            self._study.ended(number)

    def interrupt(self) -> None:
        """Note that the trials that run now were interrupted, to be resumed."""
        for number, record in self.records.items():
            if not record.state.is_final:
                folder = self.run.trial(record.trial)
                self.records[number] = end_trial(folder, TrialState.INTERRUPTED)

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
        if number == 0 and (baseline := self.spec.baseline()) is not None:
            return baseline
        known: dict[int, tuple[dict[str, Setting], float | None]] = {}
        for earlier in range(number - self.concurrent):  # the last may still be on their way
            record, value = self.records[earlier], self.value_at(earlier, 0)
            if value is None and not record.state.is_final:
                return None
            known[earlier] = (dict(record.settings), value)
        return propose(self.spec.sampler, self.spec.search, number, known, self.spec.goal)

    def _task(self, number: int, settings: dict[str, Setting]) -> TrialTask:
        seed = trial_seed(self.spec.sampler.seed, settings)
        return TrialTask(
            trial=f"{number:04d}",
            number=number,
            settings=settings,
            config=self.spec.trial_config(settings, seed),
            rungs=self.spec.rungs,
            objective=self.objective,
            threads=self.spec.resources.cpus_per_trial,
            device=self.device,
        )

    def _enter(self, task: TrialTask) -> None:
        """A record for a trial that has been handed out, so that no crash forgets its settings."""
        folder = self.run.trial(task.trial)
        folder.path.mkdir(parents=True, exist_ok=True)
        record = new_record(task)
        folder.write(record)
        self.records[task.number] = record
        self._study.started(task.number)


class _StudyMirror:
    """`study.journal`: the same trials as an Optuna study, written anew when a ledger is opened."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.trials: dict[int, optuna.Trial] = {}
        self.entered: set[tuple[int, int]] = set()
        """Trials and rungs whose score stands in the study (a resumed trial says its last
        again)."""
        space = ledger.spec.search
        self.distributions = {path: domain.distribution() for path, domain in space.items()}
        ledger.run.study.unlink(missing_ok=True)
        self.study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(ledger.run.study))),
            study_name=ledger.run.path.name,
            direction=ledger.spec.goal,
            sampler=optuna.samplers.RandomSampler(seed=0),  # every value is enqueued
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self.study.set_metric_names([ledger.objective])
        for number, record in sorted(ledger.records.items()):
            self.started(number)
            for rung in range(len(record.scores)):
                if (value := ledger.value_at(number, rung)) is not None:
                    self.scored(number, rung, value)
            if record.state.is_final:
                self.ended(number)

    def started(self, number: int) -> None:
        """Enter a trial as running."""
        record = self.ledger.records[number]
        space = self.ledger.spec.search
        params = {path: space[path].to_suggestion(value) for path, value in record.settings.items()}
        self.study.enqueue_trial(params, user_attrs={"trial": record.trial})
        self.trials[number] = self.study.ask(self.distributions)

    def scored(self, number: int, rung: int, value: float) -> None:
        """Enter a score, as an intermediate value; Optuna's steps are whole, so they are images."""
        if math.isfinite(value) and (number, rung) not in self.entered:
            self.entered.add((number, rung))
            self.trials[number].report(value, step=round(self.ledger.spec.rungs[rung] * 1000))

    def ended(self, number: int) -> None:
        """Enter a trial's end."""
        if number not in self.trials:
            return
        record, trial = self.ledger.records[number], self.trials.pop(number)
        values = [self.ledger.value_at(number, rung) for rung in range(len(record.scores))]
        if record.state == TrialState.COMPLETED and values and values[-1] is not None:
            self.study.tell(trial, values[-1])
        elif record.state == TrialState.STOPPED_EARLY:
            self.study.tell(trial, state=StudyState.PRUNED)
        else:
            trial.set_user_attr("cause", f"{record.state}: {record.cause}")
            self.study.tell(trial, state=StudyState.FAIL)
