"""What the paper's presets take, for docs/recipes: their specs, plans, memory and operations.

    python benchmarks/recipes.py

For each recipe it says what `tg-sweep plan` says of the sweep, and rehearses the preset's own
training as `plan` rehearses every kind of trial (from half a minute to some minutes each). Nothing
is trained or downloaded. What is found goes to docs/recipes/recipes.json, and the page is made of
that and of the specs: `--page-only` makes it anew.
"""

from __future__ import annotations

import argparse
import io
import json
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from evaluation.inception_weights import USUAL_FILE
from sweeps.announcement import say_plan
from sweeps.devices import USUAL_GPUS_GB
from sweeps.memory import needed_gb
from sweeps.outlook import SUSTAINED_TFLOPS
from sweeps.spec import SweepSpec, load_spec
from transgan.cost import training_cost
from transgan.presets import preset_config

WIDTH = 110
FOLDER = Path(__file__).parent.parent / "docs" / "recipes"


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
        "Downloads the data (170 MB) when it first runs. Its labels allow `extractor: classifier` "
        "too, for a search that does not wait for Inception.",
    ),
    Recipe(
        "stl10",
        "STL-10, 48×48",
        "stl10",
        (),
        "Downloads the data (2.6 GB) when it first runs. Trains on the labelled and unlabelled "
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


def measured(recipe: Recipe) -> dict[str, Any]:
    """What the preset's own training takes, and what is said of the sweep."""
    spec = load_spec(recipe.spec, recipe.overrides)[1]
    own = spec.training
    cost = training_cost(own)
    whole = preset_config(recipe.preset)
    return {
        "plan": plan_text(recipe, spec),
        "generator_parameters": cost.generator_parameters,
        "discriminator_parameters": cost.discriminator_parameters,
        "generator_gflop": cost.generator_flops / 1e9,
        "gflop_per_image": cost.flops_per_real_image / 1e9,
        "sweep_kimg": own.total_kimg,
        "preset_kimg": whole.total_kimg,
        "gpu_gb": needed_gb(own, on_gpu=True),
        "cpu_gb": needed_gb(own, on_gpu=False),
        "microbatch_size": own.microbatch_size,
        "batch_size": own.batch_size,
    }


def plan_text(recipe: Recipe, spec: SweepSpec) -> str:
    """What `tg-sweep plan` says of the sweep itself."""
    text = io.StringIO()
    console = Console(file=text, width=WIDTH)
    say_plan(spec, recipe.spec, Path("runs") / recipe.preset, USUAL_FILE, console, concurrent=None)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def page(found: dict[str, dict[str, Any]]) -> str:
    """The page, of what was found."""
    lines = [
        "# Recipes for the paper's presets",
        "",
        "Made by `python benchmarks/recipes.py`. Nothing on this page was trained: parameters and",
        "operations are counted, memory is predicted by a rehearsal of the steps without data.",
        "",
        "Each spec searches around the authors' settings, in trainings far shorter than theirs.",
        "See what it would do and take on your machine, run it, then train the winner on:",
        "",
        "    tg-sweep plan cifar10",
        "    tg-sweep run cifar10 --out runs/cifar10",
        "    tg-sweep run cifar10 --set search={} --set training.total_kimg=128000 --trials 1 "
        "--set early_stopping.name=none --out runs/long",
        "",
        "The last is one training of the preset itself, at the paper's length; put the winner's",
        "settings into it with more `--set training.…`, or into a file of your own.",
        "",
        "## What one training of each preset takes",
        "",
        "| preset | generator | discriminator | operations an image | memory of a GPU "
        "| the sweep's longest trial | the authors' length |",
        "|---|---|---|---|---|---|---|",
    ]
    for recipe in RECIPES:
        lines.append(_row(recipe, found[recipe.preset]))
    lines += [
        "",
        "Operations are those of training, for one real image shown: both networks, forward,",
        "backward and penalty. Hours are for one GPU at "
        f"{SUSTAINED_TFLOPS:g} TFLOP/s, an assumption and no measurement. Memory is",
        "for the training as the spec has it, in GB (10⁹ bytes), with an assumed 0.6 GB for CUDA; "
        f"of GPUs with {', '.join(map(str, USUAL_GPUS_GB[:-1]))} or {USUAL_GPUS_GB[-1]} GB",
        "the smallest that holds it stands behind. `tg-sweep plan` does the same for every kind of",
        "trial of the search, and says what would make those fit that don't.",
    ]
    for recipe in RECIPES:
        lines += ["", *_section(recipe, found[recipe.preset])]
    return "\n".join(lines) + "\n"


def _row(recipe: Recipe, found: dict[str, Any]) -> str:
    fitting = [gb for gb in USUAL_GPUS_GB if gb >= found["gpu_gb"]]
    holds = f"a GPU of {fitting[0]} GB" if fitting else "none of the usual GPUs"
    cells = (
        f"`{recipe.preset}`",
        f"{found['generator_parameters'] / 1e6:.1f} M, {found['generator_gflop']:.3g} GFLOP",
        f"{found['discriminator_parameters'] / 1e6:.1f} M",
        f"{found['gflop_per_image']:.3g} GFLOP",
        f"{found['gpu_gb']:.1f} GB: {holds}",
        f"{found['sweep_kimg']:,.0f} kimg, {_hours(found, found['sweep_kimg'])}",
        f"{found['preset_kimg']:,.0f} kimg, {_hours(found, found['preset_kimg'])}",
    )
    return f"| {' | '.join(cells)} |"


def _hours(found: dict[str, Any], kimg: float) -> str:
    hours = found["gflop_per_image"] * 1e9 * kimg * 1000 / (SUSTAINED_TFLOPS * 1e12) / 3600
    return f"{hours:,.0f} h" if hours < 1000 else f"{hours / 24:,.0f} days"


def _section(recipe: Recipe, found: dict[str, Any]) -> list[str]:
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
        found["plan"],
        "```",
    ]


def main() -> None:
    """Rehearse, and write what is found and the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--only", nargs="+", metavar="PRESET", help="the others stay as they are")
    parser.add_argument("--page-only", action="store_true", help="from the numbers that are there")
    arguments = parser.parse_args()
    numbers = arguments.out / "recipes.json"
    found = json.loads(numbers.read_text(encoding="utf-8")) if numbers.exists() else {}
    wanted = [] if arguments.page_only else arguments.only or [one.preset for one in RECIPES]
    for recipe in RECIPES:
        if recipe.preset in wanted:
            found[recipe.preset] = measured(recipe)
            print(recipe.preset, flush=True)
            arguments.out.mkdir(parents=True, exist_ok=True)
            numbers.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (arguments.out / "README.md").write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
