import pytest

from sweeps.plan import concurrent_trials, first_configs, make_plan, measure_seconds_per_kimg
from sweeps.resources import Node
from sweeps.spec import load_spec
from sweeps.spec_text import SpecError


def spec_with(*overrides):
    return load_spec("digits", overrides)[1]


def test_plan_counts_distinct_networks_and_their_sizes():
    plan = make_plan(
        spec_with(
            "search={generator.depths: {choice: [[1, 1], [3, 2]]}, "
            "optimizer.generator_lr: {uniform: [1.0e-4, 1.0e-3]}}"
        ),
        2,
    )
    assert plan.num_networks == 2
    assert plan.smallest.generator_parameters < plan.largest.generator_parameters


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cpus", "gpus", "overrides", "expected"),
    [
        (8, 0, (), 8),
        (8, 0, ("resources.cpus_per_trial=3",), 2),
        (8, 0, ("budget.concurrent_trials=2",), 2),
        (64, 0, ("budget.trials=5",), 5),
        (64, 4, ("resources.gpus_per_trial=0.5", "budget.trials=50"), 8),
        (64, 4, ("resources.gpus_per_trial=0.4", "budget.trials=50"), 8),
        (64, 5, ("resources.gpus_per_trial=2", "budget.trials=50"), 2),
        (8, 0, ("resources.scoring_workers=3",), 2),
        (64, 4, ("resources={gpus_per_trial: 0.5, scoring_workers: 2}", "budget.trials=50"), 4),
    ],
)
def test_trials_at_once_follow_from_resources_and_budget(cpus, gpus, overrides, expected):
    assert concurrent_trials(spec_with(*overrides), [Node("here", cpus, gpus)]) == expected


def test_impossible_resources_are_refused_with_both_numbers():
    with pytest.raises(SpecError, match="5 wanted, but there are 2 CPUs; give at most 2, or"):
        concurrent_trials(spec_with("resources.cpus_per_trial=5"), [Node("here", 2, 0)])
    with pytest.raises(SpecError, match=r"gpus_per_trial: 1 wanted, but there are 0 .*set it to 0"):
        concurrent_trials(spec_with("resources.gpus_per_trial=1"), [Node("here", 2, 0)])
    with pytest.raises(SpecError, match=r"4 wanted, but there are 3 GPUs; give at most 3, or 0 to"):
        concurrent_trials(spec_with("resources.gpus_per_trial=4"), [Node("here", 9, 3)])


def test_more_scoring_workers_than_there_are_resources_for_are_refused():
    with pytest.raises(SpecError, match=r"scoring_workers: 3 wanted, .* 2 CPUs and 0 GPUs; lower"):
        concurrent_trials(spec_with("resources.scoring_workers=3"), [Node("here", 2, 0)])


def test_first_configs_are_the_trials_that_will_run_first():
    spec = spec_with()
    configs = first_configs(spec, 3)
    assert configs[0].generator == spec.training.generator
    assert len({config.seed for config in configs}) == 3


@pytest.mark.slow
def test_measured_pace_is_a_time(tiny_spec, data, monkeypatch):
    monkeypatch.setattr("sweeps.plan.CALIBRATION_SECONDS", 0.1)
    assert 0.01 < measure_seconds_per_kimg(tiny_spec.training, data, 1, "cpu") < 1000


@pytest.mark.slow
def test_plan_counts_finalist_runs_and_there_are_none_without_finalists():
    assert make_plan(spec_with("finalists={count: 3, seeds: 4}"), 2).most_finalist_runs == 12
    assert make_plan(spec_with(), 2).most_finalist_runs == 0
