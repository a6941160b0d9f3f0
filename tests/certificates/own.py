"""Small constructions of given parts, for what the claims' own constructions never do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from constructions import Attention, Construction, Head, Layout, Linear, Ratios, TargetSpace, Transformer
from constructions.formats import Format, get_format
from constructions.layers import Positions
from constructions.layers.widths import Width
from constructions.temperature import Hardmax, Temperature
from constructions.transformer import Layer
from constructions.validation import IntArray
from verify.certificates import Kernel, RoundedArithmetic
from verify.certificates.all_targets import Bound
from verify.certificates.enclosing import Margins
from verify.certificates.floats.kernel import Products
from verify.certificates.shared_cells import SharedCells
from verify.certificates.sharing import margins_of, parts_that_share

Encode = Callable[[Any], Any]
Promise = Callable[[Any, Any], Any]


def rounded(dtype: str = "float32", products: Products = "either", *, tf32: bool = False) -> RoundedArithmetic:
    """Return the rounded arithmetic of a format."""
    return RoundedArithmetic(Kernel(get_format(dtype), products, tf32))


def shared_margins(
    bound: Bound[Any, Any, Any], construction: Construction, *, budget: int, points: int
) -> Iterator[tuple[SharedCells, Margins]]:
    """Yield the cells of all parts that share, with lower bounds of their margins."""
    parts = parts_that_share(bound, construction, budget=budget)
    yield from margins_of(bound, construction, (part.cells() for part in parts), points=points)


def as_numbers(targets: IntArray) -> Ratios:
    """Encode every token as that number, all in one virtual token."""
    return Ratios(targets[:, None, :], 1)


def first_entry(targets: IntArray, users: IntArray) -> IntArray:
    """Promise the target's first entry."""
    return targets[:, :1]


@dataclass(frozen=True, eq=False)
class FromTheEnd(Positions[Any]):
    """One-hot codes counted from the last position, so that each changes with every position that comes after it."""

    def fitted(self, embedding_size: int, context_size: int) -> Width:
        return Width(embedding_size + context_size, "both")

    def apply(self, run: Any, embedded: Any, context_size: int) -> Any:
        codes = run.operations.positions(context_size, context_size - run.count, context_size)
        return run.operations.beside(embedded, codes)


@dataclass(frozen=True, repr=False)
class Given(Construction):
    """A construction of given parts, whose target is a row of tokens."""

    vocab_size: int
    entries: int
    embedding: Any
    layers: tuple[Layer, ...]
    users: int = 0
    steps: int = 1
    encoding: Encode = as_numbers
    promise: Promise = first_entry

    @property
    def layout(self) -> Layout:
        return Layout(virtual=1, user=self.users, response=self.steps)

    @property
    def targets(self) -> TargetSpace:
        return TargetSpace(self.vocab_size, (self.entries,))

    def encode(self, targets: IntArray) -> Ratios:
        found: Ratios = self.encoding(targets)
        return found

    def answer(self, targets: IntArray, user_inputs: IntArray) -> IntArray:
        found: IntArray = self.promise(targets, user_inputs)
        return found

    @cached_property
    def transformer(self) -> Transformer:
        return Transformer(self.embedding, self.layers, self.layout.context_size)

    def default_temperature(self, fmt: Format | None) -> Temperature:
        return Hardmax()


def nearest(vocab: int, scale: int = 1) -> Linear:
    """Return the readout of one number: the token ``v`` with ``scale * v`` nearest to it."""
    weight = [[2 * scale * v] for v in range(vocab)]
    return Linear(weight, [[-((scale * v) ** 2)] for v in range(vocab)], activation=None, name="readout")


def read_first(width: int, context: int) -> Attention:
    """Return one head that reads the embedding at position 0."""
    zeros = [0] * width
    value = [[int(row == column) for column in range(width + context)] for row in range(width)]
    return Attention((Head("first", [zeros + [1] * context], [zeros + [1] + [0] * (context - 1)], value),))
