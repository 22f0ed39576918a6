"""What the two networks are made of, and which combinations can be built.

This module is light (no torch), so that a spec can be checked at once.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from transgan.frozen_model import FrozenModel
from transgan.network_sizes import (
    MOST_STAGES,
    check_heads,
    check_mlp,
    check_patches,
    check_rising,
    check_stages,
    fitting_sides,
    largest_or,
    nearest,
    nearest_multiples,
    per_stage,
)

MOST_CHANNELS = 1 << 20
"""Beyond any network; torch itself can't count the weights of wider ones."""

NormName = Literal["layernorm", "pixelnorm"]
UpsamplingName = Literal["pixel-shuffle", "bicubic"]
Depths = Annotated[
    tuple[Annotated[int, Field(ge=1, le=64)], ...], Field(min_length=1, max_length=MOST_STAGES)
]
GeneratorDepths = Annotated[
    tuple[Annotated[int, Field(ge=0, le=64)], ...], Field(min_length=1, max_length=MOST_STAGES)
]
PerStage = Annotated[int, Field(ge=1)] | tuple[Annotated[int, Field(ge=1)], ...]


class GeneratorConfig(FrozenModel):
    """The generator: stages of transformer blocks, each on a grid twice as wide (sec. 3.1)."""

    latent_dim: int = Field(64, ge=1, le=MOST_CHANNELS)
    """Size of the latent vector z ~ N(0, I)."""
    bottom_width: int = Field(4, ge=1, le=1024)
    """Side of the first stage's token grid, in tokens."""
    embed_dim: int = Field(128, ge=1, le=MOST_CHANNELS)
    """Channels of the first stage; each pixel shuffle divides them by 4."""
    depths: GeneratorDepths = (2, 2)
    """Transformer blocks in each stage; one entry a stage, and at least one block in the last."""
    num_heads: PerStage = 4
    """Attention heads of every block, or one number a stage; must divide the stage's channels."""
    mlp_ratio: float = Field(4.0, gt=0, le=64)
    """Hidden size of a block's MLP, in multiples of its channels."""
    norm: NormName = "layernorm"
    """Normalisation before attention and MLP (sec. 3.4 compares them)."""
    upsampling: UpsamplingName | tuple[UpsamplingName, ...] = "pixel-shuffle"
    """How the grid grows from stage to stage, or one name for each transition: pixel-shuffle makes
    four tokens of one, with a quarter of its channels; bicubic keeps the channels (sec. 4.3)."""
    blurred_upsamplings: int = Field(0, ge=0)
    """The last so many upsamplings follow a slight blur (the authors' CelebA-HQ generator)."""
    window_size: int | None = Field(None, ge=1)
    """Side of the windows within which wide grids attend (grid self-attention, sec. 3.2), in
    tokens; null for global attention in every stage."""
    max_global_width: int | None = Field(None, ge=1)
    """Widest grid that still attends globally, in tokens; null for `window_size`."""
    relative_position_bias: bool = True
    """Whether attention adds a learned bias for each offset between tokens (sec. 3.4)."""
    noise: bool = False
    """Whether each block adds noise of learned strength to what attention sees."""
    cross_attention: bool = False
    """Whether each block first attends to tokens made of the latent (the authors' CelebA-HQ
    generator)."""
    output: Literal["linear", "tanh"] = "linear"
    """What makes pixels of the last projection: nothing, as in the authors' code, or tanh, with
    which images of plain black and white are learned sooner."""

    @property
    def upsamplings(self) -> tuple[UpsamplingName, ...]:
        """How the grid grows into each stage but the first."""
        if isinstance(self.upsampling, str):
            return (self.upsampling,) * (len(self.depths) - 1)
        return self.upsampling

    @property
    def stage_dims(self) -> tuple[int, ...]:
        """Channels of each stage."""
        dims = [self.embed_dim]
        for name in self.upsamplings:
            dims.append(dims[-1] // 4 if name == "pixel-shuffle" else dims[-1])
        return tuple(dims)

    @property
    def stage_widths(self) -> tuple[int, ...]:
        """Side of each stage's grid, in tokens."""
        return tuple(int(self.bottom_width * 2**stage) for stage in range(len(self.depths)))

    @property
    def stage_heads(self) -> tuple[int, ...]:
        """Attention heads of each stage."""
        return per_stage(self.num_heads, len(self.depths), "num_heads", "stage")

    @property
    def stage_windows(self) -> tuple[int | None, ...]:
        """Side of each stage's attention windows, in tokens; None where attention is global."""
        if self.window_size is None:
            return (None,) * len(self.depths)
        widest = self.max_global_width or self.window_size
        return tuple(self.window_size if width > widest else None for width in self.stage_widths)

    @property
    def image_size(self) -> int:
        """Side of the generated images, in pixels."""
        return self.stage_widths[-1]

    @model_validator(mode="after")
    def _stages_fit(self) -> Self:
        transitions = len(self.depths) - 1
        if len(self.upsamplings) != transitions:
            raise ValueError(
                f"upsampling {list(self.upsamplings)} must be one name for all, or one for each "
                f"of the {transitions} transitions between {len(self.depths)} stages"
            )
        if self.blurred_upsamplings > transitions:
            raise ValueError(
                f"blurred_upsamplings={self.blurred_upsamplings}, but {len(self.depths)} stages "
                f"have {transitions} upsamplings between them; it can be 0 to {transitions}"
            )
        shuffles = self.upsamplings.count("pixel-shuffle")
        if self.embed_dim % 4**shuffles:
            raise ValueError(
                f"embed_dim must be a multiple of {4**shuffles} for {shuffles} pixel shuffles "
                f"(each divides it by 4), got {self.embed_dim}; "
                f"nearest: {nearest_multiples(self.embed_dim, 4**shuffles)}"
            )
        if not self.depths[-1]:
            raise ValueError(
                f"depths {list(self.depths)}: the last stage needs at least one block, or its "
                "pixels never meet; end with 1 or more"
            )
        check_heads(self.num_heads, self.stage_dims, "stage")
        check_mlp(self.mlp_ratio, self.stage_dims, "stage")
        self._check_windows()
        return self

    def _check_windows(self) -> None:
        window, whole, widths = self.window_size, self.max_global_width, self.stage_widths
        grid = widths[-1]
        if window is None:
            if whole is not None:
                raise ValueError(
                    f"max_global_width={whole} has no effect without window_size; "
                    "give window_size, such as 16, or leave both out"
                )
            return
        fitting = fitting_sides(widths)
        if whole is not None and whole < grid:
            fitting = [side for side in fitting_sides(widths, whole) if side <= whole]
        if window >= grid:
            null = "null" if whole is None else "null, with max_global_width null"
            raise ValueError(
                f"window_size={window} has no effect: the widest stage has {grid} tokens a side; "
                + largest_or(fitting, null)
            )
        in_range = whole is None or window <= whole < grid
        for width in widths:
            if width % window and (width > (whole or window) if in_range else width == grid):
                raise ValueError(
                    f"window_size={window} does not divide the stage, {width} tokens wide; "
                    f"nearest that do: {nearest(window, fitting)}"
                )
        if not in_range:
            least = max(window, *(width if width % window else 0 for width in widths))
            raise ValueError(
                f"max_global_width={whole} leaves window_size={window} or itself without effect: "
                f"it can be {least} to {grid - 1} here, the widest stage having {grid} tokens a "
                "side; change it, or leave it out"
            )

    def check_image_size(self, image_size: int) -> None:
        """Refuse images of another size than the last stage's.

        Raises:
            ValueError: with the bottom and the number of stages that would do.
        """
        check_stages(self.bottom_width, len(self.depths), image_size)


class DiscriminatorConfig(FrozenModel):
    """The multi-scale discriminator: each level adds a coarser view of the image (sec. 3.1)."""

    patch_size: int = Field(2, ge=1, le=1024)
    """Side of the first level's patches, in pixels; it doubles with each level."""
    overlapping_patches: bool = False
    """Whether the first level's patches are twice as wide as their distance, half a patch beyond
    the border (the authors' CelebA-HQ discriminator)."""
    patch_gain: float = Field(1.0, gt=0)
    """Scale of the patch projections' first weights, in multiples of Xavier's for a convolution,
    with which the authors' code starts."""
    embed_dims: Annotated[
        tuple[Annotated[int, Field(ge=1, le=MOST_CHANNELS)], ...], Field(min_length=1)
    ] = (72, 96)
    """Channels of each level; what a level has over the one before comes from its own patches."""
    depths: Depths = (2, 2)
    """Transformer blocks in each level."""
    last_depth: int = Field(1, ge=1, le=64)
    """Blocks after the class token has joined."""
    num_heads: PerStage = 4
    """Attention heads of every block, or one number a level; must divide the level's channels."""
    mlp_ratio: float = Field(4.0, gt=0, le=64)
    """Hidden size of a block's MLP, in multiples of its channels."""
    norm: NormName = "layernorm"
    """Normalisation before attention and MLP."""
    window_size: int | None = Field(None, ge=1)
    """Side of the windows within which the blocks counted by `windowed_depths` attend, in
    tokens."""
    windowed_depths: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """How many of each level's first blocks attend within windows, one entry a level; empty for
    none."""
    relative_position_bias: bool = True
    """Whether attention adds a learned bias for each offset between tokens (sec. 3.4)."""
    noise: bool = False
    """Whether each block adds noise of learned strength to what attention sees."""

    @property
    def level_heads(self) -> tuple[int, ...]:
        """Attention heads of each level."""
        return per_stage(self.num_heads, len(self.depths), "num_heads", "level")

    @property
    def level_windows(self) -> tuple[tuple[int | None, ...], ...]:
        """Of each level, the side of each block's attention windows; None for global attention."""
        windowed = self.windowed_depths or (0,) * len(self.depths)
        return tuple(
            (self.window_size,) * num + (None,) * (depth - num)
            for num, depth in zip(windowed, self.depths, strict=True)
        )

    def level_widths(self, image_size: int) -> tuple[int, ...]:
        """Side of each level's grid, in tokens, for images of `image_size` pixels."""
        return tuple(
            image_size // int(self.patch_size * 2**level) for level in range(len(self.depths))
        )

    @model_validator(mode="after")
    def _levels_fit(self) -> Self:
        if len(self.depths) != len(self.embed_dims):
            raise ValueError(
                f"depths {list(self.depths)} and embed_dims {list(self.embed_dims)} must have one "
                f"entry a level each, got {len(self.depths)} and {len(self.embed_dims)}"
            )
        check_rising(self.embed_dims, self.level_heads)
        check_heads(self.num_heads, self.embed_dims, "level")
        check_mlp(self.mlp_ratio, self.embed_dims, "level")
        if self.overlapping_patches and self.patch_size % 2:
            raise ValueError(
                f"overlapping_patches needs an even patch_size, got {self.patch_size}; nearest: "
                + nearest_multiples(self.patch_size, 2)
            )
        self._check_windows()
        return self

    def _check_windows(self) -> None:
        windowed = self.windowed_depths
        if bool(sum(windowed)) != (self.window_size is not None):
            raise ValueError(
                f"window_size={self.window_size} and windowed_depths={list(windowed)} go together: "
                "give both, or neither"
            )
        if windowed and len(windowed) != len(self.depths):
            raise ValueError(
                f"windowed_depths {list(windowed)} must have one entry a level: "
                f"{len(self.depths)}, got {len(windowed)}"
            )
        most = [min(pair) for pair in zip(windowed, self.depths, strict=False)]
        if most != list(windowed):
            raise ValueError(
                f"windowed_depths {list(windowed)} can't exceed depths {list(self.depths)}; make "
                f"it {most} or less"
            )

    def check_image_size(self, image_size: int) -> None:
        """Refuse images that patches or windows don't divide.

        Raises:
            ValueError: with what would.
        """
        check_patches(
            self.patch_size, len(self.depths), image_size, overlapping=self.overlapping_patches
        )
        window = self.window_size
        if window is None:
            return
        levels = enumerate(zip(self.level_widths(image_size), self.windowed_depths, strict=True))
        grids = {level: width for level, (width, num) in levels if num}
        widest, fitting = max(grids.values()), fitting_sides([*grids.values()], whole=0)
        if window >= widest:
            raise ValueError(
                f"discriminator.window_size={window} has no effect: the windowed levels have grids "
                f"of at most {widest} tokens a side; "
                + largest_or(fitting, "null, with windowed_depths []")
            )
        for level, width in grids.items():
            if width % window:
                raise ValueError(
                    f"window_size={window} does not divide discriminator level {level}, {width} "
                    f"tokens wide; nearest that do: {nearest(window, fitting)}"
                )
