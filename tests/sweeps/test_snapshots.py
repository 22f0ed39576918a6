import io

import pytest
from rich.console import Console

from sweeps.claim import AtWork
from sweeps.snapshots import Snapshots
from sweeps.store import Store, StoreError
from sweeps.stored_run import StoredRun
from tests.sweeps.stores import copier_at_work, go_on, held, held_there, made, silent, start, write


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


def test_nothing_is_removed_from_a_store_that_does_not_list_what_it_has(
    uri, bucket, machine, console, monkeypatch
):
    start(uri, console)
    snapshots = Snapshots(Store(uri))
    newest = snapshots.newest()
    names = Store.names
    with monkeypatch.context() as unwell:
        listed = {"snapshots": []}
        unwell.setattr(Store, "names", lambda store, of: listed.get(of) or names(store, "objects"))
        with pytest.raises(StoreError, match=r"lists no snapshots/0+1-.* nothing is removed there"):
            snapshots.sweep_up(newest, lambda: None)
        named = {file.sha256 for file in newest.files.values()}
        with pytest.raises(StoreError, match=r"nothing is removed there"):
            snapshots.prune(newest, named, lambda: None)
    assert len(list((bucket / "runs/mine/objects").iterdir())) == 2


def test_store_that_lists_none_of_its_snapshots_gets_none(uri, machine, console, monkeypatch):
    with StoredRun(uri).begun(console) as folder:
        made(folder)
        copier = copier_at_work()
        copier.copy()
        write(folder, trials__0000__record_dot_json="two")
        with monkeypatch.context() as unwell:
            unwell.setattr(Snapshots, "newest_name", lambda snapshots: None)
            with pytest.raises(StoreError, match="lists no snapshots, though there are some"):
                copier.copy()
        assert copier.newest.number == 1


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
        (lambda text: text.replace('"host"', '"machine"'), "or was changed"),
        (lambda text: "[]", "of another version"),
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
    assert f"snapshots/{torn.name} is only half there (" in capsys.readouterr().err
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


def test_object_that_the_bucket_has_let_expire_is_put_again(
    uri, bucket, machine, console, tmp_path
):
    start(uri, console)
    objects = bucket / "runs/mine/objects"
    with StoredRun(uri).gone_on(console, by_path=False) as folder:
        copier_at_work().copy()
        for path in objects.iterdir():
            path.unlink()
    assert held_there(uri, tmp_path) == held(folder)


def test_object_that_is_gone_is_named(uri, bucket, machine, console):
    start(uri, console)
    for path in (bucket / "runs/mine/objects").iterdir():
        path.unlink()
    machine("two")
    with pytest.raises(StoreError, match=r"which is [\w./]+, is gone; remove the newest of snap"):
        go_on(uri, console)


def test_snapshot_of_a_process_that_was_held_up_is_taken_back(
    uri, bucket, machine, console, monkeypatch, tmp_path
):
    """It was well when it looked, and another has taken over, and ended, before it wrote."""

    def first():
        with StoredRun(uri).begun(console) as folder:
            made(folder)
            copier_at_work().copy()
            write(folder, trials__0000__record_dot_json="of the first")

            def write_late(snapshots, snapshot):
                monkeypatch.setattr(Snapshots, "write", whole)
                machine("two")
                go_on(uri, console, trials__0000__record_dot_json="of the second")
                machine("one")
                claims.append(AtWork(Store(uri)))
                claims[0].take(console)
                whole(snapshots, snapshot)

            whole, claims = Snapshots.write, []
            monkeypatch.setattr(Snapshots, "write", write_late)

    silent(monkeypatch)
    with pytest.raises(StoreError, match="has taken this process for dead"):
        first()
    assert held_there(uri, tmp_path)["trials/0000/record.json"] == "of the second"
    numbers = sorted(path.name[:8] for path in (bucket / "runs/mine/snapshots").iterdir())
    assert numbers == ["00000001", "00000101"]


def test_late_snapshot_is_older_than_those_of_who_took_over(uri, machine, console, tmp_path):
    start(uri, console)
    snapshots = Snapshots(Store(uri))
    first = snapshots.newest()
    machine("two")
    go_on(uri, console, trials__0000__record_dot_json="of the second")
    late = first.model_copy(update={"number": first.number + 1})
    snapshots.write(late)
    assert held_there(uri, tmp_path)["trials/0000/record.json"] == "of the second"


def test_store_from_which_nothing_can_be_removed_is_no_failure(
    uri, bucket, machine, monkeypatch, tmp_path
):
    said = io.StringIO()
    console = Console(file=said, width=400)
    for number in range(3):
        start(uri, console) if not number else go_on(uri, console, sweep_dot_yaml=f"{number}")
    remove = Store.remove

    def remove_claims_alone(store, name):
        if not name.startswith("at_work/"):
            raise StoreError("ACCESS_DENIED")
        remove(store, name)

    monkeypatch.setattr(Store, "remove", remove_claims_alone)
    with StoredRun(uri).gone_on(console, by_path=False) as folder:
        for number in range(3, 5):
            write(folder, sweep_dot_yaml=f"{number}")
            copier_at_work().copy()
    assert held_there(uri, tmp_path)["sweep.yaml"] == "4"
    assert said.getvalue().count("what is superseded stays there: ACCESS_DENIED") == 1


def test_object_that_was_damaged_there_is_put_again_from_here(
    uri, bucket, machine, console, tmp_path
):
    start(uri, console)
    (damaged,) = [p for p in (bucket / "runs/mine/objects").iterdir() if p.read_text() == "one"]
    damaged.write_text("o")
    go_on(uri, console)
    assert held_there(uri, tmp_path)["trials/0000/record.json"] == "one"


def test_older_snapshot_that_is_damaged_is_not_in_the_way(uri, bucket, machine, console, tmp_path):
    start(uri, console)
    go_on(uri, console, sweep_dot_yaml="2")
    snapshots = bucket / "runs/mine/snapshots"
    min(snapshots.iterdir()).write_text("{")
    for number in range(3, 6):
        go_on(uri, console, sweep_dot_yaml=f"{number}")
    assert held_there(uri, tmp_path)["sweep.yaml"] == "5"
    assert len(list(snapshots.iterdir())) == 2
