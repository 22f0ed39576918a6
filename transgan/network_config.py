"""What the two networks are made of, and which combinations can be built.

This module is light (no torch), so that a spec can be checked at once.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from transgan.frozen_model import FrozenModel

MOST_CHANNELS = 1 << 20
"""Beyond any network; torch itself can't count the weights of wider ones."""

NormName = Literal["layernorm", "pixelnorm"]
UpsamplingName = Literal["pixel-shuffle", "bicubic"]
Depths = Annotated[
    tuple[Annotated[int, Field(ge=1, le=64)], ...], Field(min_length=1, max_length=9)
]
GeneratorDepths = Annotated[
    tuple[Annotated[int, Field(ge=0, le=64)], ...], Field(min_length=1, max_length=9)
]
PerStage = Annotated[int, Field(ge=1)] | tuple[Annotated[int, Field(ge=1)], ...]


def _nearest_multiples(value: int, of: int) -> str:
    below = value // of * of
    return " or ".join(str(multiple) for multiple in (below, below + of) if multiple)


def nearest_divisors(value: int, of: int) -> str:
    """The three divisors of a number that are nearest to `value`, as a way out."""
    fitting = [divisor for divisor in range(1, of + 1) if of % divisor == 0]
    nearest = sorted(sorted(fitting, key=lambda divisor: abs(divisor - value))[:3])
    return ", ".join(map(str, nearest))


def check_heads(num_heads: int, dim: int, where: str) -> None:
    """Refuse heads that can't share the channels of `where`."""
    if dim % num_heads:
        raise ValueError(
            f"num_heads={num_heads} does not divide {where}; nearest that do: "
            + nearest_divisors(num_heads, dim)
        )


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


def smaller_divisors(grid_width: int) -> str:
    """The largest divisors that are less than the whole grid, as a way out."""
    fitting = [width for width in range(1, grid_width) if grid_width % width == 0]
    return f"make it {' or '.join(map(str, fitting[-2:]))}, or null" if fitting else "make it null"


def _check_window(window_size: int, grid_width: int, where: str) -> None:
    if grid_width % window_size:
        raise ValueError(
            f"window_size={window_size} does not divide {where}, {grid_width} tokens wide; "
            f"nearest that do: {nearest_divisors(window_size, grid_width)}"
        )


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
                f"nearest: {_nearest_multiples(self.embed_dim, 4**shuffles)}"
            )
        if not self.depths[-1]:
            raise ValueError(
                f"depths {list(self.depths)}: the last stage needs at least one block, or its "
                "pixels never meet; end with 1 or more"
            )
        for dim, heads in zip(self.stage_dims, self.stage_heads, strict=True):
            check_heads(heads, dim, f"a stage of {dim} channels")
        if self.window_size is None and self.max_global_width is not None:
            raise ValueError(
                f"max_global_width={self.max_global_width} has no effect without window_size; "
                "give window_size, such as 16, or leave both out"
            )
        for width, window in zip(self.stage_widths, self.stage_windows, strict=True):
            if window is not None:
                _check_window(window, width, "the stage")
        self._windows_have_an_effect()
        return self

    def _windows_have_an_effect(self) -> None:
        window, widest, grid = self.window_size, self.max_global_width, self.stage_widths[-1]
        if window is None:
            return
        if window >= grid:
            raise ValueError(
                f"window_size={window} has no effect: the widest stage has {grid} tokens a side; "
                + smaller_divisors(grid)
            )
        if widest is not None and not window <= widest < grid:
            raise ValueError(
                f"max_global_width={widest} leaves window_size={window} or itself without effect: "
                f"it can be {window} to {grid - 1} here, the widest stage having {grid} tokens a "
                "side; change it, or leave it out"
            )


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
        for narrow, wide in zip(self.embed_dims, self.embed_dims[1:], strict=False):
            if wide <= narrow:
                raise ValueError(
                    f"embed_dims must rise from level to level, got {list(self.embed_dims)}"
                )
        for dim, heads in zip(self.embed_dims, self.level_heads, strict=True):
            check_heads(heads, dim, f"a level of {dim} channels")
        if self.overlapping_patches and self.patch_size % 2:
            raise ValueError(
                f"overlapping_patches needs an even patch_size, got {self.patch_size}; nearest: "
                + _nearest_multiples(self.patch_size, 2)
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
        for num, depth in zip(windowed, self.depths, strict=False):
            if num > depth:
                raise ValueError(
                    f"windowed_depths {list(windowed)} can't exceed depths {list(self.depths)}"
                )

    def check_image_size(self, image_size: int) -> None:
        """Refuse images that patches or windows don't divide.

        Raises:
            ValueError: with what would.
        """
        coarsest = int(self.patch_size * 2 ** (len(self.depths) - 1))
        if image_size % coarsest:
            raise ValueError(
                f"discriminator: {len(self.depths)} levels from patch_size {self.patch_size} need "
                f"an image size that {coarsest} divides, got {image_size}; use a smaller "
                "patch_size or fewer levels"
            )
        widths = self.level_widths(image_size)
        for level, (width, windows) in enumerate(zip(widths, self.level_windows, strict=True)):
            if windows[0] is not None:
                _check_window(windows[0], width, f"discriminator level {level}")
        windowed = [
            width for width, windows in zip(widths, self.level_windows, strict=True) if windows[0]
        ]
        if self.window_size is not None and self.window_size >= max(windowed):
            raise ValueError(
                f"discriminator.window_size={self.window_size} has no effect: the windowed levels "
                f"have grids of at most {max(windowed)} tokens a side; "
                f"{smaller_divisors(max(windowed))}, with windowed_depths [] for null"
            )
