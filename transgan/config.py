"""What one training run is made of: each hyperparameter, with default, bounds, unit and meaning.

This module is light (no torch), so that a spec can be checked at once.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

LossName = Literal["nonsaturating", "saturating", "hinge", "least-squares", "wgan-gp", "rpgan"]
PenaltyName = Literal["none", "r1", "r1+r2", "gp"]
AugmentationName = Literal["translation", "cutout", "color", "noise"]
NormName = Literal["layernorm", "pixelnorm"]
PrecisionName = Literal["float32", "bfloat16", "float16"]
UpsamplingName = Literal["pixel-shuffle", "bicubic"]

Depths = Annotated[
    tuple[Annotated[int, Field(ge=1, le=64)], ...], Field(min_length=1, max_length=9)
]
GeneratorDepths = Annotated[
    tuple[Annotated[int, Field(ge=0, le=64)], ...], Field(min_length=1, max_length=9)
]
PerStage = Annotated[int, Field(ge=1)] | tuple[Annotated[int, Field(ge=1)], ...]


class FrozenModel(BaseModel):
    """Part of a config: immutable, strict about unknown keys, documented under each field."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )


def _nearest_multiples(value: int, of: int) -> str:
    below = value // of * of
    return " or ".join(str(multiple) for multiple in (below, below + of) if multiple)


def _nearest_divisors(value: int, of: int) -> str:
    fitting = [divisor for divisor in range(1, of + 1) if of % divisor == 0]
    nearest = sorted(sorted(fitting, key=lambda divisor: abs(divisor - value))[:3])
    return ", ".join(map(str, nearest))


def _check_heads(num_heads: int, dim: int, where: str) -> None:
    if dim % num_heads:
        raise ValueError(
            f"num_heads={num_heads} does not divide {where}; nearest that do: "
            + _nearest_divisors(num_heads, dim)
        )


def _per_stage(value: int | tuple[int, ...], num: int, name: str, stage: str) -> tuple[int, ...]:
    """`value` for each of `num` stages, where one number stands for all of them."""
    if isinstance(value, int):
        return (value,) * num
    if len(value) != num:
        raise ValueError(
            f"{name} {list(value)} must be one number for all, or one a {stage}: "
            f"{num} {stage}s, got {len(value)} entries"
        )
    return value


def _check_window(window_size: int, grid_width: int, where: str) -> None:
    if grid_width % window_size:
        raise ValueError(
            f"window_size={window_size} does not divide {where}, {grid_width} tokens wide; "
            f"nearest that do: {_nearest_divisors(window_size, grid_width)}"
        )


class _Sizes(NamedTuple):
    """Sides that the images of a data set can have, in pixels."""

    default: int
    smallest: int
    largest: int


# What is resized is never enlarged: STL-10 is 96×96, the middle of CelebA's aligned images 178×178,
# and half a photograph 320 wide.
_OWN_SIZES = {
    "digits": _Sizes(8, 8, 8),
    "photos": _Sizes(32, 4, 320),
    "cifar10": _Sizes(32, 32, 32),
    "stl10": _Sizes(48, 4, 96),
    "celeba": _Sizes(64, 4, 178),
}
DATA_SETS = tuple(_OWN_SIZES)
"""Names of the data sets that are known; any other name is a path."""


