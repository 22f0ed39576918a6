"""A run folder has one driver at a time, and says which."""

import fcntl
import os
import threading

import pytest

from reports.run_folder import RunFolder
from sweeps.driver_lock import DriverAtWorkError, is_at_work, only_driver


def test_second_driver_is_refused_and_leaves_the_first_ones_id(tmp_path):
    run = RunFolder(tmp_path)
    assert not is_at_work(run)
    with only_driver(run):
        assert is_at_work(run)
        with pytest.raises(DriverAtWorkError, match="another tg-sweep is at work on it"):
            only_driver(run).__enter__()
        assert (tmp_path / ".lock").read_text() == str(os.getpid())
    assert not is_at_work(run)
    with only_driver(run):
        assert (tmp_path / ".lock").read_text() == str(os.getpid())


def test_to_ask_writes_nothing(tmp_path):
    assert not is_at_work(RunFolder(tmp_path))
    assert not list(tmp_path.iterdir())


def test_look_at_the_lock_keeps_no_driver_from_starting(tmp_path):
    run = RunFolder(tmp_path)
    with only_driver(run):
        pass
    with (tmp_path / ".lock").open(encoding="ascii") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        end = threading.Timer(0.1, lambda: fcntl.flock(looking, fcntl.LOCK_UN))
        end.start()
        with only_driver(run):
            assert is_at_work(run)
        end.join()
    assert not is_at_work(run)
