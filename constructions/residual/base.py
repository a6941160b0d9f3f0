"""The common part of the theorems in a residual stream: what is fetched, and how the selected number is decoded."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import final

import numpy as np
import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from constructions.construction import Construction
from constructions.expressions import V, entries
from constructions.formats import Format
from constructions.layers import Added, Linear, Positions, Unmarked
from constructions.lowering import evaluate
from constructions.ratios import Ratios
from constructions.residual.architectures import ARCHITECTURES, Architecture, ArchitectureName
from constructions.residual.blocks import ONE, Parts, read
from constructions.residual.bounds import COUNTED_BITS, Fetched, counted_weight
from constructions.residual.symbols import COUNTED, FIRST
from constructions.stream import Stream
from constructions.temperature import Softmax, Temperature
from constructions.transformer import Transformer
from constructions.validation import TokenArray, check_choice

#: For a block of the stream what its columns hold.
Columns = Mapping[str, MatrixExpr]


@dataclass(frozen=True, kw_only=True, repr=False)
class ResidualConstruction(Construction):
    r"""A transformer with a residual stream, norms and a smooth activation, in which no number depends on a scale.

    Blocks of the stream: ``numbers`` (the virtual token's), ``virtual`` (1 at the virtual token, 0 elsewhere), those
    of the architecture's selector, ``zero`` (0 in every embedding, where norms take the mean off), ``selected`` and
    ``scale`` (0 before they are written), and ``spare`` zeros.

    Attention averages the numbers and the 1 beside them, an MLP selects one number ``y/V`` and keeps that 1, and the
    readout gives token ``k`` the logit ``(2k/V - 1) z + (1/4 - k^2/V^2) o``, with ``z = l y/V`` and ``o = l`` for a
    positive ``l``. Every factor of a norm, and the share that attention has of the virtual token, is common to ``z``
    and ``o``: it goes into ``l``, which no argmax sees.

    Attributes:
        architecture: ``gpt2``, ``opt``, ``llama`` or ``gpt-neox``; see :mod:`constructions.residual.architectures`.

    """

    architecture: ArchitectureName = "gpt2"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("architecture", self.architecture, tuple(ARCHITECTURES))

    # what a theorem says --------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def sizes(self) -> Mapping[sp.Symbol, int]:
        """The numbers of the symbols of the sizes; the first one is how many numbers the virtual token has."""

    @property
    @abstractmethod
    def counted(self) -> bool:
        """Whether the place of the number to select is told by a count."""

    @property
    @abstractmethod
    def token_rows(self) -> Columns:
        """What the embedding of each token holds: for a block of the stream a matrix with ``V`` columns."""

    @property
    @abstractmethod
    def position_rows(self) -> Columns:
        """What the learned vector of each position holds: for a block of the stream a matrix with a column for each."""

    @property
    @abstractmethod
    def virtual_ones(self) -> tuple[str, ...]:
        """The blocks that are 1 in the row of the virtual token, once if a block has several coordinates."""

    # what follows ---------------------------------------------------------------------------------------------------

    @final
    @cached_property
    def design(self) -> Architecture:
        """The architecture."""
        return ARCHITECTURES[self.architecture]

    @final
    @cached_property
    def stream(self) -> Stream:
        """The residual stream; a ``spare`` block makes its width a multiple of the architecture's."""
        size = next(iter(self.sizes))
        blocks: dict[str, sp.Expr | int] = {"numbers": size, "virtual": 1}
        blocks |= self.design.selector.blocks(size, counted=self.counted)
        blocks |= {"zero": 1} if self.design.norm.kind.centred else {}
        blocks |= {"selected": 1, "scale": 1}
        spare = -self._at_sizes(Stream.of(**blocks).width) % self.design.multiple
        return Stream.of(**blocks, **({"spare": spare} if spare else {}))

    @final
    @cached_property
    def fetched(self) -> Fetched:
        """What is known of the rows, for the masks and the gains."""
        norm, layout = self.design.norm, self.layout
        first = layout.virtual + layout.user - 1
        return Fetched(
            width=self._at_sizes(self.stream.width),
            numbers=next(iter(self.sizes.values())),
            ones=sum(name in self.stream.names for name in self.virtual_ones),
            # a place and the 1 of a content row; or that 1 and a count, which is below 1
            squares=Fraction(2),
            first=first,
            last=first + layout.response - 1,
            eps=norm.eps,
            centred=norm.kind.centred,
        )

    @final
    @cached_property
    def transformer(self) -> Transformer:
        """The blocks of the architecture, and the readout."""
        size, stream, design = next(iter(self.sizes)), self.stream, self.design
        mlps = design.selector.mlps(size, counted=self.counted)
        hidden = max((mlp.hidden.width for mlp in mlps), key=self._at_sizes)
        layers = (*design.layers(stream, _fetching(stream), mlps, hidden), _readout(stream))
        bindings = {
            **self.sizes,
            V: self.vocab_size,
            **design.selector.numbers(self.fetched, self.vocab_size, counted=self.counted),
            FIRST: self.fetched.first,
        }
        if self.counted:
            weight = counted_weight(self.fetched.width, design.norm.eps, centred=design.norm.kind.centred)
            bindings[COUNTED] = weight
        positions: Positions[MatrixExpr] = Unmarked()
        if design.learned_positions:
            positions = Added(_columns(stream, self.position_rows))
        embedding = _columns(stream, {**self.token_rows, "numbers": sp.ZeroMatrix(size, V)})
        return Transformer(embedding, layers, self.layout.context_size, bindings, positions=positions)

    def encode(self, targets: TokenArray) -> Ratios:
        """Return ``s_j = y_j / V``, and 1 where no learned position says it: shape ``(batch, 1, width)``."""
        rest = np.zeros((len(targets), self.fetched.width - self.fetched.numbers), dtype=np.int64)
        if not self.design.learned_positions:
            for name in self.virtual_ones:
                if name in self.stream.names:
                    rest[:, self._at_sizes(self.stream.before(name)) - self.fetched.numbers] = self.vocab_size
        return Ratios(np.concatenate([targets, rest], axis=1)[:, None, :], self.vocab_size)

    def default_temperature(self, fmt: Format | None) -> Temperature:
        """Return the temperature 1 of a language model; every score is 0, so that any other gives the same weights."""
        return Softmax(1.0)

    def _at_sizes(self, expr: sp.Expr) -> int:
        return int(evaluate(expr, self.sizes))


def _columns(stream: Stream, parts: Columns) -> MatrixExpr:
    """Return what is embedded, block by block, without the parts for blocks that the stream does not have."""
    held = {(name, "columns"): part for name, part in parts.items() if name in stream.names}
    return stream.reads(Stream.of(columns=next(iter(parts.values())).shape[1]), held)


def _fetching(stream: Stream) -> MatrixExpr:
    r"""Return the value that attention averages: the numbers, the 1 beside them, and a 1 for each content row.

    The count reads ``g - c``, which is 0 in the virtual token's row, that has both. A content row holds ``g`` alone, so
    that the factor of its norm is known, and ``kappa/2^64`` is its reciprocal: the average is ``q/(q+1)``.
    """
    size, weight = stream["numbers"], COUNTED / sp.Integer(2) ** COUNTED_BITS * ONE
    parts: Parts = {
        ("numbers", "numbers"): sp.Identity(size),
        ("numbers", "zero"): -sp.OneMatrix(size, 1),
        ("virtual", "virtual"): ONE,
        ("virtual", "zero"): -ONE,
    }
    counting: Parts = {("count", "content"): weight, ("count", "virtual"): -weight}
    return read(stream, stream, {**parts, **(counting if "count" in stream.names else {})})


def _readout(stream: Stream) -> Linear[MatrixExpr]:
    """Return the paper's quadratic decoder, times whatever positive factor ``scale`` has."""

    def column(entry: Callable[[sp.Expr], sp.Expr]) -> MatrixExpr:
        return entries(V, 1, lambda k, _: entry(k / V))

    parts: Parts = {
        ("logits", "selected"): column(lambda x: 2 * x - 1),
        ("logits", "scale"): column(lambda x: sp.Rational(1, 4) - x**2),
        ("logits", "zero"): column(lambda x: sp.Rational(3, 4) - 2 * x + x**2),
    }
    return Linear(read(Stream.of(logits=V), stream, parts), None, None, "readout")