class DataConfig(FrozenModel):
    """Which images, and at which size."""

    name: str = Field(min_length=1)
    """`digits`, `photos`, `cifar10`, `stl10`, `celeba`, or the path of a folder or zip file of
    images (`./photos` for a folder that is called like a data set)."""
    image_size: int | None = Field(None, ge=4, le=1024)
    """Side of the images, in pixels. Needed for a folder or zip file; by default 8 for digits, 32
    for photos (at most 320) and cifar10, 48 for stl10 (at most 96), 64 for celeba (at most 178)."""

    @property
    def channels(self) -> int:
        """Channels of the images; files are read as RGB."""
        return 1 if self.name == "digits" else 3

    @property
    def resolved_size(self) -> int:
        """Side of the images, in pixels, also where the data set has its own."""
        return self.image_size or _OWN_SIZES[self.name].default

    @model_validator(mode="after")
    def _size_is_known(self) -> Self:
        own = _OWN_SIZES.get(self.name)
        if own is None:
            if self.image_size is None:
                raise ValueError(
                    f"image_size is missing: {self.name} is no data set with a size of its own "
                    f"({', '.join(DATA_SETS)}), so say the size to use, such as 32"
                )
        elif not own.smallest <= self.resolved_size <= own.largest:
            if own.smallest == own.largest:
                raise ValueError(
                    f"{self.name} is {own.default}×{own.default}, got image_size "
                    f"{self.image_size}; leave it out"
                )
            raise ValueError(
                f"{self.name} gives images of at most {own.largest}×{own.largest}, got image_size "
                f"{self.image_size}; say {own.largest} or less"
            )
        return self


class GeneratorConfig(FrozenModel):
    """The generator: stages of transformer blocks, each on a grid twice as wide (sec. 3.1)."""

    latent_dim: int = Field(64, ge=1)
    """Size of the latent vector z ~ N(0, I)."""
    bottom_width: int = Field(4, ge=1)
    """Side of the first stage's token grid, in tokens."""
    embed_dim: int = Field(128, ge=1)
    """Channels of the first stage; each pixel shuffle divides them by 4."""
    depths: GeneratorDepths = (2, 2)
    """Transformer blocks in each stage; one entry a stage, and at least one block in the last."""
    num_heads: PerStage = 4
    """Attention heads of every block, or one number a stage; must divide the stage's channels."""
    mlp_ratio: float = Field(4.0, gt=0)
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
        return _per_stage(self.num_heads, len(self.depths), "num_heads", "stage")

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
            _check_heads(heads, dim, f"a stage of {dim} channels")
        if self.window_size is None and self.max_global_width is not None:
            raise ValueError(
                f"max_global_width={self.max_global_width} has no effect without window_size; "
                "give window_size, such as 16, or leave both out"
            )
        for width, window in zip(self.stage_widths, self.stage_windows, strict=True):
            if window is not None:
                _check_window(window, width, "the stage")
        return self


class DiscriminatorConfig(FrozenModel):
    """The multi-scale discriminator: each level adds a coarser view of the image (sec. 3.1)."""

    patch_size: int = Field(2, ge=1)
    """Side of the first level's patches, in pixels; it doubles with each level."""
    overlapping_patches: bool = False
    """Whether the first level's patches are twice as wide as their distance, half a patch beyond
    the border (the authors' CelebA-HQ discriminator)."""
    patch_gain: float = Field(1.0, gt=0)
    """Scale of the patch projections' first weights, in multiples of Xavier's for a convolution,
    with which the authors' code starts."""
    embed_dims: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (72, 96)
    """Channels of each level; what a level has over the one before comes from its own patches."""
    depths: Depths = (2, 2)
    """Transformer blocks in each level."""
    last_depth: int = Field(1, ge=1, le=64)
    """Blocks after the class token has joined."""
    num_heads: PerStage = 4
    """Attention heads of every block, or one number a level; must divide the level's channels."""
    mlp_ratio: float = Field(4.0, gt=0)
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
        return _per_stage(self.num_heads, len(self.depths), "num_heads", "level")

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
            _check_heads(heads, dim, f"a level of {dim} channels")
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


