import json
import os
import resource
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from sweeps.cli import app
from sweeps.folder import create_run
from sweeps.spec import load_spec

runner = CliRunner()


def call(*arguments):
    return runner.invoke(app, [str(argument) for argument in arguments])


def error_line(*arguments):
    result = call(*arguments)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert "Traceback" not in result.output
    return lines[0]


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
            "--dashboard",
            "--dry-run",
            "--no-dashboard",
            "--out",
            "--set",
            "--trials",
            "-n",
        ],
        "plan": ["--json", "--set", "--trials"],
        "resume": ["--address", "--dashboard", "--no-dashboard", "--trials"],
        "status": ["--json"],
        "report": ["--csv", "--html"],
        "rerun": ["--kimg"],
        "generate": ["--num", "--out", "--seed"],
        "import": ["--out"],
        "doctor": ["--address", "--fid", "--json", "--page", "--quick"],
    }


def test_every_command_shows_an_example():
    for name in typer.main.get_command(app).commands:
        assert f"Example: tg-sweep {name}" in " ".join(call(name, "--help").output.split())


def test_help_answers_in_half_a_second_of_cpu():
    def cpu_seconds(*command):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    code = "import sys; sys.argv = ['tg-sweep', '--help']; from sweeps.cli import main; main()"
    bare = min(cpu_seconds(sys.executable, "-c", "pass") for _ in range(3))
    assert min(cpu_seconds(sys.executable, "-c", code) for _ in range(3)) - bare < 0.5


def test_plan_as_json_is_one_document():
    result = call("plan", "digits", "--json", "--trials", 11)
    plan = json.loads(result.stdout)
    assert plan["num_trials"] == 11
    assert plan["smallest"]["generator_parameters"] > 0


def test_dry_run_writes_nothing(tmp_path):
    result = call("run", "digits", "-n", "--out", tmp_path / "new")
    assert result.exit_code == 0
    assert "trials" in result.stderr
    assert not (tmp_path / "new").exists()


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


def test_results_go_to_stdout_and_progress_to_stderr():
    environment = os.environ | {"NO_COLOR": "1"}
    code = "from sweeps.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "run", "-n"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout == ""
    assert "digits" in done.stderr
