"""What the paper's presets take, for docs/recipes: their specs, plans, sizes and operations.

    python benchmarks/recipes.py

For each recipe it says what `tg-sweep plan` says of the sweep, and of its memory that of the
spec's own training, since the rehearsal of every kind of trial takes minutes. Nothing is trained or
downloaded. The same numbers come on every machine.
"""

from __future__ import annotations

import argparse
import io
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from evaluation.inception_weights import USUAL_FILE
from sweeps.announcement import say_plan
from sweeps.memory import needed_gb
from sweeps.outlook import SUSTAINED_TFLOPS
from sweeps.spec import SweepSpec, load_spec
from sweeps.trial_time import try_out
from transgan.cost import model_cost
from transgan.presets import preset_config

WIDTH = 110
PAGE = Path(__file__).parent.parent / "docs" / "recipes" / "README.md"


class Recipe(NamedTuple):
    """How one preset of the paper is swept."""

    preset: str
    title: str
    spec: str
    """Name of a shipped spec."""
    overrides: tuple[str, ...]
    """What is said over it with `--set`."""
    note: str

    @property
    def arguments(self) -> str:
        """What `tg-sweep plan` and `tg-sweep run` are given."""
        return " ".join([self.spec, *(f"--set {override}" for override in self.overrides)])


RECIPES = (
    Recipe(
        "cifar10",
        "CIFAR-10, 32×32",
        "cifar10",
        (),
        "Downloads the data when it first runs. Its labels allow `extractor: classifier` "
        "too, for a search that does not wait for Inception.",
    ),
    Recipe(
        "stl10",
        "STL-10, 48×48",
        "stl10",
        (),
        "Downloads the data when it first runs. Trains on the labelled and unlabelled "
        "images together, as the authors do, so there are no labels to train a classifier on.",
    ),
    Recipe(
        "celeba64",
        "CelebA, 64×64",
        "celeba64",
        (),
        "No code was released for this size: the networks are the authors' for 256×256, shortened "
        "([differences](../differences.md)). Where the data set's host refuses, put its files into "
        "`celeba` in the cache folder.",
    ),
    Recipe("celeba128", "CelebA, 128×128", "celeba128", (), "As above, one stage more."),
    Recipe(
        "church256",
        "LSUN church, 256×256",
        "celebahq256",
        ("training.preset=church256", "data.name=./church256"),
        "The spec of CelebA-HQ with another preset and other images: a folder or zip of the "
        "outdoor churches, called `church256` here, that you export from LSUN yourself.",
    ),
    Recipe(
        "celebahq256",
        "CelebA-HQ, 256×256",
        "celebahq256",
        (),
        "The images are yours to put into a folder or zip, called `celebahq256` here.",
    ),
)


@dataclass(frozen=True)
class Found:
    """What is counted of a recipe."""

    plan: str
    """What `tg-sweep plan` says of the sweep itself."""
    generator_parameters: int
    discriminator_parameters: int
    generator_gflop: float
    """For one image."""
    gflop_per_image: float
    """Of training, for one real image shown."""
    gpu_gb: float
    """Of a GPU, that the spec's own training takes."""
    longest_kimg: float
    """Of the sweep's longest trial."""
    preset_kimg: float
    sweep_pflop: float
    """Of all trainings of the sweep, as the plan expects them."""


def counted(recipe: Recipe) -> Found:
    """What the preset's networks, its training and its sweep are."""
    spec = load_spec(recipe.spec, recipe.overrides)[1]
    cost = model_cost(spec.training)
    return Found(
        plan=plan_text(recipe, spec),
        generator_parameters=cost.generator_parameters,
        discriminator_parameters=cost.discriminator_parameters,
        generator_gflop=cost.generator_flops / 1e9,
        gflop_per_image=cost.flops_per_real_image / 1e9,
        gpu_gb=needed_gb(spec.training, on_gpu=True),
        longest_kimg=spec.training.total_kimg,
        preset_kimg=preset_config(recipe.preset).total_kimg,
        sweep_pflop=try_out(spec, 0, "cpu").expected_flops / 1e15,  # nothing is tried
    )