class LossConfig(FrozenModel):
    """The adversarial loss and the penalty that keeps the discriminator smooth."""

    name: LossName = "nonsaturating"
    """Which loss of the logits."""
    penalty: PenaltyName | None = None
    """Gradient penalty; by default the loss's own: gp for wgan-gp, r1+r2 for rpgan, else r1."""
    gradient_penalty: float = Field(1.0, ge=0)
    """Weight of the penalty (gamma of R1 and R2, lambda of GP)."""
    penalty_interval: int = Field(4, ge=1)
    """Steps from one penalty to the next; they multiply its weight (lazy regularisation)."""
    phi: float = Field(1.0, gt=0)
    """Target norm of the gradient in GP; the paper's phi. Other penalties have none."""
    drift_weight: float = Field(0.0, ge=0)
    """Weight of (mean real logit)², which keeps logits near 0 where the loss leaves their level
    open. The authors' `wgangp-eps` has 1e-3."""
    mode_seeking_weight: float = Field(0.0, ge=0)
    """Weight, in the generator's loss, of the distance of two latents over that of their images
    (the authors' `wgangp-mode` has 1). Latents are paired, so a generator batch must be even."""

    @property
    def resolved_penalty(self) -> PenaltyName:
        """The penalty that is applied."""
        if self.penalty is not None:
            return self.penalty
        by_loss: dict[str, PenaltyName] = {"wgan-gp": "gp", "rpgan": "r1+r2"}
        return by_loss.get(self.name, "r1")

    @model_validator(mode="after")
    def _phi_has_an_effect(self) -> Self:
        if self.phi != 1 and self.resolved_penalty != "gp":
            raise ValueError(
                f"phi is the target of the gp penalty and has no effect on "
                f"{self.resolved_penalty}, got {self.phi}; leave it out or set penalty to gp"
            )
        return self


class OptimizerConfig(FrozenModel):
    """One optimizer for each network, each with its own learning rate."""

    name: Literal["adam", "adamw"] = "adam"
    """Adam, or Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv:1711.05101)."""
    generator_lr: float = Field(1e-3, gt=0)
    """Learning rate of the generator."""
    discriminator_lr: float = Field(1e-3, gt=0)
    """Learning rate of the discriminator."""
    beta1: float = Field(0.0, ge=0, lt=1)
    """Decay of Adam's first moment."""
    beta2: float = Field(0.99, gt=0, lt=1)
    """Decay of Adam's second moment."""
    weight_decay: float = Field(0.0, ge=0)
    """Share of a weight, times the learning rate, that a step of adamw takes away."""
    critic_steps: int = Field(1, ge=1)
    """Discriminator steps for each generator step (n_critic)."""
    gradient_clip: float | None = Field(5.0, gt=0)
    """Largest norm of a network's gradient; null for no clipping."""
    final_lr_factor: float = Field(1.0, ge=0, le=1)
    """Both learning rates fall to this share of themselves at total_kimg."""
    lr_decay: Literal["cosine", "linear"] = "cosine"
    """The way there: along a half cosine, or a straight line (the authors', to 0)."""
    warmup_kimg: float = Field(0.0, ge=0)
    """Both learning rates rise in a straight line over the first so many thousand real images."""

    @model_validator(mode="after")
    def _options_have_an_effect(self) -> Self:
        if self.name == "adam" and self.weight_decay:
            raise ValueError(
                f"weight_decay has no effect on adam, got {self.weight_decay}; "
                "leave it out or set name to adamw"
            )
        if self.name == "adamw" and not self.weight_decay:
            raise ValueError(
                "name adamw without weight_decay is adam; set weight_decay, such as 0.01, or "
                "name to adam"
            )
        if self.lr_decay == "linear" and self.final_lr_factor == 1:
            raise ValueError(
                "lr_decay linear has no effect with final_lr_factor 1; set final_lr_factor to "
                "the share to fall to, such as 0, or leave lr_decay out"
            )
        return self


class EmaConfig(FrozenModel):
    """The averaged generator that is sampled and scored."""

    half_life_kimg: float = Field(2.0, gt=0)
    """Thousand real images after which a weight's influence has halved."""
    ramp_up: float | None = Field(0.05, gt=0)
    """Early on the half-life is at most this share of the images seen so far; null for none."""


