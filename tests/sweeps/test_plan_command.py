"""`tg-sweep plan` and `tg-sweep run -n`: what they foresee, and what they say would fail."""

import json
import os
import re
import subprocess
import sys

import pytest

from sweeps.resources import Node
from sweeps.spec_text import SpecError
from tests.sweeps.command_line import call, error_line

HEADS_ALONE = ("--set", "search={generator.num_heads: {choice: [2, 4]}}")
"""A space of few corners, since each kind of trial is rehearsed."""


@pytest.fixture
def quick_tries(monkeypatch):
    """Plans that train for no second; the processes that try don't hear of it, and are few."""
    monkeypatch.setattr("sweeps.trial_time.TRIED_CONFIGS", 1)


@pytest.mark.slow
def test_plan_as_json_is_one_document(quick_tries):
    result = call("plan", "digits", "--json", "--trials", 11, *HEADS_ALONE)
    plan = json.loads(result.stdout)
    assert plan["num_trials"] == 11
    assert plan["smallest"]["generator_parameters"] > 0
    assert 0.9 < plan["memory"][0]["cpu_gb"] < 1.2
    assert [device["num_fitting"] for device in plan["devices"]] == [2] * len(plan["devices"])
    assert plan["time"]["forecast"]["seconds"] > 20
    assert plan["time"]["gpu_hours"] is None


@pytest.mark.slow
def test_plan_for_gpus_that_are_not_here_says_so_and_what_fits_elsewhere():
    result = call("plan", "digits", "--set", "resources.gpus_per_trial=1", *HEADS_ALONE)
    assert result.exit_code == 0, result.output
    assert "it can't run on this machine: resources.gpus_per_trial" in result.stdout
    assert "a GPU of 8 GB (8.0 GB): every trial fits" in result.stdout
    assert "GPU-hours at 20 TFLOP/s (an assumption)" in " ".join(result.stdout.split())


@pytest.mark.slow
def test_plan_names_what_does_not_fit_the_memory_that_the_spec_allows(quick_tries):
    space = (
        "search={batch_size: {choice: [16, 256]}, optimizer.generator_lr: {uniform: [1e-3, 2e-3]}}"
    )
    result = call("plan", "digits", "--set", space, "--set", "resources.memory_gb=1.05")
    assert result.exit_code == 0, result.output
    (place,) = (n for n, line in enumerate(result.stdout.splitlines()) if "resources.mem" in line)
    told, large, way_out, here = result.stdout.splitlines()[place : place + 4]
    assert "1 of 2 kinds of trial fit, 1 at once" in told
    assert re.search(r"^ +batch_size: 256 takes 1\.\d+ GB", large)
    assert re.search(r"^ +the largest fits with training\.microbatch_size: \d+$", way_out.rstrip())
    assert "this machine's CPU" in here


@pytest.mark.slow
def test_plan_of_one_training_speaks_in_the_singular(quick_tries):
    result = call("plan", "digits", "--trials", 1, "--set", "search={}")
    said = " ".join(result.stdout.split())
    assert "as predicted for 1 kind of trial this machine" in said
    assert "with 1 trial at once; " in said
    assert "(1 config tried on this machine)" in said


@pytest.mark.slow
def test_dry_run_foresees_memory_and_time_and_writes_nothing(quick_tries, tmp_path):
    given = ("--set", "resources.memory_gb=1.6")
    result = call("run", "digits", "-n", "--out", tmp_path / "new", *HEADS_ALONE, *given)
    assert result.exit_code == 0, result.output
    said = " ".join(result.stderr.split())
    assert "new: 8 trials" in said  # called after its folder
    assert "Resources derived for this machine: no GPU; " in said
    assert "as predicted for 2 kinds of trial resources.memory_gb (1.6 GB): every trial" in said
    assert re.search(r"Time about [\d.]+ \w+ \([^)]+\) with \d+ trials? at once; ", said)
    assert result.stdout == ""
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_dry_run_names_what_does_not_fit(quick_tries, tmp_path):
    space = (
        "search={batch_size: {choice: [16, 256]}, optimizer.generator_lr: {uniform: [1e-3, 2e-3]}}"
    )
    given = ("--set", space, "--set", "resources.memory_gb=1.05")
    result = call("run", "digits", "-n", "--out", tmp_path / "new", *given)
    assert result.exit_code == 0, result.output
    said = " ".join(result.stderr.split())
    assert "resources.memory_gb (1.1 GB): 1 of 2 kinds of trial fit" in said
    assert re.search(r"batch_size: 256 takes 1\.\d+ GB", said)


@pytest.mark.slow
def test_dry_run_of_another_task_says_that_nothing_is_foreseen(tmp_path):
    result = call("run", "digits-classify", "-n", "--out", tmp_path / "new")
    assert result.exit_code == 0, result.output
    assert "memory and time are not foreseen for task classify; a run says its" in result.stderr


@pytest.mark.slow
def test_dry_run_that_has_an_obstacle_tries_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr("sweeps.plan_command.foresee", None)
    given = ("--set", "resources.cpus_per_trial=5000")
    result = call("run", "digits", "-n", "--out", tmp_path / "new", *HEADS_ALONE, *given)
    assert result.exit_code == 1
    assert "error: resources.cpus_per_trial: 5000 wanted, but there are" in result.stderr


