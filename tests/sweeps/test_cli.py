import os
import re
import resource
import subprocess
import sys

import pytest
import typer

from reports.records import MetricColumn, SweepRecord
from sweeps.cli import app
from sweeps.folder import create_run
from sweeps.outlets import errors_in_one_line
from sweeps.spec import load_spec
from tests.sweeps.command_line import call, error_line


def test_options_are_frozen():
    """Hyperparameters live in the spec; a new option is a decision, and is entered here."""
    commands = typer.main.get_command(app).commands
    options = {
        name: sorted(
            option
            for parameter in command.params
            for option in (*parameter.opts, *parameter.secondary_opts)
            if option.startswith("-")
        )
        for name, command in commands.items()
    }
    assert options == {
        "run": [
            "--address",
            "--allow-unverified-weights",
            "--dashboard",
            "--dry-run",
            "--inception-weights",
            "--no-dashboard",
            "--out",
            "--set",
            "--trials",
            "-n",
        ],
        "plan": ["--json", "--set", "--trials"],
        "resume": [
            "--address",
            "--allow-unverified-weights",
            "--dashboard",
            "--inception-weights",
            "--no-dashboard",
            "--trials",
        ],
        "status": ["--json"],
        "report": ["--csv", "--html"],
        "rerun": ["--kimg"],
        "init": ["--image-size", "--out"],
        "generate": ["--num", "--out", "--seed"],
        "import": ["--out"],
        "evaluate": [
            "--allow-unverified-weights",
            "--extractor",
            "--inception-weights",
            "--json",
            "--metrics",
            "--num-images",
            "--reference",
            "--seed",
            "--size",
            "--statistics-out",
        ],
        "doctor": ["--address", "--fid", "--json", "--page", "--quick"],
    }


def test_every_command_shows_an_example():
    for name in typer.main.get_command(app).commands:
        assert f"Example: tg-sweep {name}" in " ".join(call(name, "--help").output.split())


@pytest.mark.slow
def test_help_answers_in_half_a_second_of_cpu():
    def cpu_seconds(*command):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    code = "import sys; sys.argv = ['tg-sweep', '--help']; from sweeps.cli import main; main()"
    bare = min(cpu_seconds(sys.executable, "-c", "pass") for _ in range(3))
    assert min(cpu_seconds(sys.executable, "-c", code) for _ in range(3)) - bare < 0.5


def test_run_into_an_existing_folder_is_refused_and_leaves_it_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("precious", encoding="utf-8")
    assert "exists already; give another --out" in error_line("run", "--out", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_run_into_an_unwritable_place_is_refused(tmp_path):
    place = tmp_path / "file"
    place.write_text("", encoding="utf-8")
    assert "can't be written" in error_line("run", "--out", place / "runs")


def test_run_on_an_empty_folder_of_images_is_refused(tmp_path):
    (tmp_path / "pictures").mkdir()
    line = error_line(
        "run",
        "--set",
        f"data.name={tmp_path / 'pictures'}",
        "--set",
        "data.image_size=8",
        "--out",
        tmp_path / "out",
    )
    assert "holds 0 images" in line
    assert not (tmp_path / "out").exists()


def test_run_on_unknown_data_is_refused(tmp_path):
    line = error_line(
        "run", "--set", "data.name=cifar11", "--set", "data.image_size=8", "--out", tmp_path / "out"
    )
    assert "no data set and no folder or zip file called 'cifar11'" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "data.name=empty", "--set", "data.image_size=8"], "empty holds 0 images"),
        (["--out", "file/run"], "--out file/run: can't be written (Not a directory); give another"),
    ],
    ids=["empty folder", "file where a folder should be"],
)
def test_what_can_be_refused_at_once_is_refused_before_the_plan(
    tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    result = call("run", *arguments)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert message in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file"]


def test_run_on_data_without_labels_says_what_the_classifier_needs(tmp_path, data):
    from transgan.sampling import image_grid

    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for index, image in enumerate(data.train_images[:101]):
        image_grid(image[None], columns=1).save(pictures / f"{index:03d}.png")
    line = error_line(
        "run",
        "--set",
        f"data.name={pictures}",
        "--set",
        "data.image_size=8",
        "--out",
        tmp_path / "out",
    )
    assert "evaluation: extractor: classifier is trained on the data's labels" in line


@pytest.mark.slow
def test_address_at_which_nothing_listens_is_refused_at_once(tmp_path):
    line = error_line("run", "--address", "127.0.0.1:1", "--out", tmp_path / "out")
    assert "--address 127.0.0.1:1: nothing answers there" in line


@pytest.mark.parametrize("command", ["resume", "status", "report"])
def test_file_in_place_of_a_run_folder_is_refused(command, tmp_path):
    path = tmp_path / "file"
    path.write_text("x", encoding="utf-8")
    assert "not a sweep's run folder" in error_line(command, path)


@pytest.mark.parametrize("command", ["resume", "status", "report"])
def test_folder_without_a_sweep_is_refused(command, tmp_path):
    assert "not a sweep's run folder" in error_line(command, tmp_path)


def test_damaged_record_of_a_sweep_is_refused_before_any_work(tmp_path):
    _, spec = load_spec("digits")
    run = create_run(tmp_path / "run", spec)
    run.sweep.write_text('{"name": "dig', encoding="utf-8")
    assert "sweep.json" in error_line("resume", run.path)
    assert not run.evaluation.exists()


def test_generate_from_something_else_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"no weights at all")
    assert "not a whole safetensors file" in error_line(
        "generate", path, "--out", tmp_path / "x.png"
    )


