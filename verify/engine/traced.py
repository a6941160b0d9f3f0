"""Operations of torch, written down as they run on an example, to run again on other cases.

The batch of a forward pass in the engine is a pair of axes, the last two of every tensor: its outer axis counts
prefixes of an enumeration, its inner one suffixes. The example has :data:`EXAMPLE` of them, two numbers that tell the
axes apart, so that the shape of an intermediate says what it depends on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

#: Prefixes and suffixes of the example.
EXAMPLE = (2, 3)

#: What an intermediate depends on: bits of a level.
OUTER, INNER = 1, 2
BOTH = OUTER | INNER


class Untraceable(Exception):
    """Code that does other things than operations of torch on its rows."""


@dataclass(frozen=True)
class Ref:
    """The place of an intermediate in a recording."""

    place: int


@dataclass(frozen=True, eq=False)
class Node:
    """One operation.

    Attributes:
        function: torch's; ``None`` for an input.
        args: its arguments, :class:`Ref` where they are intermediates.
        options: those by name.
        level: what the result depends on.

    """

    function: Callable[..., Any] | None
    args: tuple[Any, ...]
    options: dict[str, Any]
    level: int

    def reads(self) -> set[int]:
        """Return the places of the intermediates that it reads."""
        return {leaf.place for leaf in _leaves((self.args, self.options)) if isinstance(leaf, Ref)}


@dataclass(eq=False)
class Recording:
    """The operations so far, each after those that it reads.

    Attributes:
        nodes: the operations.
        refused: why the first that cannot be written down cannot be; whoever goes on without it is not believed.

    """

    nodes: list[Node] = field(default_factory=list)
    refused: str | None = None

    def refuse(self, what: str) -> NoReturn:
        """Refuse code that cannot be written down.

        Raises:
            Untraceable: always.

        """
        self.refused = self.refused or what
        raise Untraceable(what)

    def given(self, example: Tensor) -> Tensor:
        """Return an input, which operations of torch are written down for from now on."""
        return self.kept(None, (), {}, example)

    def kept(
        self, function: Callable[..., Any] | None, args: tuple[Any, ...], options: dict[str, Any], example: Tensor
    ) -> Tensor:
        """Write an operation down; return its result on the example."""
        level = sum(
            bit
            for bit, size, most in zip((OUTER, INNER), example.shape[-2:], EXAMPLE, strict=False)
            if size == most and most > 1
        )
        legal = example.ndim > 2 and all(
            size in (1, most) for size, most in zip(example.shape[-2:], EXAMPLE, strict=False)
        )
        if not level or not legal:
            self.refuse(f"{_named(function)}, whose result has no axes of the batch")
        self.nodes.append(Node(function, args, options, level))
        made: Any = example.as_subclass(Traced)
        made.recording, made.place = self, len(self.nodes) - 1
        return made  # type: ignore[no-any-return] # a tensor


#: What a tensor may be asked for that is not its numbers.
_METADATA = {
    getattr(torch.Tensor, name).__get__
    for name in ("shape", "dtype", "device", "ndim", "requires_grad", "is_cuda", "layout", "is_sparse", "is_quantized")
} | {torch.Tensor.dim, torch.Tensor.size, torch.Tensor.__len__, torch.Tensor.is_floating_point, torch.is_floating_point}


class Traced(Tensor):
    """An intermediate of a recording, on the example."""

    recording: Recording
    place: int

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation on the example, and write it down.

        Raises:
            Untraceable: it changes its argument, or gives anything but a tensor.

        """
        options = kwargs or {}
        with torch._C.DisableTorchFunctionSubclass():
            if func in _METADATA:
                return func(*args, **options)
            given = (leaf for leaf in _leaves((args, options)) if type(leaf) is Traced)
            (recording,) = {id(leaf.recording): leaf.recording for leaf in given}.values()
            name = _named(func)
            changes = (name.endswith("_") and not name.endswith("__")) or name in {"__setitem__", "__set__"}
            if changes or (name.startswith("__i") and name not in {"__invert__", "__index__", "__int__"}):
                recording.refuse(f"{name}, which changes a tensor in place")
            found = func(*args, **options)
        if not isinstance(found, Tensor):
            recording.refuse(f"{name}, which asks for numbers")
        held = tree_map(_referred, (args, options), is_leaf=whole)
        return recording.kept(func, held[0], held[1], found)


def _named(function: Callable[..., Any] | None) -> str:
    return str(getattr(function, "__name__", "an input"))


def whole(value: Any) -> bool:
    """Return whether an argument is looked at as it is, and not at its parts."""
    return isinstance(value, (Ref, slice, torch.Size))


def _leaves(value: Any) -> list[Any]:
    return tree_leaves(value, is_leaf=whole)


def _referred(value: Any) -> Any:
    """Return an argument as it is kept: numbers of numpy as Python's, for the source of a module."""
    if type(value) is Traced:
        return Ref(value.place)
    if isinstance(value, slice):
        return slice(*(_referred(end) for end in (value.start, value.stop, value.step)))
    return value.item() if isinstance(value, np.generic) else value
