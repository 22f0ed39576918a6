import json
import shutil

import pytest

from sweeps.run_place import RunPlace
from sweeps.snapshots import Snapshots
from sweeps.store import Store, StoreError, StoreUri
from sweeps.stored_run import BASE, StoredRun
from tests.sweeps.stores import counted, go_on, held, held_there, made, raising, start, write


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
    assert folder == tmp_path / "one" / folder.parents[1].name / "sweep" / "mine"
    assert "nobody is at work on it" in StoredRun(uri).note()


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
    (aside,) = first.parents[1].glob("aside/mine.2*")
    assert held(aside)["trials/0001/record.json"] == "never copied"
    assert f"what was here to {aside}: elsewhere" in console.file.getvalue()


def test_what_a_killed_process_had_not_copied_is_gone_on_with_on_its_machine(
    uri, machine, console, tmp_path
):
    folder = start(uri, console)
    write(folder, trials__0000__record_dot_json="two")
    go_on(uri, console)
    assert held_there(uri, tmp_path)["trials/0000/record.json"] == "two"
    assert not list(folder.parents[1].glob("aside/mine.2*"))


def test_sweep_that_was_never_copied_is_gone_on_with_and_no_new_one_takes_its_place(
    uri, machine, console, tmp_path
):
    stored = StoredRun(uri)
    made(stored.folder)
    with pytest.raises(
        StoreError, match=r"holds a sweep of it already; go on with `tg-sweep resume fss"
    ):
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
    copy = StoredRun(uri).to_read(console)
    assert set(held(copy)) == {"sweep.yaml", "trials/0000/record.json", "gone"}
    assert copy != RunPlace(uri=str(uri)).folder
    machine("one")
    with StoredRun(uri).gone_on(console, by_path=False) as folder:
        (folder / "gone").unlink()
        write(folder, trials__0000__record_dot_json="two")
    assert StoredRun(uri).to_read(console) == folder
    machine("two")
    assert held(StoredRun(uri).to_read(console)) == {
        "sweep.yaml": "spec",
        "trials/0000/record.json": "two",
    }


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


def test_sweep_without_a_trial_yet_is_brought_with_a_place_for_them(uri, machine, console):
    with StoredRun(uri).begun(console) as folder:
        write(folder, sweep_dot_yaml="spec")
        (folder / "trials").mkdir()
    machine("two")
    assert (go_on(uri, console) / "trials").is_dir()


@pytest.mark.parametrize("name", ["coming", "reading", "mine"])
def test_name_of_a_sweep_is_free(bucket, machine, console, name):
    uri = StoreUri(f"fsspec+file://{bucket}/runs/{name}")
    start(uri, console)
    machine("two")
    folder = go_on(uri, console)
    assert held(StoredRun(uri).to_read(console)) == held(folder)
    assert [path.name for path in folder.parent.iterdir()] == [name]
    assert not list((folder.parents[1] / "coming").iterdir())


def test_place_that_is_taken_is_refused_and_one_that_is_none_too(uri, bucket, machine, console):
    start(uri, console)
    with pytest.raises(
        StoreError, match=r"holds a sweep of it already; go on with `tg-sweep resume fsspec"
    ):
        RunPlace(uri=str(uri)).check_vacant()
    machine("two")
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


def test_folder_that_lost_its_trials_between_two_commands_is_brought_anew(
    uri, machine, console, tmp_path
):
    folder = start(
        uri, console, trials__0001__record_dot_json="1", trials__0002__record_dot_json="2"
    )
    shutil.rmtree(folder / "trials")
    (folder / "trials").mkdir()
    assert set(held(go_on(uri, console))) == {
        "sweep.yaml",
        *(f"trials/000{number}/record.json" for number in range(3)),
    }
    (folder / "sweep.yaml").unlink()
    assert (go_on(uri, console) / "sweep.yaml").exists()
    shutil.rmtree(folder / "trials" / "0001")  # to be trained anew
    go_on(uri, console)
    assert "trials/0001/record.json" not in held_there(uri, tmp_path)


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
    with pytest.raises(StoreError, match=r"copied: was a sweep of .* remove its \.store\.json"):
        StoredRun.of_folder(copied)
    machine("two")
    go_on(uri, console, trials__0000__record_dot_json="three")
    machine("one")
    with (
        pytest.raises(
            StoreError, match=r"gone on with on two, or .* go on from there .* or remove its"
        ),
        RunPlace(path=folder).gone_on(console),
    ):
        pass


def test_disk_that_can_not_be_written_is_named(uri, machine, console, monkeypatch):
    start(uri, console)
    monkeypatch.setenv("TG_SWEEP_RUNS", "/proc/nowhere")
    for look in (lambda: StoredRun(uri).to_read(console), lambda: go_on(uri, console)):
        with pytest.raises(
            StoreError, match=r"^/proc/nowhere.*: can't be written .* TG_SWEEP_RUNS"
        ):
            look()
    assert Store(uri).names("at_work") == []


def test_base_on_record_says_whose_snapshots_the_folder_is_newer_than(uri, machine, console):
    folder = start(uri, console)
    base = json.loads((folder / BASE).read_text())
    assert base["uri"] == str(uri)
    assert base["snapshot"] is None
    assert Snapshots(Store(uri)).newest_name() == f"00000001-{base['token']}.json"
