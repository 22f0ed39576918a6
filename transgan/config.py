"""What one training run is made of: each hyperparameter, with default, bounds, unit and meaning.

This module is light (no torch), so that a spec can be checked at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from transgan.conv_attention_config import (
    ConvAttentionDiscriminatorConfig,
    ConvAttentionGeneratorConfig,
)
from transgan.downstream_config import DownstreamConfig
from transgan.frozen_model import FrozenModel
from transgan.network_config import DiscriminatorConfig, GeneratorConfig
from transgan.recipes import RecipeName, check_recipe

LossName = Literal["nonsaturating", "saturating", "hinge", "least-squares", "wgan-gp", "rpgan"]
PenaltyName = Literal["none", "r1", "r1+r2", "gp"]
AugmentationName = Literal["translation", "cutout", "color", "noise"]
PrecisionName = Literal["float32", "bfloat16", "float16"]
FamilyName = Literal["transgan", "conv-attention"]
AnyGeneratorConfig = GeneratorConfig | ConvAttentionGeneratorConfig
AnyDiscriminatorConfig = DiscriminatorConfig | ConvAttentionDiscriminatorConfig

GENERATOR_CONFIGS: dict[FamilyName, type[AnyGeneratorConfig]] = {
    "transgan": GeneratorConfig,
    "conv-attention": ConvAttentionGeneratorConfig,
}
DISCRIMINATOR_CONFIGS: dict[FamilyName, type[AnyDiscriminatorConfig]] = {
    "transgan": DiscriminatorConfig,
    "conv-attention": ConvAttentionDiscriminatorConfig,
}
NETWORK_CONFIGS: Mapping[str, Mapping[FamilyName, type[FrozenModel]]] = {
    "generator": GENERATOR_CONFIGS,
    "discriminator": DISCRIMINATOR_CONFIGS,
}
"""What each of the two networks is configured by, in each family."""

MOST_IMAGES = 1 << 16
"""In a batch: far beyond what any GAN was trained with, and what a machine can hold."""


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
    family: FamilyName = "transgan"
    """Which networks: the paper's transformers, or the article's convolutions with attention. A
    preset has both; `generator` and `discriminator` are those of this family."""
    recipe: RecipeName = "preset"
    """How they are trained: as the preset has it, or as in the article (binary cross-entropy, one
    step of each network in turn, nothing else)."""
    image_size: int = Field(8, ge=2)
    """Side of the images, in pixels; from the data set."""
    image_channels: int = Field(1, ge=1)
    """Channels of the images; from the data set."""
    total_kimg: float = Field(60.0, gt=0, allow_inf_nan=False)
    """Length of training, in thousand real images shown to the discriminator."""
    batch_size: int = Field(32, ge=1, le=MOST_IMAGES)
    """Real images in each discriminator step, and as many fakes."""
    generator_batch_size: int | None = Field(None, ge=1, le=MOST_IMAGES)
    """Fakes in each generator step (the authors take twice batch_size); null for batch_size."""
    microbatch_size: int | None = Field(None, ge=1)
    """Most images of a batch (reals, with as many fakes) to go through the networks at once, for
    want of memory; gradients add up to those of the whole batch, up to noise, which networks draw
    for each part. Null for no bound."""
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
    generator: AnyGeneratorConfig = GeneratorConfig()
    discriminator: AnyDiscriminatorConfig = DiscriminatorConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    ema: EmaConfig = EmaConfig()
    downstream: DownstreamConfig = DownstreamConfig()

    @model_validator(mode="before")
    @classmethod
    def _networks_are_given(cls, values: Any) -> Any:
        """So that those that are left out have their family's defaults."""
        return (
            {"generator": {}, "discriminator": {}} | values if isinstance(values, dict) else values
        )

    @field_validator("generator", "discriminator", mode="wrap")
    @classmethod
    def _network_of_the_family(cls, value: Any, _: Any, info: Any) -> Any:
        family: FamilyName = info.data.get("family", "transgan")
        kind = NETWORK_CONFIGS[info.field_name][family]
        if isinstance(value, dict):
            _refuse_fields_of_others(family, info.field_name, value)
        return kind.model_validate(value)

    @property
    def resolved_generator_batch_size(self) -> int:
        """Fakes in each generator step."""
        return self.generator_batch_size or self.batch_size

    @model_validator(mode="after")
    def _options_have_an_effect(self) -> Self:
        once = tuple(dict.fromkeys(self.augment))
        if once != self.augment:
            twice = next(name for name in once if self.augment.count(name) > 1)
            raise ValueError(
                f"augment names {twice} twice, got [{', '.join(self.augment)}]; "
                f"write [{', '.join(once)}]"
            )
        largest = max(self.batch_size, self.resolved_generator_batch_size)
        if self.microbatch_size is not None and self.microbatch_size > largest:
            raise ValueError(
                f"microbatch_size is {self.microbatch_size} and has no effect on batches of "
                f"{largest} (batch_size, generator_batch_size); make it {largest} or less, or null"
            )
        return self

    @model_validator(mode="after")
    def _batches_fit_the_loss(self) -> Self:
        fakes = self.resolved_generator_batch_size
        if self.loss.name == "rpgan" and fakes % self.batch_size:
            raise ValueError(
                f"generator_batch_size is {fakes}, but loss.name rpgan pairs each fake with a "
                f"real, of which batch_size gives {self.batch_size}; make it a multiple of that, "
                "or null for the same"
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
    def _recipe_is_followed(self) -> Self:
        check_recipe(self.recipe, self.model_dump(include={"augment", "loss", "optimizer"}))
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
        is_gan = self.downstream.task == "generate"
        if is_gan:
            generator.check_image_size(self.image_size)
        discriminator.check_image_size(self.image_size)
        if self.downstream.task == "classify" and self.batch_size < 2:
            raise ValueError(
                "batch_size is 1, but a classifier brings features to unit variance over a batch; "
                "make it 2 or more"
            )
        levels = len(discriminator.depths)
        if self.downstream.frozen_levels > levels:
            raise ValueError(
                f"downstream.frozen_levels is {self.downstream.frozen_levels}, but the "
                f"discriminator has {levels} levels; say {levels} or less"
            )
        return self


def _refuse_fields_of_others(family: FamilyName, network: str, values: dict[Any, Any]) -> None:
    configs = NETWORK_CONFIGS[network]
    own = configs[family].model_fields
    for name in values:
        for other, config in configs.items():
            if name in own or name not in config.model_fields:
                continue
            close = difflib.get_close_matches(name, own, n=1, cutoff=0.7)
            hint = f"did you mean {close[0]}?" if close else f"set family to {other} for it"
            text = (
                f"is a field of family {other}, and family is {family}, whose {network} has "
                f"{', '.join(own)}; {hint}"
            )
            fault = PydanticCustomError("value_error", "{text}", {"text": text})
            details = InitErrorDetails(type=fault, loc=(name,), input=values[name])
            raise ValidationError.from_exception_data(network, [details])
