"""Tensors without memory: a program runs on them as on the CPU, but nothing is computed.

torch's `FakeTensorMode` does the same and more (symbolic shapes, data in part known) at about six
times the time an operation.
"""

from __future__ import annotations

from typing import Any, Self, TypeVar

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

AnyModule = TypeVar("AnyModule", bound=nn.Module)

_META = torch.device("meta")


class Shadow(Tensor):
    """A CPU tensor to whoever asks, autograd, autocast and optimizers included; `meta` in truth."""

    meta: Tensor
    # Python's own attribute access and no more: only operations are of interest.
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, meta: Tensor) -> Self:
        """The shadow that stands for `meta`."""
        shadow = Tensor._make_wrapper_subclass(
            cls,
            meta.shape,
            strides=meta.stride(),
            storage_offset=meta.storage_offset(),
            dtype=meta.dtype,
            device=torch.device("cpu"),
        )
        shadow.meta = meta
        return shadow

    def __init__(self, meta: Tensor) -> None:
        super().__init__()

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Refuse: shadows are of use within their mode alone."""
        raise RuntimeError(f"{function} of a shadow outside `Shadows`")

    def untyped_storage(self) -> torch.UntypedStorage:
        """The storage that views of this tensor share."""
        return self.meta.untyped_storage()


class Shadows(TorchDispatchMode):
    """Within it, every new tensor is a shadow; a real one that is met counts for its shape alone.

    What depends on a tensor's values (`item`, a mask as an index) fails with torch's own error.
    """

    def __init__(self) -> None:
        super().__init__()
        self._takes_device: dict[Any, bool] = {}

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run `function` on what the shadows stand for."""
        met: dict[int, Shadow] = {}
        arguments = [_meta_of(value, met) for value in args]
        options = {name: _meta_of(value, met) for name, value in (kwargs or {}).items()}
        if not met and "device" not in options and self._has_device(function):
            options["device"] = _META
        return _shadow_of(function(*arguments, **options), met)

    def _has_device(self, function: Any) -> bool:
        if function not in self._takes_device:
            names = [argument.name for argument in function._schema.arguments]
            self._takes_device[function] = "device" in names
        return self._takes_device[function]


def shadow_module(module: AnyModule) -> AnyModule:
    """`module`, built on the meta device, with shadows for tensors; to be called in `Shadows`."""
    return module.to_empty(device="cpu")


# Not closures: one that calls itself is a cycle, and would keep the tensors it has met alive.
def _meta_of(value: Any, met: dict[int, Shadow]) -> Any:
    if isinstance(value, Shadow):
        met[id(value.meta)] = value
        return value.meta
    if isinstance(value, Tensor):
        return value.to(_META)
    if isinstance(value, list | tuple):
        return [_meta_of(item, met) for item in value]
    return _META if isinstance(value, torch.device) else value


def _shadow_of(value: Any, met: dict[int, Shadow]) -> Any:
    if isinstance(value, Tensor):
        known = met.get(id(value))
        if known is None:
            # In inference mode, a view of a tensor from outside is no inference tensor.
            with torch.inference_mode(value.is_inference()):
                return Shadow(value)
        # What works in place gives its argument back.
        assert known.shape == value.shape, f"shadow of {tuple(known.shape)} was resized"
        return known
    if isinstance(value, list | tuple):
        return type(value)(_shadow_of(item, met) for item in value)
    return value
