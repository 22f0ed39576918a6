"""Figures are there and say what made them; links lead somewhere; numbers follow from the code."""

from __future__ import annotations

import json
import re

import pytest

from reports.records import TrialCost
from sweeps.attempts import checkpoint_bytes
from sweeps.trial import SAVING_SHARE
from tests.docs.pages import ROOT, blocks, figures, links
from transgan.cost import model_cost
from transgan.presets import preset_config

SCRIPT = re.compile(r"(?:benchmarks|docs)/[\w/]+\.py")
SOURCE = re.compile(
    r"(?<![\w./-])((?:benchmarks|docs|tests|sweeps|transgan|evaluation|reports)/[\w/.-]+"
    r"\.(?:py|md|json|yaml))\b"
)


@pytest.mark.parametrize(
    "figure", list(figures()), ids=lambda figure: f"{figure[0].name}: {figure[1]}"
)
def test_figure_is_there_and_its_page_names_what_made_it(figure):
    page, path = figure
    assert (page.parent / path).is_file()
    text = page.read_text(encoding="utf-8")
    scripts = [ROOT / name for name in SCRIPT.findall(text)]
    by_command = re.search(rf"tg-sweep generate .*--out {re.escape(path)}$", text, re.MULTILINE)
    assert by_command or any(script.is_file() for script in scripts)


def test_scripts_and_sources_that_pages_name_exist():
    named = [(block.place, path) for block in blocks() for path in SOURCE.findall(block.text)]
    assert len(named) > 20
    assert not [(place, path) for place, path in named if not (ROOT / path).exists()]


def test_links_lead_to_files():
    assert not [
        (str(page.relative_to(ROOT)), target)
        for page, target in links()
        if not (page.parent / target).exists()
    ]


@pytest.mark.slow
def test_numbers_of_the_page_on_scale_follow_from_the_models():
    text = (ROOT / "docs" / "sweeps" / "scale.md").read_text(encoding="utf-8")
    kept = {}
    for preset in ("digits", "cifar10"):
        cost = model_cost(preset_config(preset))
        networks = cost.generator_parameters, cost.discriminator_parameters
        # A checkpoint, the one before it and a snapshot are kept.
        size = TrialCost(generator_parameters=networks[0], discriminator_parameters=networks[1])
        checkpoint = checkpoint_bytes(size)
        kept[preset] = sum(networks), checkpoint, 2 * checkpoint + 4 * networks[0]
    parameters, checkpoint, in_all = kept["cifar10"]
    assert f"{parameters / 1e6:.1f} million parameters" in text
    assert f"one is {checkpoint / 1e9:.2f} GB" in text
    seconds = 1000 * checkpoint / 10e9  # of saving all at once, on a share of 10 GB a second
    assert seconds / 60 == pytest.approx(2.5, rel=0.05)
    assert seconds / SAVING_SHARE / 3600 == pytest.approx(2, rel=0.05)
    assert "in two and a half minutes, and so every\n  two hours" in text
    assert f"with {in_all / 1e9:.1f} GB, {in_all * 1e5 / 1e12:.0f} TB" in text
    digits = kept["digits"][2]
    assert f"{digits / 1e6:.0f} MB of weights, that is {digits * 1e5 / 1e12:.1f} TB" in text


def test_measured_figures_of_the_page_on_scale_are_those_of_its_document(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import footprint

    page = (ROOT / "docs" / "sweeps" / "scale.md").read_text(encoding="utf-8")
    document = json.loads((ROOT / "docs" / "sweeps" / "footprint.json").read_text("utf-8"))
    assert "\n".join(footprint.lines(document)) in page


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["cifar10", "church256"])  # all take half a minute
def test_page_of_recipes_says_what_the_code_counts_now(preset, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import recipes

    page = recipes.PAGE.read_text(encoding="utf-8")
    assert all(f"## {recipe.title}\n" in page for recipe in recipes.RECIPES)
    (recipe,) = (recipe for recipe in recipes.RECIPES if recipe.preset == preset)
    found = recipes.counted(recipe)
    assert f"\n{recipes.row(recipe, found)}\n" in page
    assert "\n".join(recipes.section(recipe, found)) in page


@pytest.mark.parametrize("name", ["cifar10", "stl10", "celeba64", "celeba128", "celebahq256"])
def test_page_of_recipes_has_the_spec_that_is_shipped(name):
    page = (ROOT / "docs" / "recipes" / "README.md").read_text(encoding="utf-8")
    spec = (ROOT / "sweeps" / "specs" / f"{name}.yaml").read_text(encoding="utf-8")
    assert f"```yaml\n{spec}```" in page
