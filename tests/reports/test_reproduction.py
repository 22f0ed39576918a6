"""All that must be the same for the same numbers is on the page, or said to be missing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from evaluation.protocol import ProtocolRecord
from reports.comparison import compare
from reports.records import SweepRecord, TrialRecord
from reports.reproduction import reproduction
from reports.run_folder import RunFolder

Make = Callable[..., TrialRecord]
Sweep = Callable[..., SweepRecord]
Scores = Callable[..., object]

SCORING = ProtocolRecord(
    metrics=("fd",),
    num_images=1000,
    seed=13,
    kd_subsets=25,
    kd_subset_size=1000,
    extractor="digits_classifier",
    extractor_sha256="a" * 64,
    resize="none",
    reference_sha256="b" * 64,
    device="cpu",
    versions={"torch": "2.9.0", "numpy": "2.1.0"},
)


def test_seeds_and_hashes_are_those_on_record(
    run: RunFolder, make_sweep: Sweep, make_trials: Callable[[], list[TrialRecord]]
) -> None:
    sweep = make_sweep(seed=5, scoring=SCORING)
    comparison = compare(sweep, make_trials())
    found = reproduction(comparison, run)
    facts = {fact.name: fact.value for fact in found.facts}
    assert facts["sweep seed"] == "5"
    assert comparison.best is not None
    assert facts["seed of trial 0003"] == str(comparison.best.record.seed)
    assert facts["extractor"] == "a" * 64
    assert facts["reference"] == "b" * 64
    assert facts["scoring seed"] == "13"
    assert facts["spec"] == hashlib.sha256(run.spec.read_bytes()).hexdigest()
    assert "judge" not in facts
    assert found.warnings == ()
    assert found.rerun_command == "tg-sweep rerun RUN_FOLDER 0003"
    # The sweep's own versions stand beside; these are the ones that it does not have.
    assert found.scoring_versions == (("numpy", "2.1.0"),)


def test_what_is_not_on_record_is_said_to_be_missing(run: RunFolder, make_sweep: Sweep) -> None:
    run.spec.unlink()
    found = reproduction(compare(make_sweep(), []), run)
    assert [fact.name for fact in found.facts] == ["sweep seed"]
    assert found.rerun_command is None
    assert "How the scores were taken is not on record" in found.warnings[0]


def test_two_protocols_in_one_sweep_are_warned_of(
    run: RunFolder, make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    trials = []
    for number, digest in enumerate("cd"):
        trial = make_trial(number, scores=make_scores(5.0))
        scores = tuple(
            rung.model_copy(update={"protocol_sha256": digest * 64}) for rung in trial.scores
        )
        trials.append(trial.model_copy(update={"scores": scores}))
    found = reproduction(compare(make_sweep(scoring=None), trials), run)
    assert "scored by 2 protocols" in found.warnings[0]
    assert [fact.value for fact in found.facts if fact.name == "protocol"] == ["c" * 64, "d" * 64]
