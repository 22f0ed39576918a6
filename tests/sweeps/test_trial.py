import json
import shutil

import pytest
import torch

from evaluation.protocol import Score, Scores
from reports.records import FaultKind, TrialFault, TrialState
from reports.run_folder import TrialFolder
from sweeps import trial
from sweeps.objectives import costs_of
from sweeps.rung_scores import measurements
from sweeps.trial import run_trial
from sweeps.trial_faults import OvertakenError, RungMissedError
from transgan.sampling import NotFiniteError, seeded_images
from transgan.training.checkpoint import load_snapshot

OBJECTIVE = "fd_digits_classifier"
HUNG = TrialFault(
    kind=FaultKind.HUNG, message="no progress", kimg=0.03, outcome="retried", at=trial.now()
)


def remove_record(folder):
    folder.record.unlink()


def remove_folder(folder):
    shutil.rmtree(folder.path)


def losses(folder):
    return [(entry["kimg"], entry["d_loss"], entry["g_loss"]) for entry in folder.read_stats()]


@pytest.mark.slow
def test_trial_is_trained_scored_at_every_rung_and_recorded(task, data, evaluator, tmp_path):
    folder = TrialFolder(tmp_path / "0000")
    reports = list(run_trial(task, data, evaluator, folder))
    record = folder.read()
    assert reports[-1].state == record.state == TrialState.COMPLETED
    assert [report.rung for report in reports if report.rung is not None] == [0, 1]
    assert [scores.kimg for scores in record.scores] == [0.1, 0.3]
    assert reports[-1].value == record.scores[-1].measurement(OBJECTIVE).value
    assert record.scores[-1].measurement(OBJECTIVE).num_images == 101
    assert {scores.protocol_sha256 for scores in record.scores} == {evaluator.record.scoring.sha256}
    assert record.scores[-1].measurement(OBJECTIVE).standard_error > 0
    assert record.kimg == pytest.approx(0.304)
    assert record.attempts == 1
    assert (record.cost.flops_per_real_image,) == costs_of(("score", "flops"), task.config)
    assert record.cost.train_seconds > 0
    assert record.cost.score_seconds > 0
    assert record.cost.generator_parameters > 0
    for name in (
        "fakes000000.100.png",
        "fakes000000.300.png",
        record.checkpoint_path,
        record.snapshot_path,
    ):
        assert (folder.path / name).stat().st_size > 0
    generator, config = load_snapshot(folder.snapshot)
    assert config == task.config
    assert generator(torch.zeros(3, config.generator.latent_dim)).shape == (3, 1, 8, 8)


def test_record_keeps_all_that_a_score_knows_of_its_uncertainty():
    score = Score(
        name=OBJECTIVE,
        value=4.0,
        standard_error=0.5,
        low=2.5,
        high=4.5,
        floor=0.5,
        num_generated=101,
        num_reference=53,
    )
    scores = Scores(extractor="a", extractor_sha256="0" * 64, scores=(score,), seconds=0.1)
    (kept,) = measurements(scores)
    fields = ("name", "value", "standard_error", "low", "high", "floor")
    assert [getattr(kept, field) for field in fields] == [getattr(score, field) for field in fields]
    assert kept.num_images == 101


@pytest.mark.slow
def test_same_task_gives_the_same_losses_and_scores(task, data, evaluator, tmp_path):
    one, two = TrialFolder(tmp_path / "one"), TrialFolder(tmp_path / "two")
    for folder in (one, two):
        list(run_trial(task, data, evaluator, folder))
    assert losses(one) == losses(two)
    assert one.read().scores == two.read().scores


@pytest.mark.slow
def test_slow_disk_makes_checkpoints_between_rungs_rare(
    task, data, evaluator, tmp_path, monkeypatch
):
    monkeypatch.setattr(trial, "TICK_KIMG", 0.032)
    monkeypatch.setattr(trial, "CHECKPOINT_SECONDS", 0.0)

    def saved_at(share):
        monkeypatch.setattr(trial, "SAVING_SHARE", share)
        folder, found = TrialFolder(tmp_path / str(share)), []
        for report in run_trial(task, data, evaluator, folder):
            found.append(folder.read().checkpoint_kimg == report.kimg)
        return found

    often, seldom = saved_at(1e9), saved_at(1e-9)
    assert len(often) == len(seldom) >= 9
    assert all(often[1:])
    assert 3 <= sum(seldom) <= 5  # the first, of which it is not yet known, and at the two rungs
    assert seldom[-1]


