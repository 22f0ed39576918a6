"""The benchmark runs as its command line says, and counts what can be counted by hand."""

import argparse
import csv
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import memory, train_step
from reports.records import TrialCost
from sweeps.attempts import checkpoint_bytes
from transgan.cost import model_cost, training_cost
from transgan.flops import FlopCounter
from transgan.presets import preset_config

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
MEMORY_ROW = re.compile(
    r"^\| (`.*?) \| ([\d,]+) \| ([\d,]+) \(.*?\) \| ([\d,]+) \| ([\d,]+) \(.*?\) \| ([\d,]+) \|$",
    re.MULTILINE,
)
"""Training, its tensors, and twice: predicted, measured."""


def run(*options: str) -> str:
    command = [sys.executable, "benchmarks/train_step.py", "--preset", "digits", "--threads", "1"]
    command += ["--batch-size", "3", *options]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


@pytest.fixture(scope="module")
def parts() -> dict[str, Any]:
    return json.loads(run("--repeats", "1", "--no-memory", "--json"))["parts"]


def test_generator_of_the_reference_has_the_flops_of_its_formula(parts: dict[str, Any]) -> None:
    def block(dim: int, tokens: int) -> int:
        return 24 * dim**2 * tokens + 4 * tokens**2 * dim

    latent, blocks, pixels = 2 * 64 * 16 * 64, 2 * block(64, 16) + block(16, 64), 2 * 16 * 64
    counted = parts["generator forward"]["reference"]["gflop"]
    assert counted * 1e9 == pytest.approx(3 * (latent + blocks + pixels))


def test_a_full_step_is_a_step_of_each_network(parts: dict[str, Any]) -> None:
    for side in ("ours", "reference"):
        gflop = {part: by_side[side]["gflop"] for part, by_side in parts.items()}
        assert gflop["full step"] == pytest.approx(gflop["D step"] + gflop["G step"])
        assert gflop["G step"] > 3 * gflop["generator forward"]


def test_both_sides_do_the_same_work(parts: dict[str, Any]) -> None:
    # Ours may leave out what has no effect, and compute a little twice rather than keep it.
    for part, by_side in parts.items():
        assert 0.6 < by_side["ours"]["gflop"] / by_side["reference"]["gflop"] < 1.1, part


def test_flops_of_ours_leave_out_what_images_add_to_each_other() -> None:
    config = train_step.config_of("digits", 4)  # images that share tables
    work = train_step.works(config, "ours")["D step"]
    useful, _ = train_step._counts(work)
    with FlopCounter() as counter:
        work()
    assert useful < counter.flops / 1e9 < 1.1 * useful


