"""A trial of a classifier or detector: trained, and scored and shown at each rung."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass

import torch
from PIL import Image

from evaluation.average_precision import Found, Truth
from evaluation.held_out import HeldOutEvaluator
from evaluation.protocol import Scores
from reports.records import Placement, RungScores
from reports.run_folder import TrialFolder
from sweeps.recovery import resumed
from sweeps.rung_scores import measurements, score_here
from sweeps.task_pictures import detections_picture, mistakes_picture
from sweeps.trial import TrialReport, TrialRun, TrialTask, reports_of
from transgan.data import ImageData
from transgan.sampling import save_image
from transgan.tasks.trainer import TaskTrainer, detect_objects, predict_classes


def run_task_trial(
    task: TrialTask,
    data: ImageData,
    evaluator: HeldOutEvaluator,
    folder: TrialFolder,
    placement: Placement | None = None,
) -> Generator[TrialReport, None, None]:
    """Train and score `task`, as `run_trial` does a GAN, from its checkpoint if there is one."""
    torch.set_num_threads(task.threads)
    run = TaskTrialRun(task, data, evaluator, folder, placement)
    yield from reports_of(run, run.open_task)


@dataclass(frozen=True)
class _Looked:
    """What was found in the held-out images."""

    scores: Scores
    picture: Image.Image


class TaskTrialRun(TrialRun):
    """The state of one attempt at a trial of a classifier or detector."""

    trainer: TaskTrainer
    tick_values = ("loss", "images_per_second")

    def __init__(
        self,
        task: TrialTask,
        data: ImageData,
        evaluator: HeldOutEvaluator,
        folder: TrialFolder,
        placement: Placement | None,
    ) -> None:
        super().__init__(task, folder, score_here, None, None, placement)
        self.evaluator, self.data = evaluator, data

    def open_task(self) -> None:
        """Build the network, and go to where the last attempt was."""
        config, device = self.task.config, self.task.device
        self._take_up(
            *resumed(lambda: TaskTrainer(config, self.data, device), self.folder.checkpoint)
        )
        trained = sum(parameter.numel() for parameter in self.trainer.network.parameters())
        cost = self.record.cost.model_copy(update={"discriminator_parameters": trained})
        self._update(cost=cost)

    def _score(self, kimg: float) -> None:
        started = time.monotonic()
        is_detector = self.task.config.downstream.task == "detect"
        looked = self._detections() if is_detector else self._classes()
        picture = self.folder.fakes(kimg)
        save_image(looked.picture, picture)
        rung = RungScores(
            kimg=kimg,
            measurements=measurements(looked.scores),
            fakes_path=picture.name,
            protocol_sha256=looked.scores.protocol.sha256 if looked.scores.protocol else None,
        )
        self._update(
            scores=(*self.record.scores, rung),
            kimg=self.trainer.kimg,
            cost=self._spend(score_seconds=time.monotonic() - started),
        )

    def _classes(self) -> _Looked:
        num = self.evaluator.protocol.num_images
        images = self.data.held_out_images[:num]
        assert self.data.held_out_labels is not None
        labels = self.data.held_out_labels[:num]
        predicted = predict_classes(self.trainer.network, images).argmax(dim=1)
        scores = self.evaluator.score_classes(predicted.numpy(), labels.numpy())
        return _Looked(scores, mistakes_picture(images, labels, predicted))

    def _detections(self) -> _Looked:
        num = self.evaluator.protocol.num_images
        images = self.data.held_out_images[:num]
        assert self.data.held_out_objects is not None
        real = self.data.held_out_objects[:num]
        found = detect_objects(self.trainer.network, images)
        scores = self.evaluator.score_boxes(
            [
                Found(objects.boxes.numpy(), objects.labels.numpy(), sure.numpy())
                for objects, sure in found
            ],
            [Truth(objects.boxes.numpy(), objects.labels.numpy()) for objects in real],
        )
        return _Looked(scores, detections_picture(images, real, found, self.data.class_names))
