"""A specification made of a function of the user's input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, final

from constructions.decoding import Argmax, Decoding
from constructions.domain import Domain
from constructions.specification import Layout, Specification
from constructions.targets import TargetSpace
from constructions.validation import IntArray, TokenArray, check_integer

#: The single behaviour of what has no targets.
ONE_TARGET = TargetSpace(1, (0,))


def specify(
    domain: Domain,
    answer: Callable[[IntArray], Any],
    *,
    response: int = 1,
    read: tuple[int, ...] | None = None,
    vocab_size: int | None = None,
    output_vocab_size: int | None = None,
    decoding: Decoding | None = None,
) -> Specification:
    """Return the specification of a function of the user's input, without targets.

    Args:
        domain: the user inputs.
        answer: the promised answers, shape ``(batch, response)``, to inputs of shape ``(batch, user)``.
        response: how many tokens are generated.
        read: the places of the input where the answer is read in one pass, instead.
        vocab_size: the number of input tokens; by default what the domain needs.
        output_vocab_size: the number of output tokens, by default the same.
        decoding: how the answer is read, the largest logit by default.

    Example:
        >>> last = specify(Domain.of(3, 4), lambda x: x[:, -1:])
        >>> last.response([], [0, 1, 2, 1]).tolist()
        [1]

    """
    return GivenSpecification(
        vocab_size=domain.largest + 1 if vocab_size is None else vocab_size,
        given_domain=domain,
        given_answer=answer,
        given_layout=Layout(0, domain.positions, response if read is None else len(read), read),
        given_outputs=output_vocab_size,
        given_decoding=Argmax() if decoding is None else decoding,
    )


@final
@dataclass(frozen=True, kw_only=True, repr=False)
class GivenSpecification(Specification):
    """The specification that :func:`specify` returns; its arguments are documented there."""

    vocab_size: int
    given_domain: Domain = field(repr=False)
    given_answer: Callable[[IntArray], Any] = field(repr=False)
    given_layout: Layout = field(repr=False)
    given_outputs: int | None = field(repr=False)
    given_decoding: Decoding = field(repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.given_outputs is not None:  # kept as a plain integer: a numpy one would overflow in exact counts
            object.__setattr__(self, "given_outputs", check_integer("output_vocab_size", self.given_outputs, 1))

    @property
    def layout(self) -> Layout:
        """The layout that was given."""
        return self.given_layout

    @property
    def targets(self) -> TargetSpace:
        """A single one."""
        return ONE_TARGET

    @property
    def domain(self) -> Domain:
        """The domain that was given."""
        return self.given_domain

    @property
    def output_vocab_size(self) -> int:
        """The number that was given, or as many as input tokens."""
        return self.vocab_size if self.given_outputs is None else self.given_outputs

    @property
    def decoding(self) -> Decoding:
        """The decoding that was given."""
        return self.given_decoding

    def answer(self, targets: TokenArray, user_inputs: IntArray) -> Any:
        """Return what the given function does."""
        return self.given_answer(user_inputs)

    def __repr__(self) -> str:
        """Return the inputs and the function's name; a function has no expression that makes it again."""
        name = getattr(self.given_answer, "__qualname__", "a function")
        return f"specify({self.given_domain!r}, {name})"
