import re

import pytest

from sweeps import sampler_check
from sweeps.folder import RunFolderError, create_run, extend, restore_spec
from sweeps.sampler_check import sampler_notes
from sweeps.spec import load_spec
from sweeps.spec_text import SpecError

NUMBERS = (
    "search={optimizer.generator_lr: {loguniform: [1.0e-4, 1.0e-2]}, "
    "optimizer.discriminator_lr: {loguniform: [1.0e-4, 1.0e-2]}}"
)
HEADS = "search={generator.num_heads: {choice: [2, 3, 4]}, batch_size: {choice: [16, 32]}}"
TEN = "sampler.startup_trials=10"
CONDITIONAL = (
    "search={loss.name: {choice: [nonsaturating, rpgan]}, "
    "loss.gradient_penalty: {loguniform: [0.1, 100], when: {loss.name: [rpgan]}}, "
    "optimizer.generator_lr: {loguniform: [1.0e-4, 1.0e-2]}, "
    "optimizer.discriminator_lr: {loguniform: [1.0e-4, 1.0e-2]}}"
)


def spec_with(name, *overrides):
    return load_spec("digits", (f"sampler={{name: {name}}}", *overrides))[1]


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        (
            "grid",
            (NUMBERS,),
            r"search\.optimizer\.generator_lr: a grid needs to know how many values of loguniform "
            r".*; add points, such as points: 5$",
        ),
        (
            "grid",
            (HEADS, "budget.trials=5"),
            r"budget\.trials: 5 given, but the grid has 4 combinations that can be built; set it",
        ),
        (
            "grid",
            ("search={optimizer.beta1: {uniform: [0, 0.9], points: 1000}, optimizer.beta2: "
             "{uniform: [0.1, 0.9], points: 1000}}",),
            r"sampler\.name: the grid has 1,000,000 combinations, more than 100,000; take fewer",
        ),
        (
            "tpe",
            ("search={optimizer.beta1: {uniform: [0, 0.9], points: 3}}",),
            r"search\.optimizer\.beta1\.points: 3 has no effect on sampler tpe; leave it out",
        ),
        (
            "grid",
            ("search={loss.name: {choice: [hinge, rpgan], points: 2}}",),
            r"search\.loss\.name: points has no effect on choice",
        ),
        (
            "cmaes",
            ("search={optimizer.beta1: {uniform: [0, 0.9]}, loss.name: {choice: [hinge, rpgan]}}",),
            r"sampler\.name: cmaes needs 2 or more numeric domains .*and search has 1; take tpe",
        ),
        ("nsga2", (NUMBERS,), r"early_stopping\.name: asha stops by the score alone.*to none"),
        ("nsga", (NUMBERS,), r"sampler\.name: must be one of .*; did you mean nsga2\?"),
    ],
)  # fmt: skip
def test_sampler_that_cannot_search_the_space_is_refused(name, overrides, message):
    pytest.importorskip("cmaes")
    with pytest.raises(SpecError) as caught:
        spec_with(name, *overrides)
    assert re.search(message, str(caught.value))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        ("{name: tpe, objectives: [score, flops]}", "objectives has no effect on sampler tpe"),
        ("{name: random, population_size: 7}", "population_size has no effect on sampler random"),
        ("{name: nsga2, objectives: [flops, score]}", "objectives are score first"),
        ("{name: nsga2, objectives: [score, flops, flops]}", "each once, got [score, flops, flops"),
        ("{name: nsga2, objectives: [score]}", "sampler.objectives: must be a list of 2 or more"),
        ("{name: nsga2, objectives: [score, train_seconds]}", "sampler.objectives.1: must be one"),
        ("{name: tpe, warm_start: [runs/earlier]}", "sampler.warm_start: must be text"),
    ],
)
def test_option_without_an_effect_is_refused(sampler, message):
    with pytest.raises(SpecError) as caught:
        load_spec("digits", (f"sampler={sampler}", "early_stopping.name=none"))
    assert message in str(caught.value)


def test_missing_package_is_named_with_the_way_to_install_it(monkeypatch):
    monkeypatch.setattr(sampler_check, "find_spec", lambda name: None)
    with pytest.raises(SpecError, match=r"cmaes, which is not installed; install it \(pip"):
        spec_with("cmaes", NUMBERS)


@pytest.mark.parametrize(
    ("name", "overrides", "notes"),
    [
        ("random", (CONDITIONAL,), []),
        ("tpe", (NUMBERS, "budget.trials=8", TEN), ["tpe: all 8 trials .* learns from 10 first"]),
        ("tpe", (NUMBERS, "budget.trials=11", TEN), ["tpe: all 11 trials are drawn at random"]),
        ("tpe", (NUMBERS, "budget.trials=12", TEN), []),
        ("tpe", (NUMBERS, "budget.trials=1", TEN), []),
        ("gp", (NUMBERS, "budget={trials: 12, concurrent_trials: 2}", TEN), ["gp: all 12 trials"]),
        ("gp", (NUMBERS, "budget={trials: 13, concurrent_trials: 2}", TEN), []),
        (
            "tpe",
            (CONDITIONAL, "budget.trials=12"),
            ["tpe looks at those together .*: loss.gradient_penalty$"],
        ),
        (
            "gp",
            (CONDITIONAL, "budget.trials=12"),
            ["gp does not learn about .*: loss.gradient_penalty at random$"],
        ),
        ("cmaes", (CONDITIONAL,), ["cmaes learns .*: loss.name, loss.gradient_penalty at random$"]),
        ("cmaes", (NUMBERS,), []),
        ("grid", (HEADS, "budget.trials=4"), ["grid: 4 of 6 combinations, in an order shuffled"]),
        (
            "nsga2",
            (NUMBERS, "early_stopping.name=none", "budget.trials=8"),
            ["trades off score, flops, 12 trials a", "8 trials are no more than the first"],
        ),
    ],
)
def test_what_a_sampler_does_with_the_space_is_said_in_the_plan(name, overrides, notes):
    pytest.importorskip("cmaes")
    said = sampler_notes(spec_with(name, *overrides), concurrent=None)
    assert len(said) == len(notes)
    assert all(re.search(note, line) for note, line in zip(notes, said, strict=True))


def test_trials_at_once_are_counted_that_the_machine_allows_where_the_spec_names_none():
    spec = spec_with("tpe", NUMBERS, "budget.trials=12", TEN)
    assert sampler_notes(spec, concurrent=1) == ()
    (note,) = sampler_notes(spec, concurrent=2)
    assert note.startswith("tpe: all 12 trials are drawn at random")
    assert note.endswith("learns from 10 first (sampler.startup_trials), and 2 are at work at once")
    spec = spec_with("tpe", NUMBERS, "budget={trials: 12, concurrent_trials: 1}", TEN)
    assert sampler_notes(spec, concurrent=2) == ()


def test_sweep_is_not_made_longer_than_its_grid(tmp_path):
    spec = spec_with("grid", HEADS, "budget.trials=3")
    run = create_run(tmp_path / "mine", spec)
    assert extend(run, spec, 4).budget.trials == 4
    with pytest.raises(RunFolderError, match=r"--trials 5: budget\.trials: 5 given, but the grid"):
        extend(run, spec, 5)
    assert restore_spec(run).budget.trials == 4
