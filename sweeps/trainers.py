"""The one place that chooses what trains a config: the GAN's trainer, or that of another task."""

from __future__ import annotations

import torch

from transgan.config import TrainingConfig
from transgan.data import ImageData
from transgan.tasks.trainer import TaskTrainer
from transgan.training.trainer import Trainer


def trainer_of(
    config: TrainingConfig, data: ImageData, device: torch.device | str
) -> Trainer | TaskTrainer:
    """The trainer of the config's task.

    Raises:
        DataError: the data has no labels, or no boxes, and the task needs them.
        CheckpointError, BackboneError: the task's backbone can't be had.
    """
    if config.downstream.task == "generate":
        return Trainer(config, data.train_images, device)
    return TaskTrainer(config, data, device)