def plan_text(recipe: Recipe, spec: SweepSpec) -> str:
    """What `tg-sweep plan` says of the sweep itself."""
    text = io.StringIO()
    console = Console(file=text, width=WIDTH)
    say_plan(spec, recipe.spec, Path("runs") / recipe.preset, USUAL_FILE, console, concurrent=None)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def page(found: dict[str, Found]) -> str:
    """The page, of what was counted."""
    lines = [
        "# Recipes for the paper's presets",
        "",
        "Made by `python benchmarks/recipes.py`. Nothing on this page was trained: parameters and",
        "operations are counted.",
        "",
        "Each spec searches around the authors' settings, in trainings far shorter than theirs.",
        "See what it would do and take on your machine, run it, then train the winner on:",
        "",
        "    tg-sweep plan cifar10",
        "    tg-sweep run cifar10 --out runs/cifar10",
        "    tg-sweep run cifar10 --set search={} --set training.total_kimg=128000 --trials 1 "
        "--set early_stopping.name=none --out runs/long",
        "",
        "`plan` also predicts the memory of every kind of trial against this machine and common",
        "GPUs, and says what would make fit what does not; at these sizes that takes it some",
        "minutes. The last line is one training of the preset itself, at the paper's length; put",
        "the winner's settings into it with more `--set training.…`, or into a file of your own.",
        "",
        "## What each preset takes",
        "",
        "| preset | generator | discriminator | memory | to train on an image | longest trial "
        "| the whole sweep | the authors' length |",
        "|---|---|---|---|---|---|---|---|",
        *(row(recipe, found[recipe.preset]) for recipe in RECIPES),
        "",
        "Memory is what the spec's own training is predicted to take of a GPU, with its batches",
        "in the parts that the spec says: what its steps hold, which is predicted within 15 % on",
        "CPUs, and an assumption on what CUDA takes beside it. It was not measured on a GPU.",
        "",
        "Operations of training are the plan's estimate, for one real image shown: 4 forward",
        "passes of the generator and 8 of the discriminator. Penalties, and what is computed again",
        f"to save memory, come on top. Hours are for one GPU at {SUSTAINED_TFLOPS:g} TFLOP/s, an",
        "assumption and no measurement. The whole sweep is what the plan expects early stopping to",
        "leave of it.",
    ]
    for recipe in RECIPES:
        lines += ["", *section(recipe, found[recipe.preset])]
    return "\n".join(lines) + "\n"


def row(recipe: Recipe, found: Found) -> str:
    """The recipe's row of the table."""
    longest, whole = (
        f"{kimg:,.0f} kimg, {_time(found.gflop_per_image * 1e9 * kimg * 1000)}"
        for kimg in (found.longest_kimg, found.preset_kimg)
    )
    cells = (
        f"`{recipe.preset}`",
        f"{found.generator_parameters / 1e6:.1f} M, {found.generator_gflop:.3g} GFLOP an image",
        f"{found.discriminator_parameters / 1e6:.1f} M",
        f"{found.gpu_gb:.3g} GB",
        f"{found.gflop_per_image:,.0f} GFLOP",
        longest,
        f"{found.sweep_pflop:,.0f} PFLOP, {_time(found.sweep_pflop * 1e15)}",
        whole,
    )
    return f"| {' | '.join(cells)} |"


def _time(flop: float) -> str:
    """On the assumed GPU."""
    hours = flop / (SUSTAINED_TFLOPS * 1e12) / 3600
    return f"{hours:.3g} hours" if hours < 100 else f"{hours / 24:,.0f} days"


def section(recipe: Recipe, found: Found) -> list[str]:
    """The recipe's own part of the page, by lines."""
    place = resources.files("sweeps") / "specs" / f"{recipe.spec}.yaml"
    lines = [f"## {recipe.title}", "", recipe.note, ""]
    if recipe.overrides:
        lines += [f"    tg-sweep run {recipe.arguments} --out runs/{recipe.preset}", ""]
    else:
        lines += [
            f"[`{recipe.spec}.yaml`](../../sweeps/specs/{recipe.spec}.yaml), or `tg-sweep run "
            f"{recipe.spec}`:",
            "",
            "```yaml",
            place.read_text(encoding="utf-8").rstrip(),
            "```",
            "",
        ]
    return [
        *lines,
        f"`tg-sweep plan {recipe.arguments}` begins with",
        "",
        "```text",
        found.plan,
        "```",
    ]


def main() -> None:
    """Count, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=PAGE)
    arguments = parser.parse_args()
    text = page({recipe.preset: counted(recipe) for recipe in RECIPES})
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(text, encoding="utf-8")
    print(arguments.out)


if __name__ == "__main__":
    main()
