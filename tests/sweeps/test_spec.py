import re

import pytest
import yaml

from sweeps.space_check import judge_corners
from sweeps.spec import load_spec, resolve, shipped_specs
from sweeps.spec_text import SpecError


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("? [1, 2]\n: 3\n", "not YAML"),
        ("budget: {trials: 2020-13-45}\n", "not YAML: month must be in 1..12"),
        ("budget: {trials: " + "9" * 5000 + "}\n", "not YAML: Exceeds the limit"),
    ],
    ids=["list for a key", "no such date", "too many digits"],
)
def test_yaml_that_python_refuses_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "sweep.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match=message):
        load_spec(str(path))


@pytest.mark.parametrize("value", ["2020-13-45", "9" * 5000, "[" * 3000, "{a: 1, a: 2}"])
def test_value_that_is_no_yaml_is_refused_by_its_path(value):
    with pytest.raises(SpecError, match=r"--set budget\.trials: .* is not YAML"):
        load_spec("digits", (f"budget.trials={value}",))


def write(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def refusal(spec, *overrides):
    with pytest.raises(SpecError) as caught:
        load_spec(spec, overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", shipped_specs())
def test_shipped_spec_loads(name):
    loaded, spec = load_spec(name)
    assert loaded == name
    assert spec.budget.trials >= 8


def test_resolved_spec_means_the_same_when_read_again():
    spec = load_spec("digits", ("budget.trials=5", "search.loss.name={choice: [hinge, rpgan]}"))[1]
    assert resolve(yaml.safe_load(spec.to_yaml()), "again") == spec


def test_file_is_named_after_itself(tmp_path):
    text = load_spec("digits")[1].to_yaml()
    assert load_spec(write(tmp_path, text))[0] == "mine"


def test_size_and_channels_follow_from_the_data(tmp_path):
    overrides = ("data.name=pictures", "data.image_size=8")
    spec = load_spec("digits", overrides)[1]
    assert (spec.training.image_size, spec.training.image_channels) == (8, 3)


def test_missing_file_is_named_with_the_shipped_specs():
    assert re.search(r"nowhere\.yaml: no such file.*digits", refusal("nowhere.yaml"))


def test_unknown_shipped_name_is_refused_with_the_nearest_one():
    neither = "neither a shipped spec nor a .yaml file"
    assert refusal("digts") == f"digts: {neither}; did you mean digits?"
    assert refusal("celeba65") == f"celeba65: {neither}; did you mean celeba64?"


def test_name_that_is_near_to_none_is_refused_with_all_of_them():
    assert refusal("xyz").endswith(f"file; known: {', '.join(shipped_specs())}")


def test_broken_yaml_is_refused_with_its_line(tmp_path):
    message = refusal(write(tmp_path, "data: {name: digits}\ntraining: [1, 2\nbudget: 3\n"))
    assert re.search(r"mine\.yaml: line \d+, column \d+: not YAML", message)


def test_key_given_twice_is_refused_with_its_line(tmp_path):
    message = refusal(write(tmp_path, "budget: {trials: 3}\nbudget: {trials: 5}\n"))
    assert "line 2, column 1: not YAML: budget is given twice" in message


@pytest.mark.parametrize("text", ["", "just words", "[1, 2]"])
def test_file_that_is_no_mapping_is_refused(tmp_path, text):
    assert "a spec is a mapping" in refusal(write(tmp_path, text))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("budget.trails=3", r"budget\.trails: unknown key; did you mean trials\?"),
        ("bugdet.trials=3", r"bugdet: unknown key; did you mean budget\?"),
        ("training.generator.embed_dims=3", r"training\.generator\.embed_dims: .*mean embed_dim\?"),
        ("budget.trials=many", r"budget\.trials: must be a whole number, got 'many'"),
        ("budget.trials=2.5", r"budget\.trials: must be a whole number, got 2\.5; nearest: 2 or 3"),
        ("budget.trials=-3", r"budget\.trials: must be at least 1, got -3"),
        ("budget.trials=true", r"budget\.trials: must be a number, got true"),
        ("budget.trials=1e9", r"budget\.trials: must be at most 5000, got 1000000000$"),
        ("budget.hours=-1", r"budget\.hours: must be more than 0, got -1"),
        ("budget.hours=10:30", r"budget\.hours: must be a number, got '10:30'"),
        ("resources.gpus_per_trial=yes", r"resources\.gpus_per_trial: must be a number, got true"),
        ("sampler=tpe", r"sampler: must be a mapping with name, .*, seed, .*, got 'tpe'"),
        ("sampler.seed=on", r"sampler\.seed: must be a number, got true"),
        ("evaluation.num_images=true", r"evaluation\.num_images: must be a number, got true"),
        ("evaluation.num_images=1e10", r"evaluation\.num_images: must be at most 1000000, got 1"),
        ("evaluation.metrics=fd", r"evaluation\.metrics: must be a list, such as \[fd\], got 'fd'"),
        (
            "training.batch_size=[32, 64]",
            r"training\.batch_size: .*whole number, got \[32, 64\]; .*\{batch_size: \{choice: \[32",
        ),
        ("training.batch_size=65537", r"training\.batch_size: must be at most 65536, got 65537"),
        ("training.generator.noise=1", r"training\.generator\.noise: must be true or false, got 1"),
        (
            "training.generator.num_heads=four",
            r"training\.generator\.num_heads: must be a whole number or a list, .*got 'four'",
        ),
        ("training.generator.num_heads=[2, two]", r"num_heads\.1: must be a whole number, got 'tw"),
        ("training.generator.depths=3", r"depths: must be a list, such as \[3\], got 3"),
        (
            "training.loss.name=hing",
            r"loss\.name: must be one of .*, got 'hing'; did you mean hing",
        ),
        ("training=[1]", r"training: must be a mapping with .*, got \[1\]$"),
        ("training.augment=[cutout, cutout]", r"augment names cutout twice.*write \[cutout\]"),
        ("training.generator.window_size=16", r"generator: window_size=16 has no effect.*2 or 4"),
        ("data.name=no", r"data\.name: must be text in quotes, got false"),
        ("data.name=''", r"data\.name: must be a name, not empty"),
        ("data={name: ' ', image_size: 8}", r"data: name is blank, got ' '; give a path, or one"),
        ("search=[1]", r"search: must be a mapping of paths, got \[1\]"),
        ("search.loss.name=hinge", r"search\.loss\.name: must be a domain, such as \{choice"),
        ("search.loss.name={choice: hinge}", r"choice: must be a list, such as \[hinge\]"),
        (
            "search.optimizer={generator_lr: {loguniform: [1e-5, 1e-3]}}",
            r"search\.optimizer: is a part of training .*: search: \{optimizer\.generator_lr: …\}",
        ),
        ("search.ema={choice: [1]}", r"search\.ema: is a part .*: \{ema\.half_life_kimg: …\}"),
        (
            "search.optimizer.generator_lr={loguniform: [1e-5]}",
            r"generator_lr\.loguniform: loguniform has two bounds, .*got \[1e-05\]; write loguni",
        ),
        ("search.batch_size={randint: 3}", r"batch_size\.randint: randint has two bounds, .*got 3"),
        ("search.microbatch_size={uniform: [8, 16]}", r"microbatch_size: uniform draws fractions"),
        ("training.total_kimg=.inf", r"training\.total_kimg: .*finite"),
        ("training.preset=mnist", r"training\.preset: no preset called 'mnist'; presets: digits"),
        ("training.image_size=16", r"training\.image_size: 16 given, but data digits has 8"),
        ("training.generator.num_heads=3", r"num_heads=3 does not divide .* nearest that do: "),
        ("search.generator.num_heads={choice: [3, 5]}", r"heads: 3 can't be built: .*nearest"),
        ("search.generator.num_heads={choice: [2, 0]}", r"heads: 0 can't be built: .*at least 1"),
        (
            "search.generator.num_head={choice: [2]}",
            r"search\.generator\.num_head: no such field; did",
        ),
        ("search.loss.name={choice: [hinge, hing]}", r"loss\.name.*'hing'"),
        ("search.loss.name={loguniform: [0, 1]}", r"search\.loss\.name: loguniform needs positive"),
        ("search.seed={choice: [1, 2]}", r"search\.seed: belongs to the sweep"),
        ("evaluation.metrics=[fid]", r"evaluation\.metrics: fid means Inception.*ask for fd"),
        ("evaluation.metrics=[fdd]", r"evaluation\.metrics: unknown metric 'fdd'; did you mean fd"),
        ("evaluation.metrics=[confident_fraction]", r"evaluation\.metrics: .*can't rank"),
        ("data.name=pictures", r"data: .*image_size is missing"),
        ("training.preset=[digits]", r"training\.preset: no preset called \['digits'\]"),
        (
            "early_stopping.grace_kimg=1000",
            r"grace_kimg: 1000 is no less than .*to 36, or say.*name: none",
        ),
        ("search.generator.num_heads={uniform: [1, 8]}", r"num_heads: uniform draws fractions"),
        ("data=digits", r"data: "),
        ("budget", r"--set budget: write it as path=value"),
        ("budget.trials=[", r"--set budget\.trials: '\[' is not YAML"),
        ("budget.trials.more=1", r"--set budget\.trials\.more=1: budget\.trials is not a mapping"),
    ],
)
def test_impossible_value_is_refused_with_its_path_and_the_way_out(override, message):
    assert re.search(message, refusal("digits", override))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            (
                "search.generator.embed_dim={choice: [64, 48]}",
                "search.generator.num_heads={choice: [4, 8]}",
                "search.loss.name={choice: [hinge, rpgan]}",
            ),
            r"search\.generator\.embed_dim: 48 can't be built with generator\.num_heads=8: ",
        ),
        (
            ("training.microbatch_size=32", "search.batch_size={choice: [16, 32]}"),
            r"search\.batch_size: 16 can't be built: microbatch_size is 32 and has no effect",
        ),
        (
            ("search.generator.window_size={choice: [null, 2, 8]}",),
            r"search\.generator\.window_size: 8 can't be built: .*make it 2 or 4, or null",
        ),
    ],
)
def test_impossible_corner_blames_the_settings_that_make_it_so_and_no_others(overrides, message):
    corners = judge_corners(load_spec("digits", ("search={}", *overrides))[1])
    (text,) = corners.blamed
    assert re.search(message, text)
    assert "loss.name" not in text
    assert 0 < corners.num_infeasible < corners.num


