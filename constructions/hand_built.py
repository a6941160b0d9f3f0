"""A model of your own without virtual tokens: weights, and the promise that they are held against."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

from constructions.construction import Construction
from constructions.decoding import Decoding
from constructions.domain import Domain
from constructions.ratios import Ratios
from constructions.specification import Layout, Reads, Specification
from constructions.targets import TargetSpace
from constructions.transformer import MaskName, Transformer
from constructions.validation import IntArray, InvalidArgument, TokenArray, reject


@dataclass(frozen=True, repr=False)
class HandBuilt(Construction):
    """A transformer and a specification; every kind of evidence, certificates and the torch export take it.

    Subclass it and give :attr:`transformer` and :attr:`specification`, as attributes or as properties of the sizes that
    the subclass has for fields; or call :meth:`of`.

    Example:
        >>> from constructions import Domain, Linear, specify
        >>> class Successor(HandBuilt):
        ...     specification = specify(Domain.of(3, 1), lambda x: (x + 1) % 3)
        ...     transformer = Transformer(
        ...         [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        ...         (Linear([[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0]], [[0]] * 3, activation=None),),
        ...         context_size=1,
        ...     )
        >>> Successor()
        Successor()
        >>> Successor().response([], [2]).tolist()
        [0]

    """

    @property
    @abstractmethod
    def specification(self) -> Specification:
        """The promise, with a single target and no virtual tokens."""

    def __post_init__(self) -> None:
        promised = self.specification
        if not isinstance(promised, Specification):
            reject(f"specification of {type(self).__name__}", "a Specification", promised)
        if promised.target_space.size != 1 or promised.layout.virtual:
            raise InvalidArgument(
                f"specification of {type(self).__name__}: expected a single target and no virtual tokens, but got"
                f" {promised.target_space} and {promised.layout}; subclass Construction for a model with a prompt"
            )
        object.__setattr__(self, "vocab_size", promised.vocab_size)
        super().__post_init__()

    @staticmethod
    def of(transformer: Transformer[Any], specification: Specification, *, mask: MaskName = "causal") -> HandBuilt:
        """Return a model of these weights with this promise.

        A class of your own has a name on verdicts, and a command that shows a counterexample.
        """
        return GivenModel(given_transformer=transformer, given_specification=specification, mask=mask)

    @final
    @property
    def layout(self) -> Layout:
        """The specification's layout."""
        return self.specification.layout

    @final
    @property
    def targets(self) -> TargetSpace:
        """The single target."""
        return self.specification.target_space

    @final
    @property
    def domain(self) -> Domain:
        """The specification's user inputs."""
        return self.specification.user_inputs

    @final
    @property
    def output_vocab_size(self) -> int:
        """The specification's number of output tokens."""
        return self.specification.output_vocab_size

    @final
    @property
    def decoding(self) -> Decoding:
        """The specification's decoding."""
        return self.specification.decoding

    @final
    def reads(self, step: int) -> Reads | None:
        """Return what the specification says that a step depends on."""
        return self.specification.reads(step)

    @final
    def encode(self, targets: TokenArray) -> Ratios:
        """Return no virtual tokens for each target."""
        return Ratios(np.zeros((len(targets), 0, self.transformer.lowered.embedding_size), dtype=np.int64), 1)

    @final
    def answer(self, targets: TokenArray, user_inputs: IntArray) -> Any:
        """Return what the specification promises."""
        return self.specification.answer(targets, user_inputs)


@final
@dataclass(frozen=True, kw_only=True, repr=False)
class GivenModel(HandBuilt):
    """The model that :meth:`HandBuilt.of` returns."""

    given_transformer: Transformer[Any] = field(repr=False)
    given_specification: Specification = field(repr=False)

    @property
    def transformer(self) -> Transformer[Any]:
        """The weights that were given."""
        return self.given_transformer

    @property
    def specification(self) -> Specification:
        """The specification that was given."""
        return self.given_specification

    def __repr__(self) -> str:
        """Return the promise; the weights have no expression that makes them again."""
        return f"HandBuilt.of(transformer, {self.given_specification!r})"
