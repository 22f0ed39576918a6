"""The score of a finalist from one fresh training seed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SeedScore:
    """One fresh-seed score; a sweep's are all of one number of images and one set of latents."""

    config: str
    """Name of the search trial that the configuration comes from: `0002`."""
    seed: int
    """Index of the fresh seed, from 0."""
    value: float
    """The objective; infinitely bad where the run gave none."""
    standard_error: float | None
    """Of `value`, from having only so many images; None where none is known."""