def test_value_that_its_field_does_not_take_is_refused_though_others_are_well():
    text = refusal(
        "digits",
        "search={generator.num_heads: {choice: [1, 2]}, batch_size: {choice: [16, 0]}}",
    )
    assert "search.batch_size: 0 can't be built: batch_size: must be at least 1, got 0; " in text
    assert "num_heads" not in text


def test_space_of_which_no_corner_can_be_built_is_refused():
    text = refusal("digits", "search={generator.num_heads: {choice: [3, 5]}}")
    assert text.endswith("(and no corner of the search can be)")


@pytest.mark.parametrize(
    ("size", "presets"),
    [
        (16, "for 16×16 set it to small16$"),
        (32, "for 32×32 set it to photos or cifar10$"),
        (24, "none is for 24×24: set data.image_size to one of 8, 16, 32, 48, "),
    ],
)
def test_preset_of_another_size_names_those_that_fit_the_data(size, presets):
    message = refusal("digits", "data.name=photos", f"data.image_size={size}", "search={}")
    assert re.search(rf"training\.preset digits is for 8×8.*{presets}", message)


@pytest.mark.parametrize(
    ("path", "written", "value"),
    [
        ("sampler.seed", "010", 10),
        ("sampler.seed", "08", 8),
        ("sampler.seed", "0o10", 8),
        ("sampler.seed", "-0", 0),
        ("budget.trials", "1e3", 1000),
        ("budget.trials", "1_000", 1000),
        ("budget.hours", "1E-1", 0.1),
        ("evaluation.num_images", "1e3", 1000),
    ],
)
def test_number_of_a_spec_is_read_as_it_is_written(path, written, value):
    part, field = path.split(".")
    assert getattr(getattr(load_spec("digits", (f"{path}={written}",))[1], part), field) == value


