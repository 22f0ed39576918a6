"""The authors' weights in this project's networks: layout, checks, and nothing run from the file.

The layout is that of VITA-Group/TransGAN at 6b85440, of whose code nothing is used here. It names
tensors by the classes of four training scripts, one for each preset in `OFFICIAL_PRESETS`.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from transgan.config import TrainingConfig
from transgan.networks.discriminator import Discriminator
from transgan.networks.families import build_discriminator, build_generator
from transgan.networks.generator import Generator
from transgan.presets import preset_config

OFFICIAL_PRESETS = ("cifar10", "stl10", "church256", "celebahq256")
GENERATOR_PARTS = ("avg_gen_state_dict", "gen_state_dict")
"""Where a whole training checkpoint keeps the generator; the averaged one is preferred."""
DISCRIMINATOR_PARTS = ("dis_state_dict",)
MOST_NAMES = 3
"""Tensors that an error names."""

# Tensors that are there without effect: offsets that follow from the shape (checked), a noise
# strength that is never read, filters of an augmentation.
_INDEX = re.compile(r"\.relative_position_index$")
_UNUSED = re.compile(r"(^|\.)(cross_attention\.noise_strength_1|Hz_fbank|Hz_geom)$")

_BLOCK_NAMES = {
    "norm1": "norm1.norm",
    "norm2": "norm2.norm",
    "attn.bias_table": "attn.relative_position_bias_table",
    "attn.noise.strength": "attn.noise_strength_1",
    "cross_attn.q": "cross_attention.q_transform",
    "cross_attn.k": "cross_attention.k_transform",
    "cross_attn.v": "cross_attention.v_transform",
    "cross_attn.proj": "cross_attention.proj",
}


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
    config = _official_config(preset)
    generator = build_generator(config)
    names = {name: _generator_name(name, config) for name in generator.state_dict()}
    _load(generator, names, _part(state_dict, GENERATOR_PARTS), f"generator of {preset}")
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
    config = _official_config(preset)
    discriminator = build_discriminator(config)
    names = {name: _discriminator_name(name, config) for name in discriminator.state_dict()}
    part = _part(state_dict, DISCRIMINATOR_PARTS)
    _load(discriminator, names, part, f"discriminator of {preset}")
    return discriminator.eval()


def read_official_file(path: Path) -> dict[str, Any]:
    """What a file of the authors' holds: tensors and plain values, no code run.

    Raises:
        OfficialWeightsError: it is missing, truncated, or would need code of its own to be read.
    """
    multiarray = np._core.multiarray  # type: ignore[attr-defined]
    plain: list[Any] = [
        # Their best score can be a NumPy number, which old files name by the module's old place.
        (multiarray.scalar, "numpy.core.multiarray.scalar"),
        (multiarray.scalar, "numpy._core.multiarray.scalar"),
        np.dtype,
        type(np.dtype("float32")),
        type(np.dtype("float64")),
    ]
    try:
        with torch.serialization.safe_globals(plain):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise OfficialWeightsError(f"{path}: no such file") from None
    except pickle.UnpicklingError as error:
        reason = " ".join(str(error).split())
        called = re.search(r"GLOBAL ([\w.]+)", reason)
        what = f"asks to run {called[1]}" if called else "is no file of weights"
        raise OfficialWeightsError(
            f"{path}: {what}, which is refused; a file of weights holds tensors and plain values "
            "only (save its state dict anew with torch.save)"
        ) from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise OfficialWeightsError(
            f"{path}: can't be read, it is damaged or truncated "
            f"({' '.join(str(error).split())[:120]}); fetch it again"
        ) from None
    if not isinstance(content, dict):
        raise OfficialWeightsError(
            f"{path}: holds {type(content).__name__}, not a state dict or a training checkpoint"
        )
    return content


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
        wanted = {_generator_name(name, config): tensor for name, tensor in expected.items()}
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
        f"is {nearest}, of which {missing[nearest]} are missing or of another shape"
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
            f"a training checkpoint without {' or '.join(parts)}; it holds {', '.join(others)}"
        )
    return state_dict


def _tensors(state_dict: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors by name, without the prefix of a data-parallel module."""
    tensors = {}
    for name, value in state_dict.items():
        if not isinstance(value, Tensor):
            raise OfficialWeightsError(f"{name} is {type(value).__name__}, not a tensor")
        tensors[str(name).removeprefix("module.")] = value
    return tensors


