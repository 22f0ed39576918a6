"""A torch module of the user's own as an extractor: found by import path, tried before it is used.

What stands at `package.module:Name` is a class of `torch.nn.Module`, or a function that gives one,
called without arguments. The module takes uint8 images (N, 3, H, W), a grey image as three equal
channels, and resizes and scales them as it likes. It gives features (N, D), or a pair of features
and logits (N, K), as floats. It is put into eval mode; each image's features must be the same
whatever else is in its batch.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

PROBE_IMAGES = 5
TOLERANCE = 1e-4
"""Largest difference between features of one image, in units of the largest feature, that
arithmetic in another order is granted."""


class ExtractorModuleError(ValueError):
    """What an import path leads to can't serve as an extractor."""


class OwnModule(NamedTuple):
    """A module that passed its trial."""

    network: nn.Module
    sha256: str
    """Hash of import path, state, and the source files of its class and of its parts' classes, but
    torch's own. What else these files import is not looked at."""
    dim: int
    """Number of features."""
    num_logits: int
    """Number of logits; 0 where the module gives features alone."""


class FeaturesAndLogits(nn.Module):
    """A network around one that may give features alone: its logits are then (N, 0)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, D) and logits (N, K) of uint8 images (N, 3, H, W)."""
        output = self.network(images)
        if isinstance(output, Tensor):
            return output, output.new_zeros(len(output), 0)
        features, *logits = output
        return features, logits[0] if logits else features.new_zeros(len(features), 0)


def load_module(choice: str, image_size: tuple[int, int], device: torch.device) -> OwnModule:
    """The module at the import path `choice`, after a trial on images of `image_size` pixels.

    Raises:
        ExtractorModuleError: it can't be imported or made, or does not do what an extractor must;
            the message says which.
    """
    network = _make(choice).to(device).eval().requires_grad_(False)
    sha256 = _sha256(choice, network)
    generator = torch.Generator().manual_seed(0)
    size = (PROBE_IMAGES, 3, *image_size)
    images = torch.randint(0, 256, size, generator=generator, dtype=torch.uint8).to(device)
    features, logits = _try(choice, network, images)
    again, _ = _try(choice, network, images)
    _check_same(choice, features, again, "when they are given twice (is there dropout at work?)")
    for index in range(PROBE_IMAGES):
        alone, _ = _try(choice, network, images[index : index + 1])
        _check_same(
            choice,
            features[index : index + 1],
            alone,
            "when they are given alone (is there batch normalisation over the batch?)",
        )
    num_logits = 0 if logits is None else logits.shape[1]
    return OwnModule(FeaturesAndLogits(network).eval(), sha256, features.shape[1], num_logits)


def _make(choice: str) -> nn.Module:
    path, _, name = choice.partition(":")
    try:
        target: object = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{path}.".startswith(f"{error.name}."):
            raise  # it is there, and imports something that is not
        raise ExtractorModuleError(
            f"extractor {choice}: no module called {error.name}; install it, or put its folder on "
            "PYTHONPATH"
        ) from None
    for part in name.split("."):
        if not hasattr(target, part):
            raise ExtractorModuleError(
                f"extractor {choice}: {path} has no {name}; write it as package.module:Name"
            )
        target = getattr(target, part)
    if isinstance(target, nn.Module) or not callable(target):
        raise ExtractorModuleError(
            f"extractor {choice}: {name} is {_kind(target)}; give the class of a module, or a "
            "function that makes one"
        )
    _check_no_arguments(choice, target)
    network = target()
    if not isinstance(network, nn.Module):
        raise ExtractorModuleError(
            f"extractor {choice}: calling {name} gave {_kind(network)}; it must give a "
            "torch.nn.Module"
        )
    return network


def _check_no_arguments(choice: str, target: Callable[..., object]) -> None:
    wanted = [
        parameter.name
        for parameter in inspect.signature(target).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if wanted:
        raise ExtractorModuleError(
            f"extractor {choice}: it wants arguments ({', '.join(wanted)}), and is called without "
            "any; give a function that fills them in"
        )


def _try(choice: str, network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor | None]:
    """Features and logits, if they are what they should be."""
    shape = tuple(images.shape)
    try:
        with torch.inference_mode():
            output = network(images)
    except (RuntimeError, TypeError, ValueError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise ExtractorModuleError(
            f"extractor {choice}: it fails on uint8 images of shape {shape}: {first}; convert and "
            "resize them in its forward"
        ) from error
    parts = [output] if isinstance(output, Tensor) else output
    is_sequence = isinstance(parts, Sequence) and 1 <= len(parts) <= 2
    if not is_sequence or not all(isinstance(part, Tensor) for part in parts):
        raise ExtractorModuleError(
            f"extractor {choice}: it gives {_kind(output)}; it must give features (N, D), or a "
            "pair of features and logits (N, K)"
        )
    for what, part, least in zip(("features", "logits"), parts, (1, 2), strict=False):
        if part.ndim != 2 or len(part) != len(images) or part.shape[1] < least:
            raise ExtractorModuleError(
                f"extractor {choice}: {what} of {len(images)} images have shape "
                f"{tuple(part.shape)}; they must be a row of {least} or more for each image"
            )
        if not part.is_floating_point():
            raise ExtractorModuleError(
                f"extractor {choice}: {what} are {part.dtype}; they must be floats"
            )
        if not part.isfinite().all():
            raise ExtractorModuleError(
                f"extractor {choice}: {what} of random images are not all finite; see to the "
                "range of its input (uint8, 0 to 255)"
            )
    return parts[0], parts[1] if len(parts) == 2 else None


def _check_same(choice: str, first: Tensor, second: Tensor, when: str) -> None:
    if first.shape != second.shape:
        raise ExtractorModuleError(
            f"extractor {choice}: the number of features changes from {first.shape[1]} to "
            f"{second.shape[1]} {when}; it must not"
        )
    scale = float(first.abs().max())
    difference = float((first - second).abs().max())
    if difference > TOLERANCE * scale:
        raise ExtractorModuleError(
            f"extractor {choice}: features of the same images differ by {difference:.2g}, the "
            f"largest being {scale:.2g}, {when}; they must not"
        )


def _sources(choice: str, network: nn.Module) -> list[Path]:
    """The files behind an import path and a network, in the order of their modules' names."""
    names = {type(part).__module__ for part in network.modules()} | {choice.partition(":")[0]}
    own = sorted(name for name in names if name.partition(".")[0] != "torch")
    files = (getattr(sys.modules[name], "__file__", None) for name in own)
    return [Path(file) for file in files if file is not None]


def _sha256(choice: str, network: nn.Module) -> str:
    """Over the import path, the source, and name, type, shape and bytes of each tensor."""
    digest = hashlib.sha256(f"{choice}|".encode())
    # Without it a cached reference would outlive the code that it was taken with.
    for source in _sources(choice, network):
        digest.update(hashlib.sha256(source.read_bytes()).digest())
    for name, tensor in sorted(network.state_dict().items()):
        if not isinstance(tensor, Tensor):
            raise ExtractorModuleError(
                f"extractor {choice}: {name} in its state is {_kind(tensor)}, not a tensor, and "
                "can't be hashed; keep it out of the state dict"
            )
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        # By way of bytes, since numpy has no bfloat16.
        content = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(content.numpy().tobytes())
    return digest.hexdigest()


def _kind(value: object) -> str:
    return f"an object of type {type(value).__name__}"