def test_numbers_with_exponents_among_choices_are_numbers():
    spec = load_spec("digits", ("search={optimizer.generator_lr: {choice: [1e-4, 2e-3]}}",))[1]
    assert spec.search["optimizer.generator_lr"].choice == (1e-4, 2e-3)


@pytest.mark.parametrize("name", ["1e3", "010", "0o7", "10:30", "no", "2020-01-02", "null", "1.5"])
def test_name_that_looks_like_something_else_survives_the_resolved_spec(tmp_path, name):
    overrides = (f"data.name='{name}'", "data.image_size=8")
    text = load_spec("digits", overrides)[1].to_yaml()
    assert load_spec(write(tmp_path, text))[1].data.name == name
    assert yaml.safe_load(text)["data"]["name"] == name


@pytest.mark.parametrize("name", ["", " "])
def test_empty_spec_is_refused(name):
    assert f"SPEC is empty; give a .yaml file or a shipped spec: {', '.join(shipped_specs())}" in (
        refusal(name)
    )


def test_missing_part_is_named(tmp_path):
    assert "budget: missing, and every spec has it; write it, such as budget: {trials" in refusal(
        write(
            tmp_path,
            "data: {name: digits}\n"
            "early_stopping: {grace_kimg: 2}\n"
            "evaluation: {extractor: classifier, metrics: [fd], num_images: 100}\n",
        )
    )


