"""A trial of a classifier and of a detector, without Ray, and the page that shows them."""

import pytest
import torch
from PIL import Image

from reports.build import build_report
from reports.records import TrialState
from reports.run_folder import RunFolder
from sweeps.folder import create_run
from sweeps.plan import measure_seconds_per_kimg
from sweeps.rerun import rerun_trial
from sweeps.spec import load_spec
from sweeps.spec_text import SpecError
from sweeps.task_evaluation import check_task_data, prepare_held_out
from sweeps.task_trial import run_task_trial
from sweeps.trial import TrialTask
from transgan.data import load_data
from transgan.data.scenes import digit_scenes

SMALL = {
    "digits-classify": ("evaluation.num_images=101",),
    "digit-scenes": (
        "data.image_size=32",
        "training.discriminator.windowed_depths=[]",
        "training.discriminator.window_size=null",
        "evaluation.num_images=7",
        "training.downstream.head_dim=32",
    ),
}
SHORT = (
    "training.total_kimg=0.128",
    "early_stopping.grace_kimg=0.064",
    "training.batch_size=16",
    "early_stopping.reduction_factor=2",
    "budget.trials=1",
)


def spec_of(name):
    return load_spec(name, SMALL[name] + SHORT)[1]


def data_of(spec):
    if spec.task == "detect":
        return digit_scenes(32, num_train=23, num_held_out=7)
    return load_data(spec.data)


def task_of(spec):
    settings = spec.baseline()
    return TrialTask(
        trial="0000",
        number=0,
        settings=settings,
        config=spec.trial_config(settings, seed=3),
        rungs=spec.rungs,
        objective=spec.evaluation.metrics[0],
        threads=1,
        device="cpu",
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "metrics", "heading"),
    [
        ("digits-classify", ("accuracy",), "Mistakes"),
        ("digit-scenes", ("map50", "map"), "Detections"),
    ],
)
def test_trial_is_scored_at_each_rung_and_shown(name, metrics, heading, tmp_path, describe):
    spec = spec_of(name)
    data = data_of(spec)
    run = create_run(tmp_path / "run", spec)
    evaluator = prepare_held_out(spec, data, run.evaluation, "cpu")
    folder = run.trial("0000")
    reports = list(run_task_trial(task_of(spec), data, evaluator, folder))
    assert [report.rung for report in reports if report.rung is not None] == [0, 1]
    assert reports[-1].state is TrialState.COMPLETED
    record = folder.read()
    assert [scores.kimg for scores in record.scores] == [0.064, 0.128]
    for scores in record.scores:
        assert tuple(m.name for m in scores.measurements) == metrics
        assert scores.measurements[0].num_images == spec.evaluation.num_images
        assert scores.measurements[0].low <= scores.measurements[0].value
        with Image.open(folder.path / scores.fakes_path) as picture:
            assert picture.width > 100
    assert record.cost.discriminator_parameters > 1000
    assert record.cost.generator_parameters == 0

    describe(run, spec, evaluator.record, name=name, data=data.description)
    comparison = build_report(run.path)
    assert comparison.best.trial == "0000"
    page = run.report.read_text(encoding="utf-8")
    assert f"<h2>{heading}</h2>" in page
    assert "From latent to latent" not in page
    assert "noise" not in page.split('id="leaderboard"')[0].split("</style>")[1]
    assert run.results.read_text(encoding="utf-8").startswith(f"trial,state,{metrics[0]},")
    assert "loss" in run.curves.read_text(encoding="utf-8").splitlines()[0].split(",")


@pytest.mark.slow
def test_interrupted_trial_goes_on_as_one_that_was_not(tmp_path, monkeypatch):
    spec = spec_of("digits-classify")
    data = data_of(spec)
    evaluator = prepare_held_out(spec, data, tmp_path / "evaluation", "cpu")
    whole, parted = (RunFolder(tmp_path / name).trial("0000") for name in ("whole", "parted"))
    for folder in (whole, parted):
        folder.path.parent.mkdir(parents=True)
    list(run_task_trial(task_of(spec), data, evaluator, whole))
    for report in run_task_trial(task_of(spec), data, evaluator, parted):
        if report.rung == 0:
            break
    list(run_task_trial(task_of(spec), data, evaluator, parted))
    assert parted.read().attempts == 2
    assert [s.measurements for s in parted.read().scores] == [
        s.measurements for s in whole.read().scores
    ]


