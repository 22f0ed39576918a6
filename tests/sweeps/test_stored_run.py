import contextlib
import datetime
import io
import json
import os
import shutil
import subprocess
import sys

import pytest
from rich.console import Console

from reports.run_folder import RunFolder
from sweeps import store_marks, stored_run
from sweeps.driver_lock import only_driver
from sweeps.run_place import RunPlace
from sweeps.store import Store, StoreError, StoreUri
from sweeps.store_marks import Mark
from sweeps.stored_run import MARK, OWN, StoredRun


@pytest.fixture
def bucket(tmp_path):
    """A folder as an object store."""
    folder = tmp_path / "bucket"
    folder.mkdir()
    return folder


@pytest.fixture
def uri(bucket):
    return StoreUri(f"fsspec+file://{bucket}/runs/mine")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Be a machine with a disk of its own."""

    def be(name):
        monkeypatch.setenv("TG_SWEEP_CACHE", str(tmp_path / name))
        monkeypatch.setattr("socket.gethostname", lambda: name)

    be("one")
    return be


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=200)


def write(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def there(bucket):
    root = bucket / "runs" / "mine"
    return {
        str(path.relative_to(root)): path.read_text()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != MARK
    }


def started(uri):
    stored = StoredRun.new(uri)
    write(stored.folder, sweep_dot_yaml="spec", trials__0000__record_dot_json="one")
    return stored


def test_what_is_here_at_the_end_is_there_but_what_is_hidden(bucket, uri, machine, console):
    stored = started(uri)
    with stored.kept(console):
        write(stored.folder, trials__0000__checkpoint_dot_safetensors="w", _dot_lock="1")
        write(stored.folder, trials__0000__checkpoint_dot_safetensors_dot_previous="v")
    assert there(bucket) == {
        "sweep.yaml": "spec",
        "trials/0000/record.json": "one",
        "trials/0000/checkpoint.safetensors": "w",
    }
    mark = stored.mark()
    assert (mark.host, mark.pid, mark.is_at_work) == ("one", os.getpid(), False)


def test_another_machine_goes_on_and_the_first_follows(bucket, uri, machine, console):
    first = started(uri)
    with first.kept(console):
        write(first.folder, trials__0000__checkpoint_dot_safetensors="w1")
    write(first.folder, trials__0001__record_dot_json="never copied")
    machine("two")
    second = StoredRun(uri)
    second.bring(weights=True)
    assert (second.folder / "trials/0000/checkpoint.safetensors").read_text() == "w1"
    with second.kept(console):
        write(second.folder, trials__0000__checkpoint_dot_safetensors="w2")
    machine("one")
    again = StoredRun(uri)
    again.bring(weights=True)
    assert again.folder == first.folder
    assert (again.folder / "trials/0000/checkpoint.safetensors").read_text() == "w2"
    assert not (again.folder / "trials/0001/record.json").exists()


def test_what_a_killed_process_had_not_copied_is_not_lost_on_its_machine(
    bucket, uri, machine, console, monkeypatch
):
    stored = started(uri)
    cut_off_after(stored, console, monkeypatch, "two")
    again = StoredRun(uri)
    again.bring(weights=True)
    assert (again.folder / "trials/0000/record.json").read_text() == "two"
    with again.kept(console):
        pass
    assert there(bucket)["trials/0000/record.json"] == "two"


def cut_off_after(stored, console, monkeypatch, record):
    """Let a process work on a sweep without reaching the store any more, to its end."""
    way_out = rf"^cut off; not all is there, but everything is in {stored.folder}: once .* resume"

    def work():
        with stored.kept(console):
            monkeypatch.setattr(stored.store, "write", raising("cut off"))
            write(stored.folder, trials__0000__record_dot_json=record)

    with pytest.raises(StoreError, match=way_out):
        work()


def raising(text):
    def refuse(*_):
        raise StoreError(text)

    return refuse


def test_change_made_here_is_undone_where_another_machine_went_on_without_it(
    bucket, uri, machine, console, monkeypatch
):
    with started(uri).kept(console):
        pass
    machine("two")
    second = StoredRun(uri)
    second.bring(weights=True)
    cut_off_after(second, console, monkeypatch, "never copied")
    machine("one")
    monkeypatch.setattr(store_marks, "SILENT_AFTER", -1)
    first = StoredRun(uri)
    first.bring(weights=True)
    with first.kept(console):
        pass
    machine("two")
    again = StoredRun(uri)
    again.bring(weights=True)
    assert (again.folder / "trials/0000/record.json").read_text() == "one"


def test_to_look_at_a_sweep_its_networks_stay_there(bucket, uri, machine, console):
    stored = started(uri)
    with stored.kept(console):
        write(stored.folder, trials__0000__checkpoint_dot_safetensors="w")
    machine("two")
    folder = RunPlace(uri=str(uri)).to_read()
    assert (folder / "trials/0000/record.json").read_text() == "one"
    assert not (folder / "trials/0000/checkpoint.safetensors").exists()
    place = RunPlace(uri=str(uri)).with_all()
    assert (place.path / "trials/0000/checkpoint.safetensors").read_text() == "w"


def test_what_has_not_changed_is_brought_and_copied_once(
    bucket, uri, machine, console, monkeypatch
):
    stored = started(uri)
    puts = []
    put = Store.put
    monkeypatch.setattr(
        Store, "put", lambda store, path, name: (puts.append(name), put(store, path, name))
    )
    with stored.kept(console):
        write(stored.folder, trials__0000__checkpoint_dot_safetensors="w")
    assert puts == ["trials/0000/checkpoint.safetensors", "sweep.yaml"]
    root = bucket / "runs/mine"
    for path in root.rglob("*.*"):
        os.utime(path, (path.stat().st_mtime + 100,) * 2)
    again = StoredRun(uri)
    with again.kept(console):
        write(again.folder, trials__0000__stats_dot_jsonl="s")
    assert puts[2:] == ["trials/0000/stats.jsonl"]
    machine("two")
    gets = []
    get = Store.get
    monkeypatch.setattr(
        Store, "get", lambda store, name, *rest: (gets.append(name), get(store, name, *rest))
    )
    for _ in range(2):
        RunPlace(uri=str(uri)).to_read()
    assert sorted(gets) == [
        "sweep.yaml",
        "trials/0000/record.json",
        "trials/0000/stats.jsonl",
    ]
    third = StoredRun(uri)
    third.bring(weights=True)
    with third.kept(console):
        pass
    assert len(puts) == 3


def test_record_there_speaks_of_nothing_that_is_not_there(bucket, uri, machine, console):
    stored = started(uri)
    with stored.kept(console):
        write(
            stored.folder,
            trials__0000__record_dot_json="after 3",
            trials__0000__checkpoint_dot_safetensors="3",
        )
        put = stored.store.put

        def put_while_it_goes_on(path, name):
            put(path, name)
            write(
                stored.folder,
                trials__0000__record_dot_json="after 4",
                trials__0000__checkpoint_dot_safetensors="4",
            )

        stored.store.put = put_while_it_goes_on
        stored.copy()
        assert there(bucket)["trials/0000/record.json"] == "after 3"
        assert there(bucket)["trials/0000/checkpoint.safetensors"] == "3"
        stored.store.put = put
    assert there(bucket)["trials/0000/record.json"] == "after 4"
    assert there(bucket)["trials/0000/checkpoint.safetensors"] == "4"


def test_second_machine_is_refused_while_the_first_is_heard_of(bucket, uri, machine, console):
    stored = started(uri)
    with contextlib.ExitStack() as first:
        first.enter_context(stored.kept(console))
        machine("two")
        second = StoredRun(uri)
        second.bring(weights=True)
        with (
            pytest.raises(StoreError, match=r"mine: another tg-sweep .* \d+ on one\); wait for it"),
            second.kept(console),
        ):
            pass
        told = RunPlace(uri=str(uri)).note()
        assert told.endswith(f"by process {os.getpid()} on one; it is at work")
        old = stored.mark().model_copy(
            update={"at": datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=3)}
        )
        second.store.write(MARK, old.model_dump_json().encode())
        assert RunPlace(uri=str(uri)).note().endswith("it is taken to be dead")
        with (
            second.kept(console),
            pytest.raises(StoreError, match=r"not ours any more .* on two copies there now"),
        ):
            stored.copy()
        with pytest.raises(StoreError, match=r"not ours any more .* everything is in"):
            first.close()


def test_second_process_of_this_machine_leaves_the_first_alone(bucket, uri, machine, console):
    stored = started(uri)
    with stored.kept(console), only_driver(RunFolder(stored.folder)):
        for place in (RunPlace(uri=str(uri)), RunPlace(path=stored.folder)):
            with pytest.raises(StoreError, match="of this machine is at work on it, in"):
                enter(place.with_all().kept(console))
        stored.copy()


def enter(context):
    with context:
        pass


def test_change_within_the_difference_of_clocks_is_copied_again(bucket, uri, machine, console):
    stored = started(uri)
    with stored.kept(console):
        write(stored.folder, trials__0000__checkpoint_dot_safetensors="1")
    write(stored.folder, trials__0000__checkpoint_dot_safetensors="2")
    copy = bucket / "runs/mine/trials/0000/checkpoint.safetensors"
    os.utime(copy, (copy.stat().st_mtime + 30,) * 2)
    with StoredRun(uri).kept(console):
        pass
    assert copy.read_text() == "2"


def test_who_copies_for_long_is_heard_of_meanwhile(bucket, uri, machine, console, monkeypatch):
    stored = started(uri)
    with stored.kept(console):
        then = stored.mark().at
        monkeypatch.setattr(stored_run, "COPY_SECONDS", -1.0)
        stored.copy()
        assert stored.mark().at > then


def test_process_that_has_died_on_this_machine_is_not_waited_for(
    bucket, uri, machine, console, monkeypatch
):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    stored = started(uri)
    with stored.kept(console):
        mark = stored.mark()
    mark = mark.model_copy(update={"pid": dead.pid, "is_at_work": True, "token": "other"})
    stored.store.write(MARK, mark.model_dump_json().encode())
    assert RunPlace(uri=str(uri)).note().endswith("it was killed")
    again = StoredRun(uri)
    again.bring(weights=True)
    with again.kept(console):
        pass


def test_place_that_is_taken_is_refused_and_one_that_is_none_too(bucket, uri, machine, console):
    stored = started(uri)
    with pytest.raises(StoreError, match=r"never copied there; go on with `tg-sweep resume fss"):
        StoredRun.new(uri)
    with stored.kept(console):
        pass
    with pytest.raises(StoreError, match=r"exists already; go on with `tg-sweep resume fsspec"):
        StoredRun.new(uri)
    with pytest.raises(StoreError, match=r"other: not a sweep's run folder \(no store.json\)"):
        RunPlace(uri=f"fsspec+file://{bucket}/runs/other").to_read()
    with pytest.raises(StoreError, match=r"nosuch://a/b: .*[Uu]nrecognized"):
        Store(StoreUri("nosuch://a/b"))
    (bucket / "runs/mine" / MARK).write_text("{")
    with pytest.raises(StoreError, match=r"store\.json is damaged; remove it there"):
        StoredRun(uri).bring(weights=True)


def test_place_that_cannot_be_written_is_refused_and_nothing_is_left(bucket, uri, machine):
    StoredRun.new(uri).check_writable()
    assert there(bucket) == {}
    (bucket / "file").write_text("no folder")
    stored = StoredRun(StoreUri(f"fsspec+file://{bucket}/file/mine"))
    with pytest.raises(StoreError, match=r"^--out fsspec.*file/mine: .*; see that the bucket"):
        stored.check_writable()
    assert not stored.folder.exists()


def test_folder_here_is_known_for_what_it_is(bucket, uri, machine, console, tmp_path):
    stored = started(uri)
    with stored.kept(console):
        pass
    place = RunPlace(path=stored.folder).with_all()
    assert place.stored.uri == uri
    copied = tmp_path / "copied"
    shutil.copytree(stored.folder, copied)
    assert (copied / OWN).exists()
    assert RunPlace(path=copied).with_all().stored is None


def test_failed_copying_is_told_once_and_goes_on(bucket, uri, machine, monkeypatch, tmp_path):
    monkeypatch.setattr(stored_run, "COPY_SECONDS", 0.02)
    said = tmp_path / "said"
    stored = started(uri)
    with said.open("w") as file, stored.kept(Console(file=file, width=200)):
        write_mark = stored.store.write
        monkeypatch.setattr(stored.store, "write", raising("no such bucket"))
        wait_until(lambda: stored.trouble == "no such bucket")
        write(stored.folder, trials__0001__record_dot_json="x")
        wait_until(lambda: said.read_text().count("not copied") == 1, file)
        monkeypatch.setattr(stored.store, "write", write_mark)
        wait_until(lambda: stored.trouble is None)
        assert there(bucket)["trials/0001/record.json"] == "x"
        file.flush()
        assert said.read_text().count("not copied: no such bucket; the sweep goes on") == 1


def wait_until(is_so, file=None, seconds=20.0):
    deadline = datetime.datetime.now() + datetime.timedelta(seconds=seconds)
    while not is_so():
        if file is not None:
            file.flush()
        assert datetime.datetime.now() < deadline


def test_mark_says_how_soon_its_writer_is_back(bucket, uri, machine, console):
    stored = started(uri)
    with stored.kept(console):
        assert stored.copy_and_mark() == stored_run.COPY_SECONDS
        mark = Mark.model_validate(json.loads((bucket / "runs/mine" / MARK).read_text()))
        assert mark.is_at_work
        assert not mark.is_silent
        assert mark.seconds >= stored_run.COPY_SECONDS
    assert not RunFolder(stored.folder).sweep.exists()
