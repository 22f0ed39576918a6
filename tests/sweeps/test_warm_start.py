import math
import shutil
import statistics

import pytest

from evaluation.protocol import ProtocolMismatchError
from reports.records import Measurement, RungScores, TrialState
from reports.run_folder import RecordError, RunFolder
from reports.warm_start import LeftOut
from sweeps.ledger import Ledger
from sweeps.spec import SpecError, load_spec
from sweeps.trial import TrialReport, TrialTask, end_trial, new_record
from sweeps.warm_start import check_prior_scoring, keep, prior_of, take_over

OBJECTIVE = "fd_digits_classifier"
SPACE = (
    "search={optimizer.generator_lr: {loguniform: [1.0e-4, 1.0e-2]}, "
    "loss.name: {choice: [rpgan, hinge]}}"
)
TINY = (
    "training.total_kimg=0.9",
    "training.batch_size=16",
    "early_stopping.grace_kimg=0.1",
    "evaluation.num_images=101",
    "evaluation.kd_subsets=3",
    "sampler={name: tpe, seed: 3, startup_trials: 5}",
    "budget.trials=6",
)


def spec_with(*overrides, space=SPACE):
    return load_spec("digits", (*TINY, space, *overrides))[1]


def score_of(settings):
    return abs(math.log10(settings["optimizer.generator_lr"]) + 3)


def add_trial(run, spec, number, settings, value, *, state=TrialState.COMPLETED, scoring=None):
    """A trial of an earlier sweep, as it stands on disk when it has ended."""
    task = TrialTask(
        trial=f"{number:04d}",
        number=number,
        settings=settings,
        config=spec.trial_config(settings, seed=number),
        rungs=spec.rungs,
        objective=OBJECTIVE,
        threads=1,
        device="cpu",
    )
    folder = run.trial(task.trial)
    folder.path.mkdir(parents=True)
    scores = ()
    if value is not None:
        taken = Measurement(name=OBJECTIVE, value=value, standard_error=0.1, num_images=101)
        scores = (
            RungScores(
                kimg=spec.rungs[0],
                measurements=(taken,),
                fakes_path="fakes.png",
                protocol_sha256=scoring,
            ),
        )
    folder.write(new_record(task).model_copy(update={"scores": scores, "state": state}))


@pytest.fixture(autouse=True)
def quick(one_cost_a_network):
    """Nothing here hangs on what networks cost."""


@pytest.fixture
def earlier(tmp_path, evaluator, describe):
    """An earlier sweep of nine finished trials over the same space."""
    run, spec = RunFolder(tmp_path / "earlier"), spec_with()
    run.trials.mkdir(parents=True)
    run.spec.write_text(spec.to_yaml(), encoding="utf-8")
    describe(run, spec, evaluator.record)
    for number in range(9):
        settings = {
            "optimizer.generator_lr": float(f"{10 ** (-4 + number / 4):.4g}"),
            "loss.name": ("rpgan", "hinge")[number % 2],
        }
        add_trial(run, spec, number, settings, score_of(settings), scoring=scoring_of(evaluator))
    return run


def scoring_of(evaluator):
    return evaluator.record.scoring.sha256


def warm(earlier, *overrides, space=SPACE):
    return spec_with(f"sampler.warm_start={earlier.path}", *overrides, space=space)


def new_run(tmp_path, spec, name="new"):
    run = RunFolder(tmp_path / name)
    run.trials.mkdir(parents=True)
    keep(run, take_over(spec))
    return run


def open_ledger(spec, run):
    return Ledger(spec, run, objective=OBJECTIVE, concurrent=1, device="cpu")


def train_all(spec, run, *, reopen=False):
    """All settings of a sweep, whose ledger is opened anew before each trial on demand."""
    ledger = open_ledger(spec, run)
    while True:
        if reopen:
            ledger = open_ledger(spec, run)
        try:
            task = ledger.next_task()
        except StopIteration:
            return [record.settings for record in ledger.records.values()]
        folder, value = run.trial(task.trial), score_of(task.settings)
        taken = Measurement(name=OBJECTIVE, value=value, num_images=101)
        scores = RungScores(kimg=0.1, measurements=(taken,), fakes_path="fakes.png")
        folder.write(folder.read().model_copy(update={"scores": (scores,), "kimg": 0.1}))
        end_trial(folder, TrialState.COMPLETED)
        ledger.hear(task.trial, TrialReport(0.1, TrialState.COMPLETED, rung=0, value=value))


