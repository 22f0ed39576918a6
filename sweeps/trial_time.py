"""How long a sweep would take on this machine, from some seconds of trying: no trial is started."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import torch

from evaluation.extractor_names import DINOV2, INCEPTION
from reports.formats import counted
from reports.records import Forecast
from sweeps.calibration import seconds_per_scored_image
from sweeps.forecast import Calibration, forecast
from sweeps.plan import first_configs, measure_seconds_per_kimg
from sweeps.spec import SweepSpec
from transgan.config import TrainingConfig
from transgan.cost import model_cost
from transgan.data import ImageData

SET_UP_SECONDS = 20.0
"""Ray, the evaluation's preparation and the report, for data and an extractor that are here."""
SLOWEST_STEP_SECONDS = 20.0
"""A machine on which one step takes longer is not made to try."""
SLOW_FLOPS = 2e10
"""Operations a second that any core at hand should reach, to foresee whether trying takes long."""
TRIED_CONFIGS = 4
TRIED_IMAGES = 256
"""Images that are trained on while trying: what they show changes no time."""
SEEN_IMAGES = 4
"""Images that Inception is tried on."""
INCEPTION_FLOPS = 11.4e9
"""Of Inception-v3 for one image at 299×299 (Szegedy et al. 2016 count 5.7e9 multiply-adds)."""
DINOV2_FLOPS = 46e9
"""Of ViT-B/14 for one image at 224×224: 12 blocks of 768 channels on 257 tokens."""


@dataclass(frozen=True)
class TrialTime:
    """What a sweep would take here."""

    forecast: Forecast | None
    """None where it was not tried."""
    gpu_hours: float | None
    """Of the forecast; None on a CPU."""
    seconds_to_score: float | None
    expected_flops: float
    """Floating-point operations of all trainings."""
    note: str
    """What was tried, or why nothing was."""


def try_out(spec: SweepSpec, concurrent: int, device: str) -> TrialTime:
    """Train the first configs for a moment, as many at once as there will be trials, and reckon.

    Nothing is tried where one step would take many seconds, or where no trial can run.

    Args:
        spec: the sweep.
        concurrent: trials at once; 0 where none can run.
        device: `cpu` or `cuda`.
    """
    configs = first_configs(spec, TRIED_CONFIGS)
    per_image = statistics.fmean(model_cost(config).flops_per_real_image for config in configs)
    slowest = max(map(_step_flops, configs)) / SLOW_FLOPS
    if not concurrent:
        return _untried(spec, per_image, "not tried here")
    if device == "cpu" and slowest > SLOWEST_STEP_SECONDS:
        return _untried(
            spec, per_image, f"not tried: a step might take {slowest:.0f} s on this CPU"
        )
    started = time.perf_counter()
    with ProcessPoolExecutor(concurrent, mp_context=get_context("spawn")) as pool:
        tried = list(pool.map(_try, *zip(*_tasks(spec, configs, device), strict=True)))
    spent = sum(seconds for *_, seconds in tried) / concurrent
    start = max(time.perf_counter() - started - spent, 0.0)
    pace = tuple(seconds for seconds, _, _ in tried)
    score = spec.evaluation.num_images * statistics.fmean(seconds for _, seconds, _ in tried)
    told = forecast(spec, Calibration(pace, start, score), concurrent)
    longer = ("seconds", "low_seconds", "high_seconds")
    told = told.model_copy(update={name: getattr(told, name) + SET_UP_SECONDS for name in longer})
    gpus = concurrent * spec.resources.gpus
    return TrialTime(
        forecast=told,
        gpu_hours=gpus * told.seconds / 3600 if gpus else None,
        seconds_to_score=score,
        expected_flops=per_image * told.expected_kimg * 1000,
        note=f"{counted(len(configs), 'config')} tried on this machine",
    )


def _untried(spec: SweepSpec, flops_per_image: float, note: str) -> TrialTime:
    kimg = forecast(spec, Calibration((1.0,), 0.0, 0.0), 1).expected_kimg
    return TrialTime(None, None, None, flops_per_image * kimg * 1000, note)


def _step_flops(config: TrainingConfig) -> float:
    return model_cost(config).flops_per_real_image * config.batch_size


def _tasks(
    spec: SweepSpec, configs: Sequence[TrainingConfig], device: str
) -> list[tuple[TrainingConfig, int, str, str]]:
    threads, extractor = spec.resources.threads, spec.evaluation.extractor
    return [(config, threads, device, extractor) for config in configs]


def _try(
    config: TrainingConfig, threads: int, device: str, extractor: str
) -> tuple[float, float, float]:
    """Seconds of training a thousand images, of sampling and seeing one, and of finding out."""
    import sweeps.tuning  # noqa: F401  (what a trial's process imports)

    started = time.perf_counter()
    shape = (TRIED_IMAGES, config.image_channels, config.image_size, config.image_size)
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=rng)
    data = ImageData("tried", images, images, None, None)
    pace = measure_seconds_per_kimg(config, data, threads, device)
    sampled = seconds_per_scored_image(config, data, device)
    seen = seconds_to_see(extractor, config.image_size, device)
    return pace, sampled + seen, time.perf_counter() - started


def seconds_to_see(extractor: str, image_size: int, device: str) -> float:
    """Seconds that an extractor's network takes for one image; 0 for small and for unknown ones.

    Inception is tried without its weights, which change no time. DINOv2, whose code may not be
    here, is reckoned from its operations at Inception's pace.
    """
    if extractor not in (INCEPTION, DINOV2):
        return 0.0
    from evaluation.fidelity import initial_inception  # loads torch-fidelity

    network = initial_inception().eval().to(device)
    images = torch.zeros(SEEN_IMAGES, 3, image_size, image_size, dtype=torch.uint8, device=device)
    with torch.inference_mode():
        network(images)  # the first pass allocates
        started = time.perf_counter()
        *_, last = network(images)
        last.sum().item()  # waits for the device
    seconds = (time.perf_counter() - started) / SEEN_IMAGES
    return seconds if extractor == INCEPTION else seconds * DINOV2_FLOPS / INCEPTION_FLOPS
