"""Images and logits of the authors' weights: ours against those of the authors' own modules.

    python benchmarks/parity.py --out docs/parity.md

What the authors' modules give stands in `tests/transgan/golden/official.json`, in float64; weights
and inputs are by formula (`tests/transgan/formula.py`), so that nothing of theirs is needed. The
tests refuse any difference above `TOLERANCE`. All cases take some minutes.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from transgan.official import OFFICIAL_PRESETS, load_discriminator, load_generator

TESTS = Path(__file__).parent.parent / "tests" / "transgan"
TOLERANCE = 1e-5
"""Of the largest value. float32 alone errs as much in the authors' own modules (in logits that all
are near 0)."""
OUTPUTS = {"generator": "Images", "discriminator": "Logits"}


def _golden(name: str) -> dict[str, Any]:
    text = (TESTS / "golden" / name).read_text(encoding="utf-8")
    networks: dict[str, Any] = json.loads(text)["networks"]
    return networks


def _formula() -> ModuleType:
    """By path: outside pytest `tests` may be another distribution's package."""
    spec = importlib.util.spec_from_file_location("formula", TESTS / "formula.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


formula = _formula()
FIGURES = _golden("official.json")
KEYS = _golden("official_keys.json")


class Case(NamedTuple):
    """One network of a preset, with the weights of one seed."""

    preset: str
    network: str
    figures: dict[str, Any]
    """Of the authors' modules: their output, and how far their own float32 is from it."""

    @property
    def seed(self) -> int:
        """Of weights and inputs."""
        return int(self.figures["seed"])

    @property
    def noise(self) -> float:
        """Strength of the noise in attention."""
        return float(self.figures.get("noise", 0.0))

    @property
    def largest(self) -> float:
        """Largest value of the authors' output."""
        ends = self.figures.get("logits") or (self.figures["min"], self.figures["max"])
        return max(map(abs, ends))

    @property
    def authors_error(self) -> float:
        """Largest error of the authors' modules in float32, as a share of the largest value."""
        return float(self.figures["float32_max_error"]) / self.largest


def cases(network: str, presets: Sequence[str] = OFFICIAL_PRESETS) -> list[Case]:
    """Every case of a network: three seeds of each preset, and noise where the preset has it."""
    golden = [(preset, FIGURES[preset][network]) for preset in presets]
    return [
        Case(preset, network, figures)
        for preset, of in golden
        for figures in (*of["cases"], *of.get("noisy", ()))
    ]


def weights(preset: str, network: str, seed: int = 0, noise: float = 0.0) -> dict[str, Tensor]:
    """The authors' state dict, buffers aside, with the formula's values."""
    return {
        name: torch.from_numpy(formula.weight(name, tuple(shape), seed, noise))
        for name, shape in KEYS[preset][network]["tensors"].items()
        if name not in KEYS[preset][network]["buffers"]
    }


def error(case: Case) -> float:
    """Our largest difference from the authors' output, as a share of its largest value."""
    preset, figures = case.preset, case.figures
    state = weights(preset, case.network, case.seed, case.noise)
    makes_images = case.network == "generator"
    network: nn.Module
    if makes_images:
        network = load_generator(state, preset)
        given = formula.latents(figures["batch"], FIGURES[preset]["latent_dim"], case.seed)
    else:
        network = load_discriminator(state, preset)
        size = FIGURES[preset]["image_size"]
        given = formula.images("images", figures["batch"], size, case.seed)
    torch.manual_seed(figures.get("torch_seed", 0))  # of the noise
    with torch.no_grad():
        output = network(torch.from_numpy(given)).double().numpy()
    found = formula.figures("images", output) if makes_images else {"logits": output}
    differences = [np.abs(values - np.array(figures[name])).max() for name, values in found.items()]
    return float(max(differences)) / case.largest


def page(errors: dict[tuple[str, str], list[tuple[Case, float]]]) -> str:
    """The Markdown page: a table of images and one of logits.

    Args:
        errors: of each preset and network, its cases with our error.
    """
    lines = [
        "# The authors' weights, in our networks and in theirs",
        "",
        f"`python benchmarks/parity.py` on a CPU, torch {torch.__version__}. For the presets that "
        "the authors released: the largest difference of our output, in float32, from what their "
        "own modules gave in float64, in millionths of the largest value; in brackets that of "
        f"their own modules in float32. Tests refuse more than {1e6 * TOLERANCE:.0f}.",
        "",
        "Weights and inputs are by a formula, of three seeds, since the authors' files were not to "
        "be had where this was written. *Noise* is seed 0 with the noise in attention switched on, "
        "drawn in the authors' order. Of images, 256 single pixels are compared, the means of 4×4 "
        "blocks of each channel, and mean, deviation and both ends of all pixels; logits whole.",
    ]
    for network, output in OUTPUTS.items():
        lines += ["", f"## {output}", ""]
        lines += ["| preset | seed 0 | seed 1 | seed 2 | noise |", "|---|---|---|---|---|"]
        for (preset, of), found in errors.items():
            if of == network:
                cells = [f"`{preset}`"]
                cells += [
                    f"{1e6 * ours:.2f} ({1e6 * case.authors_error:.2f})" for case, ours in found
                ]
                lines.append("| " + " | ".join(cells + ["–"] * (5 - len(cells))) + " |")
    return "\n".join(lines) + "\n"


def main(argv: list[str] | None = None) -> None:
    """Compare, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", nargs="+", choices=OFFICIAL_PRESETS, default=OFFICIAL_PRESETS)
    parser.add_argument("--out", type=Path, help="page to write; left out, it is printed alone")
    arguments = parser.parse_args(argv)
    errors = {
        (preset, network): [(case, error(case)) for case in cases(network, [preset])]
        for network in OUTPUTS
        for preset in arguments.presets
    }
    text = page(errors)
    print(text, end="")
    if arguments.out is not None:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
