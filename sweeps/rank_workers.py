"""The processes that share each batch of a trial: its own leads, the others follow in step.

The leader is the trial's process: it writes checkpoints, scores, and says what there is to say. All
are on one node, in what Tune has reserved for the trial, so that none waits for another trial's
end; and none outlives the leader.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from sweeps.cluster import ended_with, held_gpus, results_of, start_beside, stop
from sweeps.recovery import resumed_trainer
from sweeps.scratch import scratch_folder
from sweeps.trial import TICK_KIMG, TrialTask
from transgan.data import ImageData
from transgan.training.distributed import join_ranks
from transgan.training.ranks import Ranks

TIMEOUT_SECONDS = 24 * 3600.0
"""Longest that one process waits for another. The others wait while the leader scores; that one of
them has ended is noticed at once, without it."""


class Follower:
    """One of the other processes of a trial."""

    def __init__(self, rank: int, task: TrialTask, data: ImageData) -> None:
        self.rank, self.task, self.data = rank, task, data

    def gpus(self) -> tuple[str, ...]:
        """The GPUs that it holds; when it answers, it has started well."""
        return held_gpus()

    def follow(self, world_size: int, checkpoint: Path, meeting: str) -> None:
        """Train as the leader does, from its checkpoint if there is one, to the trial's end.

        Args:
            world_size: number of processes, the leader included.
            checkpoint: where the leader's is.
            meeting: URL at which the processes meet.
        """
        torch.set_num_threads(self.task.threads)
        device = torch.device(self.task.device)
        with join_ranks(self.rank, world_size, meeting, device, TIMEOUT_SECONDS) as ranks:
            trainer, _ = resumed_trainer(
                self.task.config, self.data.train_images, device, checkpoint, ranks
            )
            for rung in self.task.rungs:
                for _ in trainer.run(rung, TICK_KIMG):
                    pass


class Company:
    """The leader's side: its followers, from their start to their end."""

    ranks: Ranks
    """The leader's place among all."""

    def __init__(
        self, task: TrialTask, data: ImageData, checkpoint: Path, bundles: list[dict[str, float]]
    ) -> None:
        """Start a follower in each bundle but the first, and meet them.

        Args:
            task: the trial's.
            data: its data.
            checkpoint: where the leader's is, or will be.
            bundles: what each process holds, the leader's first.
        """
        self._until_closed = ExitStack()
        meeting = f"file://{self._until_closed.enter_context(scratch_folder())}/meeting"
        self._followers: list[Any] = []
        self._ends: list[Any] = []
        self._until_closed.callback(self._stop)
        world_size = len(bundles)
        try:
            for rank in range(1, world_size):
                follower = start_beside(Follower, rank, task, data, bundle=rank, of=bundles[rank])
                self._followers.append(follower)
            started = results_of([follower.gpus.remote() for follower in self._followers])
            self.gpus: tuple[str, ...] = tuple(gpu for gpus in started for gpu in gpus)
            self._ends = [
                follower.follow.remote(world_size, checkpoint, meeting)
                for follower in self._followers
            ]
            joining = join_ranks(0, world_size, meeting, torch.device(task.device), TIMEOUT_SECONDS)
            self.ranks = self._until_closed.enter_context(joining)
        except BaseException:
            self.close()
            raise

    def first_error(self) -> BaseException | None:
        """What a follower has ended with, if not well: why the leader was left alone."""
        return next((error for end in self._ends if (error := ended_with(end))), None)

    def close(self) -> None:
        """End the followers, whatever they are at."""
        self._until_closed.close()

    def _stop(self) -> None:
        for follower in self._followers:
            stop(follower)
