"""Peak memory of training: what `transgan.cost` predicts against what a fresh process takes.

    python benchmarks/memory.py --configs digits cifar10-b4
    python benchmarks/memory.py --out docs/memory.md

Each training runs by itself in a process of its own on one CPU thread, twice: with the C library's
allocator as the trainer sets it (`transgan.training.freed_memory`: what is freed is kept), and with
glibc's told to hand each tensor's memory back when it is freed (`MALLOC_MMAP_THRESHOLD_`). The
second tells whether the prediction is right, the first what the allocator adds.
The base, without the tensors of the training itself, is the process's memory after a step of a
training of almost nothing: interpreter, libraries, and what they set up when first used.

The largest takes less than 7 GB; all together take about a quarter of an hour.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from transgan.config import TrainingConfig
from transgan.cost import training_cost
from transgan.presets import PRESETS, preset_values
from transgan.training.trainer import Trainer

# Steps of both networks on the same number of images, one of each in turn, so that few are enough.
_ALIKE: dict[str, Any] = {
    "generator_batch_size": None,
    "microbatch_size": None,
    "optimizer.critic_steps": 1,
}
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "digits": ("digits", {}),
    "photos-b64": ("photos", {"batch_size": 64}),
    "cifar10-b4": ("cifar10", {"batch_size": 4}),
    "cifar10-b16": ("cifar10", {"batch_size": 16}),
    "cifar10-b16-bf16": ("cifar10", {"batch_size": 16, "precision": "bfloat16"}),
    "cifar10-b32-micro8": ("cifar10", {"batch_size": 32, "microbatch_size": 8}),
    "celeba64-b4": ("celeba64", {"batch_size": 4}),
    "celeba128-b1": ("celeba128", {"batch_size": 1}),
    "celebahq256-half-b1": (
        "celebahq256",
        {
            "batch_size": 1,
            "generator.embed_dim": 512,
            "discriminator.embed_dims": [48, 96, 192],
        },
    ),
    "conv-attention-photos-b64": ("photos", {"family": "conv-attention", "batch_size": 64}),
    "conv-attention-church256-b4": (
        "church256",
        {"family": "conv-attention", "batch_size": 4, "activation_checkpointing": False},
    ),
}
MB = 1024**2


@dataclass(frozen=True)
class Memory:
    """Predicted and measured peaks of one training, in MB."""

    predicted_tensors: float
    predicted_kept: float
    """Freed memory that the allocator keeps, by `TrainingCost.resident_bytes`."""
    prediction_seconds: float
    base: float
    returning: float
    """Measured, the allocator handing back what is freed; base included, so too below."""
    default: float
    """Measured, the allocator keeping it."""

    @property
    def predicted_returning(self) -> float:
        """Tensors and base."""
        return self.base + self.predicted_tensors

    @property
    def predicted_default(self) -> float:
        """Tensors, base, and what the allocator keeps."""
        return self.predicted_returning + self.predicted_kept


def config_of(name: str) -> TrainingConfig:
    """The config called `name` in `CONFIGS`."""
    preset, changes = CONFIGS[name]
    family = changes.get("family", "transgan")
    values = json.loads(json.dumps(preset_values(preset, family)))
    for path, value in (_ALIKE | changes).items():
        *parents, field = path.split(".")
        branch = values
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[field] = value
    return TrainingConfig.model_validate(values)


def measure(name: str, steps: int) -> Memory:
    """Predict and measure; `steps` of each network are done."""
    started = time.perf_counter()
    cost = training_cost(config_of(name))
    tensors = cost.peak_tensor_bytes / MB
    kept = cost.resident_bytes(0) / MB - tensors
    seconds = time.perf_counter() - started
    default, _ = _in_its_own_process(name, steps, {})
    returning, base = _in_its_own_process(name, steps, {"MALLOC_MMAP_THRESHOLD_": "131072"})
    return Memory(tensors, kept, seconds, base, returning, default)


def _in_its_own_process(name: str, steps: int, allocator: dict[str, str]) -> tuple[float, float]:
    """Peak and base, in MB."""
    command = [sys.executable, __file__, "--peak-of", name, "--steps", str(steps)]
    environment = os.environ | allocator
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=environment
    ).stdout
    peak, base = map(float, done.split())
    return peak, base


def _own_peak(name: str, steps: int) -> tuple[float, float]:
    _train(_almost_nothing(), 1)
    base = _own_memory_mb("VmRSS")
    _train(config_of(name), steps)
    return _own_memory_mb("VmHWM"), base


def _almost_nothing() -> TrainingConfig:
    """The digits preset in its smallest form."""
    values = json.loads(json.dumps(PRESETS["digits"])) | {"batch_size": 1}
    values["generator"] |= {"embed_dim": 8, "depths": [1, 1]}
    values["discriminator"] |= {"embed_dims": [4, 8]}
    return TrainingConfig.model_validate(values)


def _train(config: TrainingConfig, steps: int) -> None:
    size = (config.batch_size, config.image_channels, config.image_size, config.image_size)
    trainer = Trainer(config, torch.zeros(size, dtype=torch.uint8))
    for _ in range(steps * config.loss.penalty_interval):
        trainer._step()


def _own_memory_mb(field: str) -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith(f"{field}:")]
    return int(line.split()[1]) / 1024


def row(name: str, memory: Memory) -> str:
    """The figures of one config for people; per cents are the prediction's error."""
    pairs = (
        (memory.predicted_returning, memory.returning),
        (memory.predicted_default, memory.default),
    )
    return (
        f"{name:20}{memory.predicted_tensors:8.0f}{memory.base:6.0f}"
        + "".join(
            f"{predicted:10.0f}{measured:9.0f} ({predicted / measured - 1:+6.1%})"
            for predicted, measured in pairs
        )
        + f"{memory.prediction_seconds:8.1f}"
    )


