"""How fast the workers at hand start, train and score, tried before a sweep's first trial."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import torch

from sweeps.cluster import map_on_workers
from sweeps.forecast import Calibration
from sweeps.plan import first_configs, measure_seconds_per_kimg
from sweeps.spec import SweepSpec
from sweeps.trainers import trainer_of
from transgan.config import TrainingConfig
from transgan.data import ImageData
from transgan.sampling import latents, sample_images
from transgan.tasks.trainer import TaskTrainer, detect_objects, predict_classes

SCORED_IMAGES = 32
"""Images that are sampled, or looked at, while trying."""


def calibrate(
    spec: SweepSpec, data: ImageData, device: str, seconds_to_compare: float
) -> Calibration:
    """Try the first trials' configs on workers, as many at once as there will be trials.

    Args:
        spec: the sweep.
        data: its data, of which each node is given one copy.
        device: `cpu` or `cuda`.
        seconds_to_compare: what a score takes once its images are there.
    """

    def tried(data: ImageData, config: TrainingConfig) -> tuple[float, float]:
        pace = measure_seconds_per_kimg(config, data, spec.resources.threads, device)
        return pace, seconds_per_scored_image(config, data, device)

    tries, seconds_to_start = map_on_workers(
        tried,
        data,
        first_configs(spec),
        cpus=spec.resources.cpus * spec.resources.scoring_workers,
        gpus=spec.resources.gpus,
    )
    per_image = statistics.fmean(seconds for _, seconds in tries)
    return Calibration(
        seconds_per_kimg=tuple(pace for pace, _ in tries),
        seconds_to_start=seconds_to_start,
        seconds_to_score=spec.evaluation.num_images * per_image + seconds_to_compare,
    )


def seconds_per_scored_image(config: TrainingConfig, data: ImageData, device: str) -> float:
    """Seconds in which a network that is new samples an image, or looks at one that is held out."""
    trainer = trainer_of(config, data, device)
    images = data.held_out_images[:SCORED_IMAGES]
    started = time.perf_counter()
    if not isinstance(trainer, TaskTrainer):
        z = latents(SCORED_IMAGES, config.generator.latent_dim, 0)
        return _since(started, sample_images(trainer.ema_generator, z))
    if config.downstream.task == "detect":
        return _since(started, detect_objects(trainer.network, images))
    return _since(started, predict_classes(trainer.network, images))


def _since(started: float, made: Sequence[object] | torch.Tensor) -> float:
    return (time.perf_counter() - started) / len(made)
