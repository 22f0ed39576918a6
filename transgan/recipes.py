"""Named ways to train: values that stand for one another's loss, penalty, steps and augmentation.

This module is light (no torch), so that a spec can be checked at once.
"""

from __future__ import annotations

from typing import Any, Literal

RecipeName = Literal["preset", "article"]

RECIPES: dict[RecipeName, dict[str, Any]] = {
    "preset": {},
    # From an article on TransGAN. Its criterion is binary cross-entropy: for the discriminator with
    # label 1 on reals and 0 on detached fakes, for the generator with label 1 on fakes. On logits
    # that is softplus(-real) + softplus(fake) and softplus(-fake), the non-saturating loss. One
    # step of each network in turn, on all images as they are, and no penalty. (It has the generator
    # begin; here the discriminator does, so that only the first step of all is another.)
    "article": {
        "augment": [],
        "loss": {
            "name": "nonsaturating",
            "penalty": "none",
            "phi": 1.0,
            "drift_weight": 0.0,
            "mode_seeking_weight": 0.0,
        },
        "optimizer": {"critic_steps": 1},
    },
}
"""What each recipe fixes, over the preset's values; `preset` fixes nothing."""


def check_recipe(name: RecipeName, training: dict[str, Any]) -> None:
    """Refuse a training that is called by a recipe and departs from it.

    Args:
        name: the recipe.
        training: the values of a training config.

    Raises:
        ValueError: with the first field that differs, and the way out.
    """
    for field, fixed in RECIPES[name].items():
        pairs = (
            [(f"{field}.{inner}", value, training[field][inner]) for inner, value in fixed.items()]
            if isinstance(fixed, dict)
            else [(field, fixed, training[field])]
        )
        for path, value, given in pairs:
            if given != (tuple(value) if isinstance(value, list) else value):
                raise ValueError(
                    f"recipe {name} has {path} {value}, got {_plain(given)}; leave {path} out, or "
                    "set recipe to preset"
                )


def _plain(value: Any) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)
