import re

import pytest
import yaml

from sweeps.spec import SpecError, load_spec, resolve, shipped_specs


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


def test_unknown_shipped_name_is_refused_with_the_known_ones():
    assert re.search(
        r"digitz: neither a shipped spec \(.*digits.*\) nor a \.yaml", refusal("digitz")
    )


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
        ("budget.trials=many", r"budget\.trials: .*valid integer.*'many'"),
        ("budget.trials=-3", r"budget\.trials: .*greater than or equal to 1, got -3"),
        ("budget.hours=-1", r"budget\.hours: .*greater than 0, got -1"),
        ("training.total_kimg=.inf", r"training\.total_kimg: .*finite"),
        ("training.preset=mnist", r"training\.preset: no preset called 'mnist'; presets: digits"),
        ("training.image_size=16", r"training\.image_size: 16 given, but data digits has 8"),
        ("training.generator.num_heads=3", r"num_heads=3 does not divide .* nearest that do: "),
        ("search.generator.num_heads={choice: [2, 3]}", r"num_heads=3.*can't be built.*nearest"),
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
        ("early_stopping.grace_kimg=1000", r"grace_kimg: 1000 is no less than .*name: none"),
        ("search.generator.num_heads={uniform: [1, 8]}", r"num_heads: uniform draws fractions"),
        ("data=digits", r"data: "),
        ("budget", r"--set budget: write it as path=value"),
        ("budget.trials=[", r"--set budget\.trials: '\[' is not YAML"),
        ("budget.trials.more=1", r"--set budget\.trials\.more=1: budget\.trials is not a mapping"),
    ],
)
def test_impossible_value_is_refused_with_its_path_and_the_way_out(override, message):
    assert re.search(message, refusal("digits", override))


def test_missing_part_is_named(tmp_path):
    assert "budget: missing" in refusal(
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
