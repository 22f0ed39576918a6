"""Time and memory of one training step, ours against the plain reference in `tests/transgan`.

    python benchmarks/train_step.py --preset cifar10 --batch-size 16 --threads 1

Both train the same networks with the same loss, the same penalty at the same steps and no
augmentation, each in a process of its own, as either would be run: our trainer asks its process to
keep the memory that it frees, which would serve the other side too (`--keep-freed-memory` has it
do so). All timings alternate within one run, and so do the large matrix products that tell what the
machine can reach at that time. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import torch

from transgan.config import TrainingConfig
from transgan.flops import FlopCounter
from transgan.networks import table_attention
from transgan.presets import PRESETS
from transgan.training.freed_memory import keep_freed_memory
from transgan.training.trainer import Trainer

PARTS = ("generator forward", "D step", "G step", "full step")
SIDES = ("ours", "reference")
MATRIX_SIDE = 1024
THREADS_CALM_DOWN = 0.02
"""Seconds between one process's work and another's: threads wait for more by turning round."""


@dataclass(frozen=True)
class Cost:
    """What a part costs one side, per step."""

    seconds: float
    """Median wall time."""
    seconds_min: float
    seconds_max: float
    cpu_seconds: float
    """Median processor time of all threads."""
    gflop: float
    """Counted in matrix products and convolutions alone."""
    operations: float
    """Operations that torch dispatches, views among them."""
    peak_mb: float | None
    """Peak memory of a process that does this alone; None if not asked for."""


Work = Callable[[], object]


def config_of(preset: str, batch_size: int | None) -> TrainingConfig:
    """The preset without augmentation, noise and drift, which the reference does not have."""
    values = PRESETS[preset] | {"preset": preset, "augment": []}
    values |= {"generator_batch_size": None}  # the reference has one size for all batches
    values["discriminator"] = values["discriminator"] | {"noise": False}
    values["loss"] = values["loss"] | {"drift_weight": 0.0}
    if batch_size is not None:
        values = values | {"batch_size": batch_size}
    return TrainingConfig.model_validate(values)


def works(config: TrainingConfig, side: str) -> dict[str, Work]:
    """Each part of the step as a call, done for as many steps as lie between two penalties."""
    size = (config.batch_size, config.image_channels, config.image_size, config.image_size)
    real = torch.rand(size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    z = torch.randn(config.batch_size, config.generator.latent_dim)
    trainer: Any
    if side == "ours":
        trainer = Trainer(config, torch.zeros(size, dtype=torch.uint8))
        d_step, g_step = trainer._discriminator_step, trainer._generator_step
    else:
        networks = _beside_the_tests("reference")
        torch.manual_seed(config.seed)
        trainer = _beside_the_tests("reference_step").PlainTrainer(
            config,
            networks.plain_generator(config),
            networks.plain_discriminator(config),
            torch.Generator().manual_seed(0),
        )
        d_step, g_step = trainer.discriminator_step, trainer.generator_step

    @torch.no_grad()
    def forward() -> None:
        trainer.generator.eval()
        trainer.generator(z)
        trainer.generator.train()

    def each_step(*actions: Callable[[torch.Tensor], object]) -> Work:
        def run() -> None:
            for step in range(config.loss.penalty_interval):
                trainer.step = step
                for action in actions:
                    action(real)

        return run

    return {
        "generator forward": forward,
        "D step": each_step(d_step),
        "G step": each_step(g_step),
        "full step": each_step(d_step, g_step),
    }


def _beside_the_tests(name: str) -> ModuleType:
    """By path: outside pytest `tests` may be another distribution's package."""
    path = Path(__file__).parent.parent / "tests" / "transgan" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class SideProcess:
    """One side, at work in a process of its own when it is asked to be, and idle in between."""

    def __init__(self, arguments: argparse.Namespace, side: str) -> None:
        self._side = side
        command = [*_own_command(arguments), "--serve", side]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def count(self, part: str) -> tuple[float, float]:
        """GFLOP and operations of one call of `part`, which is warm then."""
        return self._ask("count", part)

    def seconds(self, part: str) -> tuple[float, float]:
        """Wall and processor time of one call of `part`."""
        return self._ask("seconds", part)

    def close(self) -> None:
        """End the process."""
        self._process.communicate()
        self._check(ended=self._process.returncode != 0)

    def _ask(self, what: str, part: str) -> tuple[float, float]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(what, part, file=self._process.stdin, flush=True)
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        self._check(ended=not answer.endswith("\n"))
        asked, _, figures = answer.rpartition(": ")
        if asked != f"{what} {part}":
            raise SystemExit(f"the {self._side} process was asked for {what} {part}: {answer!r}")
        first, second = map(float, figures.split())
        return first, second

    def _check(self, *, ended: bool) -> None:
        if ended:
            raise SystemExit(f"the {self._side} process ended with code {self._process.wait()}")


