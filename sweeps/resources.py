"""What each trial of a sweep is given: cores, GPUs, processes, memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from transgan.frozen_model import FrozenModel


class Node(NamedTuple):
    """A machine that trials can run on."""

    name: str
    cpus: int
    gpus: int
    gpu_gb: float | None = None
    """Memory of its smallest GPU, in GB (1e9 bytes); None where torch finds no GPU there."""
    memory_gb: float | None = None
    """What its processes may take of its own memory, likewise; None where that is not known."""


class Resources(FrozenModel):
    """What each trial is given."""

    cpus_per_trial: int | None = Field(None, ge=1)
    """Cores of each trial, shared by its workers, and torch's threads. Null for an equal share of
    the cores among the trials that run at once."""
    gpus_per_trial: float | None = Field(None, ge=0)
    """GPUs of each trial, one a worker; a fraction lets several trials share one. Null for what the
    largest trials are predicted to need, and for none where there is no GPU."""
    workers_per_trial: int | None = Field(None, ge=1)
    """Processes that share each batch of a trial, each with its part of the trial's CPUs and GPUs.
    Null for one a GPU, and without GPUs for one."""
    device: Literal["cpu", "cuda"] | None = None
    """Where trials compute; null for their GPUs if they are given any, else the CPU. `cpu` beside
    GPUs holds these and computes on none: to rehearse where trials are placed."""
    memory_gb: float | None = Field(None, gt=0)
    """Memory of a trial's device, in GB (1e9 bytes): settings that are predicted to need more are
    refused before any training. Null for its share of the GPU, and without one for no limit."""
    scoring_workers: int = Field(1, ge=1)
    """Processes that score a trial's images, the trial's own among them. Each of the others is
    given as many CPUs and GPUs as the trial, reserved for it while it trains too: more than one
    pays where scoring takes long and resources would lie idle."""
    reuse_workers: bool = False
    """Whether a process serves one trial after the other, which saves some seconds a trial. Not so
    by default: what a trial leaves in its process (memory that is not given back, a broken CUDA
    context) is then never the next one's."""

    @property
    def cpus(self) -> int:
        """Cores of each trial; one where that is still to be settled."""
        return self.cpus_per_trial or 1

    @property
    def gpus(self) -> float:
        """GPUs of each trial; none where that is still to be settled."""
        return self.gpus_per_trial or 0.0

    @property
    def workers(self) -> int:
        """Processes that share each batch of a trial."""
        return self.workers_per_trial or max(1, math.ceil(self.gpus))

    @property
    def threads(self) -> int:
        """Threads of each process of a trial."""
        return max(1, self.cpus // self.workers)

    @property
    def computes_on_gpu(self) -> bool:
        """Whether trials compute on the GPUs that they hold."""
        return self.gpus > 0 and self.device != "cpu"

    @property
    def bundles(self) -> list[dict[str, float]]:
        """What a trial holds from its start to its end: an entry for each of its processes."""
        needs = {"CPU": self.cpus / self.workers, "GPU": self.gpus / self.workers}
        bundle = {name: amount for name, amount in needs.items() if amount}
        return [bundle] * (self.workers * self.scoring_workers)

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        gpus, workers = self.gpus, self.workers
        if gpus > 1 and gpus != int(gpus):
            raise ValueError(
                f"gpus_per_trial: {gpus:g} is neither at most 1 nor a whole number; beyond one, "
                "GPUs are given whole"
            )
        if gpus and workers != max(1, int(gpus)):
            raise ValueError(
                f"workers_per_trial: {workers} beside {gpus:g} GPUs a trial, and each worker "
                "computes on one; set both to the same number, or leave workers_per_trial out"
            )
        if self.device == "cuda" and self.gpus_per_trial == 0:
            raise ValueError(
                "device: cuda, but gpus_per_trial is 0, and trials without GPUs see none; give "
                "them some, or set device to cpu"
            )
        if workers > 1 and self.scoring_workers > 1:
            raise ValueError(
                f"scoring_workers: {self.scoring_workers} beside {workers} workers a trial; trials "
                "that share batches are scored by one process, so leave scoring_workers out"
            )
        return self

    def trials_on(self, nodes: Sequence[Node]) -> int:
        """How many trials fit on `nodes` at once; workers of a trial are on one node."""
        if self.scoring_workers == 1:
            return sum(self._places_on(node) for node in nodes)
        return sum(self._places_on(node) for node in nodes) // self.scoring_workers

    def _places_on(self, node: Node) -> int:
        places = node.cpus // self.cpus
        if not self.gpus:
            return places
        on_one = int(1 / self.gpus + 1e-9)
        return min(places, node.gpus * on_one if on_one else int(node.gpus / self.gpus))
