"""Values with their uncertainty: standard errors and 95 % intervals.

All errors are those of drawing N generated images again while the reference stays.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

DEVIATIONS = 1.959964
"""Standard deviations to either side of a Gaussian's mean that hold 95 % of it."""


DEVIATIONS_OF_ROUGH_ERRORS = 2.18
"""The same where the standard error is itself known to about a fifth: Student's t with 12 degrees
of freedom."""


class Estimate(NamedTuple):
    """A value, and how far it can be trusted; what is not honestly known is None."""

    value: float
    standard_error: float | None = None
    low: float | None = None
    """Lower end of the 95 % interval."""
    high: float | None = None
    floor: float | None = None
    """What having only N images adds to the value on average."""


class Interval(NamedTuple):
    """A 95 % interval."""

    low: float
    high: float


def normal_interval(centre: float, standard_error: float) -> Interval:
    """The 95 % interval of an estimate with Gaussian errors."""
    return Interval(centre - DEVIATIONS * standard_error, centre + DEVIATIONS * standard_error)


def normal_estimate(value: float, standard_error: float) -> Estimate:
    """An unbiased value with Gaussian errors."""
    return Estimate(value, standard_error, *normal_interval(value, standard_error))


def rough_estimate(value: float, standard_error: float) -> Estimate:
    """An unbiased value whose standard error is itself known to about a fifth."""
    reach = DEVIATIONS_OF_ROUGH_ERRORS * standard_error
    return Estimate(value, standard_error, value - reach, value + reach)


def share_estimate(share: float, num_images: int) -> Estimate:
    """A share of `num_images` independent images, with its interval."""
    error = fraction_standard_error(share, num_images)
    return Estimate(share, error, *share_interval(share, num_images))


def share_interval(share: float, num_independent: float) -> Interval:
    """The 95 % interval of a share of so many independent cases.

    Wilson 1927, J. Am. Stat. Assoc. 22: inside 0 to 1, and of some length at a share of 0 or 1.
    """
    squared = DEVIATIONS**2 / num_independent
    centre = (share + squared / 2) / (1 + squared)
    half = np.sqrt(share * (1 - share) * squared + squared**2 / 4) / (1 + squared)
    return Interval(max(float(centre - half), 0.0), min(float(centre + half), 1.0))


def fraction_standard_error(fraction: float, num_images: int) -> float:
    """Standard error of a share of `num_images` independent images.

    After Agresti & Coull 1998, Am. Stat. 52: two successes and two failures are added first, so
    that a share of 0 or 1 does not pretend to be certain.
    """
    trials = num_images + 4
    share = (fraction * num_images + 2) / trials
    return float(np.sqrt(share * (1 - share) / trials))
