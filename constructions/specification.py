"""A promise, apart from any weights: which inputs there are, the answer to each, and how it is read."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import Field, dataclass, field, fields
from functools import cached_property
from typing import Any, NamedTuple, Self, final

import numpy as np

from constructions.decoding import Answers, Argmax, Decoding, check_decoding
from constructions.domain import Domain
from constructions.ratios import Ratios
from constructions.returned import forgotten_dataclass, refuse_hidden, refuse_redefinition
from constructions.targets import TargetSpace
from constructions.validation import IntArray, InvalidArgument, TokenArray, check_integer, check_tokens, reject

#: Largest vocabulary and context accepted. It is beyond ``2^24 + 1``, where float32 stops telling integers apart, and
#: the common denominators of the weights, at most ``4 V^2``, are still below ``2^53``: whole columns are rounded by
#: float64 divisions (see :mod:`constructions.ratios`), in seconds.
LARGEST_SIZE = 2**25

#: Evidence counts and compares by these.
_NOT_REDEFINED = ("response", "target_space", "user_inputs", "reading", "_domain_held")


def at_default(item: Field[Any], value: Any) -> bool:
    """Say whether a field has its default; arrays, which compare to no plain truth, only where they are the same."""
    return value is item.default or (type(value) is type(item.default) and (value == item.default) is True)


@dataclass(frozen=True)
class Layout:
    """How the context is filled: virtual tokens first, then the user's tokens, then the response.

    The response is generated: its first token is read at the last position before it and fed back, and so on, so that
    the context has ``virtual + user + response - 1`` positions. Or it is read in one pass, at given positions of the
    user's input, and nothing is fed back.

    Attributes:
        virtual: number of virtual tokens, 0 for a model without any.
        user: number of tokens of the user's input (``n_X``), 0 for unconditional generation.
        response: number of tokens of the response (``n_Y``), at least 1.
        read: places in the user's input, 0-based, where the response is read in one pass, one for each token of the
            response; ``None`` where it is generated.

    Raises:
        InvalidArgument: a number of tokens that is no integer >= 0; or ``read`` has other places than the input, or not
            one for each token of the response.

    Example:
        >>> Layout(virtual=1, user=2, response=3).context_size
        5

    """

    virtual: int
    user: int
    response: int
    read: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("virtual", "user", "response"):
            object.__setattr__(self, name, check_integer(name, getattr(self, name), 0))
        if self.read is None:
            return
        if not isinstance(self.read, tuple) or len(self.read) != self.response:
            reject(
                "read",
                f"a tuple of {self.response} places of the input, one for each token of the response,",
                self.read,
            )
        for place in self.read:
            check_integer("read", place, 0, self.user - 1)

    @classmethod
    def everywhere(cls, user: int, virtual: int = 0) -> Layout:
        """Return the layout of a model that is read at every position of the user's input, in one pass."""
        return cls(virtual=virtual, user=user, response=user, read=tuple(range(user)))

    @property
    def context_size(self) -> int:
        """The number of positions in use when the last response token is read."""
        return self.virtual + self.user + (self.response - 1 if self.read is None else 0)


class Reads(NamedTuple):
    """The places that a step's answer depends on, beside the target.

    Attributes:
        user: places in the user's input.
        fed: places in the response before the step, whose tokens were fed back.

    """

    user: tuple[int, ...]
    fed: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, repr=False)
