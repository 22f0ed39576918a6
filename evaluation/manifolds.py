"""Precision and recall: shares of one set of images that lie in the other's manifold.

Kynkäänniemi et al. 2019, arXiv:1904.06991, sec. 2: a set's manifold is the union of balls about its
features, each as wide as the distance to the third neighbour. The numbers are torch-fidelity's,
which measures the distances between the two sets twice, and those within the reference anew for
each generated set. Shapes: N generated and M reference images, D features.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

NUM_NEIGHBORS = 3
"""Neighbourhood of precision and recall: the k of Kynkäänniemi et al. 2019."""

_ROWS = 1000
"""Rows of a distance matrix that are held at once."""


class PrecisionRecall(NamedTuple):
    """Shares of generated images in the reference's manifold, and the other way round."""

    precision: float
    recall: float


def neighbour_distances(features: Float[Tensor, "N D"]) -> Float[Tensor, " N"]:
    """Distance of each image to its third neighbour; there must be at least four images."""
    nearest = [
        # The nearest of all is the image itself.
        torch.cdist(rows, features).topk(NUM_NEIGHBORS + 1, dim=1, largest=False).values[:, -1]
        for rows in features.split(_ROWS)
    ]
    return torch.cat(nearest)


def precision_recall(
    generated: Float[Tensor, "N D"],
    reference: Float[Tensor, "M D"],
    reference_distances: Float[Tensor, " M"],
) -> PrecisionRecall:
    """Improved precision and recall, computed where `generated` lies.

    Memory grows with N, not with N².

    Args:
        generated: features of at least four images.
        reference: features of at least four images.
        reference_distances: `neighbour_distances` of the reference.
    """
    reference = reference.to(generated.device)
    distances = neighbour_distances(generated)
    reference_distances = reference_distances.to(generated.device)
    precise = torch.zeros(len(generated), dtype=torch.bool, device=generated.device)
    recalled = []
    for rows, balls in zip(reference.split(_ROWS), reference_distances.split(_ROWS), strict=True):
        between = torch.cdist(rows, generated)
        precise |= (between <= balls[:, None]).any(dim=0)
        recalled.append((between <= distances).any(dim=1))
    return PrecisionRecall(
        precision=float(precise.float().mean()), recall=float(torch.cat(recalled).float().mean())
    )
