"""A resumed sweep goes on only where its new rows will compare with the old ones."""

import pytest

from evaluation.evaluator import read_record
from evaluation.protocol import ProtocolMismatchError
from reports.records import RungScores
from reports.run_folder import RunFolder
from sweeps.comparable import check_scoring
from sweeps.trial import TrialTask, new_record


@pytest.fixture
def evaluation(evaluation_folder):
    return read_record(evaluation_folder)


@pytest.fixture
def run(tiny_spec, evaluation, tmp_path, describe):
    run = RunFolder(tmp_path)
    describe(run, tiny_spec, evaluation)
    return run


def write_trial(run, spec, protocol_sha256):
    task = TrialTask(
        trial="0000",
        number=0,
        settings={},
        config=spec.training,
        rungs=spec.rungs,
        objective="fd_digits_classifier",
        threads=1,
        device="cpu",
    )
    scores = RungScores(
        kimg=0.1, measurements=(), fakes_path="fakes.png", protocol_sha256=protocol_sha256
    )
    run.trial("0000").path.mkdir(parents=True)
    run.trial("0000").write(new_record(task).model_copy(update={"scores": (scores,)}))


def other(evaluation, **changes):
    scoring = evaluation.scoring.model_copy(update=changes)
    return evaluation.model_copy(update={"scoring": scoring})


def test_same_evaluation_passes(run, tiny_spec, evaluation):
    write_trial(run, tiny_spec, evaluation.scoring.sha256)
    check_scoring(run, tiny_spec.evaluation, evaluation)


def test_other_device_or_version_passes(run, tiny_spec, evaluation):
    write_trial(run, tiny_spec, evaluation.scoring.sha256)
    changed = other(evaluation, device="cuda", versions={"torch": "9"})
    check_scoring(run, tiny_spec.evaluation, changed)


def test_evaluation_prepared_anew_with_another_classifier_names_the_field(
    run, tiny_spec, evaluation
):
    with pytest.raises(ProtocolMismatchError, match=r"sweep\.json and of .* extractor_sha256 is"):
        check_scoring(run, tiny_spec.evaluation, other(evaluation, extractor_sha256="0" * 64))


def test_trial_that_was_scored_in_another_way_is_named(run, tiny_spec, evaluation):
    write_trial(run, tiny_spec, "0" * 64)
    with pytest.raises(ProtocolMismatchError, match=r"trial 0000 at 0\.1 kimg and of .* 0000"):
        check_scoring(run, tiny_spec.evaluation, evaluation)


def test_spec_that_was_changed_since_names_the_field(run, tiny_spec, evaluation):
    wanted = tiny_spec.evaluation.model_copy(update={"num_images": 503})
    with pytest.raises(ProtocolMismatchError, match=r"evaluation\.num_images is 503, but .* 101"):
        check_scoring(run, wanted, evaluation)


def test_records_of_versions_that_kept_no_protocol_pass(run, tiny_spec, evaluation):
    write_trial(run, tiny_spec, None)
    run.write_sweep(run.read_sweep().model_copy(update={"scoring": None}))
    check_scoring(run, tiny_spec.evaluation, other(evaluation, extractor_sha256="0" * 64))
    check_scoring(run, tiny_spec.evaluation, evaluation.model_copy(update={"scoring": None}))
