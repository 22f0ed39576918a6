"""Whether any node that is left could take a trial."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from reports.formats import counted
from sweeps.resources import Node, Resources

LOOK_SECONDS = 1.0
"""From one look at the nodes to the next."""


class PlaceWatch:
    """Keeps the time for which no node could take a trial: one that was lost may come back."""

    def __init__(
        self,
        resources: Resources,
        nodes: Callable[[], Sequence[Node]],
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """A watch over `nodes`.

        Args:
            resources: of each trial.
            nodes: gives those that are alive.
            seconds: how long a trial may wait for one that can take it.
            clock: in seconds.
        """
        self.resources, self.nodes, self.seconds, self.clock = resources, nodes, seconds, clock
        self._looked_at: float | None = None
        self._had_none: float | None = None
        """When the first of the looks was that have found no node."""

    def lack(self, *, is_wanted: bool) -> str | None:
        """What no node has had for too long, while a trial wanted it; None while one has it."""
        if not is_wanted:
            self._had_none = None
            return None
        now = self.clock()
        if self._looked_at is not None and now - self._looked_at < LOOK_SECONDS:
            return None
        self._looked_at = now
        if self.resources.trials_on(self.nodes()):
            self._had_none = None
            return None
        if self._had_none is None:
            self._had_none = now
        if now - self._had_none < self.seconds:
            return None
        return (
            f"trials wait, and for {self.seconds / 60:g} minutes no node of the cluster has had "
            f"{self._needs()}; start one that has"
        )

    def _needs(self) -> str:
        """The resources of a trial."""
        needs = self.resources
        gpus = f" and {needs.gpus:g} {'GPU' if needs.gpus <= 1 else 'GPUs'}" if needs.gpus else ""
        more = f" for each of {needs.scoring_workers} processes" * (needs.scoring_workers > 1)
        return f"{counted(needs.cpus, 'CPU')}{gpus}{more}"
