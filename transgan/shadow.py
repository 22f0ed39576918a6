"""Tensors without memory: a program runs on them as on the CPU, but nothing is computed.

torch's `FakeTensorMode` does the same and more (symbolic shapes, data in part known) at several
times the time an operation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, Self, TypeVar

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

AnyModule = TypeVar("AnyModule", bound=nn.Module)

_META = torch.device("meta")
MOST_REMEMBERED = 50_000
"""Outcomes kept at once, by far more than a sweep's kinds of networks have together; then anew."""


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


class _Fresh(NamedTuple):
    """A new tensor, with memory of its own."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: torch.dtype

    def make(self) -> Shadow:
        return _cast(torch.empty_strided(*self[:2], dtype=self.dtype, device=_META))


class _Outcome(NamedTuple):
    """What an operation gave: new tensors, and arguments (by number) that it worked on in place."""

    container: type | None
    """Of several results; None for a single one."""
    parts: tuple[_Fresh | int | None, ...]

    def again(self, given: Sequence[Shadow]) -> Any:
        """The same of other arguments of the same shapes."""
        made = [
            given[part] if isinstance(part, int) else part and part.make() for part in self.parts
        ]
        return made[0] if self.container is None else self.container(made)


class Watcher(Protocol):
    """What is told of each operation."""

    def see(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        """Take note of an operation and what it gave."""


class Shadows(TorchDispatchMode):
    """Within it, every new tensor is a shadow; a real one that is met counts for its shape alone.

    What depends on a tensor's values (`item`, a mask as an index) fails with torch's own error.

    Most of what a training does it, or another of like networks, has done before on tensors of the
    same shapes, with the same outcome, so that is remembered as long as the process lives; views,
    which share memory, are made anew. (Many operations run on the meta device in Python, and take
    longer than all else here.)

    Args:
        watchers: told of each operation; modes of their own would cost a dispatch each.
    """

    _takes_device: ClassVar[dict[Any, bool]] = {}
    _outcomes: ClassVar[dict[tuple[Any, ...], _Outcome | None]] = {}

    def __init__(self, *watchers: Watcher) -> None:
        super().__init__()
        self._watchers = watchers

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run `function` on what the shadows stand for, or say what came of it before."""
        kwargs = kwargs or {}
        out = self._run(function, args, kwargs)
        for watcher in self._watchers:
            watcher.see(function, args, kwargs, out)
        return out

    def _run(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        met: dict[int, Shadow] = {}
        asked: list[Any] = [function]
        arguments = [_meta_of(value, met, asked) for value in args]
        options = {}
        for name, value in kwargs.items():
            asked.append(name)
            options[name] = _meta_of(value, met, asked)
        if not met:
            if "device" not in options and self._has_device(function):
                options["device"] = _META
            return _shadow_of(function(*arguments, **options), met)
        key, given = tuple(asked), list(met.values())
        outcome = self._outcomes.get(key)
        if outcome is not None:
            return outcome.again(given)
        value = function(*arguments, **options)
        if key not in self._outcomes:
            if len(self._outcomes) >= MOST_REMEMBERED:
                self._outcomes.clear()
            self._outcomes[key] = _outcome(value, given)
        return _shadow_of(value, met)

    def _has_device(self, function: Any) -> bool:
        if function not in self._takes_device:
            names = [argument.name for argument in function._schema.arguments]
            self._takes_device[function] = "device" in names
        return self._takes_device[function]


def shadow_module(module: AnyModule) -> AnyModule:
    """`module`, built on the meta device, with shadows for tensors; to be called in `Shadows`."""
    return module.to_empty(device="cpu")


# Not closures: one that calls itself is a cycle, and would keep the tensors it has met alive.
def _meta_of(value: Any, met: dict[int, Shadow], asked: list[Any]) -> Any:
    """`value` with what its shadows stand for; `asked` gets all of it that an outcome hangs on."""
    if isinstance(value, Shadow):
        meta = value.meta
        number = len(met)
        if met.setdefault(id(meta), value) is not value or len(met) == number:
            number = list(met).index(id(meta))
        asked += (number, meta.shape, meta.stride(), meta.dtype)
        return meta
    if isinstance(value, Tensor):
        asked += (value.shape, value.stride(), value.dtype)
        return value.to(_META)
    if isinstance(value, list | tuple):
        asked.append(len(value))
        return [_meta_of(item, met, asked) for item in value]
    asked += (type(value), value)  # 1 and 1.0 are equal
    return _META if isinstance(value, torch.device) else value


def _outcome(value: Any, given: Sequence[Shadow]) -> _Outcome | None:
    """What is to be remembered of an operation that gave `value`; None where nothing can be."""
    container = type(value) if isinstance(value, list | tuple) else None
    numbers = {id(shadow.meta): number for number, shadow in enumerate(given)}
    taken = {shadow.untyped_storage()._cdata for shadow in given}
    parts: list[_Fresh | int | None] = []
    for item in [value] if container is None else value:
        if item is None:
            parts.append(None)
        elif id(item) in numbers:
            parts.append(numbers[id(item)])
        elif isinstance(item, Tensor):
            storage = item.untyped_storage()
            fresh = _Fresh(tuple(item.shape), item.stride(), item.dtype)
            if (
                storage._cdata in taken
                or storage.nbytes() != fresh.make().untyped_storage().nbytes()
            ):
                return None
            taken.add(storage._cdata)
            parts.append(fresh)
        else:
            return None
    return _Outcome(container, tuple(parts))


def _shadow_of(value: Any, met: dict[int, Shadow]) -> Any:
    if isinstance(value, Tensor):
        known = met.get(id(value))
        if known is None:
            return _cast(value)
        # What works in place gives its argument back.
        assert known.shape == value.shape, f"shadow of {tuple(known.shape)} was resized"
        return known
    if isinstance(value, list | tuple):
        return type(value)(_shadow_of(item, met) for item in value)
    return value


def _cast(meta: Tensor) -> Shadow:
    """The shadow of a new tensor."""
    is_inference = meta.is_inference()
    if is_inference == torch.is_inference_mode_enabled():
        return Shadow(meta)
    # In inference mode, a view of a tensor from outside is no inference tensor.
    with torch.inference_mode(is_inference):
        return Shadow(meta)
