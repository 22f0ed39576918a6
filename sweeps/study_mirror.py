"""`study.journal`: a sweep's trials as an Optuna study, for Optuna's own tools to show.

It is written anew whenever a ledger is opened, and nothing is read back from it. Proposals that
were refused stand there as pruned trials, as Optuna has it for points that can't be evaluated, with
the cause as their attribute `infeasible`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend
from optuna.trial import TrialState as StudyState
from optuna.trial import create_trial

from reports.infeasible import InfeasibleProposal
from reports.records import TrialRecord, TrialState
from reports.run_folder import RunFolder
from sweeps.spec import SweepSpec
from sweeps.suggestion import (
    distributions_of,
    params_of,
    past_trial,
    without_experimental_warnings,
)


class _UnsyncedFile(BaseJournalBackend):
    """A journal like Optuna's own that does not wait for the disk, and has one writer alone.

    What a crash of the machine takes of it is written anew when the sweep goes on.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader = JournalFileBackend(str(path))  # makes the file

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        return self._reader.read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        with self._path.open("ab") as file:  # one write: readers see whole lines, or none
            file.write(lines.encode())


class StudyMirror:
    """The study of one sweep, which holds no trial yet."""

    def __init__(self, spec: SweepSpec, run: RunFolder, objective: str) -> None:
        self.spec = spec
        self.trials: dict[int, optuna.Trial] = {}
        self.entered: set[tuple[int, int]] = set()
        """Trials and rungs whose score stands in the study (a resumed trial says its last
        again)."""
        run.study.unlink(missing_ok=True)
        self.study = optuna.create_study(
            storage=JournalStorage(_UnsyncedFile(run.study)),
            study_name=run.path.name,
            directions=list(spec.goals),
        )
        with without_experimental_warnings():
            self.study.set_metric_names([objective, *spec.sampler.resolved_objectives[1:]])

    def refused(self, proposal: InfeasibleProposal) -> None:
        """Enter a proposal that can't be trained."""
        attributes = {"trial": f"{proposal.number:04d}", "infeasible": proposal.cause}
        self.study.add_trial(
            past_trial(proposal.settings, self.spec.search, None, user_attrs=attributes)
        )

    def started(self, record: TrialRecord) -> None:
        """Enter a trial as running."""
        trial = create_trial(
            state=StudyState.RUNNING,
            params=params_of(record.settings, self.spec.search),
            distributions=distributions_of(record.settings, self.spec.search),
            user_attrs={"trial": record.trial},
        )
        self.study.add_trial(trial)
        added = self.study.get_trials(deepcopy=False)[-1]
        self.trials[record.number] = optuna.Trial(self.study, added._trial_id)

    def scored(self, number: int, rung: int, value: float) -> None:
        """Enter a score, as an intermediate value; Optuna's steps are whole, so they are images.

        Studies of several objectives have none: Optuna refuses them.
        """
        if len(self.spec.goals) > 1:
            return
        if math.isfinite(value) and (number, rung) not in self.entered:
            self.entered.add((number, rung))
            self.trials[number].report(value, step=round(self.spec.rungs[rung] * 1000))

    def ended(self, record: TrialRecord, values: tuple[float, ...] | None) -> None:
        """Enter a trial's end, with its last values."""
        if record.number not in self.trials:
            return
        trial = self.trials.pop(record.number)
        if record.state == TrialState.COMPLETED and values is not None:
            self.study.tell(trial, list(values))
        elif record.state == TrialState.STOPPED_EARLY:
            self.study.tell(trial, state=StudyState.PRUNED)
        else:
            trial.set_user_attr("cause", f"{record.state}: {record.cause}")
            self.study.tell(trial, state=StudyState.FAIL)
