"""What is foreseen of a sweep beyond its plan: memory on each device, and time here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from reports.formats import counted, setting_text
from sweeps.announcement import concurrent_here, labelled
from sweeps.derived_resources import largest_need
from sweeps.devices import Device, devices, devices_of
from sweeps.fitting import Fit, MemoryNeed, TooLarge, fit, memory_needs
from sweeps.plan import device_here
from sweeps.resources import Node
from sweeps.spec import SweepSpec
from sweeps.spec_text import SpecError
from sweeps.trial_time import TrialTime, try_out

SHOWN_TOO_LARGE = 4
SUSTAINED_TFLOPS = 20.0
"""An assumption for a sweep that can't be tried here: what one recent data-centre or large desktop
GPU may sustain in training; it is said wherever it is used."""


class Outlook(NamedTuple):
    """What is foreseen of a sweep."""

    needs: tuple[MemoryNeed, ...]
    fits: tuple[Fit, ...]
    """For what the spec allows a trial, if it says so; then for devices, this machine's first."""
    concurrent: int
    """Trials at once on this machine; 0 if none can run here."""
    not_here_because: str | None
    time: TrialTime
    workers: int
    """Processes that share each batch of a trial, with a GPU each."""


def foresee(spec: SweepSpec, console: Console, cluster: Sequence[Node] | None = None) -> Outlook:
    """Predict the memory of every kind of trial, and try how fast this machine trains.

    Args:
        spec: the sweep.
        console: where it is shown how far this is.
        cluster: the nodes on which trials would run, in place of this machine, which is then not
            tried.
    """
    places = devices() if cluster is None else devices_of(cluster)
    with console.status("Predicting memory …") as status:
        needs = _needs(spec, status)
        fits = tuple(fit(spec, needs, device) for device in (*_allowed(spec), *places))
    concurrent, why, device = 0, None, "cpu"
    if cluster is None:
        try:
            device = device_here(spec)
            concurrent = concurrent_here(spec)
        except SpecError as error:
            device, why = "cpu", str(error)
    with console.status("Measuring how fast this machine trains …"):
        time = try_out(spec, concurrent, device)
    return Outlook(needs, fits, concurrent, why, time, spec.resources.workers)


def say_too_large(spec: SweepSpec, nodes: Sequence[Node], console: Console) -> None:
    """Name the kinds of trial that don't fit what trials are given, before any is started.

    Nothing is said where all fit: the largest are looked at first, and all kinds only if these
    don't, which takes up to minutes. What is predicted then is kept for when they are proposed.

    Args:
        spec: the sweep, its resources settled.
        nodes: on which its trials will run.
        console: where it is said.
    """
    if spec.task != "generate":  # whose memory is not predicted
        return
    places = _allowed(spec) or tuple(
        place for place in devices_of(nodes) if place.is_gpu == spec.resources.computes_on_gpu
    )
    if not places:
        return
    least = min(places, key=lambda place: place.memory_gb)
    with console.status("Predicting memory …") as status:
        if largest_need(spec, least.memory_gb) <= least.memory_gb:
            return
        needs = _needs(spec, status)
        found = fit(spec, needs, least)
    if found.too_large:
        _say_fit(found, _telling_paths(needs), labelled(console), label="Memory")


def _needs(spec: SweepSpec, status: Status) -> tuple[MemoryNeed, ...]:
    return memory_needs(
        spec, lambda done, of: status.update(f"Predicting memory: {done} of {of} kinds …")
    )


def _allowed(spec: SweepSpec) -> tuple[Device, ...]:
    """The memory that the spec allows a trial, as a device that holds one."""
    limit = spec.resources.memory_gb
    if limit is None:
        return ()
    is_gpu = spec.resources.computes_on_gpu
    return (Device("resources.memory_gb", limit, is_gpu=is_gpu, is_here=True),)


def outlook_document(outlook: Outlook) -> dict[str, Any]:
    """What is foreseen, as a part of the plan's JSON document."""
    return {
        "memory": [asdict(need) for need in outlook.needs],
        "devices": [asdict(fit) for fit in outlook.fits],
        "not_here_because": outlook.not_here_because,
        "time": asdict(outlook.time) | {"forecast": _forecast_document(outlook.time)},
    }


