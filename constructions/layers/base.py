"""A layer: a class that names its weights, checks its shapes, applies itself in any arithmetic, and prints itself.

Every layer is generic in what holds its weights: a sympy expression as its author writes it, an exact matrix once the
sizes are numbers, a tensor in an arithmetic; ``map`` changes the holder. A new layer is a frozen dataclass in a file of
its own: fields made by ``held`` hold weights, fields made by ``inner`` hold other layers (both of
:mod:`constructions.layers.weighted`), and all other fields are options.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from constructions.exact_matrix import ExactMatrix
from constructions.layers.masks import Mask
from constructions.layers.passes import Pass
from constructions.layers.permuted import TokenCoordinates
from constructions.layers.weighted import Matrix, Weighted
from constructions.layers.widths import Width
from constructions.operations import RowsT, ScoresT, WeightT


@dataclass(frozen=True, eq=False)
class Layer(Weighted[WeightT]):
    """A map from rows to rows.

    Subclasses have a field ``name``, and may have fields ``bindings`` and ``family``.
    """

    #: whether it divides a row by a length of its own, which bounds of each coordinate forget
    rescales: ClassVar[bool] = False
    #: layers of one family have the same expressions and differ in their bindings; empty for a layer of its own
    family = ""

    def prefix(self, outer: str) -> str:
        """Return the beginning of the names of its matrices: a layer's name is unique wherever it is."""
        return super().prefix("")

    @property
    def is_plain(self) -> bool:
        """Whether this is a layer of the paper's architecture, of which the proofs speak."""
        return False

    @property
    def mixes(self) -> bool:
        """Whether a position's output depends on other positions."""
        return any(part.mixes for part in self.own_parts if isinstance(part, Layer))

    def keeps_past(self, mask: Mask) -> bool:
        """Whether a step of generation may give this layer the new position alone, as its cache holds the others.

        Layers inside it are asked for themselves. A layer that says that it mixes must say this too; otherwise every
        step is a full pass.

        Args:
            mask: of the attention layers that have none of their own.

        """
        return not self.mixes or type(self).mixes is Layer.mixes

    @property
    def leaves(self) -> Iterator[Layer[WeightT]]:
        """The layers inside it that hold no other layer, in the order in which they run; itself if there are none."""
        inner = [part for part in self.own_parts if isinstance(part, Layer)]
        if not inner:
            yield self
        for part in inner:
            yield from part.leaves

    @abstractmethod
    def fitted(self: Layer[ExactMatrix], width: Width) -> Width:
        """Return the width of the output.

        Raises:
            InvalidArgument: a weight of another shape than the input asks for; the message names layer and matrix.

        """

    @abstractmethod
    def apply(self, run: Pass[WeightT, RowsT, ScoresT], rows: RowsT, *, last_only: bool = False) -> RowsT:
        """Return the layer's output.

        Args:
            run: the forward pass.
            rows: the input at the new positions.
            last_only: return the output at the last position alone.

        """

    def permuted(self: Layer[ExactMatrix], rows: TokenCoordinates) -> TokenCoordinates | None:
        """Return which outputs stand for tokens, if the layer commutes with every permutation of these.

        ``None`` where that is not shown. In an arithmetic it commutes up to the order of its sums.

        Args:
            rows: which coordinates of the input stand for tokens.

        """
        return None

    def typeset(self) -> Iterator[tuple[str, str, Matrix]]:
        """Yield ``(where, LaTeX name, expression)`` for every weight."""
        yield from _typeset(self, self.family or self.name)

    def formula(self, argument: str) -> str:
        """Return LaTeX of the layer as a function of its input."""
        return rf"\operatorname{{{type(self).__name__}}}\left({argument}\right)"


def _typeset(owner: Weighted[Any], where: str) -> Iterator[tuple[str, str, Matrix]]:
    for _, latex, expression in owner.own_weights:
        yield where, latex, expression
    for part in owner.own_parts:
        if isinstance(part, Layer):
            yield from part.typeset()
        else:
            yield from _typeset(part, f'{where}, {type(part).__name__.lower()} "{part.name}"')


def narrowed(
    layers: tuple[Layer[WeightT], ...], run: Pass[WeightT, RowsT, ScoresT], rows: RowsT, *, last_only: bool
) -> RowsT:
    """Return the output of layers one after another.

    The last of them that mixes positions is the last to need any position but the last one.
    """
    mixing = [index for index, layer in enumerate(layers) if layer.mixes]
    if last_only and not mixing:
        rows = run.operations.last(rows)
    for index, layer in enumerate(layers):
        rows = layer.apply(run, rows, last_only=last_only and [index] == mixing[-1:])
    return rows
