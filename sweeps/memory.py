"""What a trial takes of its device's memory at its peak, predicted."""

from __future__ import annotations

from transgan.config import TrainingConfig
from transgan.cost import training_cost

GB = 1e9
PROCESS_GB = 0.93
"""Resident memory of a trial's process without its tensors: 0.86 with all that a trial imports,
0.93 once that has been used (a training of digits, less its tensors; torch 2.14.1, Linux)."""
GPU_CONTEXT_GB = 0.6
"""What CUDA and its libraries take of a GPU for each process: an assumption, not measured by us."""
GPU_SLACK = 1.1
"""What torch's caching allocator reserves, by the tensors' bytes: likewise an assumption."""


def needed_gb(config: TrainingConfig, *, on_gpu: bool, workers: int = 1) -> float:
    """Peak memory of a trial in GB: of its GPU, or resident memory of its processes on a CPU.

    Several workers have the whole networks and a part of each batch: so much takes each of them of
    its own GPU, and on a CPU they take it together of one memory.

    The data set is not counted: on a CPU, trials map it from one file; a GPU holds a copy, one byte
    a value.
    """
    if workers > 1:
        reals, fakes = config.batch_size, config.resolved_generator_batch_size
        share = -(-reals // workers)
        of_fakes = fakes // reals * share if fakes % reals == 0 else -(-fakes // workers)
        sizes = {"batch_size": share, "generator_batch_size": of_fakes}
        config = config.model_copy(update=sizes)
    cost = training_cost(config)
    if on_gpu:
        return GPU_CONTEXT_GB + GPU_SLACK * max(cost.peak_tensor_bytes, cost.sampling_bytes) / GB
    base = PROCESS_GB * GB
    return workers * max(cost.resident_bytes(base), base + cost.sampling_bytes) / GB