def page(measured: dict[str, Memory], steps: int) -> str:
    """The Markdown page: a config's row has the errors of both predictions."""
    base = max(memory.base for memory in measured.values())
    lines = [
        "# Memory of a training, predicted and measured",
        "",
        f"`python benchmarks/memory.py` on a CPU, one thread, torch {torch.__version__}: the peak "
        f"memory of a process that takes {steps} steps of both networks, the penalty among them, "
        "against what `transgan.cost` says beforehand, in MB; in brackets the prediction's error.",
        "",
        "*Tensors* are predicted of the training itself: what `torch.cuda.max_memory_allocated` "
        "tells on a GPU. The memory of a process without them (interpreter and libraries, "
        f"{base:.0f} MB here) is measured and added. Where memory is "
        "*handed back*, the C library's allocator is told to do so when a large tensor is freed "
        "(`MALLOC_MMAP_THRESHOLD_=131072`): tests refuse errors above 15% there. *Kept*, as the "
        "trainer has it, it lies in pieces, some of which nothing fits in; that is predicted too, "
        "rather too high than too low.",
        "",
        "| training | tensors | handed back: predicted | measured | kept: predicted | measured |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, memory in measured.items():
        cells = [described(name), f"{memory.predicted_tensors:,.0f}"]
        for predicted, found in (
            (memory.predicted_returning, memory.returning),
            (memory.predicted_default, memory.default),
        ):
            cells += [f"{predicted:,.0f} ({predicted / found - 1:+.1%})", f"{found:,.0f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def described(name: str) -> str:
    """A config's preset and what is changed in it."""
    preset, changes = CONFIGS[name]
    return ", ".join([f"`{preset}`", *(f"`{path}` {value}" for path, value in changes.items())])


HEADER = (
    f"{'':34}{'memory handed back':^28}{'memory kept':^28}\n"
    f"{'peaks in MB':20}{'tensors':>8}{'base':>6}"
    + f"{'predicted':>10}{'measured':>9}{'':9}" * 2
    + f"{'seconds':>8}"
)


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--configs", nargs="+", choices=CONFIGS, default=list(CONFIGS))
    parser.add_argument("--steps", type=int, default=2, help="steps of each network")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--out", type=Path, help="page to write besides")
    parser.add_argument("--peak-of", choices=CONFIGS, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    if arguments.peak_of is not None:
        print(*_own_peak(arguments.peak_of, arguments.steps))
        return
    if not arguments.json:
        print(HEADER, flush=True)
    measured = {}
    for name in arguments.configs:
        measured[name] = measure(name, arguments.steps)
        if not arguments.json:
            print(row(name, measured[name]), flush=True)
    if arguments.out is not None:
        arguments.out.write_text(page(measured, arguments.steps), encoding="utf-8")
    if arguments.json:
        print(json.dumps({name: asdict(memory) for name, memory in measured.items()}, indent=1))


if __name__ == "__main__":
    main()
