"""Counts the operations that torch runs and their FLOPs, through any number of derivatives.

`torch.utils.flop_counter.FlopCounterMode` also counts by module, which slows it down and fails in a
gradient penalty; the formulas here are its own.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, ops
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class FlopCounter(TorchDispatchMode):
    """Within it, counts all that is run.

    Attributes:
        operations: operations dispatched, views among them.
        flops: of matrix products, convolutions and attention alone; a multiply-add counts two.
    """

    operations: int = 0
    flops: int = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run `function` and count it."""
        kwargs = kwargs or {}
        out = function(*args, **kwargs)
        self.see(function, args, kwargs, out)
        return out

    def see(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        """Count an operation that others have run."""
        self.operations += 1
        packet = function._overloadpacket
        # The three that torch has no formula for.
        if packet == ops.aten._scaled_dot_product_flash_attention_for_cpu:
            self.flops += _attention_flops(args[0], args[1], 2)
        elif packet == ops.aten._scaled_dot_product_flash_attention_for_cpu_backward:
            self.flops += _attention_flops(args[1], args[2], 5)
        elif packet == getattr(ops.mkldnn, "_linear_pointwise", None):  # not in all builds
            weight = args[2] if function._overloadname == "binary" else args[1]
            self.flops += 2 * args[0].numel() * len(weight)
        elif packet in flop_registry:
            self.flops += flop_registry[packet](*args, **kwargs, out_val=out)


def _attention_flops(query: Tensor, key: Tensor, matrix_products: int) -> int:
    return 2 * matrix_products * query.numel() * key.shape[-2]