@pytest.fixture
def machine_with_a_gpu(monkeypatch):
    """This machine has a GPU that holds ten of the largest trials."""
    node = Node("this machine", 8, 1, 80.0, memory_gb=64.0)
    for module in ("plan_command", "announcement"):
        monkeypatch.setattr(f"sweeps.{module}.this_machine", lambda: node)
    monkeypatch.setattr("sweeps.derived_resources.needed_gb", lambda *_, **__: 8.0)


def test_run_counts_trials_at_once_as_they_are_derived(machine_with_a_gpu, monkeypatch, tmp_path):
    def stop(*_):
        raise SpecError("no further")

    monkeypatch.setattr("sweeps.extractor_options.inception_file", stop)
    result = call("run", "digits", "--trials", 8, "--out", tmp_path / "new", *HEADS_ALONE)
    assert "error: no further" in result.stderr
    # Four share the GPU; by the spec as given, all eight would run, each on a core.
    assert ", and 4 are at work at once" in " ".join(result.stderr.split())


@pytest.mark.slow
def test_results_go_to_stdout_and_progress_to_stderr(tmp_path):
    environment = os.environ | {"NO_COLOR": "1"}
    code = "from sweeps.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "run", "-n", *HEADS_ALONE],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,  # where no earlier sweep stands in the way
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout == ""
    assert "digits" in done.stderr


@pytest.mark.slow
def test_dry_run_says_all_that_would_fail_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    result = call(
        *("run", "-n", "--out", "file/run", "--address", "127.0.0.1:1"),
        *("--set", "data.name=empty", "--set", "data.image_size=8"),
    )
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert result.exit_code == 1
    assert [error.split(": ")[1] for error in errors] == [
        "--out file/run",
        "data.name",
        "--address 127.0.0.1:1",
    ]
    assert "8 trials" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file"]


@pytest.mark.slow
def test_dry_run_on_data_without_labels_says_what_the_classifier_needs(tmp_path, data):
    from transgan.sampling import image_grid

    for index, image in enumerate(data.train_images[:101]):
        image_grid(image[None], columns=1).save(tmp_path / f"{index:03d}.png")
    out = ("--out", tmp_path / "out")
    line = error_line("run", "-n", *out, "--set", f"data={{name: {tmp_path}, image_size: 8}}")
    assert "evaluation: extractor: classifier is trained on the data's labels" in line


@pytest.mark.slow
def test_dry_run_says_that_data_would_be_downloaded(quick_tries, tmp_path, monkeypatch):
    monkeypatch.setenv("TG_SWEEP_CACHE", str(tmp_path))
    result = call(
        *("run", "-n", "--set", "data.name=cifar10", "--set", "search={}"),
        *("--set", "training.preset=photos", "--out", tmp_path / "run"),
    )
    assert result.exit_code == 0
    assert "data cifar10 is not decoded here yet: what is missing of it would be" in result.stderr
    assert not any(tmp_path.iterdir())


OWN_MODULE = """
import torch

class Means(torch.nn.Module):
    def forward(self, images):
        return images.float().mean(dim=(2, 3))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("extractor", "metrics", "message"),
    [
        ("dinov2", "fd", "DINOv2: no weights at "),
        ("lone_means:Nope", "fd", "lone_means has no Nope"),
        ("lone_means:Means", "fd,classifier_score", "classifier_score needs logits, and lone_"),
    ],
)
@pytest.mark.parametrize("dry", [["-n"], []])
def test_extractor_that_can_not_be_had_is_said_before_anything_is_written(
    dry, extractor, metrics, message, tmp_path, monkeypatch
):
    (tmp_path / "lone_means.py").write_text(OWN_MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    spec = (
        "--set",
        f"evaluation.extractor={extractor}",
        "--set",
        f"evaluation.metrics=[{metrics}]",
    )
    assert message in error_line("run", *dry, *spec, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("command", [("run", "-n"), ("plan",)])
def test_plan_calls_nothing_fid_that_unverified_weights_will_give(
    command, quick_tries, tmp_path, monkeypatch
):
    weights = tmp_path / "w.pth"
    weights.write_bytes(b"other")
    monkeypatch.setenv("TG_SWEEP_INCEPTION_WEIGHTS", str(weights))
    monkeypatch.setenv("TG_SWEEP_ALLOW_UNVERIFIED_WEIGHTS", "1")
    monkeypatch.chdir(tmp_path)
    spec = ("--set", "evaluation.extractor=inception", "--set", "evaluation.metrics=[fid,recall]")
    result = call(*command, *spec, *HEADS_ALONE)
    assert result.exit_code == 0, result.output
    assert "fd_inception_unverified, recall_inception_unverified of 1,000 images" in result.output
    assert not re.search(r"\bfid\b", result.output)


@pytest.mark.slow
def test_plan_says_that_its_extractor_can_not_be_had(quick_tries, tmp_path, monkeypatch):
    weights = tmp_path / "w.pth"
    weights.write_bytes(b"other")
    monkeypatch.setenv("TG_SWEEP_INCEPTION_WEIGHTS", str(weights))
    spec = ("--set", "evaluation.extractor=inception", "--set", "evaluation.metrics=[fid]")
    result = call("plan", *spec, *HEADS_ALONE)
    assert result.exit_code == 0, result.output
    assert re.search(r"a run would stop at this: .*w\.pth.*SHA-256", result.stderr)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [("plan", *HEADS_ALONE), ("plan", "--json", *HEADS_ALONE)],
    ids=["plan", "plan as JSON"],
)
def test_reader_who_leaves_early_is_no_error(arguments):
    reading, writing = os.pipe()
    os.close(reading)
    code = "from sweeps.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")
