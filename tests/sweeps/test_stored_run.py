import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time

import pytest
from rich.console import Console

from reports.run_folder import RunFolder
from sweeps import claim, copying, moment
from sweeps.claim import AtWork, Claim, TakenOverError
from sweeps.driver_lock import only_driver
from sweeps.moment import BusyFolderError, pin
from sweeps.run_place import RunPlace
from sweeps.snapshots import Snapshots
from sweeps.store import Store, StoreError, StoreUri
from sweeps.stored_run import BASE, StoredRun


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
    monkeypatch.setattr(claim, "WATCH_SECONDS", 0.3)
    monkeypatch.setattr(claim, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(claim, "BEAT_SECONDS", 0.05)

    def be(name):
        monkeypatch.setenv("TG_SWEEP_RUNS", str(tmp_path / name))
        monkeypatch.setattr("socket.gethostname", lambda: name)

    be("one")
    return be


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=400)


def write(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}")
        partial.write_text(text)
        partial.replace(path)


def made(folder):
    write(folder, sweep_dot_yaml="spec", trials__0000__record_dot_json="one")
    return folder


def held(folder):
    """What a folder of this machine holds, but what is hidden."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def held_there(uri, tmp_path):
    """What the newest snapshot holds."""
    snapshots = Snapshots(Store(uri))
    snapshot = snapshots.read(snapshots.newest_name())
    to = tmp_path / f"seen-{time.monotonic_ns()}"
    snapshots.get(snapshot, snapshot.files, to)
    return held(to)


def start(uri, console, **files):
    """Begin a sweep, change some files, and end."""
    with StoredRun(uri).begun(console) as folder:
        made(folder)
        write(folder, **files)
    return folder


def go_on(uri, console, **files):
    with StoredRun(uri).gone_on(console, by_path=False) as folder:
        write(folder, **files)
    return folder


def counted(monkeypatch, name):
    """Names that a method of Store was called with."""
    called = []
    method = getattr(Store, name)

    def count(store, of, *rest):
        called.append(of)
        return method(store, of, *rest)

    monkeypatch.setattr(Store, name, count)
    return called


def test_what_is_here_at_the_end_is_there_but_what_is_hidden_or_spare(
    uri, machine, console, tmp_path
):
    folder = start(
        uri,
        console,
        trials__0000__checkpoint_dot_safetensors="w",
        trials__0000__checkpoint_dot_safetensors_dot_previous="v",
        trials__loose="l",
        _dot_lock="1",
    )
    assert held_there(uri, tmp_path) == {
        "sweep.yaml": "spec",
        "trials/0000/record.json": "one",
        "trials/0000/checkpoint.safetensors": "w",
        "trials/loose": "l",
    }
    assert folder == tmp_path / "one" / folder.parent.name / "mine"
    assert "nobody is at work on it" in StoredRun(uri).note()


def test_page_and_table_lie_beside_the_snapshots(uri, bucket, machine, console):
    start(uri, console, report_dot_html="page", results_dot_csv="table")
    assert (bucket / "runs/mine/report.html").read_text() == "page"
    assert (bucket / "runs/mine/results.csv").read_text() == "table"


def test_another_machine_goes_on_and_what_the_first_had_beyond_is_moved_aside(
    uri, machine, console, tmp_path
):
    first = start(uri, console, trials__0000__checkpoint_dot_safetensors="w1")
    write(first, trials__0001__record_dot_json="never copied")
    machine("two")
    second = go_on(uri, console, trials__0000__checkpoint_dot_safetensors="w2")
    assert second != first
    assert held(second) == {
        "sweep.yaml": "spec",
        "trials/0000/record.json": "one",
        "trials/0000/checkpoint.safetensors": "w2",
    }
    machine("one")
    again = go_on(uri, console)
    assert again == first
    assert held(again) == held(second)
    (aside,) = first.parent.glob("mine.2*")
    assert held(aside)["trials/0001/record.json"] == "never copied"
    assert f"what was here to {aside}: elsewhere" in console.file.getvalue()


def test_what_a_killed_process_had_not_copied_is_gone_on_with_on_its_machine(
    uri, machine, console, tmp_path
):
    folder = start(uri, console)
    write(folder, trials__0000__record_dot_json="two")
    go_on(uri, console)
    assert held_there(uri, tmp_path)["trials/0000/record.json"] == "two"
    assert not list(folder.parent.glob("mine.2*"))


def test_sweep_that_was_never_copied_is_gone_on_with_and_no_new_one_takes_its_place(
    uri, machine, console, tmp_path
):
    stored = StoredRun(uri)
    made(stored.folder)
    with pytest.raises(StoreError, match=r"never copied there; go on with `tg-sweep resume fss"):
        stored.check_vacant()
    assert stored.to_read(console) == stored.folder
    assert stored.note().endswith("not copied yet; nobody is at work on it")
    go_on(uri, console)
    assert held_there(uri, tmp_path)["sweep.yaml"] == "spec"


def test_what_has_not_changed_is_put_and_brought_once(uri, machine, console, monkeypatch, tmp_path):
    puts, gets = counted(monkeypatch, "put"), counted(monkeypatch, "chunks")
    start(uri, console, trials__0000__checkpoint_dot_safetensors="w", same="w")
    assert sum(name.startswith("objects/") for name in puts) == 3
    puts.clear()
    go_on(uri, console)
    assert not [name for name in puts if not name.startswith("at_work/")]
    machine("two")
    go_on(uri, console, trials__0000__stats_dot_jsonl="s")
    assert sum(name.startswith("objects/") for name in puts) == 1
    machine("one")
    gets.clear()
    go_on(uri, console)
    assert len(gets) == 1  # all else was here
    machine("three")
    gets.clear()
    for _ in range(2):
        StoredRun(uri).to_read(console)
    assert len(gets) == 4


def test_to_look_at_a_sweep_its_networks_stay_there(uri, machine, console):
    start(uri, console, trials__0000__checkpoint_dot_safetensors="w", gone="g")
    machine("two")
    place = RunPlace(uri=str(uri))
    copy = place.to_read(console)
    assert set(held(copy)) == {"sweep.yaml", "trials/0000/record.json", "gone"}
    assert copy != place.folder
    machine("one")
    with StoredRun(uri).gone_on(console, by_path=False) as folder:
        (folder / "gone").unlink()
        write(folder, trials__0000__record_dot_json="two")
    assert place.to_read(console) == folder
    machine("two")
    assert held(place.to_read(console)) == {
        "sweep.yaml": "spec",
        "trials/0000/record.json": "two",
    }


def test_snapshots_that_are_superseded_go_with_what_only_they_name(
    uri, bucket, machine, console, monkeypatch
):
    start(uri, console, trials__0000__checkpoint_dot_safetensors="w0")
    for number in range(1, 5):
        go_on(uri, console, trials__0000__checkpoint_dot_safetensors=f"w{number}")
    root = bucket / "runs/mine"
    assert len(list((root / "snapshots").iterdir())) == 2
    assert sorted(p.read_text() for p in (root / "objects").iterdir()) == [
        "one",
        "spec",
        "w3",
        "w4",
    ]
    assert not list((root / "at_work").iterdir())


def test_what_a_killed_process_put_there_and_did_not_name_is_removed(
    uri, bucket, machine, console, monkeypatch
):
    start(uri, console)
    (bucket / "runs/mine/objects" / ("0" * 64)).write_text("half")
    go_on(uri, console)
    assert not (bucket / "runs/mine/objects" / ("0" * 64)).exists()


def test_snapshot_is_of_one_moment_of_each_trial(tmp_path, monkeypatch):
    """The record is read with the networks that it speaks of, though both are replaced then."""
    made(tmp_path)
    write(tmp_path, trials__0000__checkpoint_dot_safetensors="3")
    write(tmp_path, trials__0000__record_dot_json="after 3")
    look = moment._pinned_file
    steps = iter([4, 5])

    def look_while_it_goes_on(path, *rest):
        pinned = look(path, *rest)
        if path.name == "checkpoint.safetensors" and (step := next(steps, None)):
            write(tmp_path, trials__0000__checkpoint_dot_safetensors=str(step))
            write(tmp_path, trials__0000__record_dot_json=f"after {step}")
        return pinned

    monkeypatch.setattr(moment, "_pinned_file", look_while_it_goes_on)
    with pin(tmp_path, {}) as now:
        found = {name: b"".join(pinned.chunks()) for name, pinned in now.files.items()}
    assert found["trials/0000/checkpoint.safetensors"] == b"5"
    assert found["trials/0000/record.json"] == b"after 5"


def test_snapshot_is_of_one_moment_of_the_sweep(tmp_path, monkeypatch):
    made(tmp_path)
    write(tmp_path, judgements_dot_jsonl="first")
    look = moment._pinned_trial
    decisions = iter(["second"])

    def look_while_it_is_decided(*arguments):
        if (decision := next(decisions, None)) is not None:
            write(tmp_path, judgements_dot_jsonl=decision, trials__0000__record_dot_json="later")
        return look(*arguments)

    monkeypatch.setattr(moment, "_pinned_trial", look_while_it_is_decided)
    with pin(tmp_path, {}) as now:
        assert now.files["judgements.jsonl"].content == b"second"
        assert now.files["trials/0000/record.json"].content == b"later"


def test_folder_that_never_rests_is_left_for_the_next_time(tmp_path, monkeypatch):
    made(tmp_path)
    look = moment._pinned_file
    counter = iter(range(10**6))

    def look_while_it_goes_on(path, *rest):
        write(tmp_path, trials__0000__record_dot_json=str(next(counter)))
        return look(path, *rest)

    monkeypatch.setattr(moment, "_pinned_file", look_while_it_goes_on)
    with pytest.raises(BusyFolderError, match=r"0000: changes faster than it can be copied"):
        pin(tmp_path, {})


def test_page_built_from_a_copy_stays(uri, machine, console):
    start(uri, console)
    machine("two")
    copy = StoredRun(uri).to_read(console)
    write(copy, report_dot_html="built here", trials__0009__record_dot_json="of no one")
    assert set(held(StoredRun(uri).to_read(console))) == {
        "sweep.yaml",
        "report.html",
        "trials/0000/record.json",
    }


@pytest.mark.parametrize("age", [0.0, 3600.0])
def test_large_file_is_copied_as_it_was_though_it_is_replaced_meanwhile(
    uri, machine, console, tmp_path, monkeypatch, age
):
    monkeypatch.setattr(moment, "SMALL_BYTES", 3)
    with StoredRun(uri).begun(console) as folder:
        made(folder)
        write(folder, trials__0000__checkpoint_dot_safetensors="long before")
        path = folder / "trials/0000/checkpoint.safetensors"
        os.utime(path, (time.time() - age,) * 2)
        with pin(folder, {}) as now:
            write(folder, trials__0000__checkpoint_dot_safetensors="and after")
            pinned = now.files["trials/0000/checkpoint.safetensors"]
            if age:  # too many are open else
                with pytest.raises(BusyFolderError, match="has changed while it was copied"):
                    pinned.sha256()
            else:
                assert b"".join(pinned.chunks()) == b"long before"
    assert held_there(uri, tmp_path)["trials/0000/checkpoint.safetensors"] == "and after"


def test_log_that_is_written_on_is_copied_as_far_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(moment, "SMALL_BYTES", 3)
    made(tmp_path)
    write(tmp_path, study_dot_journal="line\n")
    with pin(tmp_path, {}) as now:
        with (tmp_path / "study.journal").open("a") as file:
            file.write("another\n")
        assert b"".join(now.files["study.journal"].chunks()) == b"line\n"


def test_second_machine_is_refused_while_the_first_lives(uri, machine, console):
    with StoredRun(uri).begun(console) as folder:
        made(folder)
        machine("two")
        with pytest.raises(
            StoreError, match=r"mine: another tg-sweep .* \d+ on one\); wait for it"
        ):
            go_on(uri, console)
        state = r"process \d+ on one is at work on it, or was killed$"
        with pytest.raises(StoreError, match=rf"nothing is copied there yet; {state}"):
            RunPlace(uri=str(uri)).note()
        copier_at_work().copy()
        assert re.search(rf"last copied at .* from two; {state}", RunPlace(uri=str(uri)).note())
    go_on(uri, console)


def test_second_process_of_this_machine_is_refused_at_once(uri, machine, console):
    with StoredRun(uri).begun(console) as folder:
        made(folder)
        with (
            only_driver(RunFolder(folder)),
            pytest.raises(StoreError, match=rf"of this machine .* on it, in {folder}"),
        ):
            go_on(uri, console)
    place = RunPlace(path=folder)
    with place.gone_on(console) as again:
        assert again.samefile(folder)


def test_of_two_that_claim_at_the_same_moment_none_or_one_is_at_work(uri, machine, console):
    stores = [Store(uri) for _ in range(4)]
    claims = [AtWork(store) for store in stores]
    barrier, taken = threading.Barrier(len(claims)), []

    def take(one):
        barrier.wait()
        with contextlib.suppress(StoreError):
            one.take(console)
            taken.append(one)

    threads = [threading.Thread(target=take, args=[one]) for one in claims]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) <= 1
    for one in taken:
        one.check()
        one.let_go()
    assert stores[0].names("at_work") == []


def copier_at_work():
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "copying"]
    return thread._target.__self__


def silent(monkeypatch):
    """Let processes that claim from now on be cut off from the store: they are not heard of."""
    monkeypatch.setattr(AtWork, "_beat", lambda self: None)


def test_process_taken_for_dead_notices_and_leaves_the_store_alone(
    uri, machine, console, monkeypatch, tmp_path
):
    def first():
        with StoredRun(uri).begun(console) as folder:
            made(folder)
            copier_at_work().copy()
            machine("two")
            go_on(uri, console, trials__0000__record_dot_json="two")
            machine("one")
            write(folder, trials__0001__record_dot_json="of the first")

    silent(monkeypatch)
    first_copy = r"process \d+ on two|another tg-sweep"
    with pytest.raises(
        StoreError, match=rf"({first_copy}) has .*what was done here is in .*mine, which .* aside"
    ):
        first()
    assert held_there(uri, tmp_path)["trials/0000/record.json"] == "two"
    assert "trials/0001/record.json" not in held_there(uri, tmp_path)
    assert held(StoredRun(uri).folder)["trials/0001/record.json"] == "of the first"


def test_claim_that_comes_back_from_the_dead_does_not_stop_who_took_over(
    uri, machine, console, monkeypatch
):
    silent(monkeypatch)
    first, second = AtWork(Store(uri)), AtWork(Store(uri))
    first.take(console)
    second.take(console)
    with pytest.raises(TakenOverError, match=r"process \d+ on one has taken this process for dead"):
        first.check()
    first._write()
    second.check()


def test_process_that_has_died_on_this_machine_is_not_waited_for(
    uri, machine, console, monkeypatch
):
    monkeypatch.setattr(claim, "WATCH_SECONDS", 3600.0)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    start(uri, console)
    store = Store(uri)
    left = AtWork(store).claim.model_copy(update={"pid": dead.pid})
    store.write(f"at_work/{left.token}.json", left.model_dump_json().encode())
    assert StoredRun(uri).note().endswith(f"process {dead.pid} on one was killed")
    go_on(uri, console)
    assert store.names("at_work") == []


def test_claim_of_another_container_or_start_is_not_judged_by_its_process_id(machine, uri):
    dead = AtWork(Store(uri)).claim.model_copy(update={"pid": 2**22 + 1})
    assert dead.is_dead
    assert not dead.model_copy(update={"boot": "another"}).is_dead
    assert not dead.model_copy(update={"host": "another"}).is_dead
    assert Claim.model_validate_json(dead.model_dump_json()) == dead


def test_living_process_rewrites_its_claim(uri, machine, console):
    one = AtWork(Store(uri))
    one.take(console)
    wait_until(lambda: (found := claim.at_work(one.store)) is not None and found.beat >= 2)
    one.let_go()
    assert claim.at_work(one.store) is None


def test_place_that_is_taken_is_refused_and_one_that_is_none_too(uri, bucket, machine, console):
    start(uri, console)
    with pytest.raises(StoreError, match=r"exists already; go on with `tg-sweep resume fsspec"):
        RunPlace(uri=str(uri)).check_vacant()
    other = RunPlace(uri=f"fsspec+file://{bucket}/runs/other")
    with pytest.raises(StoreError, match=r"other: not a sweep's run folder \(no whole snapshot\)"):
        other.to_read(console)
    with (
        pytest.raises(StoreError, match=r"other: not a sweep's run folder"),
        other.gone_on(console),
    ):
        pass
    assert not list((bucket / "runs/other").rglob("*.json"))
    with pytest.raises(StoreError, match=r"nosuch://a/b: .*[Uu]nrecognized"):
        Store(StoreUri("nosuch://a/b"))


def test_place_that_cannot_be_written_is_refused_and_nothing_is_left(uri, bucket, machine):
    RunPlace(uri=str(uri)).check_vacant()
    assert not [path for path in bucket.rglob("*") if path.is_file()]
    (bucket / "file").write_text("no folder")
    place = RunPlace(uri=f"fsspec+file://{bucket}/file/mine")
    with pytest.raises(StoreError, match=r"^--out fsspec.*file/mine: .*; see that the bucket"):
        place.check_vacant()
    assert not place.folder.exists()


@pytest.mark.parametrize("text", ["s3://bucket", "gs://bucket/", "s3:///a/b", "s3://bucket?a=x/y"])
def test_uri_that_names_no_folder_of_a_bucket_is_refused(text):
    with pytest.raises(StoreError, match=r"names no folder in a bucket; add one, as in \w+://b"):
        StoreUri(text)


def test_uri_of_a_store_without_buckets_need_not_name_one():
    assert StoreUri("hdfs:///runs/mine").name == "mine"
    assert StoreUri("fsspec+sftp://me@host/a/b").name == "b"


@pytest.mark.parametrize("text", ["s3://key:hush@bucket/a", "s3://bucket/a?secret_key=hush"])
def test_uri_with_a_secret_is_refused_without_repeating_it(text):
    with pytest.raises(StoreError, match=r"/a: holds a \w+, which would be written down") as error:
        StoreUri(text)
    assert "hush" not in str(error.value)


def test_damaged_object_is_refused_and_the_snapshot_before_it_can_be_had(
    uri, bucket, machine, console
):
    start(uri, console)
    go_on(uri, console, trials__0000__record_dot_json="two")
    root = bucket / "runs/mine"
    (damaged,) = [path for path in (root / "objects").iterdir() if path.read_text() == "two"]
    damaged.write_text("tw")
    machine("two")
    with pytest.raises(StoreError, match=r"which is trials/0000/record.json, is damaged; remove"):
        go_on(uri, console)
    assert not StoredRun(uri).folder.exists()
    assert Store(uri).names("at_work") == []
    max((root / "snapshots").iterdir()).unlink()
    assert held(go_on(uri, console))["trials/0000/record.json"] == "one"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text.replace('"version":1', '"version":2'), "of another version of tg-sweep"),
        (lambda text: text.replace("sweep.yaml", "../sweep.yaml"), "or was changed"),
    ],
)
def test_snapshot_that_is_none_of_ours_is_refused(uri, bucket, machine, console, change, reason):
    start(uri, console)
    (path,) = (bucket / "runs/mine/snapshots").iterdir()
    path.write_text(change(path.read_text()))
    machine("two")
    with pytest.raises(StoreError, match=rf"snapshots/0+1-\w+\.json is .*{reason}"):
        go_on(uri, console)


def test_snapshot_that_is_half_written_is_told_and_the_one_before_it_is_taken(
    uri, bucket, machine, console, capsys
):
    start(uri, console)
    go_on(uri, console, trials__0000__record_dot_json="two")
    snapshots = bucket / "runs/mine/snapshots"
    torn = max(snapshots.iterdir())
    torn.write_text(torn.read_text()[:40])
    machine("two")
    assert held(go_on(uri, console))["trials/0000/record.json"] == "one"
    assert f"snapshots/{torn.name} is damaged (Invalid JSON" in capsys.readouterr().err
    go_on(uri, console, trials__0000__record_dot_json="three")
    assert not torn.exists()
    assert len(list(snapshots.iterdir())) == 2


@pytest.mark.parametrize("written", [20, None])
def test_snapshot_of_which_it_is_not_known_whether_it_was_written_is_not_taken_for_anothers(
    uri, machine, console, tmp_path, monkeypatch, written
):
    """As where the connection is lost before the answer, or in between."""
    with StoredRun(uri).begun(console) as folder:
        made(folder)
        copier_at_work().copy()
        write(folder, trials__0000__record_dot_json="two")
        whole = Store.write

        def write_and_fail(store, name, content):
            is_snapshot = name.startswith("snapshots/")
            whole(store, name, content[:written] if is_snapshot else content)
            if is_snapshot:
                raise StoreError("no answer")

        with monkeypatch.context() as without_answer:
            without_answer.setattr(Store, "write", write_and_fail)
            with pytest.raises(StoreError, match="no answer"):
                copier_at_work().copy()
        write(folder, trials__0001__record_dot_json="three")
    there = held_there(uri, tmp_path)
    assert there["trials/0000/record.json"] == "two"
    assert there["trials/0001/record.json"] == "three"


def test_folder_that_lost_its_trials_does_not_take_them_from_the_store(
    uri, machine, console, tmp_path
):
    def lose():
        with StoredRun(uri).gone_on(console, by_path=False) as folder:
            shutil.rmtree(folder / "trials")

    start(uri, console)
    with pytest.raises(StoreError, match="the run folder is gone"):
        lose()
    assert held_there(uri, tmp_path)["trials/0000/record.json"] == "one"


def test_sweep_that_came_and_went_since_the_place_was_looked_at_is_left_alone(
    uri, machine, console, tmp_path
):
    late = StoredRun(uri)
    late.check_vacant()
    machine("two")
    start(uri, console)
    machine("one")
    with pytest.raises(StoreError, match="exists already"), StoredRun(uri).begun(console):
        pass
    assert Store(uri).names("at_work") == []


def test_folder_goes_on_without_its_copy_if_told_so(uri, machine, console, monkeypatch):
    folder = start(uri, console)
    with monkeypatch.context() as without_bucket:
        without_bucket.setattr(Store, "names", raising("no such bucket"))
        way_out = rf"no such bucket; or remove {folder / BASE} to go on here"
        with pytest.raises(StoreError, match=way_out), RunPlace(path=folder).gone_on(console):
            pass
    (folder / BASE).unlink()
    with RunPlace(path=folder).gone_on(console) as alone:
        assert alone == folder
        assert Store(uri).names("at_work") == []


def test_folder_here_is_known_for_what_it_is(uri, machine, console, tmp_path):
    folder = start(uri, console)
    assert (folder / BASE).exists()
    with RunPlace(path=folder).gone_on(console):
        write(folder, trials__0000__record_dot_json="two")
    assert held_there(uri, tmp_path)["trials/0000/record.json"] == "two"
    copied = tmp_path / "copied"
    copied.mkdir()
    (copied / BASE).write_bytes((folder / BASE).read_bytes())
    assert StoredRun.of_folder(copied) is None
    machine("two")
    go_on(uri, console, trials__0000__record_dot_json="three")
    machine("one")
    with (
        pytest.raises(StoreError, match=r"gone on with on two; go on from there .* or remove its"),
        RunPlace(path=folder).gone_on(console),
    ):
        pass


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


def raising(text):
    def refuse(*_):
        raise StoreError(text)

    return refuse


def wait_until(is_so, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_absence_is_not_believed_of_what_could_not_be_read(uri, bucket, machine, monkeypatch):
    store = Store(uri)
    store.write("name", b"content")

    def fail(*_):
        raise FileNotFoundError("timeout")

    class Failing:
        open_input_stream = fail
        get_file_info = store._files.get_file_info

    store._files = Failing()
    with pytest.raises(StoreError, match="timeout"):
        store.read("name")
    assert store.read("other") is None


def test_base_on_record_says_whose_snapshots_the_folder_is_newer_than(uri, machine, console):
    folder = start(uri, console)
    base = json.loads((folder / BASE).read_text())
    assert base["uri"] == str(uri)
    assert base["snapshot"] is None
    assert Snapshots(Store(uri)).newest_name() == f"00000001-{base['token']}.json"
