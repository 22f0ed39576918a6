"""One trial in a process of its own, as Tune starts it, and what scores its images beside it."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from evaluation.evaluator import Evaluator
from evaluation.extraction import Extracted
from evaluation.held_out import HeldOutEvaluator
from evaluation.inception_weights import InceptionFile
from evaluation.protocol import EvaluationProtocol, Scores
from evaluation.training_neighbours import TrainingNeighbours
from reports.records import Placement
from reports.run_folder import RunFolder
from sweeps.cluster import held_gpus, is_lost_process, prepare_environment, this_node
from sweeps.final_scoring import evaluator_under
from sweeps.live_metrics import Outlet, Outlets
from sweeps.rank_workers import Company
from sweeps.recovery import only_worker
from sweeps.resources import Resources
from sweeps.rung_scores import Generate, score_here
from sweeps.task_trial import run_task_trial
from sweeps.trial import TrialReport, TrialTask, run_trial
from transgan.data import ImageData
from transgan.sampling import seeded_images
from transgan.training.checkpoint import load_snapshot
from transgan.training.freed_memory import hand_back_freed_memory

prepare_environment()

import ray  # noqa: E402  (after its environment)
from ray import tune  # noqa: E402


@dataclass(frozen=True)
class ScoringWorkers:
    """Scores the images of a trial in several processes, of which the trial's is one.

    Each looks at its part of the images and gives back sums and the features that are kept; which
    process saw which images changes nothing. The other processes run on what Tune has reserved for
    the trial, so that they never wait for another trial's end.
    """

    run: RunFolder
    device: str
    resources: Resources
    inception: InceptionFile

    def __call__(self, evaluator: Evaluator, generate: Generate, snapshot: Path) -> Scores:
        """The scores of the generator at `snapshot`, which `generate` samples from."""
        started = time.perf_counter()
        own, *others = evaluator.parts(self.resources.scoring_workers)
        extract = ray.remote(num_cpus=self.resources.cpus, num_gpus=self.resources.gpus)(
            extract_from_snapshot
        )
        threads = self.resources.threads
        tasks = [
            extract.remote(
                self.run.evaluation,
                evaluator.protocol,
                snapshot,
                part,
                self.device,
                threads,
                self.inception,
            )
            for part in others
        ]
        extracted = evaluator.extract_part(generate, own)
        return evaluator.score_parts([extracted, *ray.get(tasks)], started=started)


def extract_from_snapshot(
    evaluation: Path,
    protocol: EvaluationProtocol,
    snapshot: Path,
    part: range,
    device: str,
    threads: int,
    inception: InceptionFile,
) -> Extracted:
    """What the evaluation in a folder, under `protocol`, needs of a part of a snapshot's images."""
    torch.set_num_threads(threads)
    prepared = Evaluator.load(evaluation, inception=inception, device=device)
    evaluator = evaluator_under(prepared, protocol)
    generator, _ = load_snapshot(snapshot, device)
    return evaluator.extract_part(seeded_images(generator, evaluator.protocol.seed), part)


class TransGANTrial(tune.Trainable):
    """One trial in its own process: each step hands on the next report of `run_trial`.

    Where workers are reused, one trial after the other, from a start as clean as a process allows.
    """

    _reports: Generator[TrialReport, None, None]
    _company: Company | None
    """The processes that share the trial's batches, if there are others."""
    _shown_at: tuple[Outlet, ...]

    def setup(
        self,
        config: dict[str, Any],
        data: ImageData,
        run_path: str,
        resources: Resources,
        inception: InceptionFile,
        outlets: Outlets,
    ) -> None:
        """Open the trial that `config` describes."""
        self._data, self._run, self._resources = data, RunFolder(Path(run_path)), resources
        self._outlets = outlets
        task = TrialTask.model_validate_json(config["task"])
        # From then on the driver knows of this process: to load the evaluation may hang, too.
        self._keep_to_this_process(task)
        folder = self._run.evaluation
        self._held_out: HeldOutEvaluator | None = None
        if task.config.downstream.task != "generate":
            self._held_out = HeldOutEvaluator.load(folder)
            self._open(task)
            return
        self._evaluator = Evaluator.load(folder, inception=inception, device=task.device)
        self._neighbours = TrainingNeighbours.load(
            folder, self._evaluator.extractor, data.train_images
        )
        alone = resources.scoring_workers == 1
        workers = ScoringWorkers(self._run, task.device, resources, inception)
        self._score = score_here if alone else workers
        self._open(task)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Leave the trial there was, and open the one that `new_config` describes."""
        self.cleanup()
        free_memory()
        task = TrialTask.model_validate_json(new_config["task"])
        self._keep_to_this_process(task)
        self._open(task)
        return True

    def step(self) -> dict[str, Any]:
        """The next report; whole, since Tune would flatten a mapping."""
        try:
            report = next(self._reports)
        except RuntimeError as error:
            # Left alone by a follower, the leader knows only that a connection broke.
            cause = self._company.first_error() if self._company else None
            if cause is None:
                raise
            if is_lost_process(cause):
                os.kill(os.getpid(), signal.SIGKILL)  # as if this process of the trial had been
            raise cause from error
        for outlet in self._shown_at:
            outlet.note(report)
        if report.state.is_final:
            self.cleanup()
        return {"report": report, "done": report.state.is_final}

    def cleanup(self) -> None:
        """End the processes that share the trial's batches, and close its files."""
        self._reports.close()
        if self._company is not None:
            self._company.close()
            self._company = None
        for outlet in self._shown_at:
            outlet.close()
        self._shown_at = ()
        self._alone.close()

    def _keep_to_this_process(self, task: TrialTask) -> None:
        self._alone = contextlib.ExitStack()
        node = ray.get_runtime_context().get_node_id()
        self._alone.enter_context(only_worker(self._run.trial(task.trial), node))

    def _open(self, task: TrialTask) -> None:
        folder = self._run.trial(task.trial)
        gpus = held_gpus()
        self._company = None
        if self._resources.workers > 1:
            bundles = self._resources.bundles
            self._company = Company(task, self._data, folder.checkpoint, bundles)
            gpus += self._company.gpus
        self._shown_at = self._outlets.open(self._run, task)
        placement = Placement(node=this_node(), gpus=gpus)
        if self._held_out is not None:
            self._reports = run_task_trial(task, self._data, self._held_out, folder, placement)
            return
        self._reports = run_trial(
            task,
            self._data,
            self._evaluator,
            folder,
            self._score,
            self._neighbours,
            self._company.ranks if self._company else None,
            placement,
        )

    def __repr__(self) -> str:
        if self._resources.reuse_workers:
            return f"worker of {self._run.path.name}"
        return f"trial {self.config['name']}"


def free_memory() -> None:
    """Give back what the last trial of this process has left, to GPU and system."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    hand_back_freed_memory()
