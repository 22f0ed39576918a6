"""What a user sees while a sweep runs: a live table, or without a terminal a line per event."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from evaluation.metrics import Goal
from reports.failures import fault_text
from reports.formats import kimg_text, number_text, state_text
from reports.records import TrialRecord, TrialState
from sweeps.ledger import Ledger

REFRESH_SECONDS = 0.5
STATE_STYLES = {
    TrialState.RUNNING: "cyan",
    TrialState.COMPLETED: "bold green",
    TrialState.STOPPED_EARLY: "dim",
    TrialState.INTERRUPTED: "yellow",
}


class LiveTable:
    """Shows a ledger; `update` may be called as often as one likes."""

    def __init__(
        self, ledger: Ledger, console: Console, *, label: str, number_format: str, forecast: float
    ) -> None:
        self.ledger, self.console = ledger, console
        self.label, self.number_format = label, number_format
        self.forecast = forecast
        self.started = time.monotonic()
        self.note = ""
        self._last_update = 0.0
        self._said: set[tuple[str, object]] = set()
        self._ended: dict[str, TrialState] = {}
        """Trials of which all has been said, their end included."""
        self._went_on: dict[str, float] = {}
        """From where the trials that an earlier driver left undone go on, in kimg."""
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._note_what_was()

    def __enter__(self) -> LiveTable:
        """Start to show."""
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Take the table away; what comes after says how it ended."""
        self.update(force=True)
        if self.console.is_terminal:
            self._live.stop()

    def _note_what_was(self) -> None:
        """Take what is on record already as said: a resumed sweep tells only what is new."""
        for record in (*self.ledger.records.values(), *self._finalist_runs()):
            known = [*(scores.kimg for scores in record.scores), *_faults(record)]
            self._said |= {(record.trial, event) for event in known}
            if record.state.is_final:
                self._ended[record.trial] = record.state
            elif record.checkpoint_kimg:
                self._went_on[record.trial] = record.checkpoint_kimg

    def update(self, *, force: bool = False) -> None:
        """Show how things stand."""
        if not force and time.monotonic() - self._last_update < REFRESH_SECONDS:
            return
        self._last_update = time.monotonic()
        if self.console.is_terminal:
            self._say_faults()  # above the table, which has no room for them
            self._live.update(self.render(), refresh=True)
        else:
            self._say_events()

    def render(self) -> RenderableType:
        """The table of trials, and a line about the whole."""
        better = "lower" if self.ledger.spec.goal == "minimize" else "higher"
        table = Table(box=None, pad_edge=False, header_style="bold")
        for header, width in (("trial", 5), ("state", 13)):
            table.add_column(header, no_wrap=True, min_width=width)
        table.add_column("kimg", justify="right", no_wrap=True, min_width=7)
        table.add_column("", min_width=12)
        for header, width in (("score", 8), ("best", 8), ("img/s", 5), ("left", 6)):
            table.add_column(header, justify="right", no_wrap=True, min_width=width)
        table.add_column("settings", no_wrap=True, overflow="ellipsis", ratio=1)
        shown = self._shown()
        for record in shown:
            table.add_row(*self._row(record))
        label = self._label(shown[0]) if shown else self.label
        scale = Text(f"score: {label}, {better} is better", style="dim")
        return Group(scale, table, Text(self._summary(), style="dim"))

    def _shown(self) -> Sequence[TrialRecord]:
        """All trials, or, where they don't fit the screen, those that run and the best.

        Once there are finalist runs, these alone: their scores are not to be read beside others.
        """
        records = self._finalist_runs() or list(self.ledger.records.values())
        room = max(self.console.height - 7, 6)
        if len(records) <= room:
            return records
        running = [record for record in records if not record.state.is_final]
        rest = sorted(
            (record for record in records if record.state.is_final),
            key=lambda record: (-record.kimg, self._sign() * (_last(self.ledger, record) or 0.0)),
        )
        return [*rest[: max(room - len(running), 1)], *running]

    def _finalist_runs(self) -> list[TrialRecord]:
        finalists = self.ledger.finalists
        return list(finalists.records.values()) if finalists else []

    def _row(self, record: TrialRecord) -> list[RenderableType]:
        report = self.ledger.reports.get(record.trial)
        running = not record.state.is_final
        kimg = report.kimg if report and running else record.kimg
        rate = report.images_per_second if report and running else None
        left = (record.total_kimg - kimg) * 1000 / rate if rate else None
        state = record.state.value if report or not running else "starting"
        return [
            record.trial,
            Text(state, style=STATE_STYLES.get(record.state, "red")),
            f"{number_text(kimg)}/{number_text(record.total_kimg)}",
            ProgressBar(total=record.total_kimg, completed=kimg, width=12),
            self._number(_last(self.ledger, record)),
            self._number(_best(self.ledger, record, self.ledger.spec.goal)),
            f"{rate:.0f}" if rate else "",
            f"≤{_duration(left)}" if left else "",
            Text(record.cause or _settings(record)),
        ]

    def _summary(self) -> str:
        elapsed = time.monotonic() - self.started
        ended = [record for record in self.ledger.records.values() if record.state.is_final]
        left = max(self.forecast - elapsed, 0.0)
        parts = [
            f"{len(ended)} of {self.ledger.spec.budget.trials} trials done",
            *self._finalists_done(),
            f"{_duration(elapsed)} gone",
            f"about {_duration(left)} left" if left else "longer than forecast",
        ]
        return self.note or "  ·  ".join(parts) + "  ·  Ctrl-C stops, to be resumed"

    def _finalists_done(self) -> list[str]:
        """How far the finalists are, once the search has ended."""
        finalists = self.ledger.finalists
        if finalists is None or not finalists.chosen:
            return []
        return [f"{finalists.num_ended} of at most {finalists.most_runs} finalist runs"]

    def _say_faults(self) -> None:
        """What befell trials that were started again: nothing else on the screen would show it."""
        for record in (*self.ledger.records.values(), *self._finalist_runs()):
            for fault in _faults(record):
                if self._first(record.trial, fault):
                    text = fault_text(record.faults[fault[1]])
                    self._say(record, f"{text}; started again")

    def _say_events(self) -> None:
        self._say_faults()
        for record in (*self.ledger.records.values(), *self._finalist_runs()):
            trial = record.trial
            if self._ended.get(trial) is record.state:
                continue
            if trial in self.ledger.reports and self._first(trial, "start"):
                since = self._went_on.get(trial)
                how = f"goes on from {kimg_text(since)}" if since else "started"
                self._say(record, f"{how}: {_settings(record)}")
            for scores in record.scores:
                if self._first(trial, scores.kimg):
                    value = scores.measurement(self.ledger.objective)
                    shown = self._number(value.value if value else None)
                    label = self._label(record)
                    self._say(record, f"{scores.kimg:g} kimg: {label} {shown}")
            if record.state.is_final:
                if self._first(trial, record.state):
                    cause = f" ({record.cause})" if record.cause else ""
                    self._say(record, f"{state_text(record.state)}{cause}")
                self._ended[trial] = record.state

    def _label(self, record: TrialRecord) -> str:
        """The objective as printed, with the number of images behind a trial's or a run's score."""
        finalists = self.ledger.finalists
        if record.finalist is None or finalists is None:
            return self.label
        return finalists.plan.column.label

    def _first(self, trial: str, event: object) -> bool:
        new = (trial, event) not in self._said
        self._said.add((trial, event))
        return new

    def _say(self, record: TrialRecord, text: str) -> None:
        elapsed = _duration(time.monotonic() - self.started)
        self.console.print(
            f"{elapsed:>7}  trial {record.trial}  {text}",
            highlight=False,
            soft_wrap=True,
            markup=False,  # an error's text may hold brackets
        )

    def _number(self, value: float | None) -> str:
        return "" if value is None else format(value, self.number_format)

    def _sign(self) -> int:
        return 1 if self.ledger.spec.goal == "minimize" else -1


