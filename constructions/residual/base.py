"""The common part of the theorems in a residual stream: it fetches the numbers, selects one and decodes it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import final

import numpy as np
import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from constructions.construction import LARGEST_SIZE, Construction
from constructions.expressions import V
from constructions.formats import Format
from constructions.layers import Added, Linear, Positions, Unmarked
from constructions.lowering import evaluate
from constructions.ratios import Ratios
from constructions.residual.architectures import ARCHITECTURES, Architecture, ArchitectureName
from constructions.residual.blocks import Mlp
from constructions.residual.bounds import Fetched, counted_weight
from constructions.residual.symbols import COUNTED, FIRST, WRITTEN
from constructions.residual.tied import tied_squares, written_weight
from constructions.residual.vocabulary import Columns, columns, embedded, fetching, readout_weight
from constructions.stream import Stream
from constructions.temperature import Softmax, Temperature
from constructions.transformer import Transformer
from constructions.validation import InvalidArgument, TokenArray, check_choice, check_flag, check_integer, reject

#: Above the smallest width at every accepted size: that is twice the numbers, and a few coordinates more.
_LARGEST_WIDTH = 4 * LARGEST_SIZE


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

    Sizes beyond those that the theorem needs are filled with zeros, so that the weights are those of a model of any
    larger size, such as a default configuration.

    Attributes:
        architecture: ``gpt2``, ``opt``, ``llama`` or ``gpt-neox``; see :mod:`constructions.residual.architectures`.
        alphabet_size: how many tokens responses are made of, the first ones of the vocabulary; all by default. No other
            token ever has the largest logit.
        width: of the stream; by default the smallest one.
        depth: the number of blocks; by default as many as do something.
        heads: the number of heads, side by side, among which the width is divided; 1 by default.
        hidden_size: the number of hidden rows of an MLP; by default the smallest one.
        tied: whether the embedding is the transpose of the readout.

    """

    architecture: ArchitectureName = "gpt2"
    alphabet_size: int | None = None
    width: int | None = None
    depth: int | None = None
    heads: int | None = None
    hidden_size: int | None = None
    tied: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("architecture", self.architecture, tuple(ARCHITECTURES))
        check_flag("tied", self.tied)
        if self.alphabet_size is not None:
            check_integer("alphabet_size", self.alphabet_size, 1, self.vocab_size)

    def _check_fit(self) -> None:
        """Refuse sizes below those that the theorem needs; a subclass calls it once its own are checked."""
        if self.tied and self.counted:
            raise InvalidArgument(
                f"tied: expected False for {self.architecture}, which counts tokens by embeddings that are all the same"
            )
        least = self._at_sizes(Stream.of(**self._blocks).width)
        least += -least % self.design.multiple
        if self.width is not None:
            check_integer("width", self.width, least, _LARGEST_WIDTH)
        if self.heads is not None:
            check_integer("heads", self.heads, 1)
        if self.fetched.width % (self.heads or 1):
            reject("heads", f"a divisor of the width, {self.fetched.width},", self.heads)
        if self.hidden_size is not None:
            check_integer("hidden_size", self.hidden_size, max(self._at_sizes(mlp.hidden.width) for mlp in self._mlps))
        if self.depth is not None:
            check_integer("depth", self.depth, len(self.design.arrangement.placed(self._mlps)))

    # given by a theorem ---------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def sizes(self) -> Mapping[sp.Symbol, int]:
        """The numbers of the symbols of the sizes; the first one is how many numbers the virtual token has."""

    @property
    @abstractmethod
    def counted(self) -> bool:
        """Whether a count of the tokens so far says which number to select."""

    @property
    @abstractmethod
    def token_rows(self) -> Columns:
        """The embeddings of the tokens: for each block that is not 0 a matrix with ``V`` columns."""

    @property
    @abstractmethod
    def position_rows(self) -> Columns:
        """The learned vectors: for each block that is not 0 a matrix with a column for each position."""

    @property
    @abstractmethod
    def virtual_ones(self) -> tuple[str, ...]:
        """The blocks that are 1 in the row of the virtual token, once if a block has several coordinates."""

    # derived from it ------------------------------------------------------------------------------------------------

    @final
    @cached_property
    def design(self) -> Architecture:
        """The architecture."""
        return ARCHITECTURES[self.architecture]

    @property
    def letters(self) -> int:
        """``V``, how many tokens responses are made of."""
        return self.vocab_size if self.alphabet_size is None else self.alphabet_size

    @property
    def _blocks(self) -> dict[str, sp.Expr | int]:
        """The blocks of the stream that something reads or writes."""
        balanced = self.design.norm.kind.centred
        return {
            "numbers": self._size,
            "virtual": 1,
            **self.design.selector.blocks(self._size, counted=self.counted),
            **({"zero": 1} if balanced else {}),
            **({"balance": 1} if balanced and self.tied else {}),
            "selected": 1,
            "scale": 1,
        }

    @final
    @cached_property
    def stream(self) -> Stream:
        """The residual stream; a ``spare`` block makes up the width."""
        used = self._at_sizes(Stream.of(**self._blocks).width)
        spare = -used % self.design.multiple if self.width is None else self.width - used
        return Stream.of(**self._blocks, **({"spare": spare} if spare else {}))

    @final
    @cached_property
    def fetched(self) -> Fetched:
        """The known facts about the rows, from which the masks and the gains follow."""
        norm, layout = self.design.norm, self.layout
        first = layout.virtual + layout.user - 1
        # a place and the 1 of a content row; or that 1 and a count, which is below 1
        squares = Fraction(2)
        return Fetched(
            width=self._at_sizes(self.stream.width),
            numbers=self._at_sizes(self._size),
            ones=sum(name in self.stream.names for name in self.virtual_ones),
            squares=squares + (tied_squares(self._token_ones) if self.tied else 0),
            first=first,
            last=first + layout.response - 1,
            eps=norm.eps,
            centred=norm.kind.centred,
        )

    @final
    @cached_property
    def transformer(self) -> Transformer:
        """The blocks of the architecture, and the readout."""
        stream, design, tokens = self.stream, self.design, self.token_rows
        fetch = fetching(stream, self.heads or 1, self._at_sizes)
        hidden = self.hidden_size or max((mlp.hidden.width for mlp in self._mlps), key=self._at_sizes)
        spare = self.vocab_size - self.letters
        read_out = readout_weight(stream, spare, tokens if self.tied else {})
        readout = Linear(read_out, None, None, "readout")
        positions: Positions[MatrixExpr] = Unmarked()
        if design.learned_positions:
            positions = Added(columns(stream, self.position_rows))
        return Transformer(
            read_out.T if self.tied else embedded(stream, tokens, spare),
            (*design.layers(stream, fetch, self._mlps, sp.sympify(hidden), self.depth or 0), readout),
            self.layout.context_size,
            self._numbers,
            positions=positions,
        )

    @property
    def _size(self) -> sp.Symbol:
        return next(iter(self.sizes))

    @cached_property
    def _mlps(self) -> Sequence[Mlp]:
        """The MLPs; with tied embeddings the last one writes large numbers, beside which a token's own are small."""
        *before, last = self.design.selector.mlps(self._size, counted=self.counted)
        if self.tied:
            last = replace(last, writes={place: WRITTEN * part for place, part in last.writes.items()})
        return (*before, last)

    @property
    def _token_ones(self) -> int:
        return sum(name in self.stream.names for name in self.token_rows)

    @property
    def _numbers(self) -> dict[sp.Symbol, int]:
        """The numbers of all symbols."""
        selector, norm = self.design.selector, self.design.norm
        found = {V: self.letters, FIRST: self.fetched.first, **self.sizes}
        found |= selector.numbers(self.fetched, self.letters, counted=self.counted)
        if self.counted:
            found[COUNTED] = counted_weight(self.fetched.width, norm.eps, centred=norm.kind.centred)
        if self.tied:
            scale = selector.scale_squared(self.fetched, found)
            found[WRITTEN] = written_weight(scale, self.letters, self._token_ones)
        return found

    def encode(self, targets: TokenArray) -> Ratios:
        """Return ``s_j = y_j / V``, and the ones that no learned position adds: shape ``(batch, 1, width)``."""
        rest = np.zeros((len(targets), self.fetched.width - self.fetched.numbers), dtype=np.int64)
        if not self.design.learned_positions:
            for name in self.virtual_ones:
                if name in self.stream.names:
                    rest[:, self._at_sizes(self.stream.before(name)) - self.fetched.numbers] = self.letters
        return Ratios(np.concatenate([targets, rest], axis=1)[:, None, :], self.letters)

    def default_temperature(self, fmt: Format | None) -> Temperature:
        """Return the temperature 1 of a language model; every score is 0, so that any other gives the same weights."""
        return Softmax(1.0)

    def _at_sizes(self, expr: sp.Expr) -> int:
        return int(evaluate(expr, self.sizes))
