"""The devices of a machine, and how much memory each has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from sweeps.memory import GB
from sweeps.plan import available_cpus
from sweeps.resources import Node

USUAL_GPUS_GB = (8, 12, 16, 24, 40, 80)
"""Memory of GPUs that are common."""


class Device(NamedTuple):
    """One that trials could train on."""

    name: str
    memory_gb: float
    is_gpu: bool
    is_here: bool


def devices() -> Iterator[Device]:
    """This machine's CPU and each kind of its GPUs, then GPUs that are common elsewhere."""
    yield Device("this machine's CPU", memory_gb(), is_gpu=False, is_here=True)
    seen = set()
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        name = f"this machine's {properties.name}"
        device = Device(name, properties.total_memory / GB, is_gpu=True, is_here=True)
        if device not in seen:
            seen.add(device)
            yield device
    for gb in USUAL_GPUS_GB:
        yield Device(f"a GPU of {gb} GB", gb, is_gpu=True, is_here=False)


def this_machine() -> Node:
    """This machine, as a place for trials."""
    sizes = [
        torch.cuda.get_device_properties(index).total_memory / GB
        for index in range(torch.cuda.device_count())
    ]
    return Node("this machine", available_cpus(), len(sizes), min(sizes, default=None))


def memory_gb() -> float:
    """Memory that processes may use here: the machine's, or less where a container allows less."""
    found = [float("inf")]
    limit, machine = Path("/sys/fs/cgroup/memory.max"), Path("/proc/meminfo")
    if limit.exists() and (text := limit.read_text(encoding="ascii").strip()) != "max":
        found.append(float(text) / GB)
    if machine.exists():
        lines = dict(line.split(":") for line in machine.read_text(encoding="ascii").splitlines())
        found.append(float(lines["MemTotal"].split()[0]) * 1024 / GB)
    return min(found)
