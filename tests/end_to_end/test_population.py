"""A population on Ray: killed, resumed, and its exchanges still those that the scores ask for."""

import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from reports.run_folder import RunFolder
from sweeps.early_stopping import Score
from sweeps.folder import restore_spec
from sweeps.population import perturbed, take_overs

pytestmark = pytest.mark.slow

ARGUMENTS = (
    "training.total_kimg=0.6",
    "early_stopping={name: pbt, interval_kimg: 0.2, quantile: 0.5, tie_standard_errors: 0}",
    "evaluation.num_images=101",
    "evaluation.metrics=[fd]",
    "sampler.name=random",
    "search={optimizer.generator_lr: {loguniform: [5.0e-4, 4.0e-3]}, "
    "loss.gradient_penalty: {loguniform: [0.1, 2]}}",
    "budget.trials=3",
)


def start(*arguments, cwd):
    return subprocess.Popen(
        [sys.executable, "-c", "from sweeps.cli import main; main()", *arguments],
        cwd=cwd,
        env=os.environ | {"OMP_NUM_THREADS": "1", "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def num_scores(run):
    paths = run.path.glob("trials/*/record.json")
    return sum(len(json.loads(path.read_text(encoding="utf-8"))["scores"]) for path in paths)


def test_population_killed_on_its_way_and_resumed_has_taken_over_what_the_scores_ask_for(tmp_path):
    run = RunFolder(tmp_path / "run")
    overrides = [part for argument in ARGUMENTS for part in ("--set", argument)]
    process = start("run", "digits", *overrides, "--no-dashboard", "--out", "run", cwd=tmp_path)
    deadline = time.monotonic() + 400
    while num_scores(run) < 4:  # beyond the first exchange, before the second
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert num_scores(run) < 9

    resumed = start("resume", "run", "--no-dashboard", cwd=tmp_path)
    _, err = resumed.communicate(timeout=400)
    assert resumed.returncode == 0, err
    spec, records = restore_spec(run), run.read_trials()
    assert [record.state.value for record in records] == ["completed"] * 3
    assert [[scores.kimg for scores in record.scores] for record in records] == [
        [0.2, 0.4, 0.6]
    ] * 3

    # What each trained with, from rung to rung, follows from the scores on record.
    settings = {
        r.number: dict(r.exploits[0].old_settings if r.exploits else r.settings) for r in records
    }
    found = {(r.number, exploit.kimg): exploit for r in records for exploit in r.exploits}
    expected = set()
    for rung, kimg in enumerate(spec.rungs[:-1]):
        scores = {
            r.number: Score(taken.value, taken.standard_error)
            for r in records
            if (taken := r.scores[rung].measurement("fd_digits_classifier"))
        }
        before = {number: dict(its) for number, its in settings.items()}
        for loser, donor in take_overs(spec.early_stopping, scores, rung, 0, "minimize"):
            expected.add((loser, kimg))
            exploit = found[loser, kimg]
            assert exploit.of == f"{donor:04d}"
            assert exploit.old_settings == before[loser]
            settings[loser] = perturbed(spec.search, before[donor], 1.2, rung, 0, loser)
            assert exploit.new_settings == settings[loser]
    assert set(found) == expected
    assert expected
    assert {r.number: r.settings for r in records} == settings

    table = pd.read_csv(run.results, dtype={"trial": str})
    took_over = table.loc[table["exploits"].notna(), "trial"].tolist()
    assert sorted(took_over) == sorted({f"{number:04d}" for number, _ in expected})
    assert "took over" in run.report.read_text(encoding="utf-8")
