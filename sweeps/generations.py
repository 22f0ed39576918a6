"""A population on its way: who trains to the next rung, and what is taken over there.

All trials reach a rung before any goes beyond it. What each took over is on its own record, written
after its checkpoint: killed in between, an exchange is carried out again from the same checkpoints,
since nobody has moved.
"""

from __future__ import annotations

import math

from reports.records import Exploit, TrialRecord, TrialState
from reports.run_folder import RunFolder
from sweeps.judging import Judging
from sweeps.population import perturbed, take_overs
from sweeps.search_space import apply_settings
from sweeps.spec import SweepSpec
from sweeps.trial import end_trial
from transgan.config import TrainingConfig
from transgan.training.checkpoint import CheckpointError, adopt_checkpoint


class Generations:
    """The order in which a population's trials go on."""

    def __init__(
        self, spec: SweepSpec, run: RunFolder, judging: Judging, records: dict[int, TrialRecord]
    ) -> None:
        self.spec, self.run, self.judging, self.records = spec, run, judging, records
        self._running: dict[int, int] = {}
        """Trials that a worker has, with the scores that they had when it got them."""

    def next_number(self, *, is_complete: bool) -> int | None:
        """A trial that can go on now, with what it takes over done; None if there is none.

        Args:
            is_complete: whether all trials of the population have been started.
        """
        active = [record for record in self.records.values() if not record.state.is_final]
        if not active:
            return None
        num_scores = min(len(record.scores) for record in active) if is_complete else 0
        if num_scores:
            self._exchange(num_scores - 1)
        ready = sorted(
            record.number
            for record in self.records.values()
            if not record.state.is_final
            and record.number not in self._running
            and len(record.scores) == num_scores
        )
        return ready[0] if ready else None

    def begin(self, number: int) -> None:
        """Note that a worker has a trial."""
        self._running[number] = len(self.records[number].scores)

    def is_at_rung(self, number: int) -> bool:
        """Whether a trial has come to a rung since a worker got it, and is to wait there."""
        return len(self.records[number].scores) > self._running.get(number, math.inf)

    def end(self, number: int) -> None:
        """Note that no worker has a trial any more."""
        self._running.pop(number, None)

    def _exchange(self, rung: int) -> None:
        """Let those take over that are to, as far as that is not done.

        All that were scored at the rung count, whatever became of them since: else the exchange
        would be another one when it is looked at again.
        """
        spec, kimg = self.spec, self.spec.rungs[rung]
        scores = {
            number: score
            for number in self.records
            if (score := self.judging.scores.get((number, rung))) is not None
            and math.isfinite(score.value)
        }
        seed = spec.sampler.seed
        for loser, donor in take_overs(spec.early_stopping, scores, rung, seed, spec.goal):
            record, other = self.records[loser], self.records[donor]
            if record.state.is_final or any(exploit.kimg == kimg for exploit in record.exploits):
                continue
            factor = spec.early_stopping.resolved_perturb_factor
            settings = perturbed(spec.search, other.settings, factor, rung, seed, loser)
            values = apply_settings(other.config, settings) | {"seed": record.seed}
            config = TrainingConfig.model_validate(values)
            folder = self.run.trial(record.trial)
            try:
                adopt_checkpoint(self.run.trial(other.trial).checkpoint, folder.checkpoint, config)
            except CheckpointError as error:
                cause = f"could not take over from {other.trial}: {error}"
                self.records[loser] = end_trial(folder, TrialState.FAILED, cause)
                continue
            exploit = Exploit(
                of=other.trial, kimg=kimg, old_settings=record.settings, new_settings=settings
            )
            changes = {
                "settings": settings,
                "config": config.model_dump(mode="json"),
                "exploits": (*record.exploits, exploit),
            }
            self.records[loser] = record.model_copy(update=changes)
            folder.write(self.records[loser])