@pytest.mark.slow
@pytest.mark.parametrize("reports_before_death", [2, 3, 4, 5])
def test_trial_resumed_after_death_ends_as_if_it_had_lived(
    task, data, evaluator, tmp_path, reports_before_death
):
    whole, broken = TrialFolder(tmp_path / "whole"), TrialFolder(tmp_path / "broken")
    list(run_trial(task, data, evaluator, whole))
    attempt = run_trial(task, data, evaluator, broken)
    for _ in range(reports_before_death):
        next(attempt)
    attempt.close()
    reports = list(run_trial(task, data, evaluator, broken))
    assert reports[-1].state == TrialState.COMPLETED
    assert broken.read().scores == whole.read().scores
    assert losses(broken) == losses(whole)
    assert broken.read().attempts == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "said",
    [
        {"state": TrialState.INTERRUPTED},
        {"state": TrialState.STOPPED_EARLY},
        {"attempts": 2},
        {"faults": (HUNG,)},
    ],
    ids=["interrupted", "stopped", "begun anew", "given up"],
)
def test_attempt_that_others_have_ended_writes_nothing_over_their_words(
    task, data, evaluator, tmp_path, monkeypatch, said
):
    """As one whose process was stopped, and wakes after its driver has gone."""
    monkeypatch.setattr(trial, "TICK_KIMG", 0.032)
    folder = TrialFolder(tmp_path / "0000")
    attempt = run_trial(task, data, evaluator, folder)
    next(attempt)
    next(attempt)
    folder.write(folder.read().model_copy(update=said))
    before = folder.read()
    with pytest.raises(OvertakenError, match="this attempt writes nothing more"):
        list(attempt)
    assert folder.read() == before
    assert len(losses(folder)) == 1
    assert not folder.checkpoint.exists()


@pytest.mark.slow
def test_late_word_of_an_earlier_attempt_ends_no_newer_one(task, data, evaluator, tmp_path):
    folder = TrialFolder(tmp_path / "0000")
    attempt = run_trial(task, data, evaluator, folder)
    next(attempt)
    earlier = folder.read()
    attempt.close()
    again = run_trial(task, data, evaluator, folder)
    next(again)
    folder.write(earlier)
    assert list(again)[-1].state is folder.read().state is TrialState.COMPLETED
    assert folder.read().attempts == 2


@pytest.mark.slow
def test_record_that_is_removed_from_an_attempt_at_work_is_written_again(
    task, data, evaluator, tmp_path
):
    folder = TrialFolder(tmp_path / "0000")
    attempt = run_trial(task, data, evaluator, folder)
    next(attempt)
    folder.record.unlink()
    assert list(attempt)[-1].state is folder.read().state is TrialState.COMPLETED


def behind_rung(*given):
    """An attempt that has trained on since its last checkpoint."""
    attempt = run_trial(*given)
    while next(attempt).rung != 0:
        pass
    next(attempt)
    return attempt


@pytest.mark.slow
def test_attempt_that_is_stopped_for_good_saves_nothing_more(task, data, evaluator, tmp_path):
    folder = TrialFolder(tmp_path / "0000")
    attempt = behind_rung(task, data, evaluator, folder)
    trial.end_trial(folder, TrialState.STOPPED_EARLY)
    before, saved = folder.read(), folder.checkpoint.stat()
    attempt.close()
    assert folder.read() == before
    assert folder.checkpoint.stat() == saved


@pytest.mark.slow
def test_attempt_that_has_ended_itself_saves_nothing_more(task, data, evaluator, tmp_path):
    """All rungs were scored when it died, and then its checkpoints were lost."""
    folder = TrialFolder(tmp_path / "0000")
    list(run_trial(task, data, evaluator, folder))
    folder.write(folder.read().model_copy(update={"state": TrialState.RUNNING}))
    for path in folder.path.glob("checkpoint*"):
        path.unlink()
    attempt = run_trial(task, data, evaluator, folder)
    while not next(attempt).state.is_final:
        pass
    attempt.close()
    assert folder.read().state is TrialState.COMPLETED
    assert not folder.checkpoint.exists()


@pytest.mark.slow
@pytest.mark.parametrize("remove", [remove_record, remove_folder])
def test_interrupted_attempt_whose_record_was_removed_brings_nothing_back(
    task, data, evaluator, tmp_path, remove
):
    folder = TrialFolder(tmp_path / "0000")
    attempt = behind_rung(task, data, evaluator, folder)
    remove(folder)
    attempt.close()
    assert not folder.record.exists()


@pytest.mark.slow
def test_attempt_that_others_end_while_it_is_scored_adds_no_score(task, data, evaluator, tmp_path):
    folder = TrialFolder(tmp_path / "0000")

    def score(*args):
        scores = trial.score_here(*args)
        trial.end_trial(folder, TrialState.INTERRUPTED)
        return scores

    with pytest.raises(OvertakenError, match="the trial is interrupted at attempt 1"):
        list(run_trial(task, data, evaluator, folder, score))
    assert folder.read().state is TrialState.INTERRUPTED
    assert folder.read().scores == ()
    again = list(run_trial(task, data, evaluator, folder))
    assert [report.rung for report in again if report.rung is not None] == [0, 1]


@pytest.mark.slow
def test_rung_whose_score_was_not_yet_judged_is_reported_again(task, data, evaluator, tmp_path):
    folder = TrialFolder(tmp_path / "0000")
    attempt = run_trial(task, data, evaluator, folder)
    for report in attempt:
        if report.rung == 0:
            break
    attempt.close()
    again = [report.rung for report in run_trial(task, data, evaluator, folder)]
    assert [rung for rung in again if rung is not None] == [0, 1]


