"""A trainer's place among the processes that share one batch, and what they add up together.

There is no wrapper around the networks: each process takes the gradients of its own rows of the
batch, and one sum over all processes follows. So penalties, which differentiate twice, and the
frozen discriminator of a generator step need no care.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this is; the default process group holds them together."""

    rank: int = 0
    world_size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> None:
        """Replace `tensor` by its sum over all processes."""
        if self.world_size > 1:
            distributed.all_reduce(tensor)

    def sum_gradients(self, module: nn.Module) -> None:
        """Replace the gradients of `module` by their sums over all processes, in one transfer."""
        if self.world_size == 1:
            return
        parameters = [p for p in module.parameters() if p.grad is not None]
        flat = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
        distributed.all_reduce(flat)
        sizes = [parameter.numel() for parameter in parameters]
        for parameter, gradient in zip(parameters, flat.split(sizes), strict=True):
            parameter.grad = gradient.view_as(parameter)

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace `tensors` by their means over all processes, in one transfer."""
        averaged = list(tensors)
        if self.world_size == 1 or not averaged:
            return
        flat = torch.cat([tensor.flatten() for tensor in averaged]) / self.world_size
        distributed.all_reduce(flat)
        sizes = [tensor.numel() for tensor in averaged]
        for tensor, mean in zip(averaged, flat.split(sizes), strict=True):
            tensor.copy_(mean.view_as(tensor))

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Replace `tensors` by those of the first process."""
        if self.world_size > 1:
            for tensor in tensors:
                distributed.broadcast(tensor.detach(), src=0)


@dataclass(frozen=True)
class Part:
    """Neighbouring rows of a batch that go through the networks at once."""

    first: int
    last: int
    total: int
    """Rows of the whole batch."""

    @property
    def rows(self) -> slice:
        """The rows, to index a batch with."""
        return slice(self.first, self.last)

    @property
    def share(self) -> float:
        """Share of the whole batch, by which the part's means count."""
        return (self.last - self.first) / self.total

    @property
    def is_whole(self) -> bool:
        """Whether there is no other part."""
        return self.last - self.first == self.total

    def weighted(self, mean: Tensor) -> Tensor:
        """The part's mean, as it counts in the whole batch's."""
        return mean if self.is_whole else self.share * mean

    def mean(self, of_part: Tensor, of_whole: Tensor | None) -> Tensor:
        """The whole batch's mean, with the gradient that this part has in it."""
        if of_whole is None:
            return of_part
        return of_whole + self.share * (of_part - of_part.detach())


def split_batch(total: int, ranks: Ranks, largest: int | None, group: int = 1) -> tuple[Part, ...]:
    """The parts of a batch of `total` rows that this process takes, of at most `largest` rows.

    The processes' rows follow one another and are as equal in number as can be; `group`s of rows
    stay together.

    Raises:
        ValueError: there are more processes than groups of rows.
    """
    groups = total // group
    if groups < ranks.world_size:
        raise ValueError(
            f"a batch of {total} can't be shared by {ranks.world_size} processes; "
            f"use a larger batch or at most {groups} processes"
        )
    first = groups * ranks.rank // ranks.world_size
    last = groups * (ranks.rank + 1) // ranks.world_size
    size = (largest or total) // group
    return tuple(
        Part(start * group, min(start + size, last) * group, total)
        for start in range(first, last, size)
    )
