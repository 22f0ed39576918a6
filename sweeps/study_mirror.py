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
    """The study of one sweep, which holds no trial yet.

    Written by its storage, as a study's own `ask` and `tell` look through all trials at each call.
    """

    def __init__(self, spec: SweepSpec, run: RunFolder, objective: str) -> None:
        self.spec = spec
        self._ids: dict[int, int] = {}
        """The storage's names of the trials that have not ended, by number."""
        self._scores: dict[tuple[int, int], float] = {}
        """Scores that stand in the study, by trial and rung (a resumed trial says its last
        again)."""
        run.study.unlink(missing_ok=True)
        self.storage = JournalStorage(_UnsyncedFile(run.study))
        self.study = optuna.create_study(
            storage=self.storage, study_name=run.path.name, directions=list(spec.goals)
        )
        self._study_id = self.storage.get_study_id_from_name(run.path.name)
        with without_experimental_warnings():
            self.study.set_metric_names([objective, *spec.sampler.resolved_objectives[1:]])

    def refused(self, proposal: InfeasibleProposal) -> None:
        """Enter a proposal that can't be trained."""
        attributes = {"trial": f"{proposal.number:04d}", "infeasible": proposal.cause}
        trial = past_trial(proposal.settings, self.spec.search, None, user_attrs=attributes)
        self.storage.create_new_trial(self._study_id, template_trial=trial)

    def started(self, record: TrialRecord) -> None:
        """Enter a trial as running."""
        trial = create_trial(
            state=StudyState.RUNNING,
            params=params_of(record.settings, self.spec.search),
            distributions=distributions_of(record.settings, self.spec.search),
            user_attrs={"trial": record.trial},
        )
        added = self.storage.create_new_trial(self._study_id, template_trial=trial)
        self._ids[record.number] = added

    def scored(self, number: int, rung: int, value: float) -> None:
        """Enter a score, as an intermediate value; Optuna's steps are whole, so they are images.

        Studies of several objectives have none: Optuna refuses them.
        """
        if len(self.spec.goals) > 1 or not math.isfinite(value) or (number, rung) in self._scores:
            return
        self._scores[number, rung] = value
        step = round(self.spec.rungs[rung] * 1000)
        self.storage.set_trial_intermediate_value(self._ids[number], step, value)

    def ended(self, record: TrialRecord, values: tuple[float, ...] | None) -> None:
        """Enter a trial's end, with its last values."""
        trial = self._ids.pop(record.number, None)
        if trial is None:
            return
        if record.state == TrialState.COMPLETED and values is not None:
            self.storage.set_trial_state_values(trial, StudyState.COMPLETE, values)
        elif record.state == TrialState.STOPPED_EARLY:
            # With its last score, as Optuna's own `tell` has it for pruned trials.
            places = ((record.number, rung) for rung in reversed(range(len(self.spec.rungs))))
            last = next((self._scores[place] for place in places if place in self._scores), None)
            value = None if last is None else (last,)
            self.storage.set_trial_state_values(trial, StudyState.PRUNED, value)
        else:
            self.storage.set_trial_user_attr(trial, "cause", f"{record.state}: {record.cause}")
            self.storage.set_trial_state_values(trial, StudyState.FAIL)
