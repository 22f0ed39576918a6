"""Scratch folders, also of processes that are really killed."""

import contextlib
import subprocess
import sys
import tempfile

import pytest

from sweeps.scratch import scratch_folder

CODE = (
    "import tempfile; from sweeps.scratch import scratch_folder\n"
    "with scratch_folder() as folder:\n"
    "    (folder / 'large').write_text('x')\n"
    "    print(folder, flush=True); input()\n"
)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    yield tmp_path
    tempfile.tempdir = None


def start():
    words = [sys.executable, "-c", CODE]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


def test_folder_is_gone_with_its_block_whatever_ends_it(place):
    with contextlib.suppress(KeyError), scratch_folder() as folder:
        assert folder.parent == place
        raise KeyError
    assert not list(place.iterdir())


def test_folder_of_a_killed_process_is_removed_by_the_next_and_that_of_a_living_one_stays(place):
    living, of_living = start()
    killed, of_killed = start()
    killed.kill()
    killed.communicate()
    (place / "tg-sweep-other").mkdir()  # not known to be anybody's
    assert {str(path) for path in place.iterdir()} >= {of_living, of_killed}
    with scratch_folder() as folder:
        expected = {of_living, str(folder), str(place / "tg-sweep-other")}
        assert {str(path) for path in place.iterdir()} == expected
    living.communicate("\n")
    assert [path.name for path in place.iterdir()] == ["tg-sweep-other"]