def serve(config: TrainingConfig, side: str) -> None:
    """Answer what a `SideProcess` asks on standard input, until there is no more."""
    calls = works(config, side)
    for line in sys.stdin:
        what, part = line.rstrip().split(" ", 1)
        figures = (_counts if what == "count" else _seconds)(calls[part])
        print(f"{what} {part}:", *figures, flush=True)


def _counts(work: Work) -> tuple[float, float]:
    work()  # warm: memory is allocated, optimisers have their moments
    with FlopCounter() as counter:
        work()
    # What images add to each other in tables that they share is no work of use.
    with mock.patch.object(table_attention, "SHARED_KEYS", 0), FlopCounter() as useful:
        work()
    return useful.flops / 1e9, counter.operations


def measure(
    config: TrainingConfig,
    arguments: argparse.Namespace,
    memory: Callable[[str, str], float | None],
) -> tuple[dict[str, dict[str, Cost]], float]:
    """Costs by part and side, and the median rate of a large matrix product, in GFLOP/s."""
    parts, repeats = arguments.parts, arguments.repeats
    sides = {side: SideProcess(arguments, side) for side in SIDES}
    steps = {part: config.loss.penalty_interval for part in parts} | {"generator forward": 1}
    counts = {(part, side): sides[side].count(part) for part in parts for side in SIDES}
    wall: dict[tuple[str, str], list[float]] = {key: [] for key in counts}
    cpu: dict[tuple[str, str], list[float]] = {key: [] for key in counts}
    matrix = torch.randn(MATRIX_SIDE, MATRIX_SIDE)
    products = []
    for repeat in range(repeats):
        for part in parts:
            time.sleep(THREADS_CALM_DOWN)
            _ = matrix @ matrix  # wakes this process's threads
            products.append(_seconds(lambda: matrix @ matrix)[0])
            # Who goes first alternates, so that neither always finds the other's caches.
            for side in SIDES if repeat % 2 else SIDES[::-1]:
                time.sleep(THREADS_CALM_DOWN)
                seconds, cpu_seconds = sides[side].seconds(part)
                wall[part, side].append(seconds / steps[part])
                cpu[part, side].append(cpu_seconds / steps[part])
    for process in sides.values():
        process.close()
    costs = {
        part: {
            side: Cost(
                seconds=statistics.median(wall[part, side]),
                seconds_min=min(wall[part, side]),
                seconds_max=max(wall[part, side]),
                cpu_seconds=statistics.median(cpu[part, side]),
                gflop=counts[part, side][0] / steps[part],
                operations=counts[part, side][1] / steps[part],
                peak_mb=memory(part, side),
            )
            for side in SIDES
        }
        for part in parts
    }
    return costs, 2 * MATRIX_SIDE**3 / 1e9 / statistics.median(products)


def _seconds(work: Work) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def peak_mb_in_its_own_process(arguments: argparse.Namespace, part: str, side: str) -> float:
    """Peak resident memory, in MB, of a fresh process that does one part on one side twice."""
    command = [*_own_command(arguments), "--peak-of", f"{side}:{part}"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def _own_command(arguments: argparse.Namespace) -> list[str]:
    command = [sys.executable, __file__]
    command += ["--preset", arguments.preset, "--threads", str(arguments.threads)]
    if arguments.batch_size is not None:
        command += ["--batch-size", str(arguments.batch_size)]
    if arguments.keep_freed_memory:
        command.append("--keep-freed-memory")
    return command


def _own_peak_mb(config: TrainingConfig, side: str, part: str) -> float:
    work = works(config, side)[part]
    for _ in range(2):  # the second finds the optimisers' moments in place
        work()
    return _own_memory_mb("VmHWM")


def _own_memory_mb(field: str) -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith(f"{field}:")]
    return int(line.split()[1]) / 1024


