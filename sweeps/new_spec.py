"""A first spec for a user's own images, with a comment on every choice."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import NamedTuple

from sweeps.sampler_config import SamplerConfig
from sweeps.spec_text import SpecError
from transgan.data.survey import Survey
from transgan.data_config import DATA_SETS
from transgan.presets import PRESETS

_USUAL_STARTUP_TRIALS = SamplerConfig().startup_trials
LARGEST_BY_ITSELF = {False: 32, True: 64}
"""Side in pixels that is chosen at most without and with a GPU: larger ones take days."""


class _Scale(NamedTuple):
    """What suits a preset's size."""

    total_kimg: int
    """Nine times the first rung, so that rungs divide it evenly."""
    trials: int
    num_images: int
    rates: tuple[str, str]


_SMALL = _Scale(36, 8, 500, ("2.0e-4", "1.5e-3"))
_LARGE = _Scale(1800, 24, 5000, ("2.0e-5", "1.0e-3"))
_PRESET_BY_SIZE = {
    False: {16: "small16", 32: "photos"},
    True: {
        **{16: "small16", 32: "cifar10", 48: "stl10", 64: "celeba64", 128: "celeba128"},
        **{256: "celebahq256", 512: "large512", 1024: "large1024"},
    },
}
"""Presets for images of a size, without and with a GPU."""


def new_spec(
    images: Path, found: Survey, *, image_size: int | None, has_gpu: bool, command: str, out: Path
) -> str:
    """The text of a spec for the images at `images`.

    Args:
        images: a folder or zip file.
        found: what it holds.
        image_size: side to train at, in pixels; None for what suits images and machine.
        has_gpu: whether trials are to have a GPU.
        command: how the spec was made, for its first line.
        out: the file that it is written to.

    Raises:
        SpecError: no preset for this size, or images so small that none suits.
    """
    size = _size(found, image_size, has_gpu)
    by_size = _PRESET_BY_SIZE[True] if size > LARGEST_BY_ITSELF[False] else _PRESET_BY_SIZE[has_gpu]
    preset = by_size[size]
    scale = _SMALL if preset in _PRESET_BY_SIZE[False].values() else _LARGE
    depths = PRESETS[preset]["generator"]["depths"]
    shallow = [
        min(depth, 2) if place else max(depth // 2, depth > 0) for place, depth in enumerate(depths)
    ]
    labels = found.num_labels > 1
    scoring = (
        "classifier, trained on your labels in minutes; or inception, with FID as its first metric"
        if labels
        else "inception needs its weights, which are downloaded once (tg-sweep doctor finds them)"
    )
    extractor, metrics = ("classifier", "fd, kd") if labels else ("inception", "fid, kid")
    spec = shlex.quote(os.fspath(out))
    first = scale.total_kimg // 36
    quick = shlex.join(
        [
            *("--trials", "2", "--set", f"training.total_kimg={3 * first}"),
            *("--set", f"early_stopping.grace_kimg={first}", "--out", f"runs/{out.stem}-quick"),
        ]
    )
    startup_trials = min(_USUAL_STARTUP_TRIALS, scale.trials // 2)
    startup_reason = (
        f"usually {_USUAL_STARTUP_TRIALS}, but that leaves tpe no part in {scale.trials} trials"
        if startup_trials < _USUAL_STARTUP_TRIALS
        else "from fewer it learns too little"
    )
    name = os.fspath(images)
    if name in DATA_SETS:
        name = f"./{name}"
    sizes = ", ".join(str(known) for known in _PRESET_BY_SIZE[True])
    side = f"{found.side} pixels or more in nine of ten of {found.sample_text}"
    return f"""\
# {command}
# See what it means and takes:   tg-sweep plan {spec}
# Try all but the training:      tg-sweep run {spec} --dry-run
# A first, short look:           tg-sweep run {spec} {quick}
# Run it:                        tg-sweep run {spec}

# {found.num_images:,} images, {_labels_text(found)}.
# Shorter side: {side}.
# They are cut to their middle square and resized to image_size, one of {sizes}.
data: {{name: {json.dumps(name, ensure_ascii=False)}, image_size: {size}}}

# The preset fills in every value not given here. total_kimg: thousand images that the longest
# trials see; quality grows with it, and so does time. Out of memory: lower microbatch_size (batches
# in parts), or set activation_checkpointing: true. `plan` says which is needed.
training: {{preset: {preset}, total_kimg: {scale.total_kimg}}}

# What differs from trial to trial: any field of training by its path, as choice, uniform,
# loguniform or randint.
search:
  generator.depths: {{choice: [{depths}, {shallow}]}}
  generator.num_heads: {{choice: [2, 4]}}
  optimizer.generator_lr: {{loguniform: [{", ".join(scale.rates)}]}}
  optimizer.discriminator_lr: {{loguniform: [{", ".join(scale.rates)}]}}
  loss.name: {{choice: [nonsaturating, hinge, rpgan]}}

# How trials are proposed: tpe learns from those before; random and grid do not. The first
# startup_trials are drawn at random: {startup_reason}.
# The same seed gives the same sweep.
sampler: {{name: tpe, seed: 0, startup_trials: {startup_trials}}}

# Every trial is scored after {scale.total_kimg // 9}, {scale.total_kimg // 3} and {scale.total_kimg} kimg, and the best third goes on.
early_stopping: {{name: asha, grace_kimg: {scale.total_kimg // 9}, reduction_factor: 3}}

# The first metric ranks. extractor: {scoring}.
evaluation: {{extractor: {extractor}, metrics: [{metrics}, precision, recall], num_images: {scale.num_images}}}

# hours: stop, resumable, after so long.
budget: {{trials: {scale.trials}, hours: null}}

# gpus_per_trial: a fraction lets several trials share a GPU.
resources: {{gpus_per_trial: {int(has_gpu)}, cpus_per_trial: {2 if has_gpu else 1}}}
"""  # noqa: E501


def _size(found: Survey, wanted: int | None, has_gpu: bool) -> int:
    known = _PRESET_BY_SIZE[True]
    if wanted is not None:
        if wanted not in known:
            sizes = ", ".join(map(str, known))
            raise SpecError(f"--image-size {wanted}: no preset is for this size; give {sizes}")
        return wanted
    fitting = [s for s in known if s <= min(found.side, LARGEST_BY_ITSELF[has_gpu])]
    if not fitting:
        raise SpecError(
            f"the images are only {found.side} pixels on the shorter side; say --image-size "
            f"{min(known)} to enlarge them"
        )
    return max(fitting)


def _labels_text(found: Survey) -> str:
    return f"{found.num_labels} labels" if found.num_labels else "no labels"