def _load(
    module: nn.Module, names: dict[str, str], state_dict: Mapping[str, Any], what: str
) -> None:
    """Copy each tensor of `state_dict` to its place in `module`, if all of them have one."""
    tensors = _tensors(state_dict)
    own = module.state_dict()
    wanted = {official: own[name] for name, official in names.items()}
    missing = [name for name in wanted if name not in tensors]
    if missing:
        raise OfficialWeightsError(f"{what}: {_count(missing, 'missing')}")
    indices = [name for name in tensors if _INDEX.search(name)]
    unknown = [
        name
        for name in tensors
        if name not in wanted and name not in indices and not _UNUSED.search(name)
    ]
    if unknown:
        raise OfficialWeightsError(f"{what}: {_count(unknown, 'unknown')}")
    for name, tensor in wanted.items():
        given = tensors[name]
        if not given.is_floating_point() or not _same_shape(given, tensor):
            raise OfficialWeightsError(
                f"{what}: {name} has shape {tuple(given.shape)} and type {given.dtype}, but "
                f"{tuple(tensor.shape)} of floating point is wanted"
            )
    for name in indices:
        _check_index(name, tensors[name], what)
    with torch.no_grad():
        for name, tensor in wanted.items():
            tensor.copy_(tensors[name].reshape(tensor.shape))


def _same_shape(given: Tensor, wanted: Tensor) -> bool:
    """Whether shapes agree, a convolution's kernel counted as the linear layer that it is."""
    if given.ndim == 4 and wanted.ndim == 2:
        return given.flatten(1).shape == wanted.shape
    return given.shape == wanted.shape


def _check_index(name: str, index: Tensor, what: str) -> None:
    """Refuse a table of offsets in another order, which would mean another position bias."""
    tokens = len(index)
    width = round(tokens**0.5)
    rows, columns = torch.arange(tokens) // width, torch.arange(tokens) % width
    dy, dx = (axis[:, None] - axis[None, :] + width - 1 for axis in (rows, columns))
    if not torch.equal(index, dy * (2 * width - 1) + dx):
        raise OfficialWeightsError(
            f"{what}: {name} numbers offsets in an order that is not the authors'"
        )


def _count(names: list[str], fault: str) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    tensors = "tensor" if len(names) == 1 else "tensors"
    return f"{len(names)} {tensors} {fault}: {', '.join(names[:MOST_NAMES])}{more}"


def _generator_name(name: str, config: TrainingConfig) -> str:
    """The authors' name of one of our generator's tensors."""
    part, *rest = name.split(".")
    match part:
        case "latent_to_tokens":
            return ".".join(["l1", *rest])
        case "latent_to_source":
            return ".".join(["embedding_transform", *rest])
        case "source_positions":
            return "embed_pos"
        case "position_embeddings":
            return f"pos_embed_{int(rest[0]) + 1}"
        case "tokens_to_image":
            return ".".join(["deconv.0", *rest])
    stage, block = int(rest[0]), rest[1]
    if config.image_size > 48:
        place = f"blocks_{stage + 1}"
    else:
        place = f"upsample_blocks.{stage - 1}" if stage else "blocks"
    return f"{place}.block.{block}.{_block_name('.'.join(rest[2:]))}"


def _discriminator_name(name: str, config: TrainingConfig) -> str:
    """The authors' name of one of our discriminator's tensors."""
    part, *rest = name.split(".")
    match part:
        case "class_token":
            return "cls_token"
        case "position_embeddings":
            return f"pos_embed_{int(rest[0]) + 1}"
        case "patch_embeddings":
            return f"fRGB_{int(rest[0]) + 1}.{rest[-1]}"
        case "norm":
            return f"norm.norm.{rest[0]}"
        case "head":
            return f"head.{rest[0]}"
        case "last_blocks":
            return f"last_block.{rest[0]}.{_block_name('.'.join(rest[1:]))}"
    level, block = int(rest[0]), int(rest[1])
    windowed = config.discriminator.windowed_depths
    place = f"blocks_{level + 1}"
    if windowed and 0 < windowed[level] <= block:  # global blocks after windowed ones
        place, block = f"{place}1", block - windowed[level]
    return f"{place}.{block}.{_block_name('.'.join(rest[2:]))}"


def _block_name(name: str) -> str:
    for ours, theirs in _BLOCK_NAMES.items():
        if name == ours or name.startswith(f"{ours}."):
            return theirs + name.removeprefix(ours)
    return name