@pytest.mark.slow
def test_rung_that_the_checkpoint_is_past_is_not_scored_from_it(task, data, evaluator, tmp_path):
    folder = TrialFolder(tmp_path / "0000")
    list(run_trial(task, data, evaluator, folder))
    scores = folder.read().scores
    folder.write(folder.read().model_copy(update={"scores": scores[1:]}))
    attempt = run_trial(task, data, evaluator, folder)
    missed = rf"past the rung of {task.rungs[0]:g} kimg of which record.json has no score"
    with pytest.raises(RungMissedError, match=missed):
        list(attempt)
    assert folder.read().scores == scores[1:]


@pytest.mark.slow
def test_diverged_trial_says_so_with_its_kimg(task, data, evaluator, tmp_path):
    wild = task.config.model_dump()
    wild["optimizer"] |= {"generator_lr": 1e30, "discriminator_lr": 1e30, "gradient_clip": None}
    task = task.model_copy(update={"config": type(task.config).model_validate(wild)})
    folder = TrialFolder(tmp_path / "0000")
    reports = list(run_trial(task, data, evaluator, folder))
    record = folder.read()
    assert reports[-1].state == record.state == TrialState.DIVERGED
    assert "after 0.112 kimg" in record.cause
    assert record.ended_at is not None


@pytest.mark.slow
def test_generator_whose_images_are_not_numbers_has_diverged(task, data, evaluator, tmp_path):
    def score(evaluator, generate, snapshot):
        raise NotFiniteError("3 of 64 generated images are not numbers, the first is image 17")

    folder = TrialFolder(tmp_path / "0000")
    reports = list(run_trial(task, data, evaluator, folder, score))
    assert reports[-1].state == folder.read().state == TrialState.DIVERGED
    assert folder.read().cause == "3 of 64 generated images are not numbers, the first is image 17"
    assert folder.read().scores == ()


@pytest.mark.slow
def test_score_is_that_of_the_snapshot_beside_it(task, data, evaluator, tmp_path):
    folder = TrialFolder(tmp_path / "0000")
    list(run_trial(task, data, evaluator, folder))
    generator, _ = load_snapshot(folder.snapshot)
    again = evaluator.score_generator(seeded_images(generator, evaluator.protocol.seed))
    assert measurements(again) == folder.read().scores[-1].measurements


def test_memory_kept_for_training_is_handed_back_before_each_score(
    task, data, evaluator, tmp_path, monkeypatch
):
    done = []
    monkeypatch.setattr(trial, "hand_back_freed_memory", lambda: done.append("handed back"))

    def score(*args):
        done.append("scored")
        return trial.score_here(*args)

    list(run_trial(task, data, evaluator, TrialFolder(tmp_path / "0001"), score))
    assert done == ["handed back", "scored"] * len(task.rungs)


def test_trial_out_of_memory_says_so(task, data, evaluator, tmp_path, monkeypatch):
    def greedy(*_):
        raise torch.OutOfMemoryError("tried to allocate 2.00 TiB\nmore about it")

    monkeypatch.setattr("transgan.training.trainer.Trainer._step", greedy)
    folder = TrialFolder(tmp_path / "0000")
    assert list(run_trial(task, data, evaluator, folder))[-1].state == TrialState.OUT_OF_MEMORY
    assert folder.read().cause == "OutOfMemoryError: tried to allocate 2.00 TiB"


@pytest.mark.slow
def test_half_written_last_line_of_stats_is_left_out(task, data, evaluator, tmp_path):
    folder = TrialFolder(tmp_path / "0000")
    list(run_trial(task, data, evaluator, folder))
    before = losses(folder)
    text = folder.stats.read_text(encoding="utf-8")
    assert json.loads(text.splitlines()[-1])["kimg"] == before[-1][0]
    folder.stats.write_text(text[:-9], encoding="utf-8")
    assert losses(folder) == before[:-1]


@pytest.mark.slow
def test_finding_is_written_at_its_tick_and_kept_on_record_once(task, data, evaluator, tmp_path):
    """A generator that does not move, and a discriminator that nothing holds back."""
    values = task.config.model_dump()
    values["optimizer"] |= {"generator_lr": 1e-12, "discriminator_lr": 3e-3}
    values["loss"] |= {"name": "hinge", "penalty": "none"}
    values |= {"total_kimg": 5.0, "batch_size": 50, "augment": []}
    config = type(task.config).model_validate(values)
    task = task.model_copy(update={"config": config, "rungs": (4.0, 5.0)})
    folder = TrialFolder(tmp_path / "0000")
    attempt = run_trial(task, data, evaluator, folder)
    for report in attempt:
        if report.rung == 0:
            break
    attempt.close()
    (finding,) = folder.read().findings
    assert (finding.name, finding.kimg) == ("discriminator-saturation", 3.0)
    assert "discriminator saturation at 3.000 kimg" in finding.message
    list(run_trial(task, data, evaluator, folder))
    assert folder.read().findings == (finding,)
    assert [entry.get("findings") for entry in folder.read_stats()] == [
        None,
        None,
        ["discriminator-saturation"],
        ["discriminator-saturation"],
        ["discriminator-saturation"],
    ]
