"""The authors' weights in this project's networks: layout, checks, and nothing run from the file.

The layout is that of VITA-Group/TransGAN at 6b85440, of whose code nothing is used here. It names
tensors by the classes of four training scripts, one for each preset in `OFFICIAL_PRESETS`.
"""

from __future__ import annotations

import math
import pickle
import re
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from transgan.config import TrainingConfig
from transgan.networks.discriminator import Discriminator
from transgan.networks.families import build_discriminator, build_generator
from transgan.networks.generator import Generator
from transgan.official_names import discriminator_name, generator_name
from transgan.presets import preset_config

OFFICIAL_PRESETS = ("cifar10", "stl10", "church256", "celebahq256")
GENERATOR_PARTS = ("avg_gen_state_dict", "gen_state_dict")
"""Where a whole training checkpoint keeps the generator; the averaged one is preferred."""
DISCRIMINATOR_PARTS = ("dis_state_dict",)
MOST_NAMES = 3
"""Tensors that an error names."""

_INDEX, _TABLE = ".relative_position_index", ".relative_position_bias_table"
# Tensors that are there without effect: a noise strength that is never read, filters of an
# augmentation. Offsets that follow from the shape have none either, but are checked.
_UNUSED = re.compile(r"(^|\.)(cross_attention\.noise_strength_1|Hz_fbank|Hz_geom)$")
_WAY_OUT = (
    "give the whole state dict of that preset, as the authors' code at 6b85440 saves it "
    "(detect_preset finds the preset)"
)
_DAMAGE = (
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    MemoryError,
    struct.error,
)
"""What torch raises for a file that is not whole, by where the damage is."""


class OfficialWeightsError(ValueError):
    """Weights that are not those of the authors' networks, or can't be read safely."""


def load_generator(state_dict: Mapping[str, Any], preset: str) -> Generator:
    """The generator of `preset` with the authors' weights, on the CPU, in eval mode.

    Takes z (N, latent_dim) ~ N(0, I) and gives images (N, 3, H, W) in [-1, 1] units, not clamped.

    Args:
        state_dict: the authors' generator, also with `module.` before each name, or their whole
            training checkpoint, whose averaged generator is preferred.
        preset: one of `OFFICIAL_PRESETS`.

    Raises:
        OfficialWeightsError: a tensor is missing, unknown, or of another shape.
    """
    config, part = _official_config(preset), _part(state_dict, GENERATOR_PARTS)
    generator = build_generator(config)
    assert isinstance(generator, Generator)
    names = {name: generator_name(name, config) for name in generator.state_dict()}
    _load(generator, names, part, f"generator of {preset}")
    return generator.eval()


def load_discriminator(state_dict: Mapping[str, Any], preset: str) -> Discriminator:
    """The discriminator of `preset` with the authors' weights, on the CPU, in eval mode.

    Takes images (N, 3, H, W) in [-1, 1] units and gives logits (N,); augmentation is not part of
    it. For cifar10 and stl10 it draws noise from torch's default generator, as the authors' does.

    Args:
        state_dict: the authors' discriminator, also with `module.` before each name, or their whole
            training checkpoint.
        preset: one of `OFFICIAL_PRESETS`.

    Raises:
        OfficialWeightsError: a tensor is missing, unknown, or of another shape.
    """
    config, part = _official_config(preset), _part(state_dict, DISCRIMINATOR_PARTS)
    discriminator = build_discriminator(config)
    assert isinstance(discriminator, Discriminator)
    names = {name: discriminator_name(name, config) for name in discriminator.state_dict()}
    _load(discriminator, names, part, f"discriminator of {preset}")
    return discriminator.eval()


def read_official_file(path: Path) -> dict[str, Any]:
    """What a file of the authors' holds: tensors and plain values, no code run.

    Raises:
        OfficialWeightsError: it is missing, damaged, or would need code of its own to be read.
    """
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_plain_types()):
            # Torch warns of what it may not be able to read; what it can't, is refused below.
            warnings.simplefilter("ignore", UserWarning)
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        called = re.search(r"GLOBAL ([\w.]+)", str(error))
        if called is None:
            raise _damaged(path, error) from None
        raise OfficialWeightsError(
            f"{path}: asks to run {called[1]}, which is refused; a file of weights holds tensors "
            "and plain values only: save its state dict anew with torch.save"
        ) from None
    except OSError as error:
        raise OfficialWeightsError(
            f"{path}: can't be read ({error.strerror or error}); give a file of the authors' "
            "weights"
        ) from None
    except _DAMAGE as error:
        raise _damaged(path, error) from None
    if not isinstance(content, dict):
        raise OfficialWeightsError(
            f"{path}: holds {type(content).__name__}, not a state dict or a training checkpoint; "
            "save the network's state_dict() with torch.save"
        )
    return content


def _plain_types() -> list[Any]:
    """What a NumPy number is made of, as the authors' best score can be one."""
    scalar = np.float64(0).__reduce__()[0]
    dtypes = [type(np.dtype(name)) for name in ("float32", "float64", "int64")]
    # NumPy 1 and 2 write the same function by different names.
    places = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    return [np.dtype, *dtypes, *((scalar, place) for place in places)]


def _damaged(path: Path, error: BaseException) -> OfficialWeightsError:
    # Torch's own advice around the reason, to load the file with code and all, is left out.
    reason = " ".join(str(error).split()).rpartition("WeightsUnpickler error: ")[2]
    reason = reason.partition(" Check the documentation")[0][:120]
    return OfficialWeightsError(
        f"{path}: no whole file of weights ({reason or type(error).__name__}); fetch it again, or "
        "save the state dict anew with torch.save"
    )


