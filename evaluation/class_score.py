"""Uncertainty of the classifier and the Inception score, whose values torch-fidelity gives.

Shapes: N images, K classes. The score is exp E KL(p(y|x) ‖ p(y)), the mean over equal parts of the
images. A part of n images knows p(y) only from itself, and so scores too low.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64

from evaluation.intervals import Estimate, normal_interval
from evaluation.statistics import Moments

MAX_BIAS = 0.2
"""Largest relative bias of the score that its first order in 1/n still corrects."""


def class_vectors(logits: Float[np.ndarray, "N K"]) -> Float64[np.ndarray, "N K+1"]:
    """Of each image p(y|x) and, as a last component, Σ p log p."""
    logits = logits.astype(np.float64)
    log_p = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    p = np.exp(log_p)
    return np.concatenate([p, np.sum(p * log_p, axis=1, keepdims=True)], axis=1)


def score_estimate(score: float, moments: Moments, num_splits: int) -> Estimate:
    """The score with its error, and the interval of the score of infinitely many images.

    log score = E KL. The influence of an image is its own KL term, for what it changes in p(y)
    cancels: its variance is Var(KL) / N. Even classes have hardly any of it; there the second order
    counts, ½ tr(B²) / n² for each part, B being the covariance of p_k / √p̄_k. The entropy of p(y)
    from n images is too low by tr(B) / 2n to first order (Miller 1955, for shares that need not be
    0 or 1), and the mean of exponentials too high by Var(KL) / 2n of itself. Both are taken out of
    the interval, which may therefore leave the value itself out. It is absent where the first
    exceeds `MAX_BIAS`.

    Args:
        score: mean over `num_splits` equal parts of the images.
        moments: of `class_vectors`.
        num_splits: number of parts.
    """
    covariance = moments.covariance
    marginal = np.maximum(moments.mean[:-1], np.finfo(np.float64).tiny)
    weights = np.append(-np.log(marginal), 1.0)
    variance = max(float(weights @ covariance @ weights), 0.0)
    scaled = covariance[:-1, :-1] / np.sqrt(marginal) / np.sqrt(marginal)[:, None]
    part = moments.count / num_splits
    second = float(np.sum(scaled**2)) / (2 * part * moments.count)
    error = float(score * np.sqrt(variance / moments.count + second))
    missing = float(np.trace(scaled)) / (2 * part)
    if missing > MAX_BIAS:
        return Estimate(score, error)
    correction = float(np.exp(missing - variance / (2 * part)))
    low, high = normal_interval(score * correction, error * correction)
    return Estimate(score, error, max(low, 1.0), min(high, float(len(marginal))))