def test_unknown_option_is_a_usage_error():
    assert call("run", "--epochs", 3).exit_code == 2


def test_errors_of_our_own_making_keep_their_traceback(monkeypatch):
    def broken(*_):
        raise ValueError("a bug")

    monkeypatch.setattr("sweeps.spec.load_spec", broken)
    result = call("plan")
    assert type(result.exception) is ValueError


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--out", ""),
        ("run", "--address", ""),
        ("resume", " "),
        ("status", ""),
        ("report", ""),
        ("report", "x", "--html", ""),
        ("report", "x", "--csv", ""),
        ("rerun", "", "0000"),
        ("generate", "", "--out", "x.png"),
        ("generate", "x", "--out", ""),
        ("import", "", "--out", "x"),
        ("import", "x", "--out", ""),
    ],
    ids=" ".join,
)
def test_empty_path_is_a_usage_error_and_not_the_folder_at_hand(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call(*arguments)
    assert result.exit_code == 2
    assert re.search(r"the (path|address) is empty; give", result.stderr)
    assert not any(tmp_path.iterdir())


def test_number_of_images_beyond_reason_is_a_usage_error_with_the_bound():
    result = call("generate", "x", "--out", "x", "--num", 1_000_001)
    assert result.exit_code == 2
    assert "1000000" in result.stderr


def test_broken_pipe_that_is_not_stdout_keeps_its_traceback(monkeypatch):
    reading, writing = os.pipe()
    with open(reading), open(writing, "w") as stdout:  # noqa: PTH123  (descriptors have no path)
        monkeypatch.setattr("sys.stdout", stdout)
        with pytest.raises(BrokenPipeError, match="a socket"), errors_in_one_line():
            raise BrokenPipeError("a socket")


@pytest.mark.parametrize("name", ["sweep.yaml cut short", "sweep.yaml empty"])
def test_damaged_spec_of_a_run_is_refused_with_the_way_out(tmp_path, name):
    run = create_run(tmp_path / "run", load_spec("digits")[1])
    text = run.spec.read_text(encoding="utf-8")
    run.spec.write_text(text[: text.index("budget:")] if "cut" in name else "", encoding="utf-8")
    line = error_line("resume", run.path)
    assert re.search(r"sweep\.yaml: .*put it back \(report\.html shows it as resolved\), or", line)


@pytest.mark.slow
def test_report_warns_of_a_damaged_record_by_its_file_and_goes_on(tmp_path):
    run = create_run(tmp_path / "run", load_spec("digits")[1])
    column = MetricColumn(name="fd", label="FD@7", goal="minimize", format=".2f")
    run.write_sweep(
        SweepRecord(
            name="digits",
            data="digits",
            objective="fd",
            metrics=(column,),
            space=(),
            num_trials=2,
            total_kimg=3.0,
            rungs_kimg=(3.0,),
            sampler="random",
            early_stopping="none",
            seed=0,
            extractor="classifier",
            extractor_note="",
            num_reference=7,
            resources="1 CPU",
            versions={},
        )
    )
    damaged = run.trial("0001").record
    damaged.parent.mkdir()
    damaged.write_text('{"trial": ', encoding="utf-8")
    result = call("report", run.path)
    assert result.exit_code == 0
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"warning: {damaged}: left out: ")
    assert "remove the folder 0001, and `tg-sweep resume` trains this trial anew" in line
    assert result.stdout.splitlines() == [str(run.report), str(run.results), str(run.curves)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "option", [["--inception-weights", "w.pth"], ["--allow-unverified-weights"]]
)
def test_inception_option_without_inception_is_refused_before_anything_is_written(tmp_path, option):
    line = error_line("run", "--out", tmp_path / "out", *option)
    assert f"{option[0]}: of no use, since evaluation.extractor is classifier" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_weights_that_are_not_the_official_ones_are_refused_before_anything_is_written(tmp_path):
    weights = tmp_path / "w.pth"
    weights.write_bytes(b"other")
    spec = ("--set", "evaluation.extractor=inception", "--set", "evaluation.metrics=[fid]")
    line = error_line("run", *spec, "--out", tmp_path / "out", "--inception-weights", weights)
    assert f"{weights} does not hold the official Inception weights (SHA-256 d9298a10d1b0" in line
    assert "official 6726825d0af5" in line
    assert "--allow-unverified-weights" in line
    assert not (tmp_path / "out").exists()
