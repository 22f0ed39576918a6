"""Which trials of a sweep fit which device's memory, and what would make the others fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from reports.records import Setting
from sweeps.devices import Device
from sweeps.memory import needed_gb
from sweeps.search_space import corners
from sweeps.space_check import building_fault
from sweeps.spec import SweepSpec
from transgan.config import TrainingConfig
from transgan.cost import same_in_cost

MOST_HALVINGS = 7
"""So often batches are halved at most, in looking for one that fits."""


@dataclass(frozen=True)
class MemoryNeed:
    """What trials with certain settings take of a device at their peak, in GB."""

    settings: dict[str, Setting]
    """Of the first corner with this need."""
    cpu_gb: float
    gpu_gb: float
    """Of each of its GPUs, where it has several workers."""

    def on(self, device: Device) -> float:
        """The need on one kind of device."""
        return self.gpu_gb if device.is_gpu else self.cpu_gb


@dataclass(frozen=True)
class TooLarge:
    """Trials that a device can't hold."""

    settings: dict[str, Setting]
    needed_gb: float


@dataclass(frozen=True)
class Fit:
    """How the trials of a sweep fit one device."""

    device: str
    memory_gb: float
    num_needs: int
    """Kinds of trials that differ in memory."""
    num_fitting: int
    at_once: int
    """Trials of the largest fitting kind that the device holds at once, by memory alone."""
    too_large: tuple[TooLarge, ...]
    """The largest first."""
    num_hopeless: int
    """The first so many of them fit with no batch, however small."""
    way_out: str | None
    """What would make the largest of the others fit, in spec terms; None where there is none."""


def memory_needs(
    spec: SweepSpec, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> tuple[MemoryNeed, ...]:
    """The peak memory of every kind of trial at the corners of the space, least first.

    Args:
        spec: the sweep.
        on_progress: told how many kinds of how many have been rehearsed; each takes from under a
            second to half a minute (`transgan.cost.training_cost`).
    """
    distinct = dict(_distinct(spec))
    workers, needs = spec.resources.workers, []
    for done, (config, settings) in enumerate(distinct.items()):
        on_progress(done, len(distinct))
        cpu, gpu = (needed_gb(config, on_gpu=on_gpu, workers=workers) for on_gpu in (False, True))
        needs.append(MemoryNeed(settings, cpu, gpu))
    return tuple(sorted(needs, key=lambda need: need.gpu_gb))


def fit(spec: SweepSpec, needs: Sequence[MemoryNeed], device: Device) -> Fit:
    """How trials with `needs` fit `device`."""
    fitting = [need.on(device) for need in needs if need.on(device) <= device.memory_gb]
    too_large = tuple(
        TooLarge(need.settings, need.on(device))
        for need in sorted(needs, key=lambda need: -need.on(device))
        if need.on(device) > device.memory_gb
    )
    num_hopeless, way_out = _way_out(spec, too_large, device)
    return Fit(
        device=device.name,
        memory_gb=device.memory_gb,
        num_needs=len(needs),
        num_fitting=len(fitting),
        at_once=int(device.memory_gb / max(fitting)) if fitting else 0,
        too_large=too_large,
        num_hopeless=num_hopeless,
        way_out=way_out,
    )


def _distinct(spec: SweepSpec) -> Iterator[tuple[TrainingConfig, dict[str, Setting]]]:
    seen = set()
    for settings in corners(spec.search):
        if building_fault(spec, settings) is not None:
            continue
        config = same_in_cost(spec.trial_config(settings, spec.training.seed))
        if config not in seen:
            seen.add(config)
            yield config, settings


def _way_out(
    spec: SweepSpec, too_large: Sequence[TooLarge], device: Device
) -> tuple[int, str | None]:
    """How many of the largest nothing helps, and what helps the next.

    It is looked for that one alone, since what is said of `training` holds for every trial, and
    looking for all would take minutes.
    """
    for num_hopeless, large in enumerate(too_large):
        config = spec.trial_config(large.settings, spec.training.seed)
        change = _mildest_change(config, device, spec.resources.workers)
        if change is not None:
            words = (f"training.{name}: {str(value).lower()}" for name, value in change.items())
            return num_hopeless, " and ".join(words)
    return len(too_large), None


def _mildest_change(
    config: TrainingConfig, device: Device, workers: int
) -> dict[str, int | bool] | None:
    """The mildest that fits: recompute activations, then split batches, then both.

    None of them changes what is learned, but for losses that look at a whole batch, which can't be
    split.
    """
    whole = config.microbatch_size or -(-config.batch_size // workers)
    sizes = [whole >> halvings for halvings in range(1, MOST_HALVINGS + 1) if whole >> halvings]
    splits: list[dict[str, int | bool]] = [{"microbatch_size": size} for size in sizes]
    changes = splits
    if not config.activation_checkpointing:
        again: dict[str, int | bool] = {"activation_checkpointing": True}
        changes = [again, *splits, *(again | split for split in splits)]
    possible = [(change, made) for change in changes if (made := _changed(config, change))]
    # The last takes least: where it does not fit, the others need not be looked at.
    if not possible or not _fits(possible[-1][1], device, workers):
        return None
    return next(change for change, made in possible if _fits(made, device, workers))


def _changed(config: TrainingConfig, change: dict[str, int | bool]) -> TrainingConfig | None:
    try:
        return TrainingConfig.model_validate(config.model_dump() | change)
    except ValueError:
        return None


def _fits(config: TrainingConfig, device: Device, workers: int) -> bool:
    return needed_gb(config, on_gpu=device.is_gpu, workers=workers) <= device.memory_gb
