import pytest
from pydantic import TypeAdapter

from sweeps.conditions import check_conditions, in_order
from sweeps.search_space import SearchSpace, applicable, corners
from sweeps.spec import load_spec
from sweeps.spec_text import SpecError

CHAIN = {
    "phi": {"uniform": [0.5, 1.5], "when": {"penalty": ["gp"]}},
    "penalty": {"choice": ["r1", "gp"], "when": {"loss": ["wgan-gp", "hinge"]}},
    "loss": {"choice": ["wgan-gp", "hinge", "rpgan"]},
}


def space_of(**domains) -> SearchSpace:
    return TypeAdapter(SearchSpace).validate_python(domains)


def refusal(**domains):
    with pytest.raises(SpecError) as caught:
        check_conditions(space_of(**domains))
    return str(caught.value)


def test_setting_applies_only_where_those_it_hangs_on_do():
    space = space_of(**CHAIN)
    every = {"phi": 1.0, "penalty": "gp", "loss": "hinge"}
    assert applicable(space, every) == every
    assert applicable(space, every | {"penalty": "r1"}) == {"penalty": "r1", "loss": "hinge"}
    assert applicable(space, every | {"loss": "rpgan"}) == {"loss": "rpgan"}


def test_corners_of_a_chain_are_those_that_a_trial_can_have():
    found = list(corners(space_of(**CHAIN)))
    assert len(found) == 2 * (1 + 2) + 1
    assert {"loss": "rpgan"} in found
    assert {"phi": 0.5, "penalty": "gp", "loss": "hinge"} in found


def test_paths_come_after_those_they_hang_on():
    assert in_order(space_of(**CHAIN)) == ("loss", "penalty", "phi")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"phi": {"uniform": [0, 1], "when": {"los": ["hinge"]}}}, "phi.when.los: not searched; d"),
        (
            {"phi": {"uniform": [0, 1], "when": {"loss": ["hing"]}}},
            "search.phi.when.loss: 'hing' is not in its choice ['wgan-gp', 'hinge', 'rpgan']; take",
        ),
        ({"phi": {"uniform": [0, 1], "when": {"loss": []}}}, "phi.when.loss: names no value, so"),
        (
            {"phi": {"uniform": [0, 1], "when": {"loss": ["hinge", "rpgan", "wgan-gp"]}}},
            "search.phi.when.loss: names all its values, so it has no effect; leave it out",
        ),
        (
            {"loss": {"choice": ["wgan-gp", "hinge", "rpgan"], "when": {"phi": [0.5]}}},
            "search.loss.when.phi: is uniform, whose values can't be listed; make it choice or",
        ),
        (
            {"loss": {"choice": ["wgan-gp", "hinge", "rpgan"], "when": {"penalty": ["r1"]}}},
            "depends on itself (penalty → loss → penalty); drop one",
        ),
        ({"phi": {"uniform": [0, 1], "when": {"phi": [1]}}}, "search.phi.when.phi: "),
    ],
)
def test_condition_that_means_nothing_is_refused_by_its_path(changes, message):
    assert message in refusal(**(CHAIN | changes))


def test_condition_on_all_values_of_a_setting_that_may_be_absent_has_an_effect():
    space = space_of(**CHAIN, drift={"uniform": [0, 1], "when": {"penalty": ["r1", "gp"]}})
    check_conditions(space)
    assert "drift" not in applicable(space, {"loss": "rpgan", "penalty": "gp", "drift": 0.5})


CONDITIONAL = (
    "search={loss.gradient_penalty: {loguniform: [0.1, 100], when: {loss.name: [rpgan]}}, "
    "loss.name: {choice: [nonsaturating, rpgan]}}"
)


def test_spec_with_a_condition_means_the_same_when_read_again(tmp_path):
    spec = load_spec("digits", (CONDITIONAL,))[1]
    path = tmp_path / "again.yaml"
    path.write_text(spec.to_yaml(), encoding="utf-8")
    assert load_spec(str(path))[1] == spec


def test_baseline_lacks_what_does_not_apply_to_it():
    spec = load_spec("digits", (CONDITIONAL, "training.loss.name=nonsaturating"))[1]
    assert spec.baseline() == {"loss.name": "nonsaturating"}
    config = spec.trial_config(spec.baseline(), 3)
    assert config.loss.gradient_penalty == spec.training.loss.gradient_penalty


@pytest.mark.parametrize(
    ("domain", "message"),
    [
        (
            "{uniform: [0, 1], when: {loss.name: rpgan}}",
            "search.loss.gradient_penalty.when: must be a list, such as [rpgan]",
        ),
        ("{uniform: [0, 1], when: {}}", "search.loss.gradient_penalty.when: "),
        ("{uniform: [0, 1], when: {loss.nam: [rpgan]}}", "when.loss.nam: not searched; did you me"),
    ],
)
def test_condition_that_is_written_wrongly_is_refused_by_its_path(domain, message):
    search = f"search={{loss.name: {{choice: [hinge, rpgan]}}, loss.gradient_penalty: {domain}}}"
    with pytest.raises(SpecError) as caught:
        load_spec("digits", (search,))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
