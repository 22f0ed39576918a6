"""A run folder has one driver at a time, and says which."""

import os

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
