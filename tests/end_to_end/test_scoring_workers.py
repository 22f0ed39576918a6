"""A trial scored by two processes on a machine with no CPU to spare."""

import json

import pytest
from test_sweep import finish, start

from evaluation.evaluator import Evaluator
from reports.records import RunFolder
from transgan.sampling import seeded_images
from transgan.training.checkpoint import load_snapshot

pytestmark = pytest.mark.slow


def test_two_workers_give_the_scores_of_one(tmp_path):
    settings = (
        "training.total_kimg=0.3",
        "early_stopping.name=none",
        "evaluation.num_images=751",
        "evaluation.kd_subsets=3",
        "resources.scoring_workers=2",
    )
    options = [word for setting in settings for word in ("--set", setting)]
    arguments = ("--trials", "2", "--no-dashboard", "--out", "run")
    code, _, err = finish(start("run", "digits", *options, *arguments, cwd=tmp_path))
    assert code == 0, err
    run = RunFolder(tmp_path / "run")
    evaluator = Evaluator.load(run.evaluation)
    for trial in ("0000", "0001"):
        folder = run.trial(trial)
        record = json.loads(folder.record.read_text(encoding="utf-8"))
        assert record["state"] == "completed"
        measurements = record["scores"][-1]["measurements"]
        generator, _ = load_snapshot(folder.snapshot)
        alone = evaluator.score_generator(seeded_images(generator, evaluator.protocol.seed))
        assert len(measurements) == len(alone.scores) == 6
        for measured, score in zip(measurements, alone.scores, strict=True):
            assert measured["name"] == score.name
            assert measured["value"] == pytest.approx(score.value, rel=1e-10)
            assert measured["num_images"] == score.num_generated == 751
