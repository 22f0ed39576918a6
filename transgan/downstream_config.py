"""What a discriminator is put to as a backbone: which task, which head, and how both are trained.

This module is light (no torch), so that a spec can be checked at once.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from transgan.frozen_model import FrozenModel

TaskName = Literal["generate", "classify", "detect"]
HeadName = Literal["linear", "mlp", "fcos", "retinanet", "faster-rcnn"]

FRESH = "fresh"
"""What `backbone` says where nothing was trained before."""
HEADS: dict[TaskName, tuple[HeadName, ...]] = {
    "generate": (),
    "classify": ("linear", "mlp"),
    "detect": ("fcos", "retinanet", "faster-rcnn"),
}
"""The heads of each task, its default first."""


class DownstreamConfig(FrozenModel):
    """The discriminator as the backbone of a classifier or detector."""

    task: TaskName = "generate"
    """`generate` for the GAN itself; `classify` images, or `detect` objects in them."""
    backbone: str = Field(FRESH, min_length=1)
    """Where the backbone's weights come from: `fresh` for none, or the path of a checkpoint of a
    GAN whose discriminator is this one, at any image size."""
    frozen_levels: int = Field(0, ge=0)
    """Levels of the backbone, finest first, that are not trained; with all of them frozen a linear
    head is a linear probe."""
    head: HeadName | None = None
    """What stands on the features: `linear` or `mlp` to classify, torchvision's `fcos`, `retinanet`
    or `faster-rcnn` to detect; null for the first of these."""
    head_dim: int = Field(64, ge=1)
    """Channels of the feature pyramid below a detector, or of the hidden layer of an `mlp`."""
    pooled_width: int = Field(4, ge=1)
    """To classify, each level is averaged to a grid of so many cells a side, or left as it is where
    it has fewer (Radford et al. 2016, arXiv:1511.06434, sec. 5.1, with the maximum)."""
    learning_rate: float = Field(1e-3, gt=0)
    """Of AdamW at its highest: it rises over the first twentieth of training, and falls to 0 along
    half a cosine."""
    weight_decay: float = Field(0.05, ge=0)
    """Share of a weight, times the learning rate, that a step takes away."""
    shift: float = Field(0.0, ge=0, lt=1)
    """Largest shift of a training image along each axis, as a share of its side; to classify. (Of
    digits of 8×8 pixels, one pixel is too much for so small a network.)"""

    @property
    def resolved_head(self) -> HeadName:
        """The head that is built."""
        return self.head or HEADS[self.task][0]

    @model_validator(mode="after")
    def _options_have_an_effect(self) -> Self:
        changed = sorted(self.model_fields_set - {"task"})
        defaults = type(self).model_construct()
        changed = [name for name in changed if getattr(self, name) != getattr(defaults, name)]
        if self.task == "generate":
            if changed:
                raise ValueError(
                    f"{changed[0]} has no effect where the GAN itself is trained, got "
                    f"{getattr(self, changed[0])}; leave it out, or set task to classify or detect"
                )
            return self
        if self.resolved_head not in HEADS[self.task]:
            raise ValueError(
                f"head {self.head} does not {self.task}; choose {' or '.join(HEADS[self.task])}"
            )
        if self.resolved_head == "linear" and "head_dim" in changed:
            raise ValueError(
                f"head_dim has no effect on a linear head, got {self.head_dim}; leave it out or "
                "set head to mlp"
            )
        if self.resolved_head == "fcos" and self.head_dim % 32:
            raise ValueError(
                f"head_dim is {self.head_dim}, but the head of fcos normalises 32 groups of "
                "channels; make it a multiple of 32"
            )
        unused = {"pooled_width", "shift"} & set(changed) if self.task == "detect" else set()
        if unused:
            name = sorted(unused)[0]
            raise ValueError(
                f"{name} has no effect on detection, got {getattr(self, name)}; leave it out"
            )
        return self
