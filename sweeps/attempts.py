"""What becomes of trials that come to no end of their own: again, failed, or set aside.

It also judges the sweep: faults that are not any trial's own stop it, before they burn its budget.
"""

from __future__ import annotations

from collections.abc import Mapping

from reports.records import FaultKind, TrialCost, TrialFault, TrialRecord, TrialState
from reports.run_folder import RunFolder, TrialFolder
from sweeps.faults import (
    FaultsConfig,
    Loss,
    cause_key,
    full_disk_message,
    is_removed,
    may_retry,
    removed_message,
)
from sweeps.trial import now
from sweeps.trial_faults import with_fault

CHECKPOINTS_KEPT = 3
"""Of a trial: the newest, the one before it, and one that is being written."""
TIMES_DIVERGED = 3
"""So many times `faults.same_failures` trials have to diverge, or to collapse, where other faults
need that number once: settings do that by themselves. Of a search of which half the settings
diverge, one in five hundred begins with nine that do."""


class Attempts:
    """Judges the faults of one sweep's trials; single-threaded, in the driver."""

    def __init__(self, run: RunFolder, faults: FaultsConfig, num_trials: int) -> None:
        self.run, self.faults, self.num_trials = run, faults, num_trials
        self.stop_because: str | None = None
        """Why the sweep is to stop, and what to do; None while it may go on."""
        self._row: list[TrialRecord] = []
        """The last trials that ended, one after the other, of the same fault."""

    def lost(self, record: TrialRecord, loss: Loss, kimg: float) -> TrialRecord:
        """The record of a trial after a fault, as written.

        A trial that is not final is to be started again, unless the sweep stops. One that had
        come to its end, and died before it could say so, has no fault.

        Args:
            record: the trial's record as last known.
            loss: what happened.
            kimg: how far the trial had said it was.
        """
        folder = self.run.trial(record.trial)
        if is_removed(self.run.path):
            self.stop_because = removed_message(self.run.path)
            return record
        if folder.record.exists():
            record = folder.read()
            if record.state.is_final:
                return record
        else:  # what the trial had is gone with its folder
            loss = Loss(FaultKind.FOLDER_REMOVED, f"{folder.path} was removed", loss.details)
            record = _from_start(record)
        earlier = sum(fault.kind is loss.kind for fault in record.faults)
        outcome, state = "ended", TrialState.FAILED
        if loss.kind is FaultKind.DISK_FULL:
            outcome, state = "set aside", TrialState.INTERRUPTED
            self.stop_because = full_disk_message(folder.path, self.needed_bytes(record.cost))
        elif may_retry(loss.kind, earlier, self.faults):
            outcome, state = "retried", TrialState.RUNNING
        elif loss.kind is FaultKind.OUT_OF_MEMORY:
            state = TrialState.OUT_OF_MEMORY
        fault = TrialFault(
            kind=loss.kind,
            message=loss.message,
            kimg=max(kimg, record.kimg),
            outcome=outcome,
            at=now(),
        )
        record = with_fault(record, fault, folder)
        final = state.is_final
        record = record.model_copy(
            update={
                "state": state,
                "cause": loss.message if final else None,
                "kimg": fault.kimg if final else record.kimg,
                "ended_at": fault.at if final else None,
            }
        )
        self._write(folder, record, loss.details)
        return record

    def ended(self, record: TrialRecord) -> list[TrialRecord]:
        """Take in that a trial has ended; the trials that are set aside since the sweep stops.

        A trial that has been set aside for the same fault before is no longer evidence: else a
        sweep could never get past trials that fail for good. One that diverged or collapsed has
        come to an end of its settings' making, as any other: see `look_at_first`.
        """
        if record.state not in (TrialState.FAILED, TrialState.OUT_OF_MEMORY):
            self._row.clear()
            return []
        fault = record.faults[-1] if record.faults else None
        if fault is None or self.faults.same_failures is None:
            return []
        key = (fault.kind, cause_key(fault.message))
        aside = (f for f in record.faults[:-1] if f.outcome == "set aside")
        if any((f.kind, cause_key(f.message)) == key for f in aside):
            return []
        if self._row and _key(self._row[-1]) != key:
            self._row.clear()
        self._row.append(record)
        if len(self._row) < self.faults.same_failures:
            return []
        return self._set_row_aside()

    def look_at_first(self, ended: int, records: Mapping[int, TrialRecord], num_left: int) -> None:
        """Stop the sweep if all of its first trials have diverged, or all have collapsed.

        Then it is not one trial's settings, but what all have in common. The first by number are
        looked at, not the first to end: trials that diverge end before those that do not. They have
        their results, and are not set aside; since a resume ends none of them again, it goes on.

        Args:
            ended: number of the trial of the search that has just ended.
            records: of all trials of the search, by number.
            num_left: trials that the sweep would still train.
        """
        if self.faults.same_failures is None or self.stop_because is not None or not num_left:
            return
        first = range(TIMES_DIVERGED * self.faults.same_failures)
        if ended not in first or any(number not in records for number in first):
            return
        states = {records[number].state for number in first}
        if states not in ({TrialState.DIVERGED}, {TrialState.COLLAPSED}):
            return
        last = records[ended]
        self.stop_because = (
            f"the first {len(first)} trials have all {last.state.value}, the last with: "
            f"{last.cause}; so would the others. Look at {self.run.trial(last.trial).path}, or "
            "change what is searched, such as learning rates, in sweep.yaml"
        )

    def _set_row_aside(self) -> list[TrialRecord]:
        """Stop the sweep, and give its trials of the same fault back, to be trained again."""
        last = self._row[-1]
        fault = last.faults[-1]
        names = ", ".join(record.trial for record in self._row)
        self.stop_because = (
            f"trials {names} failed one after the other of the same fault, {fault.kind.value}: "
            f"{fault.message}; they are set aside. Look at {self.run.trial(last.trial).path} or "
            f"run `{last.rerun}`, mend what is wrong (faults.same_failures in sweep.yaml: null "
            "to go on regardless)"
        )
        aside = []
        for record in self._row:
            *earlier, newest = record.faults
            newest = newest.model_copy(update={"outcome": "set aside"})
            record = record.model_copy(
                update={
                    "state": TrialState.INTERRUPTED,
                    "cause": None,
                    "faults": (*earlier, newest),
                }
            )
            self.run.trial(record.trial).write(record)
            aside.append(record)
        self._row = []
        return aside

    def _write(self, folder: TrialFolder, record: TrialRecord, details: str) -> None:
        try:
            folder.path.mkdir(exist_ok=True)
            folder.write(record)
            if details:
                folder.error.write_text(details, encoding="utf-8")
        except OSError:
            if self.stop_because is None:  # else it is known; a record that says `running` is too
                raise

    def needed_bytes(self, size: TrialCost) -> int:
        """About what the checkpoints of the trials that have none yet take, if all are so large."""
        folders = map(TrialFolder, self.run.trials.glob("*"))
        without = self.num_trials - sum(folder.checkpoint.exists() for folder in folders)
        return max(without, 1) * CHECKPOINTS_KEPT * checkpoint_bytes(size)


def checkpoint_bytes(size: TrialCost) -> int:
    """About the size of a checkpoint: weights, the generator's average, and two moments of each."""
    return 4 * (4 * size.generator_parameters + 3 * size.discriminator_parameters)


def _from_start(record: TrialRecord) -> TrialRecord:
    """The record of a trial of which nothing is left."""
    return record.model_copy(
        update={
            "kimg": 0.0,
            "scores": (),
            "findings": (),
            "checkpoint_path": None,
            "checkpoint_kimg": None,
            "snapshot_path": None,
        }
    )


def _key(record: TrialRecord) -> tuple[FaultKind, str]:
    fault = record.faults[-1]
    return fault.kind, cause_key(fault.message)
