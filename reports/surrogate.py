"""A model of the scores over the search space, and what it says of one setting over all others.

A Gaussian process with a main effect for each setting and one interaction of them all, after
Duvenaud, Nickisch & Rasmussen 2011 (arXiv:1112.4394). How strong, how smooth and how noisy all is
is not known from a few trials, so it is drawn from its posterior by elliptical slice sampling
(Murray, Adams & MacKay 2010, arXiv:1001.0175) and averaged over; a single best guess makes
intervals too short. Averages over the rest of the space are exact: kernels that are sums and
products over settings can be averaged setting by setting.

Shapes: N trials, G points of a setting.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import cho_solve, solve_triangular
from threadpoolctl import threadpool_limits

Floats = np.ndarray[Any, np.dtype[np.float64]]

NUM_DRAWS = 120
"""Of the posterior of the model's own parameters."""
BURN_IN = 40

# Medians of the log-normal priors, scores standardised and ranges of settings 0 to 1; a standard
# deviation of the logarithm of about 0.8 spans from a fifth to five times as much.
PRIOR_EFFECT, PRIOR_INTERACTION, PRIOR_NOISE, PRIOR_LENGTH = 0.5, 0.3, 0.4, 0.6
PRIOR_SPREAD, PRIOR_LENGTH_SPREAD = 0.8, 0.5
JITTER = 1e-9


@dataclass(frozen=True)
class Factor:
    """One setting as the model sees it."""

    is_numeric: bool
    values: Floats
    """(N,): what each trial had; numbers from 0 to 1 over the range, or the places of choices."""
    points: Floats
    """(G,): where its effect is asked for, and over which the others' effects are averaged."""


class Effect(NamedTuple):
    """What a setting does on average over the rest of the space, against its own average."""

    mean: Floats
    """(G,)"""
    covariance: Floats
    """(G, G)"""


class _Parameters(NamedTuple):
    effects: Floats
    interaction: float
    noise: float
    lengths: Floats


class _Similarities(NamedTuple):
    """Of one setting under one length: of trials, of points with trials, of points."""

    trials: Floats
    across: Floats
    points: Floats


def average_effects(factors: Sequence[Factor], scores: Floats, seed: int = 0) -> list[Effect]:
    """The effect of each setting on the scores, averaged over the space of all the others.

    Args:
        factors: the settings, of the same trials.
        scores: (N,), not all the same.
        seed: of the draws of the model's parameters.

    Returns:
        One effect a setting, in the scores' units.
    """
    scale = float(scores.std())
    assert scale > 0
    standard = (scores - scores.mean()) / scale
    # On matrices this small, BLAS threads gain nothing; while trials train beside them, they wait
    # for one another so long that a second's work was measured to take a minute.
    with threadpool_limits(1, user_api="blas"):
        drawn = [
            _effects(factors, standard, parameters)
            for parameters in _posterior(factors, standard, np.random.default_rng(seed))
        ]
    effects = []
    for place in range(len(factors)):
        means = np.array([draw[place].mean for draw in drawn])
        within = np.mean([draw[place].covariance for draw in drawn], axis=0)
        between = np.cov(means.T, bias=True).reshape(within.shape)
        effects.append(Effect(scale * means.mean(axis=0), scale**2 * (within + between)))
    return effects


def _posterior(
    factors: Sequence[Factor], scores: Floats, rng: np.random.Generator
) -> Iterator[_Parameters]:
    """Draws of the parameters, by elliptical slice sampling in their standardised logarithms."""
    state = np.zeros(2 * len(factors) + 2)
    density = _log_likelihood(factors, scores, _parameters(state))
    for step in range(BURN_IN + NUM_DRAWS):
        other = rng.standard_normal(len(state))
        threshold = density + math.log(rng.uniform(1e-300, 1))
        angle = rng.uniform(0, 2 * math.pi)
        low, high = angle - 2 * math.pi, angle
        while True:
            proposal = state * math.cos(angle) + other * math.sin(angle)
            density = _log_likelihood(factors, scores, _parameters(proposal))
            if density > threshold:
                break
            low, high = (angle, high) if angle < 0 else (low, angle)
            angle = rng.uniform(low, high)
        state = proposal
        if step >= BURN_IN:
            yield _parameters(state)


