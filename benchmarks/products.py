"""The products of linear layers by oneDNN and by MKL, from which `linear.onednn_share` is taken.

    python benchmarks/products.py --threads 1

For the layers of CIFAR-10's networks at batch 16: x Wᵀ, and the gradients for x and for W. Rates
are in GFLOP/s, of the fastest of all repeats; the two libraries alternate.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from transgan.networks import linear

SHAPES = (
    *((1024, 1024, 3072), (1024, 1024, 4096), (1024, 4096, 1024)),
    *((4096, 256, 768), (4096, 256, 1024), (4096, 1024, 256)),
    *((16384, 64, 192), (16384, 64, 256), (16384, 256, 64)),
    *((8192, 384, 1152), (8192, 384, 1536), (8192, 1536, 384)),
)
"""Rows, channels in, channels out."""
ALL = linear.Share(least_products=0, least_with_gelu=0, most_terms=float("inf"))


def rates(rows: int, dim: int, out_dim: int, repeats: int) -> dict[str, tuple[float, float]]:
    """GFLOP/s of oneDNN and of MKL for each product of one layer."""
    x, weight, grad = torch.randn(rows, dim), torch.randn(out_dim, dim), torch.randn(rows, out_dim)
    products = {
        "x Wᵀ": (x, weight),
        "for x": (grad, weight.t()),
        "for W": (grad.t(), x.t()),
    }
    gflop = 2e-9 * rows * dim * out_dim
    found = {}
    for name, (a, b) in products.items():
        best = [float("inf")] * 2
        for _ in range(repeats + 1):  # the first of them warms up, and is never the fastest
            for side, function in enumerate((linear.product, F.linear)):
                best[side] = min(best[side], _seconds(function, a, b))
        found[name] = gflop / best[0], gflop / best[1]
    return found


def _seconds(function: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor) -> float:
    start = time.perf_counter()
    function(a, b)
    return time.perf_counter() - start


def main() -> None:
    """Print a line for each layer."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    if not linear.CARRIES_ONEDNN:
        parser.error("this torch was built without oneDNN's linear layers: nothing to compare")
    torch.set_num_threads(arguments.threads)
    linear.SHARE = ALL
    linear.LEAST_SHARED = 0
    print(f"{'rows':>6} {'dim':>5} {'out':>5}   GFLOP/s by oneDNN, by MKL")
    for rows, dim, out_dim in SHAPES:
        of_each = rates(rows, dim, out_dim, arguments.repeats).items()
        told = "   ".join(f"{name} {ours:4.0f} {mkl:4.0f}" for name, (ours, mkl) in of_each)
        print(f"{rows:>6} {dim:>5} {out_dim:>5}   {told}", flush=True)


if __name__ == "__main__":
    main()
