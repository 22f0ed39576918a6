"""How fast the workers at hand start, train and score, tried before a sweep's first trial."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence
from typing import NamedTuple

import torch

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
    import ray

    def timed(data: ImageData, config: TrainingConfig) -> _Tried:
        import sweeps.tuning  # noqa: F401  (what a trial's process imports)

        started = time.perf_counter()
        pace = measure_seconds_per_kimg(config, data, spec.resources.threads, device)
        per_image = seconds_per_scored_image(config, data, device)
        process = ray.get_runtime_context().get_node_id(), os.getpid()
        return _Tried(pace, per_image, time.perf_counter() - started, process)

    # With an environment of their own, Ray can't give the calls its idle processes.
    remote = ray.remote(
        num_cpus=spec.resources.cpus * spec.resources.scoring_workers,
        num_gpus=spec.resources.gpus,
        runtime_env={"env_vars": {"TG_SWEEP_CALIBRATION": "1"}},
    )(timed)
    began, held = time.monotonic(), ray.put(data)
    calls = waiting = [remote.remote(held, config) for config in first_configs(spec)]
    to_start: dict[tuple[str, int], float] = {}
    while waiting:
        (ended, *_), waiting = ray.wait(waiting)
        tried: _Tried = ray.get(ended)
        # The first in a process has waited for its start, which the others have not.
        to_start.setdefault(tried.process, time.monotonic() - began - tried.seconds)
    all_tried: Sequence[_Tried] = ray.get(calls)
    per_image = statistics.fmean(tried.seconds_per_scored_image for tried in all_tried)
    return Calibration(
        seconds_per_kimg=tuple(tried.seconds_per_kimg for tried in all_tried),
        seconds_to_start=statistics.fmean(to_start.values()),
        seconds_to_score=spec.evaluation.num_images * per_image + seconds_to_compare,
    )


class _Tried(NamedTuple):
    seconds_per_kimg: float
    seconds_per_scored_image: float
    seconds: float
    """That both took."""
    process: tuple[str, int]
    """Its node and id."""


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
