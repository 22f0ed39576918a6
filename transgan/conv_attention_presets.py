"""Networks of the family conv-attention for each preset: everything else is the preset's own.

Channels are halved where the grid gets twice as wide, down to a floor that keeps a block's widest
tensors, of 4 × channels × pixels, affordable. Attention is over all places up to 16 or 32 a side,
and over averaged keys and values beyond.
"""

from __future__ import annotations

from typing import Any


def _networks(
    generator_dims: list[int],
    discriminator_dims: list[int],
    *,
    latent_dim: int = 128,
    bottom_width: int = 4,
    patch_size: int = 1,
    depths: int = 2,
    key_width: int | None = 16,
    output: str = "linear",
) -> dict[str, dict[str, Any]]:
    return {
        "generator": {
            "latent_dim": latent_dim,
            "bottom_width": bottom_width,
            "embed_dims": generator_dims,
            "depths": [depths] * len(generator_dims),
            "num_heads": [_num_heads(dim) for dim in generator_dims],
            "key_width": key_width,
            "output": output,
        },
        "discriminator": {
            "patch_size": patch_size,
            "embed_dims": discriminator_dims,
            "depths": [1] * len(discriminator_dims),
            "num_heads": [_num_heads(dim) for dim in discriminator_dims],
            "key_width": key_width,
        },
    }


def _num_heads(dim: int) -> int:
    """Four, or so few that each has 16 channels: the table of weights is one a head."""
    return max(1, min(4, dim // 16))


CONV_ATTENTION_NETWORKS: dict[str, dict[str, dict[str, Any]]] = {
    "digits": {
        "generator": {
            "latent_dim": 64,
            "bottom_width": 4,
            "embed_dims": [64, 32],
            "depths": [1, 1],
            "num_heads": 4,
            "mlp_ratio": 2.0,
            "output": "tanh",
        },
        "discriminator": {
            "patch_size": 1,
            "embed_dims": [32, 64],
            "depths": [1, 1],
            "num_heads": 4,
        },
    },
    "small16": _networks([64, 48, 32], [32, 64, 96], key_width=None, output="tanh"),
    "photos": _networks(
        [64, 64, 48, 32], [32, 48, 64, 96], patch_size=1, key_width=8, output="tanh"
    ),
    # The discriminator's finer level is kept cheap: a detector goes over it many times.
    "digit-scenes": _networks(
        [64, 64, 48, 32, 32], [64, 128], patch_size=4, key_width=8, output="tanh"
    ),
    "cifar10": _networks([512, 256, 128, 64], [64, 128, 256, 512], latent_dim=256),
    "stl10": _networks(
        [512, 256, 128], [128, 256, 512], bottom_width=12, key_width=12, patch_size=2
    ),
    "celeba64": _networks([512, 256, 128, 64, 32], [64, 128, 256, 512], patch_size=2),
    "celeba128": _networks([512, 512, 256, 128, 64, 32], [64, 128, 256, 512], patch_size=4),
    "church256": _networks([512, 512, 256, 128, 64, 32, 16], [64, 128, 256, 512], patch_size=4),
    "celebahq256": _networks([512, 512, 256, 128, 64, 32, 16], [64, 128, 256, 512], patch_size=4),
    "large512": _networks(
        [512, 512, 256, 128, 64, 32, 16, 16], [64, 128, 256, 512, 512], patch_size=4
    ),
    "large1024": _networks(
        [512, 512, 256, 128, 64, 32, 16, 16, 16], [64, 128, 256, 512, 512], patch_size=8
    ),
}
"""By preset."""