def table(config: TrainingConfig, costs: dict[str, dict[str, Cost]], attainable: float) -> str:
    """The figures for people; ratios are the reference's figure over ours, so more is better."""
    lines = [
        f"{config.preset}, batch {config.batch_size}, {torch.get_num_threads()} thread(s), "
        f"torch {torch.__version__}; a {MATRIX_SIDE}³ matrix product reaches "
        f"{attainable:.0f} GFLOP/s",
        f"{'':18}{'ms a step':^22}{'ratio':^7}{'GFLOP/s (share)':^24}"
        f"{'operations':^14}{'µs each beyond FLOPs':^22}{'peak MB':^14}{'ratio':^7}",
        f"{'':18}" + f"{'ours':>11}{'reference':>11}" + f"{'':7}" + f"{'ours':>12}{'reference':>12}"
        f"{'ours':>7}{'ref.':>7}{'ours':>11}{'reference':>11}{'ours':>7}{'ref.':>7}",
    ]
    for part, by_side in costs.items():
        both = [by_side[side] for side in SIDES]
        ours, reference = both
        rates = [cost.gflop / cost.seconds for cost in both]
        line = f"{part:18}" + "".join(f"{cost.seconds * 1e3:11.2f}" for cost in both)
        line += f"{reference.seconds / ours.seconds:6.2f}×"
        line += "".join(f"{rate:6.1f} ({rate / attainable:3.0%})" for rate in rates)
        line += "".join(f"{cost.operations:7.0f}" for cost in both)
        line += "".join(f"{overhead_us(cost, attainable):11.1f}" for cost in both)
        if ours.peak_mb is None or reference.peak_mb is None:
            line += f"{'–':>7}{'–':>7}"
        else:
            line += f"{ours.peak_mb:7.0f}{reference.peak_mb:7.0f}"
            line += f"{reference.peak_mb / ours.peak_mb:6.2f}×"
        lines.append(line)
    full = costs["full step"]
    lines.append(
        "full steps a second: "
        + ", ".join(f"{side} {1 / full[side].seconds:.2f}" for side in SIDES)
    )
    return "\n".join(lines)


def overhead_us(cost: Cost, attainable: float) -> float:
    """Microseconds an operation takes beyond its share of the bare FLOPs' time."""
    return (cost.seconds - cost.gflop / attainable) / cost.operations * 1e6


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=["cifar10", "digits"], default="cifar10")
    parser.add_argument("--batch-size", type=int, help="default: 16, for digits the preset's")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--repeats", type=int, default=5, help="timings of each part and side")
    parser.add_argument(
        "--no-memory", action="store_true", help="leave out the eight processes for peak memory"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument(
        "--keep-freed-memory",
        action="store_true",
        help="have the reference's process keep what it frees too, as our trainer does",
    )
    parser.add_argument("--peak-of", metavar="SIDE:PART", help=argparse.SUPPRESS)
    parser.add_argument("--serve", choices=SIDES, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.batch_size is None and arguments.preset == "cifar10":
        arguments.batch_size = 16
    torch.set_num_threads(arguments.threads)
    config = config_of(arguments.preset, arguments.batch_size)
    if arguments.keep_freed_memory:
        keep_freed_memory()
    if arguments.peak_of is not None:
        print(_own_peak_mb(config, *arguments.peak_of.split(":")))
        return
    if arguments.serve is not None:
        serve(config, arguments.serve)
        return

    def memory(part: str, side: str) -> float | None:
        if arguments.no_memory:
            return None
        return peak_mb_in_its_own_process(arguments, part, side)

    imported_mb = _own_memory_mb("VmRSS")
    costs, attainable = measure(config, arguments, memory)
    if arguments.json:
        document = {
            "preset": config.preset,
            "batch_size": config.batch_size,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "repeats": arguments.repeats,
            "reference_keeps_freed_memory": arguments.keep_freed_memory,
            "attainable_gflop_per_second": attainable,
            "imported_mb": imported_mb,
            "parts": {
                part: {
                    side: asdict(cost) | {"overhead_us": overhead_us(cost, attainable)}
                    for side, cost in by_side.items()
                }
                for part, by_side in costs.items()
            },
        }
        print(json.dumps(document, indent=1))
    else:
        print(table(config, costs, attainable))
        print(f"memory with nothing but the imports: {imported_mb:.0f} MB")


if __name__ == "__main__":
    main()
