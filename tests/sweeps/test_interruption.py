"""Signals, really sent: what a first and a second one do, to this process and to its children."""

import os
import signal
import subprocess
import sys
import time

import pytest

from sweeps.interruption import Interruption, Stopped, shielding_children


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_first_signal_asks_for_a_stop(number, code):
    stop = Interruption(None)
    with stop.listening(), stop.saving(lambda reason: None):
        assert not stop.requested()
        os.kill(os.getpid(), number)
        assert stop.requested()
        assert stop.exit_code == code
        assert "top" in stop.reason
    with stop.listening(), pytest.raises(Stopped) as stopped:  # nothing is to be saved any more
        os.kill(os.getpid(), number)
    assert stopped.value.exit_code == code


def test_signal_stops_at_once_where_there_is_nothing_to_save():
    stop = Interruption(None)
    with pytest.raises(Stopped, match="told to stop"), stop.listening():
        os.kill(os.getpid(), signal.SIGTERM)


def test_handlers_of_before_are_back_and_what_was_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    try:
        stop = Interruption(None)
        with stop.listening(), stop.saving(lambda reason: None):
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.requested()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_used_up_budget_asks_for_a_stop():
    stop = Interruption(time.monotonic() - 1)
    assert stop.requested()
    assert stop.reason == "budget.hours is used up"
    assert stop.exit_code == 130


@pytest.mark.parametrize(
    ("seconds", "again", "why"),
    [(0.2, "", "and Ray did not end within 0.2 s"), (60, "2", "then told to stop at once")],
)
def test_second_signal_or_a_hang_after_the_first_saves_and_ends_the_process(seconds, again, why):
    code = (
        "import os, signal, time\n"
        "from sweeps import interruption\n"
        f"interruption.SAVE_SECONDS = {seconds}\n"
        "stop = interruption.Interruption(None)\n"
        "with stop.listening(), stop.saving(lambda reason: print('saved:', reason, flush=True)):\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        f"    if '{again}': os.kill(os.getpid(), signal.SIGTERM)\n"
        "    while True: time.sleep(60)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 143
    assert done.stdout == f"saved: told to stop (SIGTERM), {why}\n"


def test_third_signal_does_not_cut_short_what_the_second_one_saves():
    code = (
        "import os, signal, time\n"
        "from sweeps import interruption\n"
        "def save(reason):\n"
        "    print('saving', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    print('saved', flush=True)\n"
        "stop = interruption.Interruption(None)\n"
        "with stop.listening(), stop.saving(save):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    while True: time.sleep(60)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 130
    assert done.stdout == "saving\nsaved\n"


def test_shielded_children_hear_no_sigterm_and_this_process_does():
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    with shielding_children():
        shielded = subprocess.Popen(sleep)
    open_to_all = subprocess.Popen(sleep)
    for child in (shielded, open_to_all):
        child.send_signal(signal.SIGTERM)
    assert open_to_all.wait(10) == -signal.SIGTERM
    assert shielded.poll() is None
    shielded.kill()
    assert shielded.wait(10) == -signal.SIGKILL
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