@pytest.mark.slow
def test_rerun_has_the_same_losses(tmp_path):
    from rich.console import Console

    spec = spec_of("digits-classify")
    data = data_of(spec)
    run = create_run(tmp_path / "run", spec)
    evaluator = prepare_held_out(spec, data, run.evaluation, "cpu")
    list(run_task_trial(task_of(spec), data, evaluator, run.trial("0000")))
    assert rerun_trial(run.path, "0000", None, Console(quiet=True))


def test_pace_is_measured_of_the_task(monkeypatch):
    monkeypatch.setattr("sweeps.plan.CALIBRATION_SECONDS", 0.05)
    spec = spec_of("digits-classify")
    assert measure_seconds_per_kimg(spec.training, data_of(spec), 1, "cpu") > 0


def test_spec_is_the_same_once_it_is_written_and_read():
    from sweeps.spec import resolve
    from sweeps.spec_text import read_text

    for name in SMALL:
        spec = load_spec(name)[1]
        assert resolve(read_text("again", spec.to_yaml()), "again") == spec


@pytest.mark.parametrize(
    ("name", "override", "fault"),
    [
        ("digits-classify", "task=paint", "task: must be generate, classify, detect, got 'paint'"),
        ("digits-classify", "training.loss.name=hinge", "training.loss: has no effect on task"),
        ("digits-classify", "search.loss.phi={choice: [1, 2]}", "search.loss.phi: has no effect"),
        ("digits-classify", "evaluation.metrics=[fd]", "fd is of generated images"),
        ("digits-classify", "evaluation.metrics=[map]", "map is not of task classify"),
        ("digits-classify", "finalists={count: 1, seeds: 2}", "finalists: only for task generate"),
        ("digits-classify", "resources.memory_gb=3", "memory of task classify can't be predicted"),
        ("digits-classify", "training.downstream.task=detect", "task: 'detect' given, but task is"),
        ("digits", "evaluation.metrics=[accuracy]", "set task to classify"),
        ("digits", "search.downstream.shift={choice: [0, 0.1]}", "no effect on task generate"),
    ],
)
def test_what_the_task_does_not_have_is_refused(name, override, fault):
    with pytest.raises(SpecError, match=fault):
        load_spec(name, (override,))


def test_every_family_can_be_the_backbone():
    overrides = ("training.family=conv-attention",)
    assert load_spec("digits-classify", overrides)[1].training.family == "conv-attention"


def test_backbones_are_found_from_a_trials_own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    overrides = ("search.downstream.backbone={choice: [fresh, a/c.safetensors]}",)
    spec = load_spec("digits-classify", overrides)[1]
    expected = ("fresh", str(tmp_path / "a/c.safetensors"))
    assert spec.search["downstream.backbone"].choice == expected
    spec = load_spec("digits-classify", ("training.downstream.backbone=c.safetensors",))[1]
    assert spec.training.downstream.backbone == str(tmp_path / "c.safetensors")


def test_data_and_checkpoints_are_looked_at_before_any_trial(tmp_path):
    spec = load_spec("digits-classify")[1]
    data = load_data(spec.data)
    many = load_spec("digits-classify", ("evaluation.num_images=601",))[1]
    with pytest.raises(SpecError, match="num_images: 601, but digits has 600 held-out images"):
        check_task_data(many, data)
    absent = load_spec(
        "digits-classify", (f"search.downstream.backbone={{choice: [fresh, {tmp_path}/no.st]}}",)
    )[1]
    with pytest.raises(ValueError, match=r"no\.st: no such file"):
        check_task_data(absent, data)
    check_task_data(spec, data)


def test_predictions_do_not_depend_on_the_batch(tmp_path):
    from transgan.tasks.trainer import TaskTrainer, predict_classes

    spec = spec_of("digits-classify")
    data = data_of(spec)
    network = TaskTrainer(spec.training, data).network
    together = predict_classes(network, data.held_out_images[:131])
    apart = torch.cat([predict_classes(network, data.held_out_images[k : k + 1]) for k in range(3)])
    torch.testing.assert_close(apart, together[:3])
