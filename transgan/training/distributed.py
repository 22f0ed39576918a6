"""One training in several processes that share each batch: launch, watch, report.

The processes are started afresh (spawn), so that the caller's main module must be importable
without side effects. They meet through a file; gloo carries the sums on CPUs and nccl on GPUs. On
several machines, start the processes by other means, `join_ranks` in each, and hand the result to
`Trainer`.
"""

from __future__ import annotations

import datetime
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, multiprocessing

from transgan.config import TrainingConfig
from transgan.training.ranks import Ranks
from transgan.training.trainer import Trainer, TrainingProgress

News = TrainingProgress | Exception
"""What a process sends: progress (the first alone), or the error it ends with."""


class RankError(RuntimeError):
    """A process ended without a word; the reason stands on its standard error."""


@dataclass(frozen=True)
class DistributedRun:
    """How long to train, and how the processes work together."""

    world_size: int
    checkpoint: Path
    """Written by the first process; if it is there at the start, all go on from it."""
    device: str = "cpu"
    """`cpu`, or `cuda` for one GPU a process."""
    until_kimg: float | None = None
    """Where to stop; None for the config's total_kimg."""
    tick_kimg: float = 1.0
    checkpoint_seconds: float = 20.0
    """Least time from one checkpoint to the next; there is always one at the end."""
    timeout_seconds: float = 600.0
    """Longest wait of one process for another; then it gives up."""


@contextmanager
def join_ranks(
    rank: int, world_size: int, init_method: str, device: torch.device, timeout_seconds: float
) -> Iterator[Ranks]:
    """Be one of `world_size` processes that meet at `init_method`, a URL of torch.distributed.

    A process that waits longer than the timeout for the others ends with torch's error.
    """
    backend = "nccl" if device.type == "cuda" else "gloo"
    timeout = datetime.timedelta(seconds=timeout_seconds)
    distributed.init_process_group(
        backend, init_method=init_method, rank=rank, world_size=world_size, timeout=timeout
    )
    try:
        yield Ranks(rank, world_size)
    finally:
        distributed.destroy_process_group()


def train_distributed(
    config: TrainingConfig, images: Tensor, run: DistributedRun
) -> Iterator[TrainingProgress]:
    """Train as `Trainer.run` does, in several processes; the weights are in the checkpoint.

    Whoever stops asking for the next progress (and lets go of the iterator) ends the processes.

    Raises:
        DivergedError: a loss became NaN or infinite, or a weight did.
        CheckpointError: the checkpoint can't be gone on from.
        ValueError: a batch can't be shared by so many processes.
        MemoryError, torch.OutOfMemoryError: a process has run out of memory.
        RankError: a process ended in another way.
    """
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="tg-sweep-ranks-") as folder:
        processes: list[SpawnProcess] = []
        readers: list[Connection] = []
        try:
            for rank in range(run.world_size):
                reader, writer = context.Pipe(duplex=False)
                process = context.Process(
                    target=_process_of_rank,
                    args=(rank, config, images, run, f"file://{folder}/meeting", writer),
                    daemon=True,
                )
                process.start()
                writer.close()  # the process's own is left, so that its end is seen here
                processes.append(process)
                readers.append(reader)
            yield from _news(processes, readers)
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.join()


def _news(processes: list[SpawnProcess], readers: list[Connection]) -> Iterator[TrainingProgress]:
    """What the processes report, until all have ended well."""
    running = dict(zip(readers, range(len(readers)), strict=True))
    while running:
        for reader in connection.wait(list(running)):
            assert isinstance(reader, Connection)
            try:
                news: News = reader.recv()
            except EOFError:
                rank = running.pop(reader)
                processes[rank].join()
                if processes[rank].exitcode:
                    raise RankError(
                        f"process {rank} of {len(processes)} ended with exit code "
                        f"{processes[rank].exitcode}; its standard error says why"
                    ) from None
                continue
            if isinstance(news, Exception):
                raise news
            yield news


def _process_of_rank(rank: int, *arguments: Any) -> None:
    """Be one process of the run, and end it without Python's own finish.

    A gloo thread may still hold the tensors of the last sum; if it lets go of them while Python is
    finishing, the process aborts, the training done.
    """
    try:
        _train_rank(rank, *arguments)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    sys.stdout.flush()
    os._exit(0)


def _train_rank(
    rank: int,
    config: TrainingConfig,
    images: Tensor,
    run: DistributedRun,
    init_method: str,
    writer: Connection,
) -> None:
    """Train as one of the processes, and send what there is to say."""
    device = torch.device(run.device, rank) if run.device == "cuda" else torch.device(run.device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    else:
        torch.set_num_threads(max(torch.get_num_threads() // run.world_size, 1))
    with join_ranks(rank, run.world_size, init_method, device, run.timeout_seconds) as ranks:
        # Before the others, left alone, notice and end with an error that says less.
        try:
            for progress in _train(Trainer(config, images, device, ranks), run):
                if ranks.leads:
                    writer.send(progress)
        except (ArithmeticError, ValueError, MemoryError, torch.OutOfMemoryError) as error:
            writer.send(error)
    writer.close()


def _train(trainer: Trainer, run: DistributedRun) -> Iterator[TrainingProgress]:
    if run.checkpoint.exists():
        trainer.resume(run.checkpoint)
    saved_at, is_saved = time.monotonic(), True
    for progress in trainer.run(run.until_kimg, run.tick_kimg):
        is_saved = time.monotonic() - saved_at > run.checkpoint_seconds
        if is_saved:
            trainer.save(run.checkpoint)
            saved_at = time.monotonic()
        yield progress
    if not is_saved:
        trainer.save(run.checkpoint)
