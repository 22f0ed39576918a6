"""Who goes on and who stops, by the scores that are known: decisions that a crash does not change.

Every score is taken in once, in the order in which it is heard, and that order is written down with
what was said of the trial (`judgements.jsonl`) before anything is done about it. Opened on a run
folder, this knows what the one before it knew; scores on record of which nothing was said, since
the sweep was killed in between, are taken in first, by trial.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from reports.judgements import Judgement, Verdict, note_judgement, read_judgements
from reports.records import TrialRecord
from reports.run_folder import RunFolder
from sweeps.early_stopping import Answer, History, Score

if TYPE_CHECKING:
    from sweeps.spec import SweepSpec

_VERDICTS = {
    Answer.GOES_ON: Verdict.GOES_ON,
    Answer.TIED: Verdict.TIED,
    Answer.STOPPED: Verdict.STOPPED,
}


class Judging:
    """The judge of one sweep's trials."""

    def __init__(
        self, spec: SweepSpec, run: RunFolder, objective: str, records: Iterable[TrialRecord]
    ) -> None:
        """The judge of the sweep in `run`, which knows what was said there.

        Args:
            spec: the sweep.
            run: where what is said is kept.
            objective: recorded name of the metric that ranks.
            records: the trials that there are. Scores of theirs of which nothing was said yet are
                in `unheard`.
        """
        self.spec, self.run, self.objective = spec, run, objective
        self.num_rungs = len(spec.rungs)
        self.scores: dict[tuple[int, int], Score | None] = {}
        """The objective by trial and rung; None where it could not be taken there."""
        self._histories: list[dict[int, History]] = [{} for _ in spec.rungs]
        """Of the trials with a finite score at a rung, by rung."""
        self._said: dict[tuple[int, int], Judgement] = {}
        self._num_known_then: dict[tuple[int, int], int] = {}
        by_number = {record.number: record for record in records}
        for judgement in read_judgements(run):
            # Nothing is known of a trial whose folder was removed.
            record = by_number.get(judgement.number)
            if record is not None and judgement.rung < len(record.scores):
                self._enter(record, judgement.rung)
                self._said[judgement.number, judgement.rung] = judgement
        self.unheard = tuple(
            (number, rung)
            for number, record in sorted(by_number.items())
            for rung in range(len(record.scores))
            if (number, rung) not in self._said
        )
        """Trials and rungs with a score on record of which nothing was said."""

    def value_at(self, number: int, rung: int) -> float | None:
        """The objective of a trial at a rung, finite or not; None if it has none there."""
        score = self.scores.get((number, rung))
        return None if score is None else score.value

    def was_scored(self, number: int, rung: int) -> bool:
        """Whether a trial came to a rung, even if the objective could not be taken there."""
        return (number, rung) in self.scores

    def last_said(self, number: int, rung: int) -> Judgement | None:
        """What was last said of a trial at a rung, if anything was."""
        return self._said.get((number, rung))

    def judge(self, record: TrialRecord, rung: int, kimg: float) -> Verdict:
        """What is to become of a trial that was scored at `rung` and is now at `kimg`.

        By its score there and all that is known of the rung by now. Once settled, stopped or
        diverged, a trial stays so.
        """
        key = record.number, rung
        self._enter(record, rung)
        before = self._said.get(key)
        if before is not None and before.verdict not in (Verdict.GOES_ON, Verdict.TIED):
            return before.verdict
        judgement = self._judgement(record.number, rung, kimg, before)
        if before is None or judgement.verdict is not before.verdict:
            note_judgement(self.run, judgement)
            self._said[key] = judgement
        return judgement.verdict

    def _judgement(
        self, number: int, rung: int, kimg: float, before: Judgement | None
    ) -> Judgement:
        score, stopping = self.scores[number, rung], self.spec.early_stopping
        value = None if score is None else score.value
        said = Judgement(number=number, rung=rung, kimg=kimg, verdict=Verdict.GOES_ON, value=value)
        if value is not None and not math.isfinite(value):
            return said.model_copy(update={"verdict": Verdict.DIVERGED})
        if not stopping.may_stop(number, self.spec.rungs, rung, kimg):
            return said.model_copy(update={"verdict": Verdict.SETTLED})
        at_rung = self._histories[rung]
        if value is None:
            return said
        if before is not None and self._num_known_then.get((number, rung)) == len(at_rung):
            return before  # since then there is nothing new
        bracket = stopping.bracket(number, self.num_rungs)
        others = [
            history
            for other, history in at_rung.items()
            if other != number and stopping.bracket(other, self.num_rungs) == bracket
        ]
        self._num_known_then[number, rung] = len(at_rung)
        judged = stopping.judge(at_rung[number], others, self.spec.goal)
        return said.model_copy(
            update={
                "verdict": _VERDICTS[judged.answer],
                "bar": judged.bar,
                "num_others": len(others),
            }
        )

    def _enter(self, record: TrialRecord, rung: int) -> None:
        """Know of a trial's score at a rung."""
        key = record.number, rung
        if key in self.scores:
            return
        taken = record.scores[rung].measurement(self.objective)
        score = None if taken is None else Score(taken.value, taken.standard_error)
        self.scores[key] = score
        if score is not None and math.isfinite(score.value):
            earlier = (self.scores.get((record.number, at)) for at in range(rung))
            finite = [s for s in earlier if s is not None and math.isfinite(s.value)]
            self._histories[rung][record.number] = (*finite, score)
