"""A sweep over both families and both recipes: each trial is whole, and refusals say why."""

import pytest

from reports.records import TrialState
from reports.run_folder import TrialFolder
from sweeps.space_check import judge_corners
from sweeps.spec import load_spec, resolve
from sweeps.spec_text import SpecError, read_text
from sweeps.trial import TrialTask, run_trial
from transgan.networks.conv_attention_generator import ConvAttentionGenerator
from transgan.presets import preset_config
from transgan.training.checkpoint import load_snapshot

BOTH = "search.family={choice: [transgan, conv-attention]}"
OWN = "training.family=conv-attention"


def spec_of(*overrides):
    return load_spec("digits", overrides)[1]


def test_shipped_digits_sweep_can_build_all_its_corners_in_the_other_family():
    spec = spec_of(OWN)
    assert judge_corners(spec).num_infeasible == 0
    assert spec.baseline()["generator.depths"] == (1, 1)
    depths = {spec.trial_config({"generator.depths": d}, 0).generator.depths for d in DEPTHS}
    assert depths == set(DEPTHS)


DEPTHS = [(1, 1), (2, 1), (2, 2)]


def test_a_trial_of_the_other_family_has_its_networks_and_the_rest_of_the_sweep():
    spec = spec_of(BOTH, "training.batch_size=17")
    assert judge_corners(spec).num_infeasible == 0
    other = spec.trial_config({"family": "conv-attention", "generator.depths": (2, 2)}, 3)
    own = spec.trial_config({"family": "transgan", "generator.depths": (2, 2)}, 3)
    preset = preset_config("digits", "conv-attention")
    assert other.generator == preset.generator.model_copy(update={"depths": (2, 2)})
    assert other.discriminator == preset.discriminator
    assert (other.batch_size, other.loss, other.optimizer) == (17, own.loss, own.optimizer)
    assert spec.baseline()["family"] == "transgan"


def test_spec_as_resolved_means_the_same_trials():
    spec = spec_of(BOTH, "training.recipe=article", "search.loss.name={choice: [nonsaturating]}")
    again = resolve(read_text("sweep.yaml", spec.to_yaml()), "sweep.yaml")
    assert again == spec
    settings = {"family": "conv-attention"}
    assert again.trial_config(settings, 1) == spec.trial_config(settings, 1)
    assert again.trial_config(settings, 1).loss.resolved_penalty == "none"


def test_recipes_are_searched_against_each_other():
    spec = spec_of(
        "search.recipe={choice: [preset, article]}",
        "search.loss.name={choice: [hinge, rpgan], when: {recipe: [preset]}}",
    )
    assert judge_corners(spec).num_infeasible == 0
    article = spec.trial_config({"recipe": "article"}, 0)
    assert (article.loss.name, article.augment) == ("nonsaturating", ())
    preset = spec.trial_config({"recipe": "preset", "loss.name": "hinge"}, 0)
    assert (preset.loss.name, preset.augment) == ("hinge", ("translation", "cutout"))


def test_fields_of_one_family_are_searched_where_it_is():
    spec = spec_of(
        BOTH,
        "search.generator.embed_dim={choice: [32, 64], when: {family: [transgan]}}",
        "search.generator.embed_dims={choice: [[48, 24]], when: {family: [conv-attention]}}",
        "search.generator.num_heads={choice: [2, 4]}",
    )
    assert judge_corners(spec).num_infeasible == 0
    assert spec.baseline()["generator.embed_dim"] == 64
    assert "generator.embed_dims" not in spec.baseline()
    config = spec.trial_config({"family": "conv-attention", "generator.embed_dims": (48, 24)}, 0)
    assert config.generator.embed_dims == (48, 24)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ((OWN, "search.generator.embed_dim={choice: [32]}"), "or set training.family to transgan"),
        (
            (BOTH, "search.generator.embed_dim={choice: [32]}"),
            r"search.generator.embed_dim: is no field of family conv-attention, whose generator "
            r"has latent_dim, .*; search it where it is one: when: \{family: \[transgan\]\}",
        ),
        (
            (BOTH, "search.discriminator.last_depth={choice: [1], when: {family: [transgan, o]}}"),
            "'o' is not in its choice",
        ),
        (("training.family=conv",), "training.family: must be one of transgan, conv-attention"),
        (("training.recipe=articel",), "training.recipe: must be .*; did you mean article"),
        (("search.family={choice: [transgan, conv]}",), "'conv' can't be built: family: must be"),
        (
            (OWN, "training.generator.depth=[1]"),
            "generator.depth: unknown key; did you mean depths",
        ),
        (
            (OWN, "training.generator.norm=pixelnorm"),
            "training.generator.norm: is a field of family transgan",
        ),
        (("training.recipe=article", "training.loss.name=hinge"), "leave loss.name out, or set"),
    ],
)
def test_refusals_say_what_to_write(overrides, said):
    with pytest.raises(SpecError, match=said):
        spec_of(*overrides)


@pytest.mark.slow
def test_trial_of_the_article_is_trained_scored_and_sampled(tiny_spec, data, evaluator, tmp_path):
    spec = load_spec("digits", (*TINY, BOTH, "search.recipe={choice: [preset, article]}"))[1]
    settings = {"family": "conv-attention", "recipe": "article", "loss.name": "nonsaturating"}
    config = spec.trial_config(settings, seed=7)
    task = TrialTask(
        trial="0000",
        number=0,
        settings=settings,
        config=config,
        rungs=tiny_spec.rungs,
        objective="fd_digits_classifier",
        threads=1,
        device="cpu",
    )
    folder = TrialFolder(tmp_path / "0000")
    reports = list(run_trial(task, data, evaluator, folder))
    record = folder.read()
    assert reports[-1].state == record.state == TrialState.COMPLETED
    assert record.settings["family"] == "conv-attention"
    assert record.cost.generator_parameters > 0
    generator, loaded = load_snapshot(folder.snapshot)
    assert isinstance(generator, ConvAttentionGenerator)
    assert loaded == config


TINY = (
    "training.total_kimg=0.3",
    "training.batch_size=16",
    "early_stopping.grace_kimg=0.1",
    "evaluation.num_images=101",
    "evaluation.kd_subsets=3",
    "budget.trials=4",
)
