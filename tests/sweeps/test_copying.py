import io
import os
import shutil
import signal
import time

import pytest
from rich.console import Console

from sweeps import copying
from sweeps.claim import AtWork
from sweeps.run_place import RunPlace
from sweeps.store import Store, StoreError
from sweeps.stored_run import StoredRun
from tests.sweeps.stores import held_there, made, raising, silent, start, wait_until, write


def test_page_and_table_lie_beside_the_snapshots(uri, bucket, machine, console):
    start(uri, console, report_dot_html="page", results_dot_csv="table")
    assert (bucket / "runs/mine/report.html").read_text() == "page"
    assert (bucket / "runs/mine/results.csv").read_text() == "table"


def test_folder_that_lost_its_trials_does_not_take_them_from_the_store(
    uri, machine, console, tmp_path
):
    def lose():
        with StoredRun(uri).gone_on(console, by_path=False) as folder:
            shutil.rmtree(folder / "trials")

    start(uri, console)
    with pytest.raises(StoreError, match=r"most of what was copied last is gone .* put it back$"):
        lose()
    assert held_there(uri, tmp_path)["trials/0000/record.json"] == "one"


def test_last_copy_is_made_though_nobody_listens(uri, machine, tmp_path):
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    start(uri, Console(file=Gone(), width=400))
    assert held_there(uri, tmp_path)["sweep.yaml"] == "spec"


def test_what_is_said_is_said_as_it_is():
    said = io.StringIO()
    copying.say(Console(file=said, width=400), "Copy", "/d/[old]/[/bold] x")
    assert said.getvalue() == "Copy       /d/[old]/[/bold] x\n"


def test_failed_copying_is_told_once_and_goes_on(uri, machine, monkeypatch, tmp_path):
    monkeypatch.setattr(copying, "COPY_SECONDS", 0.02)
    said = io.StringIO()
    with StoredRun(uri).begun(Console(file=said, width=400)) as folder:
        with monkeypatch.context() as without_bucket:
            without_bucket.setattr(Store, "put", raising("no such bucket"))
            made(folder)
            wait_until(lambda: "not copied: no such bucket; the sweep goes on" in said.getvalue())
            write(folder, trials__0001__record_dot_json="x")
            time.sleep(0.2)
        wait_until(lambda: "copied again" in said.getvalue())
        assert held_there(uri, tmp_path)["trials/0001/record.json"] == "x"
    assert said.getvalue().count("not copied") == 1


def test_what_can_not_be_copied_at_the_end_is_said_to_be_here(uri, machine, console, monkeypatch):
    def work():
        with StoredRun(uri).begun(console) as folder:
            made(folder)
            monkeypatch.setattr(Store, "put", raising("cut off"))

    folder = StoredRun(uri).folder
    with pytest.raises(
        StoreError, match=rf"^cut off; not all .* is in {folder}: once .* resume fs"
    ):
        work()


def test_error_of_the_sweep_is_not_hidden_by_one_of_its_copy(
    uri, machine, console, monkeypatch, capsys
):
    def work():
        with StoredRun(uri).begun(console) as folder:
            made(folder)
            monkeypatch.setattr(Store, "put", raising("cut off"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert capsys.readouterr().err.startswith("error: cut off; not all is there, but everything")


def test_copying_survives_whatever_happens_in_it(uri, machine, monkeypatch):
    monkeypatch.setattr(copying, "COPY_SECONDS", 0.02)
    said = io.StringIO()
    with StoredRun(uri).begun(Console(file=said, width=400)) as folder:
        with monkeypatch.context() as unwell:
            unwell.setattr(copying, "pin", lambda *_: 1 / 0)
            made(folder)
            wait_until(lambda: "not copied: division by zero; the sweep goes on" in said.getvalue())
        wait_until(lambda: "copied again" in said.getvalue())


def test_signal_while_the_rest_is_copied_says_where_all_is(
    uri, machine, console, monkeypatch, capsys
):
    def work():
        with RunPlace(uri=str(uri)).begun(console) as folder:
            made(folder)
            monkeypatch.setattr(Store, "put", lambda *_: os.kill(os.getpid(), signal.SIGTERM))

    with pytest.raises(KeyboardInterrupt, match="told to stop"):
        work()
    told = capsys.readouterr().err
    assert (
        f"stopped while it was copied; not all is there, but everything is in {uri.folder}" in told
    )
    assert Store(uri).names("at_work") == []


def test_sweep_that_was_taken_over_is_told_to_stop(uri, machine, monkeypatch):
    monkeypatch.setattr(copying, "FIRST_SECONDS", 0.02)
    silent(monkeypatch)
    said = io.StringIO()
    second = AtWork(Store(uri))

    def work():
        with StoredRun(uri).begun(Console(file=said, width=400)) as folder:
            made(folder)
            machine("two")
            second.take(Console(file=io.StringIO()))
            time.sleep(30)  # which Ctrl-C would end, too

    with pytest.raises(KeyboardInterrupt):
        work()
    assert "goes on from the last copy; this one saves and stops" in said.getvalue()
    second.check()
