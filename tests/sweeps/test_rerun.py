"""A trial again: faults outside its training too, and trainings that several processes shared."""

import json
import shutil
import sys
import traceback
from functools import partial

import pytest
from rich.console import Console

from evaluation.evaluator import Evaluator
from reports.records import FaultKind, TrialState
from sweeps.faults import Loss, loss_from
from sweeps.folder import create_run
from sweeps.ledger import Ledger
from sweeps.rerun import rerun_trial
from sweeps.rung_images import prepare_neighbours
from sweeps.spec import load_spec
from sweeps.trial import run_trial

pytestmark = pytest.mark.slow

TINY = (
    "training.total_kimg=0.3",
    "training.batch_size=16",
    "early_stopping={name: none, grace_kimg: 0.1}",
    "evaluation.metrics=[fd]",
    "evaluation.num_images=101",
    "budget.trials=2",
)
MOODY = """
from pathlib import Path
import torch

class Moody(torch.nn.Module):
    def forward(self, images):
        # A few images are what it is tried with when it is loaded.
        if len(images) > 5 and Path(__file__).with_name("broken").exists():
            raise KeyError("layer")
        return images.float().mean(dim=(2, 3)) + images.float().std(dim=(2, 3))
"""


@pytest.fixture
def again(capsys):
    """Trains a trial again; whether all was the same, and what was said."""

    def rerun(run, trial="0000"):
        same = rerun_trial(run.path, trial, None, Console(width=400))
        return same, capsys.readouterr().out

    return rerun


@pytest.fixture
def sweep(tmp_path, data, evaluation_folder, evaluator):
    """A sweep of digits, with its evaluation, and the task of its first trial."""

    def make(*overrides):
        spec = load_spec("digits", (*TINY, *overrides))[1]
        run = create_run(tmp_path / "run", spec)
        shutil.copytree(evaluation_folder, run.evaluation)
        prepare_neighbours(run, evaluator, data)
        ledger = Ledger(spec, run, objective="fd_digits_classifier", concurrent=1, device="cpu")
        return run, ledger, ledger.next_task()

    return make


@pytest.fixture
def moody(tmp_path, monkeypatch):
    """An extractor of the user's own, and the file that breaks it."""
    place = tmp_path / "own"
    place.mkdir()
    (place / "moody.py").write_text(MOODY, encoding="utf-8")
    monkeypatch.syspath_prepend(place)
    yield place / "broken"
    sys.modules.pop("moody", None)


def test_fault_of_scoring_comes_again(moody, data, tmp_path, again):
    spec = load_spec("digits", (*TINY, "evaluation.extractor=moody:Moody"))[1]
    run = create_run(tmp_path / "run", spec)
    evaluator = Evaluator.prepare(
        spec.evaluation,
        dataset=data.name,
        train_images=data.train_images,
        train_labels=data.train_labels,
        reference_images=data.held_out_images,
        reference_labels=data.held_out_labels,
        folder=run.evaluation,
    )
    prepare_neighbours(run, evaluator, data)
    objective = evaluator.protocol.recorded_names(evaluator.record.extractor)[0]
    ledger = Ledger(spec, run, objective=objective, concurrent=1, device="cpu")
    reports = run_trial(ledger.next_task(), data, evaluator, run.trial("0000"))
    while next(reports).rung != 0:
        pass
    moody.touch()
    with pytest.raises(KeyError) as caught:
        list(reports)
    ledger.lost("0000", loss_from(caught.value))
    assert run.trial("0000").read().cause == "KeyError: 'layer'"
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    moody.unlink()
    same, said = again(run)
    assert not same
    assert "trained to its end, 0.3 kimg, without the fault on record (failed: KeyError" in said

    moody.touch()
    same, said = again(run)
    assert same, said
    assert "ended by KeyError: 'layer' (the fault on record: KeyError: 'layer')" in said
    assert {path: path.read_bytes() for path in before} == before


def test_fault_of_loading_the_evaluation_comes_again_and_hinders_no_other(sweep, again):
    run, ledger, _ = sweep()
    record = run.evaluation / "evaluation.json"
    record.write_text(record.read_text(encoding="utf-8")[:20], encoding="utf-8")
    with pytest.raises(ValueError, match="prepare the evaluation anew") as caught:
        Evaluator.load(run.evaluation)
    # Of what a process raises while it starts, Ray tells the text alone.
    text = "".join(traceback.format_exception_only(caught.value)).strip()
    ledger.lost("0000", Loss(FaultKind.ERROR, text.splitlines()[-1]))
    same, said = again(run)
    assert same, said
    assert "(the fault on record: " in said
    ledger.next_task()
    ledger.lost("0001", Loss(FaultKind.ERROR, "KeyError: other"))
    same, said = again(run, "0001")
    assert not same
    assert "not scored, since the evaluation can't be loaded: EvaluationError" in said
    assert "trained to its end" in said


def test_score_that_is_no_number_comes_again(sweep, data, evaluator, again, monkeypatch):
    run, ledger, task = sweep()
    folder = run.trial("0000")

    def broken(evaluator, generate, snapshot):
        scores = evaluator.score_generator(generate)
        first, *others = scores.scores
        return scores.model_copy(
            update={"scores": (first.model_copy(update={"value": float("inf")}), *others)}
        )

    for report in run_trial(task, data, evaluator, folder, score=broken):
        if ledger.hear("0000", report):
            break
    assert folder.read().state is TrialState.DIVERGED
    monkeypatch.setattr("sweeps.retraining.run_trial", partial(run_trial, score=broken))
    same, said = again(run)
    assert same, said
    assert "ended by fd_digits_classifier was inf at 0.112 kimg, which is no finite" in said
    assert "(the fault on record: fd_digits_classifier was inf at 0.1 kimg" in said


def test_training_that_several_processes_shared_is_the_same_to_a_tolerance(
    sweep, data, evaluator, again
):
    run, _, task = sweep("resources={cpus_per_trial: 2, workers_per_trial: 2}")
    folder = run.trial("0000")
    list(run_trial(task, data, evaluator, folder))
    ticks = list(folder.read_stats())
    assert [tick["kimg"] for tick in ticks] == [0.112, 0.304]
    for factor, verdict in ((1 + 1e-5, True), (1.01, False)):
        ticks[1]["d_loss"] *= factor
        lines = [json.dumps(tick) + "\n" for tick in ticks]
        folder.stats.write_text("".join(lines), encoding="utf-8")
        same, said = again(run)
        assert same is verdict
        assert "Its batches were shared by 2 processes" in said
        assert ("the same losses, to 0.1%, at all 2 ticks" in said) is verdict
    assert "after 0.304 kimg d_loss is" in said
