"""What an object holds: its attributes, what C code keeps for it, the numbers of a tensor, and its pickle."""

from __future__ import annotations

import copyreg
import gc
import inspect
import io
import pickle
import sys
import types
from collections.abc import Callable
from functools import cached_property
from typing import Any


def attributes(value: object) -> dict[str, Any]:
    """Return the attributes of an object, those in slots too, but not those that are computed when first asked for."""
    state: Any = object.__getstate__(value)
    held, slots = state if isinstance(state, tuple) else (state, None)
    lazy = {
        name for kind in type(value).__mro__ for name, each in vars(kind).items() if isinstance(each, cached_property)
    }
    return {name: each for name, each in {**(held or {}), **(slots or {})}.items() if name not in lazy}


def held_in_c(value: object) -> list[object]:
    """Return the functions and classes that an object holds where Python has no attribute for them."""
    return [each for each in gc.get_referents(value) if isinstance(each, (types.FunctionType, types.MethodType, type))]


def is_tensor(value: object) -> bool:
    """Say whether an object is a tensor of torch's, which is not imported for that."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def tensor_bytes(tensor: Any) -> bytes:
    """Return a tensor's type, shape, device and any numbers that it holds; its pickle has a place in memory."""
    import torch  # noqa: PLC0415 # there is a tensor: it was imported

    kind = f"{tensor.dtype} {tuple(tensor.shape)} {tensor.device} {tensor.layout} ".encode()
    try:
        held = tensor if tensor.layout is torch.strided else tensor.to_dense()
        flat = held.detach().to("cpu").contiguous().reshape(-1)
        return kind + (flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
    except (RuntimeError, NotImplementedError, TypeError):
        return kind


def reduction(value: object) -> Any:
    """Return what an object would be pickled as, ``None`` where it cannot be."""
    reduce: Callable[[object], Any] = copyreg.dispatch_table.get(type(value), lambda each: each.__reduce_ex__(4))
    try:
        return reduce(value)
    except Exception:  # noqa: BLE001 # whatever an object's own code raises, it has no pickle
        return None


def wrapped(value: object) -> object:
    """Return what a decorator says that it is around, such as a cache; ``None`` of anything else."""
    return inspect.getattr_static(value, "__wrapped__", None) if callable(value) else None


class Pickler(pickle.Pickler):
    """Pickles an object, but for what is fed to a digest by itself."""

    def __init__(self, file: io.BytesIO, fed: Callable[[object], int | None]) -> None:
        """Take where to write, and what returns the place of an object that is fed by itself, ``None`` of any other."""
        super().__init__(file, protocol=4)
        self._fed = fed

    def persistent_id(self, value: Any) -> int | None:
        """Return the place of what is fed by itself, ``None`` of what is pickled."""
        return self._fed(value)
