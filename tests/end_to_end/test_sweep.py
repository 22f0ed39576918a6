"""A whole sweep on Ray: run, watched, killed, resumed, reported."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from evaluation.evaluator import Evaluator
from reports.reading import read_comparison
from reports.records import TrialState
from reports.run_folder import RunFolder
from reports.samples import gallery
from sweeps.final_scoring import evaluator_under, final_protocols
from sweeps.folder import restore_spec
from transgan.sampling import seeded_images
from transgan.training.checkpoint import load_snapshot

pytestmark = pytest.mark.slow

TINY = [
    "--set",
    "training.total_kimg=0.6",
    "--set",
    "early_stopping.grace_kimg=0.2",
    "--set",
    "evaluation.num_images=101",
    "--set",
    "evaluation.kd_subsets=3",
]


def start(*arguments, cwd):
    code = "from sweeps.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        env=os.environ | {"OMP_NUM_THREADS": "1", "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process, *, timeout=400):
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def records(run: Path):
    found = {}
    for path in sorted(run.glob("trials/*/record.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        found[record["trial"]] = record
    return found


def wait_for(condition, process, seconds=240):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Path, str, str]:
    """A run folder of a two-trial sweep, with what the command said."""
    place = tmp_path_factory.mktemp("finished")
    code, out, err = finish(
        start(
            "run",
            "digits",
            *TINY,
            "--trials",
            "2",
            "--no-dashboard",
            "--set",
            "early_stopping.name=none",
            "--out",
            "run",
            cwd=place,
        )
    )
    assert code == 0, err
    return place / "run", out, err


def test_two_trials_end_with_paths_on_stdout_and_verdict_on_stderr(finished):
    run, out, err = finished
    assert out.split() == ["run/report.html", "run/results.csv"]
    assert "minutes in all" in " ".join(err.split())
    assert "won" in err
    table = pd.read_csv(run / "results.csv", dtype={"trial": str})
    assert list(table.columns[:2]) == ["trial", "state"]
    assert table["state"].tolist() == ["completed", "completed"]
    assert table["fd_digits_classifier"].notna().all()
    assert (table["fd_digits_classifier_num_images"] == 101).all()


def test_report_opens_in_a_browser_sorts_and_asks_for_nothing(finished, browser):
    run, _, _ = finished
    messages, requests = [], []
    page = browser.new_page()
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((run / "report.html").as_uri())
    page.wait_for_load_state("networkidle")
    header = page.locator("#leaderboard th button", has_text="trial").first
    header.click()
    first = page.locator("#leaderboard tbody tr").first.inner_text()
    header.click()
    assert page.locator("#leaderboard tbody tr").first.inner_text() != first
    page.close()
    assert messages == []
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []


def test_trials_leave_the_images_that_the_page_shows(finished):
    run, _, _ = finished
    folder = RunFolder(run)
    for trial in ("0000", "0001"):
        rungs = folder.trial(trial).read().scores
        assert [rung.kimg for rung in rungs] == [0.2, 0.6]
        for rung in rungs:
            names = (rung.fakes_path, folder.trial(trial).interpolation(rung.kimg).name)
            for name in (*names, folder.trial(trial).nearest(rung.kimg).name):
                assert (run / "trials" / trial / name).read_bytes().startswith(b"\x89PNG")
    shown = gallery(read_comparison(run), folder)
    assert [len(film.frames) for film in shown.films] == [2, 2]
    assert all(film.closeness is not None for film in shown.films)
    images = [film.walks for film in shown.films] + [film.nearest.image for film in shown.films]
    images += [grid.image for grid in shown.grids] + [shown.held_out.image]
    assert all(image.missing_because is None for image in images)


def test_trial_alone_gives_the_same_losses(finished):
    run, _, _ = finished
    code, _, err = finish(start("rerun", str(run), "0001", cwd=run))
    assert code == 0
    assert "the same losses, bit for bit, at all" in err


def test_report_of_a_finished_sweep_needs_neither_torch_nor_ray(finished):
    run, _, _ = finished
    blocked = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name in ('torch', 'ray'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        f"sys.argv = ['tg-sweep', 'report', {str(run)!r}]\n"
        "from sweeps.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", blocked], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_kill_of_the_whole_tree_loses_and_repeats_nothing(tmp_path):
    arguments = ["--no-dashboard", "--out", "run"]
    run = tmp_path / "run"
    process = start("run", "digits", *TINY, "--trials", "4", *arguments, cwd=tmp_path)

    def one_is_done_and_one_is_not():
        states = [record["state"] for record in records(run).values()]
        return "running" in states and len(states) > 1 and set(states) - {"running"}

    wait_for(one_is_done_and_one_is_not, process)
    kill_tree(process.pid)
    process.communicate()
    before = records(run)
    done = {trial for trial, record in before.items() if record["state"] != "running"}
    stats = {trial: (run / "trials" / trial / "stats.jsonl").read_text() for trial in done}

    code, _, err = finish(start("resume", "run", "--no-dashboard", cwd=tmp_path))
    assert code == 0, err
    after = records(run)
    assert len(after) == 4
    assert {record["state"] for record in after.values()} <= {"completed", "stopped_early"}
    for trial in done:
        assert after[trial] == before[trial]
        assert (run / "trials" / trial / "stats.jsonl").read_text() == stats[trial]
    for trial in before:
        assert after[trial]["settings"] == before[trial]["settings"]
    assert len(pd.read_csv(run / "results.csv")) == 4


def test_sweep_in_an_object_store_goes_on_on_another_machine(tmp_path, monkeypatch):
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    uri = f"fsspec+file://{bucket}/runs/mine"
    monkeypatch.setenv("TG_SWEEP_RUNS", str(tmp_path / "one"))
    arguments = ["--no-dashboard", "--out", uri]
    process = start("run", "digits", *TINY, "--trials", "6", *arguments, cwd=tmp_path)
    wait_for(lambda: list((tmp_path / "one").glob("*/sweep/mine/trials")), process)
    (run,) = (tmp_path / "one").glob("*/sweep/mine")

    def one_is_done():
        return {record["state"] for record in records(run).values()} - {"running"}

    wait_for(one_is_done, process)
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert code == 130, err
    assert f"go on with: tg-sweep resume {uri}" in err
    before = records(run)
    done = {t for t, record in before.items() if record["state"] in ("completed", "stopped_early")}
    assert done

    monkeypatch.setenv("TG_SWEEP_RUNS", str(tmp_path / "two"))
    code, out, err = finish(start("resume", uri, "--no-dashboard", cwd=tmp_path))
    assert code == 0, err
    report, _ = out.split()
    assert report.startswith(str(tmp_path / "two"))
    after = records(Path(report).parent)
    assert len(after) == 6
    assert {record["state"] for record in after.values()} <= {"completed", "stopped_early"}
    for trial in done:
        assert after[trial] == before[trial]
    assert (bucket / "runs/mine/report.html").read_bytes() == Path(report).read_bytes()

    monkeypatch.setenv("TG_SWEEP_RUNS", str(tmp_path / "three"))
    code, out, err = finish(start("status", uri, "--json", cwd=tmp_path))
    assert code == 0, err
    status = json.loads(out)
    assert len(status["trials"]) == 6
    assert status["copy"].endswith("nobody is at work on it")


def test_kill_amid_the_finalists_repeats_no_seed_and_the_verdict_is_of_fresh_seeds(tmp_path):
    settings = (
        *("training.total_kimg=1", "early_stopping.name=none"),
        *("evaluation.num_images=101", "evaluation.kd_subsets=3"),
        "finalists={count: 2, seeds: 3, num_images: 211}",
    )
    options = [word for setting in settings for word in ("--set", setting)]
    arguments = ("--trials", "3", "--no-dashboard", "--out", "run")
    run = tmp_path / "run"
    process = start("run", "digits", *options, *arguments, cwd=tmp_path)

    def one_run_is_done_and_one_is_not():
        runs = [record for record in records(run).values() if record["finalist"]]
        states = [record["state"] for record in runs]
        return "running" in states and "completed" in states

    wait_for(one_run_is_done_and_one_is_not, process)
    kill_tree(process.pid)
    process.communicate()
    before = records(run)
    done = {trial for trial, record in before.items() if record["state"] == "completed"}

    code, out, err = finish(start("resume", "run", "--no-dashboard", cwd=tmp_path))
    assert code == 0, err
    assert out.split() == ["run/report.html", "run/results.csv"]
    after = records(run)
    for trial in done:
        assert after[trial] == before[trial]
    runs = {trial: record for trial, record in after.items() if record["finalist"]}
    assert len(after) - len(runs) == 3
    assert 4 <= len(runs) <= 6
    assert {record["state"] for record in after.values()} == {"completed"}
    assert len({record["seed"] for record in after.values()}) == len(after)
    table = pd.read_csv(run / "results.csv", dtype={"trial": str}).set_index("role")
    assert set(table.loc["search", "fd_digits_classifier_num_images"]) == {101}
    assert set(table.loc["finalist", "fd_digits_classifier_num_images"]) == {211}
    code, status, _ = finish(start("status", "run", "--json", cwd=tmp_path))
    told = json.loads(status)
    assert told["finalists"]["is_over"]
    assert told["finalists"]["num_ended"] == len(runs)
    assert told["headline"] in " ".join(err.split())
    assert "fresh" in err
    study = (run / "study.journal").read_text(encoding="utf-8")
    assert "-s0" not in study


def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(tmp_path):
    run = tmp_path / "run"
    process = start(
        "run", "digits", "--trials", "3", "--no-dashboard", "--out", "run", cwd=tmp_path
    )
    wait_for(lambda: any(run.glob("trials/*/stats.jsonl")), process)
    time.sleep(1)
    os.kill(process.pid, signal.SIGINT)
    code, _, err = finish(process, timeout=60)
    assert code == 130, err
    assert "tg-sweep resume run" in err
    assert "Traceback" not in err
    assert {record["state"] for record in records(run).values()} == {"interrupted"}
    assert (run / "report.html").exists()


def test_two_scoring_workers_give_the_scores_of_one_with_no_cpu_to_spare(tmp_path):
    settings = (
        "training.total_kimg=0.3",
        "early_stopping.name=none",
        "evaluation.num_images=751",
        "evaluation.kd_subsets=3",
        "resources.scoring_workers=2",
        "finalists={count: 1, seeds: 2, num_images: 1009}",
    )
    options = [word for setting in settings for word in ("--set", setting)]
    arguments = ("--trials", "2", "--no-dashboard", "--out", "run")
    code, _, err = finish(start("run", "digits", *options, *arguments, cwd=tmp_path))
    assert code == 0, err
    run = RunFolder(tmp_path / "run")
    evaluator = Evaluator.load(run.evaluation)
    for trial in ("0000", "0001"):
        folder = run.trial(trial)
        record = folder.read()
        assert record.state == TrialState.COMPLETED
        generator, _ = load_snapshot(folder.snapshot)
        alone = evaluator.score_generator(seeded_images(generator, evaluator.protocol.seed))
        measured = record.scores[-1].measurements
        assert len(measured) == len(alone.scores) == 6
        for measurement, score in zip(measured, alone.scores, strict=True):
            assert measurement.name == score.name
            assert measurement.value == pytest.approx(score.value, rel=1e-10)
            assert measurement.num_images == score.num_generated
    protocol, _ = final_protocols(restore_spec(run))
    final = evaluator_under(evaluator, protocol)
    for record in run.read_finalists():
        generator, _ = load_snapshot(run.trial(record.trial).snapshot)
        alone = final.score_generator(seeded_images(generator, protocol.seed))
        measured = record.scores[0].measurements
        assert [measurement.value for measurement in measured] == pytest.approx(
            [score.value for score in alone.scores], rel=1e-10
        )
        assert {measurement.num_images for measurement in measured} == {1009}
    assert len(run.read_finalists()) == 2


def kill_tree(pid):
    """SIGKILL to a process and all its descendants, at once."""
    children = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(int(fields[1]), []).append(int(status.parent.name))
    doomed = [pid]
    for parent in doomed:
        doomed += children.get(parent, [])
    for process in doomed:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue
