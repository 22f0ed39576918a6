"""A file of the authors' weights made into this project's: to generate from, and to train on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from safetensors import SafetensorError

from reports.run_folder import TrialFolder
from transgan.networks.generator import Generator
from transgan.official import (
    DISCRIMINATOR_PARTS,
    GENERATOR_PARTS,
    detect_preset,
    load_discriminator,
    load_generator,
    read_official_file,
)
from transgan.presets import preset_config
from transgan.training.checkpoint import save_snapshot
from transgan.training.trainer import Trainer

AVERAGE, LAST = GENERATOR_PARTS
(DISCRIMINATOR,) = DISCRIMINATOR_PARTS


class ImportPlaceError(ValueError):
    """Imported weights can't be written where they should go."""


def import_official(source: Path, out: Path, console: Console) -> Iterator[Path]:
    """Write what `source` holds into the folder `out`, yielding each file that is there.

    `snapshot.safetensors` is its generator, the averaged one if there is one. If there is a
    discriminator too, `checkpoint.safetensors` is a training's state at step 0 with both. Nothing
    is written before all of it has been found good.

    Raises:
        OfficialWeightsError: `source` can't be read, or is of none of the authors' networks.
        ImportPlaceError: `out` holds such files already, or can't be written.
    """
    folder = TrialFolder(out)
    _check_vacant(out, folder.snapshot, folder.checkpoint)
    _say(console, f"Reading {source}")
    content = read_official_file(source)
    parts = [part for part in (AVERAGE, LAST, DISCRIMINATOR) if _holds(content, part)]
    # What else a training checkpoint holds, optimizers above all, is twice as large.
    content = {part: content[part] for part in parts} or content
    preset = detect_preset(content)
    generator = load_generator(content, preset)
    used = next((part for part in parts if part in GENERATOR_PARTS), "the whole file")
    _say(console, f"Preset {preset}; generator: {used}")
    trainer = _trainer(content, preset, generator) if DISCRIMINATOR in parts else None
    try:
        out.mkdir(parents=True, exist_ok=True)
        save_snapshot(folder.snapshot, generator, preset_config(preset), None)
        yield folder.snapshot
        if trainer is None:
            _say(console, f"No checkpoint to train on from: there is no {DISCRIMINATOR}")
            return
        trainer.save(folder.checkpoint)
        yield folder.checkpoint
    except (OSError, SafetensorError) as error:
        raise ImportPlaceError(f"--out {out}: can't be written ({error})") from None
    _say(console, _account(parts, preset, folder.checkpoint))


def _trainer(content: Mapping[str, Any], preset: str, average: Generator) -> Trainer:
    """A trainer that has not begun, with the networks of `content` and no images to speak of."""
    discriminator = load_discriminator(content, preset)
    last = load_generator(content[LAST], preset) if LAST in content else average
    config = preset_config(preset)
    size = config.image_size
    blank = torch.zeros(2, config.image_channels, size, size, dtype=torch.uint8)
    trainer = Trainer(config, blank)
    trainer.discriminator.load_state_dict(discriminator.state_dict())
    trainer.generator.load_state_dict(last.state_dict())
    trainer.ema_generator.load_state_dict(average.state_dict())
    return trainer


def _account(parts: list[str], preset: str, checkpoint: Path) -> str:
    """What the checkpoint holds, what it lacks, and how to go on from it."""
    stand_in = ""
    if LAST not in parts:
        stand_in = f" (there is no {LAST}, so the average is the generator too)"
    elif AVERAGE not in parts:
        stand_in = f" (there is no {AVERAGE}, so the generator is its own average)"
    return (
        f"The checkpoint holds both networks and the average{stand_in} at step 0; it lacks the "
        "authors' optimizer moments and counts, so learning rates, and how fast the average "
        f"follows, start afresh. To go on: Trainer(preset_config({preset!r}), images)"
        f".resume(Path({str(checkpoint)!r}))"
    )


def _check_vacant(out: Path, *paths: Path) -> None:
    if out.exists() and not out.is_dir():
        raise ImportPlaceError(f"--out {out}: is no folder; give another --out")
    for path in paths:
        if path.exists():
            raise ImportPlaceError(f"{path}: exists already; give another --out, or remove it")


def _holds(content: Mapping[str, Any], part: str) -> bool:
    return isinstance(content.get(part), Mapping)


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
