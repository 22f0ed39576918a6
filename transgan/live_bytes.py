"""Follows the memory of tensors: what is alive, and the most that ever was at once."""

from __future__ import annotations

import functools
import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class LiveBytes(TorchDispatchMode):
    """Within it, every tensor's memory is counted from its birth to its death, views once.

    What an operation needs inside itself, and hands back before it ends, is not seen; nor is a
    tensor that was there before, unless it is `follow`ed.

    Attributes:
        live: bytes alive now.
        peak: the most that were, since the start or `restart_peak`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._known: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run `function` and follow what it gives."""
        out = function(*args, **(kwargs or {}))
        self.follow(out)
        return out

    def see(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        """Follow what an operation gave that others have run."""
        self.follow(out)

    def follow(self, values: object) -> None:
        """Count the memory of the tensors among `values` (nested lists and tuples) too."""
        if isinstance(values, Tensor):
            self._follow(values.untyped_storage())
        elif isinstance(values, list | tuple):
            for value in values:
                self.follow(value)

    def restart_peak(self) -> None:
        """Let the peak be what is alive now."""
        self.peak = self.live

    def _follow(self, storage: torch.UntypedStorage) -> None:
        # A storage's Python object lives as long as the memory, and is the same for all its views.
        address = storage._cdata
        if address in self._known:
            return
        size = storage.nbytes()
        self.live += size
        self.peak = max(self.peak, self.live)
        self._known[address] = weakref.ref(storage, functools.partial(self._end, address, size))

    def _end(self, address: int, size: int, _: object) -> None:
        self.live -= size
        del self._known[address]