class TrainingConfig(FrozenModel):
    """One training run, complete: with the data it gives the same weights every time."""

    preset: str = "digits"
    """Preset the other values started from."""
    family: Literal["transgan"] = "transgan"
    """Which networks."""
    image_size: int = Field(8, ge=2)
    """Side of the images, in pixels; from the data set."""
    image_channels: int = Field(1, ge=1)
    """Channels of the images; from the data set."""
    total_kimg: float = Field(60.0, gt=0, allow_inf_nan=False)
    """Length of training, in thousand real images shown to the discriminator."""
    batch_size: int = Field(32, ge=1)
    """Real images in each discriminator step, and as many fakes."""
    generator_batch_size: int | None = Field(None, ge=1)
    """Fakes in each generator step (the authors take twice batch_size); null for batch_size."""
    microbatch_size: int | None = Field(None, ge=1)
    """Most images of a batch (reals, with as many fakes) to go through the networks at once, for
    want of memory; gradients add up to those of the whole batch. Null for no bound."""
    precision: PrecisionName = "float32"
    """Number format of matrix products (autocast); weights, losses and penalties stay float32."""
    compile: bool = False
    """Compile the networks (`torch.compile`); penalties, differentiated twice, run uncompiled."""
    seed: int = Field(0, ge=0, lt=2**63)
    """Seed of weights, data order, latents and augmentation."""
    augment: tuple[AugmentationName, ...] = ("translation", "cutout", "color")
    """Differentiable augmentations of everything the discriminator sees (sec. 3.3)."""
    augment_probability: float = Field(1.0, gt=0, le=1)
    """Share of images to which each augmentation is applied; below about 0.8 the generator can tell
    them from the data and does not take them up (Karras et al. 2020, arXiv:2006.06676, sec.
    2.2)."""
    activation_checkpointing: bool = False
    """Whether blocks are computed again for the gradient instead of kept: less memory, about a
    third more time."""
    generator: GeneratorConfig = GeneratorConfig()
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    ema: EmaConfig = EmaConfig()

    @property
    def resolved_generator_batch_size(self) -> int:
        """Fakes in each generator step."""
        return self.generator_batch_size or self.batch_size

    @model_validator(mode="after")
    def _batches_fit_the_loss(self) -> Self:
        fakes = self.resolved_generator_batch_size
        if self.loss.name == "rpgan" and fakes != self.batch_size:
            raise ValueError(
                f"generator_batch_size is {fakes}, but loss.name rpgan pairs each fake with a "
                f"real, of which batch_size gives {self.batch_size}; leave generator_batch_size out"
            )
        if self.loss.mode_seeking_weight and fakes % 2:
            where = "batch_size" if self.generator_batch_size is None else "generator_batch_size"
            raise ValueError(
                f"{where} is {fakes}, but loss.mode_seeking_weight pairs the fakes; make it even"
            )
        if self.loss.mode_seeking_weight and (self.microbatch_size or 2) % 2:
            raise ValueError(
                f"microbatch_size is {self.microbatch_size}, but loss.mode_seeking_weight keeps "
                "pairs of fakes together; make it even"
            )
        return self

    @model_validator(mode="after")
    def _warm_up_ends(self) -> Self:
        if self.optimizer.warmup_kimg >= self.total_kimg:
            raise ValueError(
                f"optimizer.warmup_kimg is {self.optimizer.warmup_kimg}, but training ends at "
                f"total_kimg {self.total_kimg}; make it shorter"
            )
        return self

    @model_validator(mode="after")
    def _networks_fit_the_image(self) -> Self:
        generator, discriminator = self.generator, self.discriminator
        if generator.image_size != self.image_size:
            raise ValueError(
                f"generator.depths has {len(generator.depths)} stages, from bottom_width "
                f"{generator.bottom_width} to {generator.image_size} pixels, but the images have "
                f"{self.image_size}; change generator.bottom_width or the number of stages"
            )
        coarsest = int(discriminator.patch_size * 2 ** (len(discriminator.depths) - 1))
        if self.image_size % coarsest:
            raise ValueError(
                f"discriminator: {len(discriminator.depths)} levels from patch_size "
                f"{discriminator.patch_size} need an image size that {coarsest} divides, got "
                f"{self.image_size}; use a smaller patch_size or fewer levels"
            )
        widths = discriminator.level_widths(self.image_size)
        for level, (width, windows) in enumerate(
            zip(widths, discriminator.level_windows, strict=True)
        ):
            for window in windows[:1]:
                if window is not None:
                    _check_window(window, width, f"discriminator level {level}")
        return self