class Specification(ABC):
    """A promise: the answer to every user input, for every target.

    Whatever generates can be held against it: a transformer in an arithmetic, a torch module, any callable. To write
    one, subclass this as a frozen dataclass with a field ``vocab_size`` and implement :attr:`layout`, :attr:`targets`
    and :meth:`answer`; the hooks :attr:`domain`, :attr:`output_vocab_size`, :attr:`decoding` and :meth:`reads` have
    defaults. Where the promise is a function of the user's input, :func:`~constructions.specifying.specify` makes one.

    Attributes:
        vocab_size: the number of input tokens.

    """

    vocab_size: int = field(init=False)

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Refuse a class that lacks ``@dataclass``, or that redefines members through which all evidence runs."""
        forgotten_dataclass(cls, Specification)
        refuse_redefinition(cls, Specification, _NOT_REDEFINED)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        if not hasattr(self, "vocab_size"):
            raise InvalidArgument(f"{type(self).__name__}: expected a field vocab_size, as in `vocab_size: int`")
        self._set_size("vocab_size", 1)

    @final
    def _set_size(self, name: str, minimum: int, maximum: int | None = LARGEST_SIZE) -> None:
        """Check a size and keep it as a plain integer: a numpy one would overflow in exact counts."""
        object.__setattr__(self, name, check_integer(name, getattr(self, name), minimum, maximum))

    # what a specification defines -----------------------------------------------------------------------------------

    @property
    @abstractmethod
    def layout(self) -> Layout:
        """How many virtual tokens, user tokens and response tokens there are, and where the response is read."""

    @property
    @abstractmethod
    def targets(self) -> TargetSpace:
        """The behaviours that can be selected; ``TargetSpace(1, (0,))``, a single one, where there is nothing to."""

    @abstractmethod
    def answer(self, targets: TokenArray, user_inputs: IntArray) -> TokenArray:
        """Return what is promised for a batch of valid targets and inputs.

        A certificate runs this on bounds too, see :meth:`Construction.encode`.

        Args:
            targets: int64 (or such tokens), shape ``(batch, *targets.shape)``.
            user_inputs: int64, shape ``(batch, user)``.

        Returns:
            Tokens that can be produced, integers of shape ``(batch, response)``; exact numbers where a logit is read as
            a number, as integers or :class:`~constructions.ratios.Ratios`.

        """

    # hooks ----------------------------------------------------------------------------------------------------------

    @property
    def domain(self) -> Domain | None:
        """The user inputs that the promise is about; ``None`` for all sequences of ``layout.user`` tokens."""
        return None

    @property
    def output_vocab_size(self) -> int:
        """The number of tokens that can be produced, one for each logit; the input vocabulary unless overridden."""
        return self.vocab_size

    @property
    def decoding(self) -> Decoding:
        """How the answer is read off the logits; the first token of the largest one unless overridden."""
        return Argmax()

    def reads(self, step: int) -> Reads | None:
        """Return what the answer at ``step`` depends on beside the target, ``None`` where that is not said.

        Nothing trusts it before :func:`verify.evidence.reads.contradiction` has held it against drawn inputs.
        """
        return None

    def prompts(self, targets: IntArray) -> Ratios | None:
        """Return the virtual tokens of a batch of targets, exactly; ``None`` where there is nothing to select.

        Raises:
            InvalidArgument: there are several targets, and nothing that tells a model which of them is meant.

        """
        if self.target_space.size != 1:
            raise InvalidArgument(
                f"targets of {type(self).__name__}: expected a single one, as nothing tells a model which of several is"
                f" meant, but got {self.target_space}; subclass Construction for a model with a prompt"
            )
        return None

    # what every specification has -----------------------------------------------------------------------------------

    @final
    def response(self, target: object, user_input: object = ()) -> Answers:
        """Return the response that is promised.

        Args:
            target: integers of shape ``(*batch, *targets.shape)``.
            user_input: integers of shape ``(*batch, user)``; empty when the layout has no user tokens.

        Returns:
            Int64 tokens of shape ``(*batch, response)``; Fractions where a logit is read as a number.

        Raises:
            InvalidArgument: not a target, not a user input of the domain, batches of different shapes, or
                :meth:`answer` gave anything but tokens that can be produced (or exact numbers).

        """
        space, layout, users = self.target_space, self.layout, self.user_inputs
        tokens = check_tokens("target", target, space.vocab_size, space.shape)
        batch = tokens.shape[: tokens.ndim - len(space.shape)]
        if layout.user == 0 and np.size(np.asarray(user_input)) == 0:
            user_input = np.zeros((*batch, 0), dtype=np.int64)
        inputs = check_tokens("user_input", user_input, self.vocab_size, (layout.user,))
        if inputs.shape[:-1] != batch:
            raise InvalidArgument(f"user_input: expected a batch of shape {batch} but got {inputs.shape[:-1]}")
        count = math.prod(batch)
        rows = inputs.reshape(count, layout.user)
        if not users.is_all_of(self.vocab_size):
            outside = ~users.contains(rows)
            if outside.any():
                reject("user_input", "an input of the domain", rows[outside][0].tolist())
        flat = self.answer(tokens.reshape(count, *space.shape), rows)
        shape = (count, layout.response)
        checked = self.reading.checked(type(self).__name__, flat, shape, self.output_vocab_size)
        return checked.reshape(*batch, layout.response)

    @final
    @property
    def target_space(self) -> TargetSpace:
        """The :attr:`targets`, which evidence counts; raises :class:`InvalidArgument` for anything else."""
        refuse_hidden(self)  # here, as all evidence asks for this, whatever an author's own code did before
        space = self.targets
        if type(space) is not TargetSpace:
            reject("targets", "a TargetSpace", space)
        return space

    @final
    @property
    def user_inputs(self) -> Domain:
        """The :attr:`domain`, which evidence counts; a single empty input when there are no user tokens.

        Raises:
            InvalidArgument: no Domain, one of other inputs than the layout has, or one with tokens beyond the
                vocabulary.

        """
        domain, user = self._domain_held, self.layout.user
        if type(domain) is not Domain:
            reject("domain", "a Domain, or None for all inputs", domain)
        if domain.positions != user or domain.largest >= self.vocab_size:
            reject("domain", f"inputs of {user} tokens from 0 to {self.vocab_size - 1}", domain)
        return domain

    @cached_property
    def _domain_held(self) -> Any:
        """The domain, asked for once, as counting what a predicate allows takes a while."""
        domain = self.domain
        return Domain.of(self.vocab_size, self.layout.user) if domain is None else domain

    @final
    @property
    def reading(self) -> Decoding:
        """The :attr:`decoding`, which evidence believes.

        Raises:
            InvalidArgument: not one of this package's, or one whose answers cannot be fed back although they must be.

        """
        decoding, layout = check_decoding(type(self).__name__, self.decoding), self.layout
        if layout.read is None and layout.response > 1:
            if not decoding.gives_tokens:
                raise InvalidArgument(
                    f"decoding: expected one that gives tokens, as they are fed back, but got {decoding!r}"
                )
            if self.output_vocab_size > self.vocab_size:
                raise InvalidArgument(
                    f"output_vocab_size: expected at most {self.vocab_size}, as the tokens are fed back, but got"
                    f" {self.output_vocab_size}"
                )
        return decoding

    def __repr__(self) -> str:
        """Return an expression that rebuilds it; options at their defaults are left out."""
        shown = [
            f"{item.name}={getattr(self, item.name)!r}"
            for item in sorted(fields(self), key=lambda item: bool(item.kw_only))
            if item.init and not at_default(item, getattr(self, item.name))
        ]
        return f"{type(self).__name__}({', '.join(shown)})"
