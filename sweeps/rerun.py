"""One trial of a sweep again, alone: proof that its record, or its fault, can be reproduced."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console

from reports.records import TrialRecord
from reports.run_folder import RecordError, RunFolder
from sweeps.faults import loss_from
from sweeps.folder import restore_spec
from sweeps.plan import device_here
from sweeps.retraining import BadEndError, Retraining, Tick, is_on_record
from transgan.data import load_data
from transgan.training.trainer import DivergedError

TOLERANCE = 1e-3
"""By how much losses of one process and of several may differ: float32 sums of other parts, for as
long as that has not grown."""


def rerun_trial(run_path: Path, trial: str, kimg: float | None, console: Console) -> bool:
    """Train `trial` again from its config, comparing each tick.

    A trial with a fault is trained on past its last tick, and scored at its rungs as it was, until
    the fault comes again or the trial ends; what is no fault of the trial's own (a killed process,
    a full disk) does not. One whose batches several processes shared is trained by this one alone,
    which changes how sums are rounded, and is compared with a tolerance.

    Returns:
        Whether all losses were the same, and, of a trial that failed, the fault came again.

    Raises:
        RecordError: no such trial.
    """
    run = RunFolder(run_path)
    spec = restore_spec(run)
    if Path(trial).name != trial:
        raise RecordError(
            f"{trial}: no name of a trial; trials are called 0000, 0001, … (0000-s0, …)"
        )
    record = run.trial(trial).read()
    if record.exploits:
        first = record.exploits[0]
        raise RecordError(
            f"{trial}: took over the training of {first.of} at {first.kimg:g} kimg, and can't be "
            "trained again alone; name a trial that took over from none"
        )
    recorded = {entry["kimg"]: entry for entry in run.trial(trial).read_stats()}
    seeks_fault = kimg is None and record.state.is_failure
    if not recorded and not seeks_fault:
        raise RecordError(f"{run.trial(trial).stats}: no losses recorded; nothing to compare with")
    end = max(recorded, default=0.0) if kimg is None else kimg
    if seeks_fault:
        end = record.total_kimg
    elif not min(recorded) <= end <= max(recorded):
        raise RecordError(
            f"--kimg {end:g}: the record of trial {trial} has losses from {min(recorded):g} to "
            f"{max(recorded):g} kimg; give a number between"
        )
    again = Retraining(run, spec, record, load_data(spec.data), device_here(spec))
    say = partial(console.print, highlight=False, markup=False)
    comparison = LossComparison(again.losses, recorded, spec.resources.workers, say)
    say(f"Training trial {trial} again to {end:g} kimg")
    if comparison.processes > 1:
        say(
            f"Its batches were shared by {comparison.processes} processes, whose sums are rounded "
            f"otherwise: its losses are the same here to about {TOLERANCE:.1%}"
        )
    try:
        ticks = again.whole(say) if seeks_fault else again.trained(end, look_at_collapse=False)
        for tick in ticks:
            # Small differences grow, and the fault may come all the same.
            if not comparison.is_same(tick) and not (seeks_fault and comparison.processes > 1):
                return False
    except Exception as error:
        if seeks_fault:
            return _say_fault(error, record, say)
        if not isinstance(error, DivergedError):
            raise
        say(f"diverged: {error}")
    say(comparison.verdict)
    if seeks_fault:
        say(
            f"trained to its end, {end:g} kimg, without the fault on record "
            f"({record.state.value}: {record.cause})"
        )
        return False
    return comparison.num_compared > 0


class LossComparison:
    """Losses of a training held against those on record, tick by tick; it says what it finds."""

    def __init__(
        self,
        losses: tuple[str, ...],
        recorded: dict[float, Tick],
        processes: int,
        say: Callable[[str], None],
    ) -> None:
        """Nothing is compared yet.

        Args:
            losses: names of what is compared.
            recorded: what is on record, by kimg.
            processes: how many shared each batch then; now it is one.
            say: where to.
        """
        self.losses, self.recorded, self.processes, self.say = losses, recorded, processes, say
        self.num_compared = 0
        self.first_difference: float | None = None
        """Kimg at which the two were first not the same."""

    def is_same(self, tick: Tick) -> bool:
        """Whether a tick has the losses on record; it says so, or what differs."""
        kimg = tick["kimg"]
        entry = self.recorded.get(kimg)
        if entry is None:
            return True
        self.num_compared += 1
        for name in self.losses:
            again, then = tick.get(name), entry.get(name)
            if not self._agree(again, then):
                if self.first_difference is None:
                    self.first_difference = kimg
                    self.say(f"after {kimg:g} kimg {name} is {again!r}, in the record {then!r}")
                return False
        first = self.losses[0]
        self.say(f"{kimg:8.3f} kimg  {first} {tick[first]:.6f}  the same")
        return True

    @property
    def verdict(self) -> str:
        """What all ticks came to."""
        if self.first_difference is not None:
            return f"the same losses up to {self.first_difference:g} kimg, and others from there on"
        how = "bit for bit" if self.processes == 1 else f"to {TOLERANCE:.1%}"
        return f"the same losses, {how}, at all {self.num_compared} ticks"

    def _agree(self, again: float | None, then: float | None) -> bool:
        if self.processes == 1 or again is None or then is None:
            return again == then
        # Of logits, which may be next to 0, the absolute difference says more.
        return math.isclose(again, then, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def _say_fault(error: Exception, record: TrialRecord, say: Callable[[str], None]) -> bool:
    """Say what ended the training; whether it is what the record says."""
    message = str(error) if isinstance(error, BadEndError) else loss_from(error).message
    same = is_on_record(error, record)
    verdict = "the fault on record" if same else f"on record is {record.state.value}"
    say(f"ended by {message} ({verdict}: {record.cause})")
    return same
