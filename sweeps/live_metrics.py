"""What a running trial shows elsewhere: gauges in Ray's dashboard, TensorBoard's event files.

Neither is read again by this program, whose records are the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any, Protocol

from reports.run_folder import RunFolder
from sweeps.cluster import gauge
from sweeps.trial import TrialReport, TrialTask

NAMES = {
    "kimg": "Thousand real images that the trial has shown to its discriminator",
    "score": "Score of the metric that ranks, at the trial's last rung",
    "d_loss": "Mean loss of the discriminator since the last report",
    "g_loss": "Mean loss of the generator since the last report",
    "images_per_second": "Real images that the trial trains on in a second",
}
"""What is shown, by name."""
RENEWAL_SECONDS = 2.0
"""So often gauges are set anew."""


class Outlet(Protocol):
    """A place where a trial's reports are shown."""

    def note(self, report: TrialReport) -> None:
        """Show a report."""

    def close(self) -> None:
        """Show nothing more."""


@dataclass(frozen=True)
class Outlets:
    """Where the trials of a sweep are shown."""

    tensorboard: bool
    """Whether they write event files, below `tensorboard/` in the run folder."""

    def open(self, run: RunFolder, task: TrialTask) -> tuple[Outlet, ...]:
        """The places for one trial."""
        gauges = Gauges(run.path.name, task.trial)
        if not self.tensorboard:
            return (gauges,)
        return (gauges, EventFiles(run.path / "tensorboard" / task.trial))


class Gauges:
    """Ray's metrics of one trial, called `ray_tg_sweep_<name>`, by sweep and trial."""

    def __init__(self, sweep: str, trial: str) -> None:
        self._tags = {"sweep": sweep, "trial": trial}
        self._gauges: dict[str, Any] = {
            name: gauge(f"tg_sweep_{name}", text, tuple(self._tags)) for name, text in NAMES.items()
        }
        self._values: dict[str, float] = {}
        self._closed = Event()
        self._renewing = Thread(target=self._renew, name="gauges", daemon=True)
        self._renewing.start()

    def note(self, report: TrialReport) -> None:
        """Set what the report says."""
        self._values = self._values | dict(_values(report))
        self._set()

    def close(self) -> None:
        """Set them no more: Ray then forgets them."""
        self._closed.set()
        self._renewing.join()

    def _renew(self) -> None:
        """Set the gauges anew, since Ray drops what was set two of its intervals (20 s) ago."""
        while not self._closed.wait(RENEWAL_SECONDS):
            self._set()

    def _set(self) -> None:
        for name, value in self._values.items():
            self._gauges[name].set(value, tags=self._tags)


class EventFiles:
    """Event files of one trial; their steps are real images, since steps have to be whole."""

    def __init__(self, folder: Path) -> None:
        from tensorboardX import SummaryWriter  # comes with ray[tune]

        self._writer = SummaryWriter(str(folder), flush_secs=10)

    def note(self, report: TrialReport) -> None:
        """Add what the report says."""
        for name, value in _values(report):
            self._writer.add_scalar(name, value, round(report.kimg * 1000))

    def close(self) -> None:
        """Write what is not written yet."""
        self._writer.close()


def _values(report: TrialReport) -> list[tuple[str, float]]:
    """The values that a report has, by their names."""
    values = {name: getattr(report, name, None) for name in NAMES} | {"score": report.value}
    return [(name, value) for name, value in values.items() if value is not None]
