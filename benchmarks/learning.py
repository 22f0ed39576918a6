"""Does a preset learn? Its Fréchet distance from the first step on, at several seeds.

    python benchmarks/learning.py --preset photos --minutes 10 --seeds 0 1 2 --out docs/learning
    python benchmarks/learning.py --preset digits --family conv-attention --threads 1

The features are those of a fixed convolutional network whose weights are random but seeded, so that
nothing about them is trained to please; for the digits also those of the digits' classifier. Writes
`NAME.csv` (one row a measurement), the curves of all seeds, of each seed a grid of the averaged
generator's images beside held-out ones, and `NAME.md`, which shows all of it. NAME is the preset's,
with the family's behind it if it is not transgan.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import math
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from evaluation.evaluator import Evaluator
from evaluation.protocol import EvaluationProtocol
from evaluation.statistics import Moments, covariance_factor, frechet_distance
from transgan.config import GENERATOR_CONFIGS, TrainingConfig
from transgan.data import ImageData, load_data
from transgan.data_config import DataConfig
from transgan.images import to_float
from transgan.presets import preset_config, preset_values
from transgan.sampling import image_grid, latents, sample_images, save_image
from transgan.training.trainer import Trainer

NUM_IMAGES = 1000
CHANNELS = (32, 64, 128)
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"]


@dataclasses.dataclass(frozen=True)
class Row:
    """One measurement; distances are of `NUM_IMAGES` images to all held-out ones."""

    seed: int
    kimg: float
    seconds: float
    """Of training alone."""
    random_distance: float
    classifier_distance: float | None


class RandomFeatures(nn.Module):
    """Strided convolutions with seeded random weights, and each channel's mean and deviation."""

    def __init__(self, image_channels: int) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(20210207)
        layers: list[nn.Module] = []
        for narrow, wide in zip((image_channels, *CHANNELS), CHANNELS, strict=False):
            layer = nn.Conv2d(narrow, wide, 3, stride=2, padding=1)
            with torch.no_grad():
                spread = (2 / (9 * narrow)) ** 0.5
                layer.weight.copy_(torch.randn(layer.weight.shape, generator=rng) * spread)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)
            layers += [layer, nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    @torch.inference_mode()
    def forward(self, images: Tensor) -> Tensor:
        """Features (N, 2·channels) of uint8 images (N, C, H, W)."""
        seen = [self.layers(to_float(part)).flatten(2) for part in images.split(250)]
        # Of the smallest images there is one position, and no deviation.
        correction = min(1, seen[0].shape[-1] - 1)
        spreads = [x.std(-1, correction=correction) for x in seen]
        means = [x.mean(-1) for x in seen]
        return torch.cat([torch.cat(means), torch.cat(spreads)], dim=1)


def classifier_evaluator(data: ImageData, folder: Path) -> Evaluator | None:
    """The sweep's own evaluation, where the data has labels for it and it means the most."""
    if data.name != "digits" or data.train_labels is None:
        return None
    protocol = EvaluationProtocol(extractor="classifier", metrics=("fd",), num_images=NUM_IMAGES)
    return Evaluator.prepare(
        protocol,
        dataset=data.name,
        train_images=data.train_images,
        train_labels=data.train_labels,
        reference_images=data.held_out_images,
        reference_labels=data.held_out_labels,
        folder=folder,
    )


def learn(
    config: TrainingConfig, data: ImageData, evaluator: Evaluator | None, minutes: float, out: Path
) -> Iterator[Row]:
    """Train for `minutes`, measuring ten times and at the start."""
    features = RandomFeatures(config.image_channels)
    reference = Moments.of(features(data.held_out_images).numpy())
    factor = covariance_factor(reference.covariance)
    z = latents(NUM_IMAGES, config.generator.latent_dim, 0)
    trainer = Trainer(config, data.train_images)

    def row(seconds: float) -> Row:
        images = sample_images(trainer.ema_generator, z)
        distance = frechet_distance(features(images).numpy(), reference.mean, factor)
        scores = None if evaluator is None else evaluator.score(images).scores
        return Row(
            seed=config.seed,
            kimg=round(trainer.kimg, 3),
            seconds=round(seconds, 1),
            random_distance=distance.value,
            classifier_distance=None if scores is None else scores[0].value,
        )

    yield row(0.0)
    trained, looks, started = 0.0, 1, time.monotonic()
    for _ in trainer.run(tick_kimg=1.0):
        trained += time.monotonic() - started
        if trained > looks * minutes * 6:
            yield row(trained)
            looks = int(trained // (minutes * 6)) + 1
        if trained > minutes * 60:
            break
        started = time.monotonic()
    else:
        yield row(trained)
    images = sample_images(trainer.ema_generator, z[:64])
    held_out = data.held_out_images[:64]
    both = torch.cat([part.unflatten(0, (8, 8)) for part in (images, held_out)], dim=1)
    out.mkdir(parents=True, exist_ok=True)
    grid = image_grid(both.flatten(0, 1), columns=16)
    save_image(grid, out / f"{name_of(config.preset, config.family)}-{config.seed}.png")


def name_of(preset: str, family: str) -> str:
    """What the files about a preset's networks of a family are called."""
    return preset if family == "transgan" else f"{preset}-{family}"


def curves(rows: list[Row]) -> str:
    """An SVG of the random features' distance over time, one line a seed, both axes labelled."""
    width, height, left, bottom = 640, 300, 60, 40
    last = max(row.seconds for row in rows)
    logs = [math.log10(row.random_distance) for row in rows]
    low, high = math.floor(min(logs) * 4) / 4, math.ceil(max(logs) * 4) / 4

    def place(seconds: float, log: float) -> str:
        x = left + (width - left - 10) * seconds / last
        y = 10 + (height - bottom - 10) * (high - log) / (high - low)
        return f"{x:.1f},{y:.1f}"

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for step in range(round((high - low) * 4) + 1):
        log = low + step / 4
        start, end = place(0, log), place(last, log)
        lines.append(
            f'<polyline points="{start} {end}" stroke="#ddd"/>'
            f'<text x="{left - 6}" y="{float(start.split(",")[1]) + 4}" text-anchor="end">'
            f"{10**log:.3g}</text>"
        )
    for seed, colour in zip(sorted({row.seed for row in rows}), COLOURS * 99, strict=False):
        points = " ".join(
            place(row.seconds, math.log10(row.random_distance)) for row in rows if row.seed == seed
        )
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2">')
        lines.append(f"<title>seed {seed}</title></polyline>")
    lines.append(
        f'<text x="{width / 2}" y="{height - 8}" text-anchor="middle">seconds of training, 0 to '
        f"{last:.0f}; distance on a logarithmic scale</text></svg>"
    )
    return "\n".join(lines) + "\n"


def length_text(kimg: float | None, preset: str) -> str:
    """How long a training is whose length is not its preset's, with a space before."""
    own = preset_config(preset).total_kimg
    if kimg is None or kimg == own:
        return ""
    return f" {kimg:g} kimg are {kimg / own:.2g} times the preset's {own:g} (`total_kimg`)."


def page(name: str, rows: list[Row], options: str, length: str = "") -> str:
    """The Markdown page of a training: how far each seed came, the curves, the images."""
    lines = [
        f"# What `{name}` learns in {max(row.seconds for row in rows) / 60:.1f} minutes",
        "",
        f"`python benchmarks/learning.py {options}` on a CPU, torch "
        f"{torch.__version__}. Fréchet distance of {NUM_IMAGES} images of the averaged generator "
        f"to all held-out ones.{length}",
        "",
        "| seed | kimg | random features: start | end | end / start | classifier: start | end "
        "| end / start |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for seed in sorted({row.seed for row in rows}):
        first, *_, last = [row for row in rows if row.seed == seed]
        cells = [f"{seed}", f"{last.kimg:.1f}"]
        for before, after in (
            (first.random_distance, last.random_distance),
            (first.classifier_distance, last.classifier_distance),
        ):
            if before is not None and after is not None:
                cells += [f"{before:.4g}", f"{after:.4g}", f"1/{before / after:.1f}"]
        lines.append("| " + " | ".join(cells + ["–"] * (8 - len(cells))) + " |")
    lines += ["", f"![distance over time]({name}.svg)", ""]
    for seed in sorted({row.seed for row in rows}):
        lines += [f"Seed {seed}: generated left, held-out right.", ""]
        lines += [f"![seed {seed}]({name}-{seed}.png)", ""]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    """Train, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=["digits", "photos"], default="digits")
    parser.add_argument("--family", choices=list(GENERATOR_CONFIGS), default="transgan")
    parser.add_argument("--minutes", type=float, default=10.0, help="training time of each seed")
    parser.add_argument("--kimg", type=float, help="end of the training; the preset's if left out")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=Path("docs/learning"))
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    data = load_data(DataConfig(name=arguments.preset))
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        evaluator = classifier_evaluator(data, Path(folder))
        for seed in arguments.seeds:
            values = preset_values(arguments.preset, arguments.family) | {"seed": seed}
            if arguments.kimg is not None:
                values["total_kimg"] = arguments.kimg
            config = TrainingConfig.model_validate(values)
            for row in learn(config, data, evaluator, arguments.minutes, arguments.out):
                rows.append(row)
                print(row, flush=True)
    name = name_of(arguments.preset, arguments.family)
    arguments.out.joinpath(f"{name}.svg").write_text(curves(rows), encoding="utf-8")
    length = "" if arguments.kimg is None else f" --kimg {arguments.kimg:g}"
    family = "" if arguments.family == "transgan" else f" --family {arguments.family}"
    options = f"--preset {arguments.preset}{family} --minutes {arguments.minutes:g}"
    options = f"{options}{length} --threads {arguments.threads}"
    text = page(name, rows, options, length_text(arguments.kimg, arguments.preset))
    arguments.out.joinpath(f"{name}.md").write_text(text, encoding="utf-8")
    with (arguments.out / f"{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(Row)])
        writer.writeheader()
        writer.writerows(dataclasses.asdict(row) for row in rows)


if __name__ == "__main__":
    main()
