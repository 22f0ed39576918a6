"""What the two networks of the family conv-attention are made of, and which can be built.

Fields that mean the same as in the family transgan have the same names, so that one search can go
over both. This module is light (no torch), so that a spec can be checked at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from transgan.frozen_model import FrozenModel
from transgan.network_config import MOST_CHANNELS, Depths, PerStage
from transgan.network_sizes import (
    check_heads,
    check_mlp,
    check_patches,
    check_stages,
    fitting_sides,
    largest_or,
    nearest,
    per_stage,
)

EmbedDims = Annotated[
    tuple[Annotated[int, Field(ge=1, le=MOST_CHANNELS)], ...], Field(min_length=1, max_length=9)
]


def _check_one_each(depths: tuple[int, ...], embed_dims: tuple[int, ...], stage: str) -> None:
    if len(depths) != len(embed_dims):
        raise ValueError(
            f"depths {list(depths)} and embed_dims {list(embed_dims)} must have one entry a "
            f"{stage} each, got {len(depths)} and {len(embed_dims)}"
        )


def _check_key_width(key_width: int | None, widths: Sequence[int], where: str) -> None:
    if key_width is None:
        return
    fitting = fitting_sides(widths)
    if key_width >= max(widths):
        raise ValueError(
            f"{where}key_width={key_width} has no effect: the widest grid is {max(widths)} a side; "
            f"{largest_or(fitting)}"
        )
    for width in widths:
        if width > key_width and width % key_width:
            raise ValueError(
                f"{where}key_width={key_width} does not divide a grid {width} a side; nearest that "
                f"do: {nearest(key_width, fitting)}"
            )


class ConvAttentionGeneratorConfig(FrozenModel):
    """The generator: blocks of global attention, an MLP and local convolutions, one a stage."""

    latent_dim: int = Field(64, ge=1, le=MOST_CHANNELS)
    """Size of the latent z ~ N(0, I); the article's z_dim."""
    bottom_width: int = Field(4, ge=2, le=1024)
    """Side of the first stage's grid; each further stage's is twice as wide."""
    embed_dims: EmbedDims = (64, 32)
    """Channels of each stage."""
    depths: Depths = (2, 2)
    """Local convolution layers of each stage's block; one entry a stage."""
    num_heads: PerStage = 4
    """Attention heads of every block, or one number a stage; must divide the stage's channels."""
    mlp_ratio: float = Field(4.0, gt=0, le=64)
    """Hidden size of a block's MLP, in multiples of its channels."""
    key_width: int | None = Field(None, ge=1)
    """On wider grids, keys and values are averaged to a grid of this side, so that attention costs
    in proportion to the pixels and not to their square; null for all of them, everywhere."""
    upsampling: Literal["nearest", "bilinear"] = "nearest"
    """How the grid grows from stage to stage."""
    output: Literal["linear", "tanh"] = "linear"
    """What makes pixels of the last convolution: nothing, or tanh, with which images of plain black
    and white are learned sooner."""

    @property
    def stage_widths(self) -> tuple[int, ...]:
        """Side of each stage's grid."""
        return tuple(int(self.bottom_width * 2**stage) for stage in range(len(self.depths)))

    @property
    def stage_heads(self) -> tuple[int, ...]:
        """Attention heads of each stage."""
        return per_stage(self.num_heads, len(self.depths), "num_heads", "stage")

    @property
    def image_size(self) -> int:
        """Side of the generated images, in pixels."""
        return self.stage_widths[-1]

    @model_validator(mode="after")
    def _stages_fit(self) -> Self:
        _check_one_each(self.depths, self.embed_dims, "stage")
        check_heads(self.num_heads, self.embed_dims, "stage")
        check_mlp(self.mlp_ratio, self.embed_dims, "stage")
        _check_key_width(self.key_width, self.stage_widths, "")
        return self

    def check_image_size(self, image_size: int) -> None:
        """Refuse images of another size than the last stage's.

        Raises:
            ValueError: with the bottom and the number of stages that would do.
        """
        check_stages(self.bottom_width, len(self.depths), image_size, least_bottom=2)


class ConvAttentionDiscriminatorConfig(FrozenModel):
    """The discriminator: levels of residual blocks, each level on half the resolution."""

    patch_size: int = Field(1, ge=1, le=1024)
    """Side of the square of pixels that a place of the first level's grid stands for; it doubles
    with each level."""
    embed_dims: EmbedDims = (32, 64)
    """Channels of each level."""
    depths: Depths = (1, 1)
    """Residual blocks in each level, each a convolution and a global attention layer."""
    num_heads: PerStage = 4
    """Attention heads of every block, or one number a level; must divide the level's channels."""
    key_width: int | None = Field(None, ge=1)
    """On wider grids, keys and values are averaged to a grid of this side; null for all of them,
    everywhere."""

    @property
    def level_heads(self) -> tuple[int, ...]:
        """Attention heads of each level."""
        return per_stage(self.num_heads, len(self.depths), "num_heads", "level")

    def level_widths(self, image_size: int) -> tuple[int, ...]:
        """Side of each level's grid, for images of `image_size` pixels."""
        return tuple(
            image_size // int(self.patch_size * 2**level) for level in range(len(self.depths))
        )

    @model_validator(mode="after")
    def _levels_fit(self) -> Self:
        _check_one_each(self.depths, self.embed_dims, "level")
        check_heads(self.num_heads, self.embed_dims, "level")
        return self

    def check_image_size(self, image_size: int) -> None:
        """Refuse images that patches or pooled keys don't divide.

        Raises:
            ValueError: with what would.
        """
        check_patches(self.patch_size, len(self.depths), image_size)
        _check_key_width(self.key_width, self.level_widths(image_size), "discriminator.")
