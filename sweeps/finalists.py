"""The finalists of one sweep: chosen when its search has ended, and run from fresh seeds.

As with the search, the truth is the records in the run folder.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping

from reports.formats import counted
from reports.race import Race, run_race, select_finalists
from reports.records import FinalistRun, FinalistsRecord, Setting, TrialRecord, TrialState
from reports.run_folder import RunFolder
from sweeps.attempts import Attempts
from sweeps.faults import Loss
from sweeps.final_scoring import final_protocols
from sweeps.proposals import trial_seed
from sweeps.spec import SweepSpec
from sweeps.trial import TrialReport, TrialTask, end_trial, new_record


class Finalists:
    """Decides which finalist runs there are; single-threaded, in the driver."""

    def __init__(
        self, spec: SweepSpec, run: RunFolder, plan: FinalistsRecord, *, device: str
    ) -> None:
        self.spec, self.run, self.plan, self.device = spec, run, plan, device
        self.records = {record.trial: record for record in run.read_finalists()}
        """All finalist runs that have been started, by name."""
        self.chosen: tuple[TrialRecord, ...] = ()
        """The trials of the search whose configurations race, best first; none while it lasts."""
        self._has_chosen = False
        self._handed_out: set[str] = set()
        self._race: Race | None = None

    @property
    def most_runs(self) -> int:
        """Runs if all seeds of all finalists are needed."""
        return (len(self.chosen) or self.plan.count) * self.plan.seeds

    @property
    def num_ended(self) -> int:
        """Runs that have come to an end, of the configurations that race."""
        configs = {record.trial for record in self.chosen}
        return sum(
            record.state.is_final and record.finalist is not None and record.finalist.of in configs
            for record in self.records.values()
        )

    @property
    def is_over(self) -> bool:
        """Whether the finalists are chosen, and no run decides anything more."""
        return self._has_chosen and self._race_now().is_over

    @property
    def note(self) -> str | None:
        """Why there are fewer finalists than asked for, once they are chosen."""
        missing = self.plan.count - len(self.chosen)
        if not missing or not self._has_chosen:
            return None
        return (
            f"{len(self.chosen)} of {counted(self.plan.count, 'finalist')}, since no more trials "
            "completed with a score"
        )

    def choose(self, trials: Iterable[TrialRecord]) -> None:
        """Let the best of a search that has ended race."""
        if not self._has_chosen:
            self._has_chosen = True
            objective = self.plan.column.name
            self.chosen = select_finalists(trials, objective, self.spec.goal, self.plan.count)

    def next_task(self) -> TrialTask | None:
        """What the next free worker should do; None while a round waits for its last runs.

        Raises:
            StopIteration: the race is over.
        """
        race = self._race_now()
        if race.is_over:
            raise StopIteration
        waiting = [run for run in race.outstanding if run.trial not in self._handed_out]
        if not waiting:
            return None
        # The next round waits for this one's last run, so the longest go first.
        run = max(waiting, key=lambda run: self._searched(run.of).cost.train_seconds)
        self._handed_out.add(run.trial)
        task = self._task(run)
        if run.trial not in self.records:
            self._enter(task)
        return task

    def hear(self, trial: str, report: TrialReport) -> bool:
        """Take in a run's report; whether the run has ended. None is stopped early."""
        if report.state.is_final:
            self._note(self.run.trial(trial).read())
        return self.records[trial].state.is_final

    def lost(self, trial: str, loss: Loss, kimg: float, attempts: Attempts) -> None:
        """Note that a run's worker died, hung or raised: it is started again where that helps."""
        if self.records[trial].state.is_final:
            return
        record = attempts.lost(self.records[trial], loss, kimg)
        self._note(record)
        if record.state.is_final:
            for aside in attempts.ended(record):
                self._note(aside)
        elif record.state is TrialState.RUNNING:
            self._handed_out.discard(trial)

    def interrupt(self) -> None:
        """Note that the runs that are on their way were interrupted, to be resumed."""
        for trial, record in list(self.records.items()):
            if not record.state.is_final:
                folder = self.run.trial(trial)
                if folder.record.exists():
                    self._note(end_trial(folder, TrialState.INTERRUPTED))

    def _note(self, record: TrialRecord) -> None:
        self.records[record.trial] = record
        self._race = None

    def _race_now(self) -> Race:
        if self._race is None:
            configs = [record.trial for record in self.chosen]
            self._race = run_race(configs, self.records, self.plan, self.spec.goal)
        return self._race

    def _searched(self, config: str) -> TrialRecord:
        """The trial of the search that a configuration comes from."""
        return next(record for record in self.chosen if record.trial == config)

    def _task(self, run: FinalistRun) -> TrialTask:
        searched = self._searched(run.of)
        settings = dict(searched.settings)
        seed = fresh_seed(self.spec.sampler.seed, settings, run.seed_index)
        return TrialTask(
            trial=run.trial,
            number=searched.number,
            settings=settings,
            config=self.spec.trial_config(settings, seed),
            rungs=(self.spec.training.total_kimg,),
            objective=self.plan.column.name,
            threads=self.spec.resources.threads,
            device=self.device,
            finalist=run,
            collapse_share=self.spec.faults.collapse_share,
            protocols=final_protocols(self.spec),
        )

    def _enter(self, task: TrialTask) -> None:
        """A record for a run that has been handed out, so that no crash forgets it."""
        folder = self.run.trial(task.trial)
        folder.path.mkdir(parents=True, exist_ok=True)
        record = new_record(task)
        folder.write(record)
        self.records[task.trial] = record


def fresh_seed(sweep_seed: int, settings: Mapping[str, Setting], index: int) -> int:
    """The `index`-th fresh training seed of a configuration: no two alike, none the search's.

    A function of the sweep's seed, the settings and the index alone.
    """
    seeds = [trial_seed(sweep_seed, settings)]
    for attempt in itertools.count():
        text = repr((sweep_seed, sorted(settings.items()), "finalist", attempt))
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])
        if seed not in seeds:
            seeds.append(seed)
        if len(seeds) > index + 1:
            break
    return seeds[index + 1]
