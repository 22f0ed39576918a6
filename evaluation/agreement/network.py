"""Fourth rung: Inception itself, with seeded random weights in a file of the official format.

The official weights are not everywhere, and what a loader, a resizing and a network do can be
compared under any weights, as long as the features they give tell images apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from evaluation import fidelity
from evaluation.agreement.check import Check, Rung, measured, not_run
from evaluation.agreement.oracles import OracleMissingError, check_installed
from evaluation.agreement.real_images import mixed_images
from evaluation.agreement.resize import INCEPTION_SIZE
from evaluation.extractors import Extractor, inception_extractor
from evaluation.inception_weights import INCEPTION_FILES

Network = Callable[[UInt8[Tensor, "N 3 H W"]], tuple[Float[Tensor, "N 2048"], ...]]

RUNG: Rung = "network"
SIZES = (32, 64, 512)
TO_TORCH_FIDELITY, TO_PYTORCH_FID = 1e-6, 1e-5
"""Bounds on the largest difference of a feature, relative to the features' spread over images."""
MIN_SPREAD = 1e-3
"""Features of PyTorch's initial weights are about 1e-8, and any two networks agree on those."""
NUM_IMAGES = 8
_SEED = 20151205


def write_seeded_weights(path: Path) -> None:
    """Seeded He-normal weights (arXiv:1502.01852, eq. 10) as a file like the official one."""
    network = fidelity.initial_inception()
    rng = torch.Generator().manual_seed(_SEED)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                fan_in = module.weight[0].numel()
                drawn = torch.randn(module.weight.shape, generator=rng)
                module.weight.copy_(drawn * math.sqrt(2 / fan_in))
                if module.bias is not None:
                    module.bias.zero_()
    torch.save(network.state_dict(), path)


def unverified_inception(weights: Path) -> Extractor:
    """The extractor that the file gives, whatever its hash; its distances are no FID."""
    return inception_extractor(weights, allow_unverified=True)


def network(
    extractor: Extractor, weights: Path, *, sizes: tuple[int, ...] = SIZES
) -> Iterator[Check]:
    """The rung's checks of `extractor`, made from the file of seeded `weights`."""
    theirs = fidelity.oracle_inception(weights)
    for size in sizes:
        images = mixed_images(NUM_IMAGES, size, seed=size)
        ours = extractor(images).features
        named = f"{NUM_IMAGES} digits and photos of {size}×{size}"
        with torch.inference_mode():
            expected = theirs(images)[0]
        yield _features_apart(f"{named}, torch-fidelity", ours, expected, TO_TORCH_FIDELITY)
        compared = f"{named}, pytorch-fid's network"
        try:
            expected = _pytorch_fid_features(images, weights)
        except OracleMissingError as error:
            yield not_run(RUNG, compared, str(error))
            continue
        yield _features_apart(compared, ours, expected, TO_PYTORCH_FID)


def _features_apart(compared: str, ours: Tensor, theirs: Tensor, bound: float) -> Check:
    """Largest difference of a feature by their spread; infinite where they tell nothing apart."""
    spread = float(theirs.double().std(dim=0).mean())
    largest = float((ours.double() - theirs.double()).abs().max())
    difference = largest / spread if spread >= MIN_SPREAD else math.inf
    beside = f"features' standard deviation over images {spread:.3f}"
    return measured(RUNG, compared, difference, bound, beside=beside)


def _pytorch_fid_features(images: Tensor, weights: Path) -> Float[Tensor, "N 2048"]:
    """Features by another code of the same network, which reads the same file.

    Its own resizing is another rule, so it gets what TensorFlow's gives.

    Raises:
        OracleMissingError: pytorch-fid is not installed.
    """
    check_installed("pytorch-fid")
    from pytorch_fid.inception import InceptionV3

    with _torch_hub(weights):
        other = InceptionV3(resize_input=False, normalize_input=False).eval()
    pixels = (fidelity.resize_like_tensorflow(images, INCEPTION_SIZE) - 128) / 128
    with torch.inference_mode():
        features: Tensor = other(pixels)[0]
    return features.flatten(1)


@contextmanager
def _torch_hub(weights: Path) -> Iterator[None]:
    """Let pytorch-fid, which takes no path, find `weights` where it would have downloaded them."""
    before = torch.hub.get_dir()
    checkpoints = weights.parent / "checkpoints"
    checkpoints.mkdir(exist_ok=True)
    link = checkpoints / INCEPTION_FILES[1]
    if not link.exists():
        link.symlink_to(weights.resolve())
    torch.hub.set_dir(str(weights.parent))
    try:
        yield
    finally:
        torch.hub.set_dir(before)