def test_baseline_is_the_training_config_where_it_lies_in_the_space():
    spec = load_spec(
        "digits",
        (
            "training.optimizer.generator_lr=1.0e-3",
            "search.optimizer.generator_lr={loguniform: [1.0e-4, 1.0e-2]}",
        ),
    )[1]
    assert spec.baseline()["optimizer.generator_lr"] == 1e-3
    away = load_spec(
        "digits",
        (
            "training.optimizer.generator_lr=1.0e-3",
            "search.optimizer.generator_lr={loguniform: [2.0e-3, 1.0e-2]}",
        ),
    )[1]
    assert away.baseline() is None


@pytest.mark.parametrize(
    ("finalists", "message"),
    [
        ("{count: 0}", "finalists.count: 0 finalists can't be trained; .* leave finalists out"),
        ("{count: -1}", r"finalists.count: must be at least 1, got -1"),
        ("{count: 9}", r"finalists.count: 9 is more than budget.trials 8; lower it, or raise"),
        ("{seeds: 1}", r"finalists.seeds: must be at least 2, got 1"),
        ("{num_images: 2}", r"finalists.num_images: kd needs at least 3 images .*, got 2; raise"),
        ("{num_images: 2e6}", r"finalists.num_images: must be at most 1000000, got 2000000"),
        ("{seed: 3}", r"finalists.seed: unknown key; did you mean seeds\?"),
        ("3", r"finalists: must be a mapping with count, num_images, seeds, got 3"),
    ],
)
def test_finalists_that_can_not_be_are_refused_with_the_way_out(finalists, message):
    assert re.search(message, refusal("digits", f"finalists={finalists}"))


@pytest.mark.parametrize("overrides", [(), ("finalists=null",)])
def test_sweep_has_no_finalists_unless_they_are_asked_for(overrides):
    spec = load_spec("digits", overrides)[1]
    assert spec.finalists is None
    assert spec.most_finalist_runs == 0
    assert resolve(yaml.safe_load(spec.to_yaml()), "again") == spec


def test_finalists_survive_the_resolved_spec():
    spec = load_spec("digits", ("finalists={count: 2, num_images: 5000}",))[1]
    assert (spec.finalists.count, spec.finalists.seeds) == (2, 3)
    assert resolve(yaml.safe_load(spec.to_yaml()), "again") == spec