def _values(ledger: Ledger, record: TrialRecord) -> list[float]:
    # The first way in which a finalist run was scored is the one that counts.
    counted = record.scores[:1] if record.finalist else record.scores
    taken = (scores.measurement(ledger.objective) for scores in counted)
    return [measurement.value for measurement in taken if measurement]


def _last(ledger: Ledger, record: TrialRecord) -> float | None:
    return next(iter(reversed(_values(ledger, record))), None)


def _best(ledger: Ledger, record: TrialRecord, goal: Goal) -> float | None:
    values = _values(ledger, record)
    return (min if goal == "minimize" else max)(values) if values else None


def _faults(record: TrialRecord) -> list[tuple[str, int]]:
    """Events: the faults after which a trial was started again, by their places on its record."""
    faults = enumerate(record.faults)
    return [("fault", place) for place, fault in faults if fault.outcome == "retried"]


def _settings(record: TrialRecord) -> str:
    """The searched values in short: each path's last part, where that tells it, and the value."""
    shown = []
    lasts = Counter(path.split(".")[-1] for path in record.settings)
    for path, value in record.settings.items():
        text = f"{value:.2g}" if isinstance(value, float) else str(value)
        if isinstance(value, tuple):
            text = "-".join(map(str, value))
        last = path.split(".")[-1]
        shown.append(f"{path if last == 'name' or lasts[last] > 1 else last}={text}")
    return " ".join(shown)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
