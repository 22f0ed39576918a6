"""DINOv2's code and weights, as torch hub keeps them: found or asked for, never fetched unasked.

torch-fidelity takes the network from torch hub, which would download a repository and run it. That
is for the user to do. No hash of the weights is published, so none can be checked; the hash of the
file that was used is recorded with every score.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import Tensor

DINOV2_MODEL = "dinov2_vitb14"
DINOV2_FILE = "dinov2_vitb14_pretrain.pth"
DINOV2_URL = f"https://dl.fbaipublicfiles.com/dinov2/{DINOV2_MODEL}/{DINOV2_FILE}"
DINOV2_REPOSITORIES = ("facebookresearch_dinov2_main", "facebookresearch_dinov2_master")
"""Names under which torch hub keeps the repository."""


class Dinov2WeightsError(ValueError):
    """DINOv2 is not in torch hub's cache, or is not what it should be."""


def find_dinov2_weights() -> Path:
    """The file of DINOv2's weights (ViT-B/14) in torch hub's cache, if its code is there too.

    Raises:
        Dinov2WeightsError: either is missing; the message has three ways out.
    """
    hub = Path(torch.hub.get_dir())
    weights = hub / "checkpoints" / DINOV2_FILE
    code = [hub / name / "hubconf.py" for name in DINOV2_REPOSITORIES]
    missing = []
    if not weights.is_file():
        missing.append(f"no weights at {weights}")
    if not any(place.is_file() for place in code):
        missing.append(f"no code at {code[0].parent}")
    if missing:
        raise Dinov2WeightsError(
            f"DINOv2: {' and '.join(missing)}; fetch both where there is network (python -c "
            f"\"import torch; torch.hub.load('facebookresearch/dinov2', '{DINOV2_MODEL}')\"), or "
            f"copy {DINOV2_URL} and the unpacked github.com/facebookresearch/dinov2 there, or "
            "choose extractor: classifier or inception"
        )
    return weights


def read_dinov2_weights(path: Path) -> dict[str, Tensor]:
    """The tensors in DINOv2's file, which must hold nothing else.

    Raises:
        Dinov2WeightsError: it holds more than tensors, or is damaged.
    """
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, LookupError, EOFError) as error:
        raise Dinov2WeightsError(
            f"{path} is damaged or no plain file of tensors; fetch it anew from {DINOV2_URL}"
        ) from error
    if not isinstance(tensors, dict) or not all(isinstance(t, Tensor) for t in tensors.values()):
        raise Dinov2WeightsError(
            f"{path} holds something other than named tensors; fetch it anew from {DINOV2_URL}"
        )
    return tensors
