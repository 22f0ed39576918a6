"""Images and logits of the authors' weights: ours against those of the authors' own modules.

    python benchmarks/parity.py --out docs/parity.md

What the authors' modules give stands in `tests/transgan/golden/official.json`, in float64; weights
and inputs are by formula (`tests/transgan/formula.py`), so that nothing of theirs is needed. The
tests refuse any difference above a tolerance, in float64, where hardly anything is rounded, and in
float32. All cases take some minutes.
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
FLOAT64_TOLERANCE = 1e-7
"""Of the largest value; the authors' figures have nine digits."""
TOLERANCE = 1e-5
"""Of the largest value, in float32."""
ROUNDING = 4.0
"""So many times the float32 error of the authors' own modules is let pass in float32 where that is
more: some logits are sums of far larger terms (see `page`)."""
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

    @property
    def most_in_float32(self) -> float:
        """Error up to which our output in float32 is the authors'."""
        return max(TOLERANCE, ROUNDING * self.authors_error)


class Found(NamedTuple):
    """How far we are off in a case."""

    case: Case
    in_float64: float | None
    """None with noise, whose draws in float64 are others."""
    in_float32: float


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


def error(case: Case, dtype: torch.dtype = torch.float32) -> float:
    """Our largest difference from the authors' output, as a share of its largest value.

    Args:
        case: the network and its weights.
        dtype: in which our network computes; with noise float32, as the recorded draws are.
    """
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
        output = network.to(dtype)(torch.from_numpy(given).to(dtype)).double().numpy()
    ours = formula.figures("images", output) if makes_images else {"logits": output}
    differences = [np.abs(values - np.array(figures[name])).max() for name, values in ours.items()]
    return float(max(differences)) / case.largest


def found(case: Case) -> Found:
    """Our errors in a case."""
    in_float64 = None if case.noise else error(case, torch.float64)
    return Found(case, in_float64, error(case))


def page(errors: dict[tuple[str, str], list[Found]]) -> str:
    """The Markdown page: a table of images and one of logits.

    Args:
        errors: of each preset and network, its cases with our errors.
    """
    lines = [
        "# The authors' weights, in our networks and in theirs",
        "",
        f"`python benchmarks/parity.py` on a CPU, torch {torch.__version__}. For the presets that "
        "the authors released: the largest difference of our output from what their own modules "
        "gave in float64, in millionths of the largest value: ours in float64, then ours in "
        "float32; in brackets that of their own modules in float32. Tests refuse more than "
        f"{1e6 * FLOAT64_TOLERANCE:.1f} in float64, and in float32 more than "
        f"{1e6 * TOLERANCE:.0f} or {ROUNDING:.0f} times what theirs errs, whichever is more: "
        "some logits are sums of far larger terms, so that how a processor rounds products weighs. "
        "Those of `cifar10` at seed 0 have terms whose sizes add up to 166 times the largest of "
        "them, and ours were off by 1.8 to 10.8 on the processors tried.",
        "",
        "Weights and inputs are by a formula, of three seeds, since the authors' files were not to "
        "be had where this was written. *Noise* is seed 0 with the noise in attention switched on, "
        "drawn in the authors' order, in float32 alone. Of images, 256 single pixels are compared, "
        "the means of 4×4 blocks of each channel, and mean, deviation and both ends of all pixels; "
        "logits whole.",
    ]
    for network, output in OUTPUTS.items():
        lines += ["", f"## {output}", ""]
        lines += ["| preset | seed 0 | seed 1 | seed 2 | noise |", "|---|---|---|---|---|"]
        for (preset, of), of_cases in errors.items():
            if of == network:
                cells = [f"`{preset}`"] + [_cell(*one) for one in of_cases]
                lines.append("| " + " | ".join(cells + ["–"] * (5 - len(cells))) + " |")
    return "\n".join(lines) + "\n"


def _cell(case: Case, in_float64: float | None, in_float32: float) -> str:
    text = f"{1e6 * in_float32:.2f} ({1e6 * case.authors_error:.2f})"
    return text if in_float64 is None else f"{1e6 * in_float64:.4f}, {text}"


def main(argv: list[str] | None = None) -> None:
    """Compare, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", nargs="+", choices=OFFICIAL_PRESETS, default=OFFICIAL_PRESETS)
    parser.add_argument("--out", type=Path, help="page to write; left out, it is printed alone")
    arguments = parser.parse_args(argv)
    errors = {
        (preset, network): [found(case) for case in cases(network, [preset])]
        for network in OUTPUTS
        for preset in arguments.presets
    }
    text = page(errors)
    print(text, end="")
    if arguments.out is not None:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
