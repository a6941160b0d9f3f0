"""Masks: which positions attention sees, as data of a layer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from constructions.operations import Visible
from constructions.validation import InvalidArgument, check_integer, reject


class Mask(ABC):
    """Which keys each query sees.

    Attributes:
        name: in words, as verdicts print it.
        causal: whether no position sees a later one, so that earlier positions never change during generation and their
            keys and values can be kept.

    """

    name: str
    causal: bool

    @abstractmethod
    def visible(self, start: int, count: int) -> Visible:
        """Return ``visible[i, j]``: whether position ``start + i`` sees position ``j``, for all ``start + count`` keys.

        Every query must see a key.
        """

    @final
    def seen(self, start: int, count: int) -> Visible:
        """Return :meth:`visible`, checked.

        A step of generation asks for its own row alone, and a certificate for all rows at once: of a causal mask each
        row must be the same by itself, and see nothing later.

        Raises:
            InvalidArgument: it is no such mask.

        """
        found = self.visible(start, count)
        if type(self) in _OURS:
            return found
        shape, stop = (count, start + count), start + count
        if type(found) is not np.ndarray or found.dtype != np.bool_ or found.shape != shape:
            reject(f"visible of mask {self.name}", f"booleans of shape {shape[0]} x {shape[1]}", found)
        if not found.any(axis=1).all():
            raise InvalidArgument(f"mask {self.name}: expected every position to see one, but one sees none")
        if self.causal:
            earlier = self.visible(0, stop)[:start] if start else found[:0]
            for at, later in enumerate((*earlier, *found)):
                if later[at + 1 :].any() or not np.array_equal(self.visible(at, 1), later[None, : at + 1]):
                    raise InvalidArgument(
                        f"mask {self.name}: expected a causal mask to show position {at} the same keys by itself as"
                        " among others, and none after it"
                    )
        return found

    @final
    def whole(self, context_size: int) -> Visible:
        """Return what each position of a full context sees; a shorter sequence sees the upper left corner of it.

        A causal mask shows each position the same whatever comes after it. Another one is asked for every length.

        Raises:
            InvalidArgument: what a position sees changes with the length in another way.

        """
        whole = self.seen(0, context_size)
        lengths = () if self.causal else range(1, context_size)
        for length in lengths:
            if not np.array_equal(self.seen(0, length), whole[:length, :length]):
                raise InvalidArgument(
                    f"mask {self.name}: expected one that shows the positions of a shorter sequence the same, as a"
                    f" traced program holds one mask for all lengths, but it does not at length {length}"
                )
        return whole


@final
@dataclass(frozen=True)
class Causal(Mask):
    """Every position sees itself and those before it."""

    name = "causal"
    causal = True

    def visible(self, start: int, count: int) -> Visible:
        """Return the lower triangle."""
        keys = start + count
        return np.arange(keys)[None, :] <= np.arange(start, keys)[:, None]


@final
@dataclass(frozen=True)
class Full(Mask):
    """Every position sees every position, as in the paper's notebook and in encoders."""

    name = "none"
    causal = False

    def visible(self, start: int, count: int) -> Visible:
        """Return true everywhere."""
        return np.ones((count, start + count), dtype=np.bool_)


@final
@dataclass(frozen=True)
class Window(Mask):
    """Every position sees itself and the ``size - 1`` positions before it.

    Attributes:
        size: at least 1.

    Example:
        >>> Window(2).visible(0, 3).tolist()
        [[True, False, False], [True, True, False], [False, True, True]]

    """

    size: int
    causal = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", check_integer("size of a window", self.size, 1))

    @property
    def name(self) -> str:  # type: ignore[override] # read only, as the class is frozen
        """The window in words."""
        return f"window of {self.size}"

    def visible(self, start: int, count: int) -> Visible:
        """Return a band below the diagonal."""
        keys = start + count
        behind = np.arange(start, keys)[:, None] - np.arange(keys)[None, :]
        return (behind >= 0) & (behind < self.size)


@final
@dataclass(frozen=True)
class Table(Mask):
    """A table of the author's own, positions x positions.

    Attributes:
        rows: ``rows[i][j]`` true where position ``i`` sees position ``j``.

    Example:
        >>> Table(((True, False), (True, True))).causal
        True

    """

    rows: tuple[tuple[bool, ...], ...]

    def __post_init__(self) -> None:
        expected = "a square tuple of tuples of True and False"
        if not isinstance(self.rows, (tuple, list)) or not all(isinstance(row, (tuple, list)) for row in self.rows):
            reject("rows of a mask", expected, self.rows)
        size = len(self.rows)
        plain = all(len(row) == size and all(type(seen) is bool for seen in row) for row in self.rows)
        if not size or not plain:
            raise InvalidArgument(f"rows of a mask: expected {expected}")
        object.__setattr__(self, "rows", tuple(tuple(row) for row in self.rows))  # lists could change later

    @property
    def name(self) -> str:  # type: ignore[override] # read only, as the class is frozen
        """The table in words."""
        return f"table of {len(self.rows)} positions"

    @property
    def causal(self) -> bool:  # type: ignore[override] # read only, as the class is frozen
        """Whether nothing above the diagonal is seen."""
        return not np.triu(np.array(self.rows), 1).any()

    def visible(self, start: int, count: int) -> Visible:
        """Return rows of the table.

        Raises:
            InvalidArgument: positions that the table does not have, or a query that would see nothing.

        """
        keys = start + count
        if keys > len(self.rows):
            raise InvalidArgument(
                f"mask: expected at most {len(self.rows)} positions, those of its table, but got {keys}"
            )
        seen = np.array(self.rows)[start:keys, :keys]
        if not seen.any(axis=1).all():
            raise InvalidArgument(f"mask: expected every position to see one of the first {keys}, but one sees none")
        return seen


#: The classes whose rows need no check. They are listed here, as a mask of somebody else's could claim to be one.
_OURS = (Causal, Full, Window, Table)

CAUSAL = Causal()
FULL = Full()

#: The masks that a construction may ask for by a word.
MASKS: Mapping[str, Mask] = {mask.name: mask for mask in (CAUSAL, FULL)}