def _parameters(state: Floats) -> _Parameters:
    num_factors = (len(state) - 2) // 2
    return _Parameters(
        effects=PRIOR_EFFECT * np.exp(PRIOR_SPREAD * state[:num_factors]),
        interaction=PRIOR_INTERACTION * math.exp(PRIOR_SPREAD * state[num_factors]),
        noise=PRIOR_NOISE * math.exp(PRIOR_SPREAD * state[num_factors + 1]),
        lengths=PRIOR_LENGTH * np.exp(PRIOR_LENGTH_SPREAD * state[num_factors + 2 :]),
    )


def _similarity(factor: Factor, first: Floats, second: Floats, length: float) -> Floats:
    distances = first[:, None] - second[None, :]
    if factor.is_numeric:
        return np.exp(-0.5 * (distances / length) ** 2)
    return (distances == 0).astype(np.float64)


def _covariance(trials: Sequence[Floats], parameters: _Parameters) -> Floats:
    """Of the scores of all trials, noise and the unknown overall level (variance 1) included."""
    # A setting that differs leaves half of the interaction: it is partly one of fewer settings.
    product = np.prod([0.5 + 0.5 * similarity for similarity in trials], axis=0)
    covariance = 1.0 + parameters.interaction**2 * product
    for effect, similarity in zip(parameters.effects, trials, strict=True):
        covariance = covariance + effect**2 * similarity
    return covariance + (parameters.noise**2 + JITTER) * np.eye(len(covariance))


def _log_likelihood(factors: Sequence[Factor], scores: Floats, parameters: _Parameters) -> float:
    trials = [
        _similarity(factor, factor.values, factor.values, length)
        for factor, length in zip(factors, parameters.lengths, strict=True)
    ]
    root = np.linalg.cholesky(_covariance(trials, parameters))
    whitened = solve_triangular(root, scores, lower=True)
    return -0.5 * float(whitened @ whitened) - float(np.log(np.diag(root)).sum())


def _effects(factors: Sequence[Factor], scores: Floats, parameters: _Parameters) -> list[Effect]:
    similarities = [
        _Similarities(
            _similarity(factor, factor.values, factor.values, length),
            _similarity(factor, factor.points, factor.values, length),
            _similarity(factor, factor.points, factor.points, length),
        )
        for factor, length in zip(factors, parameters.lengths, strict=True)
    ]
    root = np.linalg.cholesky(_covariance([s.trials for s in similarities], parameters))
    solved = cho_solve((root, True), scores)
    centring = [np.eye(len(s.points)) - 1 / len(s.points) for s in similarities]
    interaction = parameters.interaction**2
    across, points = [], []
    for place, (own, strength) in enumerate(zip(similarities, parameters.effects, strict=True)):
        others = similarities[:place] + similarities[place + 1 :]
        # What is the same at all points of this setting is left out: it centres away.
        rest = np.prod([(0.5 + 0.5 * s.across).mean(axis=0) for s in others], axis=0)
        rest_squared = math.prod(float((0.5 + 0.5 * s.points).mean()) for s in others)
        shared = interaction * (0.5 + 0.5 * own.across) * rest
        shared_points = interaction * (0.5 + 0.5 * own.points) * rest_squared
        across.append(centring[place] @ (strength**2 * own.across + shared))
        points.append(strength**2 * own.points + shared_points)
    # The points of all settings at once: one by one takes several times as long.
    seen = solve_triangular(root, np.concatenate(across).T, lower=True)
    ends = np.cumsum([len(rows) for rows in across])[:-1]
    return [
        Effect(own_across @ solved, centre @ own_points @ centre - own_seen.T @ own_seen)
        for own_across, own_points, centre, own_seen in zip(
            across, points, centring, np.split(seen, ends, axis=1), strict=True
        )
    ]