def test_finished_trials_are_taken_over_with_their_scores_at_the_first_rung(earlier):
    taken = take_over(warm(earlier))
    assert len(taken.trials) == 9
    assert taken.left_out == ()
    assert (taken.source, taken.objective, taken.kimg) == ("earlier", OBJECTIVE, 0.1)
    for trial in taken.trials:
        assert trial.value == score_of(trial.settings)
    assert taken.sentence == "9 trials of earlier, scored at 0.1 kimg"


def test_nothing_is_taken_over_where_none_is_asked_for(tmp_path):
    assert take_over(spec_with()) is None
    assert prior_of(spec_with(), RunFolder(tmp_path)) is None


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_sweep_that_knows_an_earlier_one_starts_where_that_was_good(sampler, earlier, tmp_path):
    def distance(seed, *, knows):
        more = (f"sampler.name={sampler}", f"sampler.seed={seed}")
        spec = warm(earlier, *more) if knows else spec_with(*more)
        run = new_run(tmp_path, spec, f"{seed}-{knows}")
        return statistics.fmean(map(score_of, train_all(spec, run)[1:]))  # after the baseline

    seeds = range(3)
    cold = statistics.fmean(distance(seed, knows=False) for seed in seeds)
    assert statistics.fmean(distance(seed, knows=True) for seed in seeds) < 0.7 * cold


def test_earlier_trials_are_no_trials_of_the_sweep(earlier, tmp_path):
    spec = warm(earlier)
    run = new_run(tmp_path, spec)
    ledger = open_ledger(spec, run)
    assert ledger.num_left == 6
    assert ledger.records == {}
    assert ledger._study.study.trials == []
    assert ledger.next_task().settings == spec.baseline()


@pytest.mark.slow
def test_resumed_sweep_proposes_the_same_though_the_earlier_folder_is_gone(earlier, tmp_path):
    spec = warm(earlier)
    whole, broken = (new_run(tmp_path, spec, name) for name in ("whole", "broken"))
    expected = train_all(spec, whole)
    shutil.rmtree(earlier.path)
    assert train_all(spec, broken, reopen=True) == expected
    assert expected != train_all(spec_with(), new_run(tmp_path, spec_with(), "cold"))


def test_sweep_whose_copy_of_earlier_trials_is_gone_is_not_resumed(earlier, tmp_path):
    spec = warm(earlier)
    run = new_run(tmp_path, spec)
    run.warm_start.unlink()
    with pytest.raises(RecordError, match=r"started with sampler\.warm_start.*put the file back"):
        open_ledger(spec, run)


def test_trials_that_do_not_compare_are_left_out_with_the_reason(earlier, evaluator):
    there = spec_with()
    sha = scoring_of(evaluator)
    other = spec_with("training.ema.half_life_kimg=3")
    inside = {"optimizer.generator_lr": 2e-3, "loss.name": "hinge"}
    add_trial(earlier, there, 9, inside | {"optimizer.generator_lr": 0.05}, 1.0, scoring=sha)
    add_trial(earlier, other, 10, inside, 1.0, scoring=sha)
    add_trial(earlier, there, 11, inside, 1.0, scoring="0" * 64)
    add_trial(earlier, there, 12, inside, None, state=TrialState.FAILED)
    add_trial(earlier, there, 13, inside, 1.0, state=TrialState.INTERRUPTED, scoring=sha)
    add_trial(earlier, there, 14, inside, None, state=TrialState.DIVERGED)
    add_trial(earlier, there, 15, inside, None, state=TrialState.COLLAPSED)
    taken = take_over(warm(earlier))
    assert [(each.trial, each.value) for each in taken.trials[9:]] == [
        ("0014", None),
        ("0015", None),
    ]
    half_life = there.training.ema.half_life_kimg
    assert taken.left_out == (
        LeftOut(
            reason="optimizer.generator_lr is outside of this search: 0.05 is not in loguniform "
            "[0.0001, 0.01]",
            trials=("0009",),
        ),
        LeftOut(
            reason=f"training.ema.half_life_kimg is 3 there, and {half_life:g} here",
            trials=("0010",),
        ),
        LeftOut(reason="scored in another way than its sweep says", trials=("0011",)),
        LeftOut(reason="failed before it was scored at 0.1 kimg", trials=("0012",)),
        LeftOut(reason="interrupted, not finished", trials=("0013",)),
    )
    assert taken.sentence.endswith("; 5 left out")


