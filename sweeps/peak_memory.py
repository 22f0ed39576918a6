"""The most memory that this process has taken since it was asked to forget."""

from __future__ import annotations

from pathlib import Path

import torch


def reset_peak_memory() -> None:
    """Forget the process's peak so far: a worker may have served another trial (Linux and CUDA)."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5", encoding="ascii")


def peak_memory(device: torch.device) -> float | None:
    """Peak memory in MiB: allocated on a CUDA device, resident otherwise; None if not to be had."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device) / 2**20)
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    for line in status.read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return float(line.split()[1]) / 1024
    return None
