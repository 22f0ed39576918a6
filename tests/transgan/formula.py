"""Weights by formula: every tensor of a network, from its name, shape and a seed.

With them the authors' networks and ours can be set to the same numbers on any machine, though no
weights are stored. Each element is a hash of its place, so that a tensor of any size is made in
chunks and its beginning does not depend on its length. All values are exact in float32.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

_CHUNK = 1 << 16
_GOLDEN = 0x9E3779B97F4A7C15


def hashes(name: str, count: int, seed: int) -> NDArray[np.uint64]:
    """`count` 64-bit numbers: splitmix64 (Steele et al. 2014) from a hash of seed and name on."""
    return np.concatenate(list(_hash_chunks(name, count, seed)) or [np.empty(0, np.uint64)])


def _hash_chunks(name: str, count: int, seed: int) -> Iterator[NDArray[np.uint64]]:
    digest = blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()
    start = int.from_bytes(digest, "little") + _GOLDEN
    for first in range(0, count, _CHUNK):
        x = np.arange(min(_CHUNK, count - first), dtype=np.uint64)
        x += np.uint64((start + first) % 2**64)
        x ^= x >> np.uint64(30)
        x *= np.uint64(0xBF58476D1CE4E5B9)
        x ^= x >> np.uint64(27)
        x *= np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
        yield x


def uniform(name: str, shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    """Even over [-1, 1), in steps of 2⁻²³: the upper 24 bits of each hash."""
    out = np.empty(math.prod(shape), np.float32)
    first = 0
    for chunk in _hash_chunks(name, len(out), seed):
        part = out[first : first + len(chunk)]
        part[:] = chunk >> np.uint64(40)
        part *= np.float32(2**-23)
        part -= np.float32(1)
        first += len(chunk)
    return out.reshape(shape)


def weight(name: str, shape: tuple[int, ...], seed: int, noise: float = 0.0) -> NDArray[np.float32]:
    """The tensor called `name` in the authors' state dict.

    | kind                         | value                |
    |------------------------------|----------------------|
    | linear and convolution       | u √(3 / fan_in)      |
    | normalisation, weight        | 1 + 0.3 u            |
    | any bias                     | 0.3 u                |
    | position embedding, class token | 0.7 u             |
    | relative position bias table | 1.5 u                |
    | noise strength               | `noise` u            |

    So variances are kept from layer to layer, attention is neither flat nor on one token, and no
    part is too weak to be seen in the output.
    """
    leaf = name.rpartition(".")[2]
    if leaf.startswith("noise_strength"):
        scale, offset = noise, 0.0
    elif leaf == "relative_position_bias_table":
        scale, offset = 1.5, 0.0
    elif leaf.startswith(("pos_embed", "embed_pos", "cls_token")):
        scale, offset = 0.7, 0.0
    elif leaf == "bias":
        scale, offset = 0.3, 0.0
    elif leaf == "weight" and len(shape) == 1:
        scale, offset = 0.3, 1.0
    elif leaf == "weight":
        scale, offset = math.sqrt(3 / math.prod(shape[1:])), 0.0
    else:
        raise ValueError(f"no formula for a tensor called {name!r}; add its kind here")
    values = uniform(name, shape, seed)
    values *= np.float32(scale)
    if offset:
        values += np.float32(offset)
    return values


def latents(count: int, dim: int, seed: int) -> NDArray[np.float32]:
    """Latent vectors (count, dim) of unit variance."""
    return uniform("latent", (count, dim), seed) * np.float32(math.sqrt(3))


def images(name: str, count: int, size: int, seed: int) -> NDArray[np.float32]:
    """Images (count, 3, size, size), each pixel even over [-1, 1)."""
    return uniform(name, (count, 3, size, size), seed)


def places(name: str, count: int, size: int) -> NDArray[np.int64]:
    """`count` indices below `size`, at which the tensor called `name` is looked at."""
    return (hashes(f"{name}/places", count, 0) % np.uint64(size)).astype(np.int64)


def figures(name: str, values: NDArray[np.floating]) -> dict[str, list[float] | float]:
    """What is kept of images (count, 3, size, size): moments, block means, 256 single pixels."""
    count, channels, size, _ = values.shape
    blocks = values.reshape(count, channels, 4, size // 4, 4, size // 4).mean(axis=(3, 5))
    return {
        "mean": float(values.mean()),
        "std": float(values.std()),
        "min": float(values.min()),
        "max": float(values.max()),
        "block_means": blocks.ravel().tolist(),
        "pixels": values.ravel()[places(name, 256, values.size)].tolist(),
    }