def test_setting_that_was_fixed_before_and_is_searched_now_is_learnt_from(earlier):
    wider = SPACE[:-1] + ", optimizer.discriminator_lr: {loguniform: [1.0e-4, 1.0e-2]}}"
    taken = take_over(warm(earlier, space=wider))
    fixed = spec_with().training.optimizer.discriminator_lr
    assert {trial.settings["optimizer.discriminator_lr"] for trial in taken.trials} == {fixed}


def test_sweep_of_another_length_is_learnt_from_unless_the_rate_falls_over_it(earlier):
    longer = ("training.total_kimg=2.7",)
    assert len(take_over(warm(earlier, *longer)).trials) == 9
    with pytest.raises(SpecError, match=r"final_lr_factor is 1 there, and 0 here"):
        take_over(warm(earlier, *longer, "training.optimizer.final_lr_factor=0"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("evaluation.num_images=103", r"evaluation\.num_images is 101 in .*, and 103 here"),
        ("evaluation.seed=5", r"evaluation\.seed is 0 in .*set evaluation\.seed to 0"),
        ("evaluation.metrics=[kd, fd]", r"ranked its trials by fd_digits_classifier.*by kd_digits"),
        ("early_stopping.grace_kimg=0.2", r"scored at 0\.1, 0\.3, 0\.9 kimg.*first rung, 0\.2"),
        ("training.batch_size=8", r"no trial of .* taken over: training\.batch_size is 16 there"),
    ],
)
def test_earlier_sweep_that_does_not_compare_is_refused(earlier, override, message):
    with pytest.raises(SpecError, match=rf"^sampler\.warm_start: .*{message}"):
        take_over(warm(earlier, override))


def test_earlier_sweep_on_other_images_is_refused(earlier):
    text = earlier.spec.read_text(encoding="utf-8")
    earlier.spec.write_text(text.replace("name: digits", "name: photos"), encoding="utf-8")
    with pytest.raises(SpecError, match=r"data\.image_size is 32 in .* and 8 here"):
        take_over(warm(earlier))


def test_folder_without_a_sweep_is_refused(tmp_path):
    spec = spec_with(f"sampler.warm_start={tmp_path / 'none'}")
    with pytest.raises(SpecError, match=r"sampler\.warm_start: .*none: not a sweep's run folder"):
        take_over(spec)


@pytest.mark.parametrize("field", ["extractor_sha256", "reference_sha256", "kd_subsets"])
def test_scores_of_another_protocol_are_refused_before_the_first_trial(field, earlier, evaluator):
    taken = take_over(warm(earlier))
    check_prior_scoring(taken, evaluator.record)
    other = evaluator.record.scoring.model_copy(
        update={field: 7 if field == "kd_subsets" else "other"}
    )
    record = evaluator.record.model_copy(update={"scoring": other})
    with pytest.raises(ProtocolMismatchError, match=rf"earlier \(sampler.warm_start\).*{field}"):
        check_prior_scoring(taken, record)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("random", "does not learn from scores"),
        ("grid", "does not learn from scores"),
        ("cmaes", "goes from generation to generation"),
        ("nsga2", "goes from generation to generation"),
    ],
)
def test_sampler_that_can_not_learn_from_earlier_trials_is_refused(name, reason):
    with pytest.raises(SpecError, match=rf"sampler: warm_start has no effect.*{reason}.*tpe or gp"):
        spec_with(f"sampler={{name: {name}, warm_start: runs/earlier}}")