def detect_preset(state_dict: Mapping[str, Any]) -> str:
    """The preset whose generator has the tensors of `state_dict`.

    Raises:
        OfficialWeightsError: none of them has.
    """
    tensors = _tensors(_part(state_dict, GENERATOR_PARTS))
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    missing = {}
    for preset in OFFICIAL_PRESETS:
        config = _official_config(preset)
        with torch.device("meta"):
            expected = build_generator(config).state_dict()
        wanted = {generator_name(name, config): tensor for name, tensor in expected.items()}
        found = sum(
            name in shapes and np.prod(shapes[name], dtype=int) == tensor.numel()
            for name, tensor in wanted.items()
        )
        missing[preset] = len(wanted) - found
        if not missing[preset]:
            return preset
    nearest = min(missing, key=lambda preset: missing[preset])
    raise OfficialWeightsError(
        f"no generator of {', '.join(OFFICIAL_PRESETS)} has these {len(shapes)} tensors; nearest "
        f"is {nearest}, of which {missing[nearest]} are missing or of another shape; give a "
        "generator that the authors' code at 6b85440 saved"
    )


def _official_config(preset: str) -> TrainingConfig:
    if preset not in OFFICIAL_PRESETS:
        raise OfficialWeightsError(
            f"the authors released no weights for preset {preset!r}; "
            f"they did for {', '.join(OFFICIAL_PRESETS)}"
        )
    return preset_config(preset)


def _part(state_dict: Mapping[str, Any], parts: tuple[str, ...]) -> Mapping[str, Any]:
    """The first of `parts` that a training checkpoint has; a bare state dict is its own."""
    for part in parts:
        if isinstance(state_dict.get(part), Mapping):
            inner: Mapping[str, Any] = state_dict[part]
            return inner
    others = [name for name, value in state_dict.items() if isinstance(value, Mapping)]
    if others:
        raise OfficialWeightsError(
            f"a training checkpoint without {' or '.join(parts)}: it holds {', '.join(others)}; "
            "give one that has it, or the network's state dict alone"
        )
    return state_dict


def _tensors(state_dict: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors by name, without the prefix of a data-parallel module."""
    tensors = {}
    for name, value in state_dict.items():
        if not isinstance(value, Tensor) or value.layout is not torch.strided or value.is_meta:
            raise OfficialWeightsError(
                f"{name} is {type(value).__name__}, not a tensor of plain numbers; give the state "
                "dict of a network, or a training checkpoint with "
                f"{' or '.join((*GENERATOR_PARTS, *DISCRIMINATOR_PARTS))}"
            )
        bare = str(name).removeprefix("module.")
        if bare in tensors:
            raise OfficialWeightsError(
                f"{bare} is there twice, with and without module. before it; keep one of them"
            )
        tensors[bare] = value
    return tensors


def _load(
    module: nn.Module, names: dict[str, str], state_dict: Mapping[str, Any], what: str
) -> None:
    """Copy each tensor of `state_dict` to its place in `module`, if all of them have one."""
    tensors, own = _tensors(state_dict), module.state_dict()
    wanted = {official: own[name] for name, official in names.items()}
    missing = [name for name in wanted if name not in tensors]
    if missing:
        raise OfficialWeightsError(f"{what}: {_count(missing, 'missing')}; {_WAY_OUT}")
    tables = {name: name.removesuffix(_INDEX) + _TABLE for name in tensors if name.endswith(_INDEX)}
    unknown = [
        name
        for name in tensors
        if name not in wanted and tables.get(name) not in wanted and not _UNUSED.search(name)
    ]
    if unknown:
        raise OfficialWeightsError(f"{what}: {_count(unknown, 'unknown')}; {_WAY_OUT}")
    for name, tensor in wanted.items():
        given = tensors[name]
        if not given.is_floating_point() or not _same_shape(given, tensor):
            raise OfficialWeightsError(
                f"{what}: {name} has shape {tuple(given.shape)} and type {given.dtype}, but "
                f"{tuple(tensor.shape)} of floating point is wanted; {_WAY_OUT}"
            )
    for name, table in tables.items():
        if not torch.equal(tensors[name].cpu(), _index(len(wanted[table]))):
            raise OfficialWeightsError(
                f"{what}: {name} numbers offsets in an order that is not the authors', so that "
                f"{table} would mean another bias; {_WAY_OUT}"
            )
    with torch.no_grad():
        for name, tensor in wanted.items():
            tensor.copy_(tensors[name].reshape(tensor.shape))


def _same_shape(given: Tensor, wanted: Tensor) -> bool:
    """Whether shapes agree, a convolution's kernel counted as the linear layer that it is."""
    if given.ndim == 4 and wanted.ndim == 2:  # any other order of its axes is no square
        return given.shape[2] == given.shape[3] and given.flatten(1).shape == wanted.shape
    return given.shape == wanted.shape


def _index(rows: int) -> Int[Tensor, "tokens tokens"]:
    """The row, of a table of (2W - 1)² `rows`, for the offset of each token from each other one."""
    width = (math.isqrt(rows) + 1) // 2
    tokens = torch.arange(width**2)
    y, x = tokens // width, tokens % width
    dy, dx = (axis[:, None] - axis[None, :] + width - 1 for axis in (y, x))
    return dy * (2 * width - 1) + dx


def _count(names: list[str], fault: str) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    tensors = "tensor" if len(names) == 1 else "tensors"
    return f"{len(names)} {tensors} {fault}: {', '.join(names[:MOST_NAMES])}{more}"
