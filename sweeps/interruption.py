"""Asked to stop: by Ctrl-C, by a cluster's queue, by a terminal that closes, by the budget."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SAVE_SECONDS = 20.0
"""A queue kills what is still there some 30 seconds after it has asked."""
REASONS = {
    signal.SIGINT: "stopped by Ctrl-C",
    signal.SIGTERM: "told to stop (SIGTERM)",
    signal.SIGHUP: "told to stop (SIGHUP)",
}


@contextmanager
def shielding_children() -> Iterator[None]:
    """Processes started in this block, and theirs, don't hear SIGTERM and SIGHUP.

    A queue sends these to all processes of a job, and without Ray's this one could save nothing:
    it stops them itself.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Stopped(KeyboardInterrupt):
    """Asked to stop while there was nothing to be saved."""

    def __init__(self, number: int) -> None:
        super().__init__(REASONS[signal.Signals(number)])
        self.exit_code = 128 + number


class Interruption:
    """Whether the sweep is to stop before its end, and why."""

    def __init__(self, deadline: float | None) -> None:
        self.deadline = deadline
        self.reason = ""
        self.exit_code = 128 + signal.SIGINT
        """Of the command, if the sweep was interrupted."""
        self.signals: list[int] = []
        self._abandon: Callable[[str], None] = lambda reason: None
        self._alarm: threading.Timer | None = None
        self._is_leaving = False
        self.is_saving = False
        """Whether a first signal is waited with, until running trials have been saved."""

    def requested(self) -> bool:
        """Whether to stop now."""
        if not self.reason and self.deadline is not None and time.monotonic() > self.deadline:
            self.reason = "budget.hours is used up"
        return bool(self.reason)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take signals in until the block ends; one that is ignored already (`nohup`) stays so.

        While `is_saving`, the first one asks for a stop and the second one ends the process; else
        the first one raises `Stopped`.
        """
        before = {number: signal.getsignal(number) for number in REASONS}
        try:
            self.listen()
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def listen(self) -> None:
        """Take signals in, also from now on: Ray sets handlers of its own when it starts."""
        for number in REASONS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._note)

    @contextmanager
    def saving(self, abandon: Callable[[str], None]) -> Iterator[None]:
        """While this block lasts, the first signal only asks for a stop.

        With the second one, `abandon` is called with the reason and the process ends. So it does
        if the block does not come to its end in time after the first: a queue may have sent that
        to all of Ray's processes too, and then nothing else ends it.
        """
        self.is_saving, self._abandon = True, abandon
        try:
            yield
        finally:
            self.is_saving = False
            if self._alarm is not None:
                self._alarm.cancel()

    def _leave(self, why: str) -> None:
        self._is_leaving = True
        try:
            self._abandon(f"{self.reason}, {why}")
        finally:
            os._exit(self.exit_code)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._is_leaving:
            return  # what is said and saved with the last breath is not to be cut short
        if not self.is_saving:
            raise Stopped(number)
        if self.signals:
            self._leave("then told to stop at once")
        self.signals.append(number)
        self.reason = REASONS[signal.Signals(number)]
        self.exit_code = 128 + number
        why = f"and Ray did not end within {SAVE_SECONDS:g} s"
        self._alarm = threading.Timer(SAVE_SECONDS, self._leave, [why])
        self._alarm.daemon = True
        self._alarm.start()
