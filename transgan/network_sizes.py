"""Sizes that networks are made of: which go together, and what a refusal offers instead.

This module is light (no torch), so that a spec can be checked at once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

MOST_STAGES = 9
"""Of a network: from the smallest grid to one 256 times as wide."""


def divisors(number: int) -> list[int]:
    """All divisors of a number, rising."""
    small = [one for one in range(1, math.isqrt(number) + 1) if number % one == 0]
    return sorted({*small, *(number // one for one in small)})


def nearest(value: int, fitting: Sequence[int]) -> str:
    """The three of `fitting` that are nearest to `value`, as a way out."""
    found = sorted(fitting, key=lambda one: abs(one - value))[:3]
    return ", ".join(map(str, sorted(found)))


def nearest_multiples(value: int, of: int) -> str:
    """The multiples below and above `value`, as a way out."""
    below = value // of * of
    return " or ".join(str(multiple) for multiple in (below, below + of) if multiple)


def largest_or(fitting: Sequence[int], null: str = "null") -> str:
    """The two largest of `fitting`, or what to write for none, as a way out."""
    largest = " or ".join(map(str, fitting[-2:]))
    return f"make it {largest}, or {null}" if fitting else f"make it {null}"


def fitting_sides(grids: Sequence[int], whole: int | None = None) -> list[int]:
    """Sides, less than that of the widest grid, that divide every grid which is cut.

    Cut is what is wider than `whole`; without that, what is wider than the side.
    """
    widest = max(grids)
    return [
        side
        for side in divisors(widest)
        if side < widest
        and all(grid % side == 0 for grid in grids if grid > (side if whole is None else whole))
    ]


def per_stage(value: int | tuple[int, ...], num: int, name: str, stage: str) -> tuple[int, ...]:
    """`value` for each of `num` stages, where one number stands for all of them."""
    if isinstance(value, int):
        return (value,) * num
    if len(value) != num:
        raise ValueError(
            f"{name} {list(value)} must be one number for all, or one a {stage}: "
            f"{num} {stage}s, got {len(value)} entries"
        )
    return value


def check_heads(num_heads: int | tuple[int, ...], dims: Sequence[int], stage: str) -> None:
    """Refuse heads that can't share the channels of each stage."""
    shared = math.gcd(*dims) if isinstance(num_heads, int) else None
    each = per_stage(num_heads, len(dims), "num_heads", stage)
    for dim, heads in zip(dims, each, strict=True):
        if dim % heads:
            raise ValueError(
                f"num_heads={heads} does not divide a {stage} of {dim} channels; nearest that do: "
                + nearest(heads, divisors(shared or dim))
            )


def check_rising(embed_dims: tuple[int, ...], level_heads: tuple[int, ...]) -> None:
    """Refuse levels that add no channels to those of the level before."""
    would_do: list[int] = []
    for dim, heads in zip(embed_dims, level_heads, strict=True):
        least = max(dim, would_do[-1] + 1 if would_do else 1)
        would_do.append(math.ceil(least / heads) * heads)
    if list(embed_dims) != sorted(set(embed_dims)):
        raise ValueError(
            f"embed_dims must rise from level to level, got {list(embed_dims)}; {would_do} would do"
        )


def check_mlp(mlp_ratio: float, dims: Sequence[int], stage: str) -> None:
    """Refuse an MLP without a hidden unit, which the narrowest stage would have."""
    dim = min(dims)
    if round(dim * mlp_ratio) < 1:
        # The least of three digits: half a unit is itself rounded down.
        unit = 10.0 ** (math.floor(math.log10(0.5 / dim)) - 2)
        texts = (f"{step * unit:.3g}" for step in itertools.count(math.floor(0.5 / dim / unit)))
        least = next(text for text in texts if round(dim * float(text)) >= 1)
        raise ValueError(
            f"mlp_ratio={mlp_ratio} leaves a {stage} of {dim} channels an MLP without a hidden "
            f"unit; make it {least} or more"
        )


def check_stages(
    bottom_width: int, num_stages: int, image_size: int, *, least_bottom: int = 1
) -> None:
    """Refuse a generator whose last stage is not as wide as the images."""
    made = bottom_width * 2 ** (num_stages - 1)
    if made == image_size:
        return
    bottoms = {
        stages: image_size // 2 ** (stages - 1)
        for stages in range(1, MOST_STAGES + 1)
        if image_size % 2 ** (stages - 1) == 0 and image_size // 2 ** (stages - 1) >= least_bottom
    }
    ways = [f"have {_counted(n, 'stage')}" for n in bottoms if bottoms[n] == bottom_width]
    if num_stages in bottoms:
        ways.insert(0, f"set generator.bottom_width to {bottoms[num_stages]}")
    if not ways:
        near = min(bottoms, key=lambda stages: abs(stages - num_stages))
        ways = [f"have {_counted(near, 'stage')} from bottom_width {bottoms[near]}"]
    raise ValueError(
        f"generator.depths has {_counted(num_stages, 'stage')}, from bottom_width {bottom_width} "
        f"to {made} pixels, but the images have {image_size}; {', or '.join(ways)}"
    )


def check_patches(
    patch_size: int, num_levels: int, image_size: int, *, overlapping: bool = False
) -> None:
    """Refuse a discriminator whose coarsest patches don't divide the images."""
    coarsest = patch_size * 2 ** (num_levels - 1)
    if image_size % coarsest == 0:
        return
    by_levels = {
        levels: [
            size
            for size in divisors(image_size // 2 ** (levels - 1))
            if not (overlapping and size % 2)
        ]
        for levels in range(1, num_levels + 1)
        if image_size % 2 ** (levels - 1) == 0
    }
    fewer = [levels for levels, sizes in by_levels.items() if patch_size in sizes]
    some = [levels for levels, sizes in by_levels.items() if sizes]
    ways = []
    if num_levels in some:
        ways.append(f"patch_size can be {nearest(patch_size, by_levels[num_levels])}")
    if fewer:
        ways.append(f"have {_counted(max(fewer), 'level')}")
    if not some:
        ways.append("leave overlapping_patches, which needs an even one, out")
    elif not ways:
        sizes = nearest(patch_size, by_levels[max(some)])
        ways.append(f"have {_counted(max(some), 'level')}, where patch_size can be {sizes}")
    raise ValueError(
        f"discriminator: {_counted(num_levels, 'level')} from patch_size {patch_size} "
        f"need{'s' if num_levels == 1 else ''} an image size that {coarsest} divides, got "
        f"{image_size}; {'; or '.join(ways)}"
    )


def _counted(num: int, noun: str) -> str:
    return f"{num} {noun}" if num == 1 else f"{num} {noun}s"
