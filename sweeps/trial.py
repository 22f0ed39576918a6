"""One trial: train, sample, score, record, as a plain iterator that needs no Ray."""

from __future__ import annotations

import datetime
import json
import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict

from evaluation.evaluator import Evaluator
from evaluation.protocol import EvaluationProtocol
from evaluation.training_neighbours import TrainingNeighbours
from reports.records import (
    FaultKind,
    FinalistRun,
    Placement,
    Setting,
    TrialCost,
    TrialFault,
    TrialFinding,
    TrialRecord,
    TrialState,
)
from reports.run_folder import TrialFolder
from sweeps.faults import is_out_of_memory, loss_from
from sweeps.final_scoring import evaluator_under
from sweeps.peak_memory import peak_memory, reset_peak_memory
from sweeps.recovery import resumed_trainer
from sweeps.rung_scores import Scorer, score_here, score_rung
from sweeps.trial_faults import (
    CollapsedError,
    OvertakenError,
    RungMissedError,
    check_collapse,
    check_not_overtaken,
    with_fault,
)
from transgan.config import TrainingConfig
from transgan.cost import model_cost
from transgan.data import ImageData
from transgan.sampling import NotFiniteError
from transgan.tasks.trainer import TaskProgress, TaskTrainer
from transgan.training.freed_memory import hand_back_freed_memory
from transgan.training.health import Finding
from transgan.training.ranks import Ranks
from transgan.training.trainer import DivergedError, Trainer, TrainingProgress

TICK_KIMG = 1.0
CHECKPOINT_SECONDS = 20.0
"""From one checkpoint to the next at least; so much training a crash can cost."""
SAVING_SHARE = 0.02
"""Of a trial's time, at most, goes into checkpoints between rungs: large networks on a slow or busy
disk are saved the less often."""
TICK_VALUES = ("d_loss", "g_loss", "penalty", "real_logits", "fake_logits", "images_per_second")


class TrialTask(BaseModel):
    """What a trial is told to do; what it did is in its record."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trial: str
    number: int
    settings: dict[str, Setting]
    config: TrainingConfig
    rungs: tuple[float, ...]
    objective: str
    """Recorded name of the metric that ranks."""
    threads: int
    device: str
    collapse_share: float | None = None
    """Share of its training for which mode collapse must last to end it; None: it never does."""
    finalist: FinalistRun | None = None
    """Which finalist run it is; None for a trial of the search."""
    protocols: tuple[EvaluationProtocol, ...] = ()
    """How it is scored, one way after the other, the one that counts first; empty for the
    evaluation's own way."""


@dataclass(frozen=True)
class TrialReport:
    """One line of news from a running trial."""

    kimg: float
    state: TrialState
    rung: int | None = None
    """Index of the rung that has just been scored."""
    value: float | None = None
    """Score of the objective at that rung."""
    images_per_second: float | None = None
    d_loss: float | None = None
    """Mean since the last report; None where nothing was trained in between."""
    g_loss: float | None = None
    cause: str | None = None


def run_trial(
    task: TrialTask,
    data: ImageData,
    evaluator: Evaluator,
    folder: TrialFolder,
    score: Scorer = score_here,
    neighbours: TrainingNeighbours | None = None,
    ranks: Ranks | None = None,
    placement: Placement | None = None,
) -> Generator[TrialReport, None, None]:
    """Train and score `task`, from its checkpoint if there is one; what is reported is on disk.

    Whoever does not ask for the next report has stopped the trial. A loss or an image that is not
    finite, or memory that runs out, ends it in a state of its own; other errors are the caller's.
    Samples are shown above their nearest training images where `neighbours` knows these. With
    `ranks`, this is the first of several processes that share each batch. `placement` is noted.
    """
    torch.set_num_threads(task.threads)
    run = TrialRun(task, folder, score, neighbours, ranks, placement)
    yield from reports_of(run, lambda: run.open(data, evaluator))


def reports_of(run: TrialRun, open_run: Callable[[], None]) -> Generator[TrialReport, None, None]:
    """The reports of a trial, whatever its end; `open_run` goes to where the last attempt was."""
    try:
        open_run()
        yield from run.go()
    except GeneratorExit:
        run.save_if_interrupted()
        raise
    except (DivergedError, NotFiniteError) as error:
        yield run.end(TrialState.DIVERGED, str(error))
    except CollapsedError as error:
        yield run.end(TrialState.COLLAPSED, str(error))
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        yield run.end(TrialState.OUT_OF_MEMORY, loss_from(error).message)
    finally:
        run.close()