@pytest.mark.parametrize("answer", ["", "1.25 0.", "seconds D step: 1.25 0.", "3 4", "a b c"])
def test_side_that_ends_or_talks_is_named(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    line_end = "echo" if answer in ("3 4", "a b c") else ":"
    script = f"read line; printf '%s' '{answer}'; {line_end}; exit 3"
    monkeypatch.setattr(train_step, "_own_command", lambda _: ["sh", "-c", script])
    side = train_step.SideProcess(argparse.Namespace(), "reference")
    with pytest.raises(SystemExit, match="the reference process") as refusal:
        side.seconds("D step")
    assert answer in ("3 4", "a b c") or "code 3" in str(refusal.value)
    with pytest.raises(SystemExit, match="the reference process ended with code 3"):
        side.close()


def test_peak_memory_is_that_of_one_part_alone() -> None:
    forward, step = (
        float(run("--peak-of", f"ours:{part}")) for part in ("generator forward", "full step")
    )
    assert 0 < forward < step


def test_scoring_is_timed_beside_torch_fidelity_and_the_network_alone(tmp_path: Path) -> None:
    command = [sys.executable, "benchmarks/evaluation_speed.py", "--parts", "digits", "--repeats"]
    command += ["1", "--digits-images", "53", "--json", "--out", str(tmp_path / "speed.md")]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    part = json.loads(done.stdout)["parts"]["digits"]
    three = ["ours, three metrics", "torch-fidelity, three metrics"]
    singly = [
        f"ours, `{metric}` alone"
        for metric in ("fd", "kd", "precision", "recall", "classifier_score")
    ]
    assert list(part) == ["ours", "torch-fidelity", *three, *singly, "network alone"]
    assert 0 < part["network alone"]["cpu_min"] < part["ours"]["cpu_min"]
    page = (tmp_path / "speed.md").read_text(encoding="utf-8")
    assert "repeats, alternating: digits 1" in page
    assert f"| ours | {part['ours']['cpu_median']:.3f} |" in page
    assert (
        json.loads((tmp_path / "speed.json").read_text(encoding="utf-8"))["parts"]["digits"] == part
    )


def test_report_benchmark_builds_a_page_of_the_sweep_it_made(tmp_path: Path) -> None:
    command = [sys.executable, "benchmarks/report.py", "--trials", "12", "--json", "--keep"]
    done = subprocess.run([*command, tmp_path], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    (report,) = json.loads(done.stdout)["reports"]
    assert report["trials"] == 12
    assert report["page_mb"] * 1e6 == (tmp_path / "trials12" / "report.html").stat().st_size
    assert report["page_mb"] <= 6
    assert report["peak_mib"] < 1536
    lines = (tmp_path / "trials12" / "results.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 13


def test_predicted_memory_is_what_a_process_takes(tmp_path: Path) -> None:
    page = tmp_path / "memory.md"
    command = [sys.executable, "benchmarks/memory.py", "--configs", "photos-b64", "--json"]
    command += ["--out", str(page)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout)["photos-b64"]
    predicted = found["base"] + found["predicted_tensors"]
    assert predicted == pytest.approx(found["returning"], rel=0.15)
    assert predicted + found["predicted_kept"] == pytest.approx(found["default"], rel=0.15)
    ((training, tensors, *_, default),) = MEMORY_ROW.findall(page.read_text(encoding="utf-8"))
    assert training == "`photos`, `batch_size` 64"
    assert tensors == f"{found['predicted_tensors']:,.0f}"
    assert default == f"{found['default']:,.0f}"


def test_page_of_memory_is_of_the_present_predictions_and_these_are_near() -> None:
    text = (ROOT / "docs" / "memory.md").read_text(encoding="utf-8")
    rows = {training: cells for training, *cells in MEMORY_ROW.findall(text)}
    assert list(rows) == [memory.described(name) for name in memory.CONFIGS]
    for name in memory.CONFIGS:
        tensors, *pairs = (float(cell.replace(",", "")) for cell in rows[memory.described(name)])
        if name in ("cifar10-b4", "celeba128-b1", "conv-attention-photos-b64"):  # all take a minute
            cost = training_cost(memory.config_of(name))
            assert cost.peak_tensor_bytes / memory.MB == pytest.approx(tensors, abs=0.51), name
        predicted, measured, predicted_with_kept, measured_with_kept = pairs
        assert predicted == pytest.approx(measured, rel=0.15), name
        assert -0.15 < predicted_with_kept / measured_with_kept - 1 < 0.25, name


def test_learning_is_measured_shown_and_written(tmp_path: Path) -> None:
    command = [sys.executable, "benchmarks/learning.py", "--preset", "digits", "--minutes", "0.1"]
    command += ["--kimg", "1", "--seeds", "3", "--threads", "1", "--out", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    names = {"digits.csv", "digits.svg", "digits.md", "digits-3.png"}
    assert {path.name for path in tmp_path.iterdir()} == names
    first, *_, last = csv.DictReader((tmp_path / "digits.csv").read_text().splitlines())
    assert (first["seed"], first["kimg"], first["seconds"]) == ("3", "0.0", "0.0")
    assert last["kimg"] == "1.024"  # 32 batches of 32
    assert all(float(row["random_distance"]) > 0 for row in (first, last))
    assert all(float(row["classifier_distance"]) > 0 for row in (first, last))
    page = (tmp_path / "digits.md").read_text(encoding="utf-8")
    assert f"| 3 | {float(last['kimg']):.1f} | {float(first['random_distance']):.4g} |" in page
    assert "1 kimg are 0.0093 times the preset's 108 (`total_kimg`)." in page
    assert "![seed 3](digits-3.png)" in page


def test_coverage_study_counts_every_metric_and_writes_both_tables(tmp_path: Path) -> None:
    command = [sys.executable, "benchmarks/coverage.py", "--repeats", "3", "--num-images", "500"]
    command += ["--repeats-again", "5"]
    subprocess.run([*command, "--out", tmp_path], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    rows = list(csv.DictReader((tmp_path / "coverage.csv").read_text().splitlines()))
    metrics = {row["metric"] for row in rows}
    assert metrics >= {"fd", "kd", "md", "precision", "recall", "density", "coverage"}
    first, again = rows[: 2 * len(metrics)], rows[2 * len(metrics) :]
    assert all(0 <= int(row["held"]) <= int(row["repeats"]) == 3 for row in first)
    # No share of three lies in 92 to 98 %, so each is looked at again.
    assert len(again) == len(first)
    assert all(0 <= int(row["held"]) <= int(row["repeats"]) == 5 for row in again)
    assert "Do the intervals hold" in (tmp_path / "coverage.md").read_text()


def test_parts_that_are_not_timed_again_stay_on_the_page_of_the_same_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from evaluation_speed import joined

    def document(machine: str, **parts: int) -> dict[str, Any]:
        repeats = dict.fromkeys(parts, 3)
        return {"machine": machine, "threads": 1, "repeats": repeats, "parts": parts}

    before, now = document("a", memory=1, digits=2), document("a", digits=5, matrix=6)
    assert joined(before, now)["parts"] == {"digits": 5, "matrix": 6, "memory": 1}
    assert list(joined(before, now)["repeats"]) == ["digits", "matrix", "memory"]
    assert joined(document("b", memory=1), now) == now


def test_footprint_is_larger_for_more_trials_and_said_in_a_table(tmp_path: Path) -> None:
    path = tmp_path / "footprint.json"
    command = [sys.executable, "benchmarks/footprint.py", "--trials", "55", "--reports", "3", "5"]
    done = subprocess.run(
        [*command, "--json", str(path)], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    found = json.loads(path.read_text(encoding="utf-8"))
    cost = model_cost(preset_config("digits"))
    size = TrialCost(
        generator_parameters=cost.generator_parameters,
        discriminator_parameters=cost.discriminator_parameters,
    )
    weights = 2 * checkpoint_bytes(size) + 4 * cost.generator_parameters
    assert found["trial"]["weights"] == pytest.approx(weights, rel=0.05)
    assert 20 < found["trial"]["stats_a_kimg"] < 400
    (ledger,) = found["ledgers"]
    assert ledger["record_bytes_a_trial"] > found["trial"]["record"] / 3
    assert ledger["journal_bytes_a_trial"] > 1000
    few, more = found["reports"]
    assert more["tables_bytes"] > few["tables_bytes"]
    assert (
        f"| weights: two checkpoints and a snapshot | {found['trial']['weights']:,} |"
        in done.stdout
    )
