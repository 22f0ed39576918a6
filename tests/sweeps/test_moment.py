import os
import time

import pytest

from reports.run_folder import TrialFolder
from sweeps import moment
from sweeps.moment import BusyFolderError, pin
from sweeps.stored_run import StoredRun
from tests.sweeps.stores import held_there, made, write
from transgan.training.checkpoint import previous_checkpoint


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
    write(tmp_path, trials__0001__record_dot_json="at rest")
    write(tmp_path, judgements_dot_jsonl="first")
    look = moment._pinned_trial
    decisions = iter(["second"])
    looked = []

    def look_while_it_is_decided(*arguments):
        looked.append(arguments[1].name)
        if (decision := next(decisions, None)) is not None:
            write(tmp_path, judgements_dot_jsonl=decision, trials__0000__record_dot_json="later")
        return look(*arguments)

    monkeypatch.setattr(moment, "_pinned_trial", look_while_it_is_decided)
    with pin(tmp_path, {}) as now:
        assert now.files["judgements.jsonl"].content == b"second"
        assert now.files["trials/0000/record.json"].content == b"later"
        assert now.files["trials/0001/record.json"].content == b"at rest"
    assert looked == ["0000", "0001"]  # the first was seen as it is by now


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


def test_spare_checkpoints_are_known_by_the_name_that_training_gives_them(tmp_path):
    made(tmp_path)
    spare = previous_checkpoint(TrialFolder(tmp_path / "trials" / "0000").checkpoint)
    spare.write_text("spare")
    with pin(tmp_path, {}) as now:
        assert set(now.files) == {"sweep.yaml", "trials/0000/record.json"}