def new_record(task: TrialTask) -> TrialRecord:
    """The record of a trial that has been handed out and not yet started."""
    size = model_cost(task.config)
    return TrialRecord(
        trial=task.trial,
        number=task.number,
        finalist=task.finalist,
        state=TrialState.RUNNING,
        total_kimg=task.rungs[-1],
        settings=task.settings,
        config=task.config.model_dump(mode="json"),
        seed=task.config.seed,
        cost=TrialCost(
            generator_parameters=size.generator_parameters,
            discriminator_parameters=size.discriminator_parameters,
            flops_per_real_image=size.flops_per_real_image,
        ),
        attempts=0,
    )


def end_trial(folder: TrialFolder, state: TrialState, cause: str | None = None) -> TrialRecord:
    """Note in its record that a trial has ended (or was interrupted) in `state`."""
    record = folder.read()
    changes: dict[str, Any] = {"state": state, "cause": cause, "ended_at": now()}
    record = record.model_copy(update=changes)
    folder.write(record)
    return record


def now(*, seconds_ago: float = 0.0) -> str:
    """The time, with its offset, to the second."""
    then = datetime.datetime.now() - datetime.timedelta(seconds=seconds_ago)
    return then.astimezone().isoformat(timespec="seconds")


class TrialRun:
    """The state of one attempt at a trial."""

    trainer: Trainer | TaskTrainer
    """There once the attempt is open."""
    evaluators: list[Evaluator]
    tick_values: tuple[str, ...] = TICK_VALUES

    def __init__(
        self,
        task: TrialTask,
        folder: TrialFolder,
        score: Scorer,
        neighbours: TrainingNeighbours | None,
        ranks: Ranks | None,
        placement: Placement | None,
    ) -> None:
        self.task, self.folder, self.score = task, folder, score
        self.neighbours = neighbours
        self.ranks = ranks
        folder.path.mkdir(exist_ok=True)  # the run folder itself must be there
        self.is_open = False
        self.record = self.written = self._opened_record(placement)
        self.stats: IO[str] = folder.stats.open("a", encoding="utf-8")
        self.last_checkpoint, self.saving_seconds = time.monotonic(), 0.0
        reset_peak_memory()

    def open(self, data: ImageData, evaluator: Evaluator) -> None:
        """Build networks and evaluations, and go to where the last attempt was."""
        under = [evaluator_under(evaluator, protocol) for protocol in self.task.protocols]
        self.evaluators = under or [evaluator]
        task, checkpoint = self.task, self.folder.checkpoint
        self._take_up(
            *resumed_trainer(task.config, data.train_images, task.device, checkpoint, self.ranks)
        )

    def _take_up(self, trainer: Trainer | TaskTrainer, damage: str | None) -> None:
        """Go on with a trainer that is where the last attempt was."""
        self.trainer = trainer
        if damage is not None:
            self.record = self._with_fault(FaultKind.DAMAGED_CHECKPOINT, damage, "retried")
            self._update(checkpoint_kimg=self.trainer.kimg or None)
        self.is_open, self.saved_step = True, self.trainer.step

    @property
    def kimg(self) -> float:
        """How far the trial is."""
        return self.trainer.kimg if self.is_open else self.record.kimg

    def go(self) -> Iterator[TrialReport]:
        """Train from rung to rung, scoring at each."""
        yield self._report(TrialState.RUNNING)
        scored = {scores.kimg for scores in self.record.scores}
        for rung, kimg in enumerate(self.task.rungs):
            is_past = self.trainer.kimg >= kimg + self.task.config.batch_size / 1000
            if is_past and kimg not in scored:
                raise RungMissedError(self.folder, self.trainer.kimg, kimg)
            started = time.monotonic()
            for progress in self.trainer.run(kimg, TICK_KIMG):
                self._note(progress, time.monotonic() - started)
                yield self._report(TrialState.RUNNING, progress=progress)
                started = time.monotonic()
            if kimg not in scored:
                self._checkpoint()
                hand_back_freed_memory()  # scoring's large tensors would come on top of it
                self._score(kimg)
            elif is_past:
                continue  # went on past this rung before it was interrupted: that was decided then
            state = TrialState.COMPLETED if kimg == self.task.rungs[-1] else TrialState.RUNNING
            if state.is_final:
                self._update(state=state, ended_at=now())
            yield self._report(state, rung=rung)

    def end(self, state: TrialState, cause: str) -> TrialReport:
        """Record a bad end."""
        self.record = self._with_fault(FaultKind(state.value), cause, "ended")
        self._update(state=state, cause=cause, kimg=self.kimg, ended_at=now())
        return self._report(state, cause=cause)

    def save_if_interrupted(self) -> None:
        """Leave a checkpoint of where the trial is, if it is to be resumed from there.

        Whoever has ended it has said so on its record, or has removed it; then nothing is to be
        added. Nor is it where nothing was trained since the last checkpoint: a population that
        waits at a rung may be given others' weights by now.
        """
        if not self.is_open or self.trainer.step == self.saved_step:
            return
        if self.written.state.is_final or not self.folder.record.exists():
            return
        with suppress(OvertakenError):
            self._checkpoint()

    def close(self) -> None:
        """Let go of files."""
        self.stats.close()

    def _with_fault(
        self, kind: FaultKind, message: str, outcome: Literal["ended", "retried"]
    ) -> TrialRecord:
        fault = TrialFault(kind=kind, message=message, kimg=self.kimg, outcome=outcome, at=now())
        return with_fault(self.record, fault, self.folder)

    def _opened_record(self, placement: Placement | None) -> TrialRecord:
        exists = self.folder.record.exists()
        record = self.folder.read() if exists else new_record(self.task)
        record = record.model_copy(
            update={
                "state": TrialState.RUNNING,
                "attempts": record.attempts + 1,
                "started_at": record.started_at or now(),
                "ended_at": None,
                "placements": (*record.placements, *([placement] if placement else [])),
            }
        )
        self.folder.write(record)
        return record

    def _update(self, **changes: Any) -> None:
        """Put changes on record, unless this attempt was overtaken."""
        check_not_overtaken(self.folder, self.written)
        self.record = self.record.model_copy(update=changes)
        self.folder.write(self.record)
        self.written = self.record

    def _spend(self, **seconds: float) -> TrialCost:
        cost = self.record.cost
        spent = {name: getattr(cost, name) + value for name, value in seconds.items()}
        return cost.model_copy(update=spent | {"peak_memory_mb": peak_memory(self.trainer.device)})

    def _note(self, progress: TrainingProgress | TaskProgress, seconds: float) -> None:
        """Append a tick to `stats.jsonl`, and save if the last checkpoint is old."""
        check_not_overtaken(self.folder, self.written)
        entry: dict[str, Any] = {"kimg": round(progress.kimg, 3)}
        values = {name: getattr(progress, name) for name in self.tick_values}
        entry |= {name: value for name, value in values.items() if value is not None}
        if progress.findings:
            entry["findings"] = [finding.name for finding in progress.findings]
        self.stats.write(json.dumps(entry) + "\n")
        self.stats.flush()
        self.record = self.record.model_copy(
            update={"kimg": progress.kimg, "cost": self._spend(train_seconds=seconds)}
        )
        self._keep_first(progress.findings)
        if isinstance(self.trainer, Trainer):
            check_collapse(self.trainer, self.task.collapse_share)
        pause = max(CHECKPOINT_SECONDS, self.saving_seconds / SAVING_SHARE)
        if time.monotonic() - self.last_checkpoint > pause:
            self._checkpoint()

    def _keep_first(self, findings: tuple[Finding, ...]) -> None:
        """Put findings of a kind that was not found before on record."""
        known = {finding.name for finding in self.record.findings}
        first = tuple(
            TrialFinding(name=finding.name, kimg=finding.kimg, message=finding.message)
            for finding in findings
            if finding.name not in known
        )
        if first:
            self._update(findings=(*self.record.findings, *first))

    def _checkpoint(self) -> None:
        check_not_overtaken(self.folder, self.written)  # the file may be another attempt's by now
        os.fsync(self.stats.fileno())
        started = time.monotonic()
        self.trainer.save(self.folder.checkpoint)
        self.last_checkpoint, self.saved_step = time.monotonic(), self.trainer.step
        self.saving_seconds = self.last_checkpoint - started
        self._update(checkpoint_path=self.folder.checkpoint.name, checkpoint_kimg=self.trainer.kimg)

    def _score(self, kimg: float) -> None:
        """Score the EMA generator at a rung."""
        started = time.monotonic()
        assert isinstance(self.trainer, Trainer)
        scores = score_rung(
            self.trainer.ema_generator,
            self.task.config,
            kimg,
            evaluators=self.evaluators,
            folder=self.folder,
            score=self.score,
            neighbours=self.neighbours,
        )
        self._update(
            scores=(*self.record.scores, *scores),
            kimg=self.trainer.kimg,
            snapshot_path=self.folder.snapshot.name,
            cost=self._spend(score_seconds=time.monotonic() - started),
        )

    def _report(
        self,
        state: TrialState,
        rung: int | None = None,
        progress: TrainingProgress | TaskProgress | None = None,
        cause: str | None = None,
    ) -> TrialReport:
        value = None
        if rung is not None:
            taken = self.record.scores[rung].measurement(self.task.objective)
            value = taken.value if taken else None
        return TrialReport(
            kimg=self.kimg,
            state=state,
            rung=rung,
            value=value,
            images_per_second=progress.images_per_second if progress else None,
            d_loss=progress.d_loss if isinstance(progress, TrainingProgress) else None,
            g_loss=progress.g_loss if isinstance(progress, TrainingProgress) else None,
            cause=cause,
        )
