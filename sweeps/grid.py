"""The grid sampler's points: every combination of a space once, in an order shuffled by the seed.

Shuffled, so that a budget that ends before the grid does has not left out a corner of the space.
"""

from __future__ import annotations

import math
import random
from functools import cached_property

from reports.records import Setting
from sweeps.search_space import SearchSpace, combinations

MOST_COMBINATIONS = 100_000
"""Twenty times the most trials that a sweep can have."""


class GridSizeError(ValueError):
    """More combinations than can be listed."""


class Grid:
    """All combinations of a space.

    Raises:
        ValueError: one of its domains is continuous and has no `points`.
        GridSizeError: it has too many combinations.
    """

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self.space, self.seed = space, seed
        self.values = {path: domain.grid_points() for path, domain in space.items()}
        total = math.prod(map(len, self.values.values()))
        if total > MOST_COMBINATIONS:
            raise GridSizeError(
                f"the grid has {total:,} combinations, more than {MOST_COMBINATIONS:,}; take fewer "
                "values of each, or another sampler"
            )
        self.total = total

    @cached_property
    def points(self) -> tuple[dict[str, Setting], ...]:
        """The combinations, each once, in the order in which they are tried."""
        points = list(combinations(self.space, self.values, range(self.total)))
        random.Random(self.seed).shuffle(points)
        return tuple(points)

    def starting_from(self, first: dict[str, Setting] | None) -> tuple[dict[str, Setting], ...]:
        """The same, with `first` before the others if it is one of them."""
        if first not in self.points:
            return self.points
        return (first, *(point for point in self.points if point != first))
