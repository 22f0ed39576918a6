"""The devices of a machine, and how much memory each has."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
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


def devices_of(nodes: Sequence[Node]) -> Iterator[Device]:
    """The CPUs and GPUs of a cluster's nodes, one of those that are alike."""
    seen = set()
    for node in nodes:
        for what, memory, is_gpu in (
            ("the CPU", node.memory_gb, False),
            ("a GPU", node.gpu_gb if node.gpus else None, True),
        ):
            if memory is not None and (memory, is_gpu) not in seen:
                seen.add((memory, is_gpu))
                yield Device(f"{what} of {node.name}", memory, is_gpu=is_gpu, is_here=False)


def this_machine() -> Node:
    """This machine, as a place for trials."""
    sizes = [
        torch.cuda.get_device_properties(index).total_memory / GB
        for index in range(torch.cuda.device_count())
    ]
    memory = memory_gb()
    return Node(
        "this machine",
        available_cpus(),
        len(sizes),
        min(sizes, default=None),
        memory if math.isfinite(memory) else None,
    )


def memory_gb() -> float:
    """Memory that processes may use here: the machine's, or less where a control group allows less.

    Such is how containers, Slurm's jobs and systemd's services are held to what they were given.
    """
    found = [math.inf, *(limit / GB for limit in group_limits())]
    machine = Path("/proc/meminfo")
    if machine.exists():
        lines = dict(line.split(":") for line in machine.read_text(encoding="ascii").splitlines())
        found.append(float(lines["MemTotal"].split()[0]) * 1024 / GB)
    return min(found)


def group_limits(
    membership: Path = Path("/proc/self/cgroup"), mount: Path = Path("/sys/fs/cgroup")
) -> Iterator[float]:
    """The limits, in bytes, of this process's control groups and of those above (Linux).

    Within a container the path may be the host's, of which only the upper end is mounted.

    Args:
        membership: names the groups: `0::/path` of version 2, `4:memory:/path` of version 1.
        mount: where control groups are mounted.
    """
    if not membership.exists():
        return
    for line in membership.read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            top, limit = mount, "memory.max"
        elif "memory" in controllers.split(","):
            top, limit = mount / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = top if ".." in path.split("/") else top / path.lstrip("/")
        for folder in (group, *group.parents):
            file = folder / limit
            if file.exists() and (text := file.read_text(encoding="ascii").strip()) != "max":
                yield float(text)
            if folder == top:
                break
