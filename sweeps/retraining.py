"""A trial of a sweep trained again, alone: its losses tick by tick, to its end or to its fault."""

from __future__ import annotations

import json
import math
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch

from evaluation.evaluator import Evaluator
from evaluation.held_out import HeldOutEvaluator
from evaluation.training_neighbours import TrainingNeighbours
from reports.records import TrialRecord
from reports.run_folder import RunFolder, TrialFolder
from sweeps.faults import cause_key, loss_from
from sweeps.final_scoring import final_protocols
from sweeps.scratch import scratch_folder
from sweeps.spec import SweepSpec
from sweeps.task_trial import run_task_trial
from sweeps.trainers import trainer_of
from sweeps.trial import TICK_KIMG, TrialReport, TrialTask, run_trial
from sweeps.trial_faults import check_collapse
from transgan.config import TrainingConfig
from transgan.data import ImageData
from transgan.training.trainer import Trainer

COMPARED = ("d_loss", "g_loss", "penalty", "real_logits", "fake_logits")

Tick = dict[str, Any]
"""A line of `stats.jsonl`: kimg, and losses by name."""


class BadEndError(Exception):
    """The trial came to an end that counts as a failure; the message is its cause."""


@dataclass(frozen=True)
class Retraining:
    """A trial of a sweep, to be trained again."""

    run: RunFolder
    spec: SweepSpec
    record: TrialRecord
    data: ImageData
    device: str

    @property
    def losses(self) -> tuple[str, ...]:
        """The losses that are the same in the same training."""
        if self.spec.task != "generate":
            return ("loss",)
        return COMPARED

    @property
    def config(self) -> TrainingConfig:
        """What the trial was trained with."""
        return TrainingConfig.model_validate(self.record.config)

    def trained(self, until_kimg: float, *, look_at_collapse: bool) -> Iterator[Tick]:
        """The ticks of the training alone, never scored.

        Raises:
            DivergedError: a loss or a weight is no finite number.
            CollapsedError: mode collapse has lasted as long as ends a trial, and is looked at.
        """
        torch.set_num_threads(self.spec.resources.threads)
        trainer = trainer_of(self.config, self.data, self.device)
        # A trial's ticks start anew at each rung, and a finalist run has but one.
        rungs = self.spec.rungs if self.record.finalist is None else ()
        for rung in (*rungs, until_kimg):
            for progress in trainer.run(min(rung, until_kimg), TICK_KIMG):
                losses = {name: getattr(progress, name) for name in self.losses}
                yield {"kimg": round(progress.kimg, 3), **losses}
                if look_at_collapse and isinstance(trainer, Trainer):
                    check_collapse(trainer, self.spec.faults.collapse_share)

    def whole(self, say: Callable[[str], None]) -> Iterator[Tick]:
        """The ticks of the trial as it was, scored at its rungs, in a folder that is then removed.

        Where the evaluation can't be had, and that is not the fault on record, it is only trained;
        `say` is told so.

        Raises:
            BadEndError: it has come to a bad end of its own.
            Exception: whatever else ends it.
        """
        with scratch_folder() as place:
            run = RunFolder(place)
            folder = run.trial(self.record.trial)
            folder.path.mkdir(parents=True)
            try:
                reports = self._opened(folder)
            except Exception as error:
                if is_on_record(error, self.record):
                    raise
                say(f"not scored, since the evaluation can't be loaded: {loss_from(error).message}")
                yield from self.trained(self.record.total_kimg, look_at_collapse=True)
                return
            yield from _ticks(reports, folder)

    def _opened(self, folder: TrialFolder) -> Generator[TrialReport, None, None]:
        """The trial's reports, once its evaluation is loaded."""
        # As the sweep's own processes have it: messages of errors hold paths.
        evaluation = self.run.path.absolute() / self.run.evaluation.name
        if self.spec.task != "generate":
            held_out = HeldOutEvaluator.load(evaluation)
            task = self._task(held_out)
            return _judged(task, run_task_trial(task, self.data, held_out, folder))
        evaluator = Evaluator.load(evaluation, device=self.device)
        neighbours = TrainingNeighbours.load(
            evaluation, evaluator.extractor, self.data.train_images
        )
        task = self._task(evaluator)
        reports = run_trial(task, self.data, evaluator, folder, neighbours=neighbours)
        return _judged(task, reports)

    def _task(self, evaluator: Evaluator | HeldOutEvaluator) -> TrialTask:
        spec, record = self.spec, self.record
        is_of_search = record.finalist is None
        return TrialTask(
            trial=record.trial,
            number=record.number,
            settings=record.settings,
            config=self.config,
            rungs=spec.rungs if is_of_search else (record.total_kimg,),
            objective=evaluator.protocol.recorded_names(evaluator.record.extractor)[0],
            threads=spec.resources.threads,
            device=self.device,
            collapse_share=spec.faults.collapse_share,
            finalist=record.finalist,
            protocols=() if is_of_search else final_protocols(spec),
        )


def is_on_record(error: BaseException, record: TrialRecord) -> bool:
    """Whether an error is what ended a trial, as far as the first or last line of it tells."""
    last = traceback.format_exception_only(error)[-1].strip().splitlines()[-1]
    keys = {cause_key(text) for text in (loss_from(error).message, str(error), last)}
    return cause_key(record.cause or "") in keys


def _judged(
    task: TrialTask, reports: Generator[TrialReport, None, None]
) -> Generator[TrialReport, None, None]:
    """The reports of a trial, up to what counts as its failure.

    Raises:
        BadEndError: it has come to that.
    """
    with closing(reports):
        for report in reports:
            yield report
            if report.state.is_failure:
                raise BadEndError(report.cause)
            if report.value is not None and not math.isfinite(report.value):
                raise BadEndError(
                    f"{task.objective} was {report.value} at {report.kimg:g} kimg, which is no "
                    "finite number"
                )


def _ticks(reports: Generator[TrialReport, None, None], folder: TrialFolder) -> Iterator[Tick]:
    """What a trial adds to its losses, report by report."""
    folder.stats.touch()
    with folder.stats.open(encoding="utf-8") as stats, closing(reports):
        for _ in reports:
            yield from map(json.loads, stats)