def say_outlook(outlook: Outlook, console: Console) -> None:
    """What is foreseen, as lines under the plan."""
    say = labelled(console)
    least, most = outlook.needs[0], outlook.needs[-1]
    gpus = "a GPU" if outlook.workers == 1 else f"each of its {outlook.workers} GPUs"
    say(
        "Memory",
        f"a trial takes {_range(least.cpu_gb, most.cpu_gb)} GB on a CPU, "
        f"{_range(least.gpu_gb, most.gpu_gb)} GB of {gpus}, as predicted for "
        f"{counted(len(outlook.needs), 'kind of trial', 'kinds of trial')}",
    )
    telling = _telling_paths(outlook.needs)
    for found in outlook.fits:
        _say_fit(found, telling, say)
    time = outlook.time
    if outlook.not_here_because is not None:
        say("Here", f"it can't run on this machine: {escape(outlook.not_here_because)}")
    if time.forecast is None:
        hours = time.expected_flops / (SUSTAINED_TFLOPS * 1e12) / 3600
        say(
            "Time",
            f"{escape(time.note)}; the trainings take {time.expected_flops / 1e15:.3g} PFLOP, "
            f"which would be {hours:.3g} GPU-hours at {SUSTAINED_TFLOPS:g} TFLOP/s (an assumption)",
        )
        return
    told = time.forecast
    gpus = f", {time.gpu_hours:.3g} GPU-hours" if time.gpu_hours else ""
    say(
        "Time",
        f"about {_duration(told.seconds)} ({_duration(told.low_seconds)} to "
        f"{_duration(told.high_seconds)}){gpus} with "
        f"{counted(outlook.concurrent, 'trial')} at once; "
        f"{told.seconds_per_kimg:.2f} s per kimg, about {told.expected_kimg:.0f} kimg; "
        f"{time.seconds_to_score:.1f} s a scoring ({escape(time.note)})",
    )


def _say_fit(
    found: Fit, telling: set[str], say: Callable[[str, str], None], label: str = ""
) -> None:
    """How trials fit one device: which don't, and what would make them."""
    say(label, f"{escape(found.device)} ({found.memory_gb:.1f} GB): {_verdict(found)}")
    for large in found.too_large[:SHOWN_TOO_LARGE]:
        say("", f"  {_too_large(large, telling)}")
    if len(found.too_large) > SHOWN_TOO_LARGE:
        say("", f"  and {counted(len(found.too_large) - SHOWN_TOO_LARGE, 'more kind')}")
    if found.num_hopeless:
        say("", f"  {_hopeless(found)}")
    if found.way_out is not None:
        others = " of the others" if found.num_hopeless else ""
        say("", f"  the largest{others} fits with {found.way_out}")


def _verdict(found: Fit) -> str:
    if not found.num_fitting:
        return "no trial fits"
    at_once = f"{found.at_once} at once by memory"
    if found.num_fitting == found.num_needs:
        return f"every trial fits, {at_once}"
    return f"{found.num_fitting} of {found.num_needs} kinds of trial fit, {at_once}"


def _telling_paths(needs: Sequence[MemoryNeed]) -> set[str]:
    """The paths that tell kinds of trial apart; rates are the same in all of them."""
    paths = {path for need in needs for path in need.settings}
    return {path for path in paths if len({need.settings.get(path) for need in needs}) > 1}


def _too_large(large: TooLarge, telling: set[str]) -> str:
    settings = ", ".join(
        f"{path}: {setting_text(to)}" for path, to in large.settings.items() if path in telling
    )
    return escape(f"{settings or 'the training'} takes {large.needed_gb:.3g} GB")


def _hopeless(found: Fit) -> str:
    if found.num_hopeless == found.num_needs:
        return "no kind of trial fits with any batch, however small; give trials more memory"
    largest = (
        "the largest fits" if found.num_hopeless == 1 else f"the {found.num_hopeless} largest fit"
    )
    return f"{largest} with no batch, however small; search without, or give trials more memory"


def _range(low: float, high: float) -> str:
    return f"{low:.2g}" if f"{low:.2g}" == f"{high:.2g}" else f"{low:.2g} to {high:.2g}"


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds > 5400 else f"{seconds / 60:.1f} minutes"


def _forecast_document(time: TrialTime) -> dict[str, Any] | None:
    return None if time.forecast is None else time.forecast.model_dump()
