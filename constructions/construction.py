"""What a construction is: one transformer, a space of targets, and the virtual tokens that select each of them."""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, Self, final

import numpy as np

from constructions.formats import Format
from constructions.ratios import Ratios
from constructions.returned import checked_answer, checked_numerators, forgotten_dataclass
from constructions.targets import TargetSpace
from constructions.temperature import Hardmax, Temperature, Temperatures, as_temperature
from constructions.transformer import MaskName, Transformer
from constructions.typeset import transformer_latex
from constructions.validation import (
    IntArray,
    InvalidArgument,
    TokenArray,
    check_choice,
    check_integer,
    check_tokens,
    reject,
)

#: Largest vocabulary and context accepted. It is beyond ``2^24 + 1``, where float32 stops telling integers apart, and
#: the common denominators of the weights, at most ``4 V^2``, are still below ``2^53``: whole columns are rounded by
#: float64 divisions (see :mod:`constructions.ratios`), in seconds.
LARGEST_SIZE = 2**25


#: What evidence runs, counts and prints by. ``@final`` tells a type checker; at run time a subclass that redefined one
#: of them would be enumerated by other prompts, answers or counts than it is certified by.
_NOT_REDEFINED = ("virtual_tokens", "response", "target_space", "user_inputs", "temperature_for")


@dataclass(frozen=True)
class Layout:
    """How the context is filled: virtual tokens first, then the user's tokens, then the response.

    The first response token is read at the last position before it, so that the context has
    ``virtual + user + response - 1`` positions.

    Attributes:
        virtual: number of virtual tokens, at least 1.
        user: number of tokens of the user's input (``n_X``), 0 for unconditional generation.
        response: number of tokens of the response (``n_Y``), at least 1.

    Example:
        >>> Layout(virtual=1, user=2, response=3).context_size
        5

    """

    virtual: int
    user: int
    response: int

    @property
    def context_size(self) -> int:
        """The number of positions in use when the last response token is read."""
        return self.virtual + self.user + self.response - 1


@dataclass(frozen=True, kw_only=True, repr=False)
class Construction(ABC):
    """One transformer and, for every target, the virtual tokens with which it behaves as the target says.

    The order of quantifiers is in the types: :attr:`transformer` takes no target. To define a construction, subclass
    this as a frozen dataclass with a field ``vocab_size`` and implement :attr:`layout`, :attr:`transformer`,
    :attr:`targets`, :meth:`encode` and :meth:`answer`; the two hooks :meth:`default_temperature` and
    :meth:`check_format` have defaults. Everything else is final.

    Attributes:
        temperature: hardmax, a finite inverse temperature, an exact ``q`` or one for each head; ``None`` for the
            computed default of each number format. A plain number counts as ``T``, ``inf`` as hardmax.
        mask: ``causal``, or ``none`` for attention that sees every position, as in the paper's notebook. This field is
            the only mask there is: it runs and it is printed. ``mask = "none"`` in a class body is another default.

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> construction = UnconditionalGeneration(3, 2)
        >>> construction.virtual_tokens([2, 1]).to_fractions()
        [[Fraction(2, 3), Fraction(1, 3)]]
        >>> construction.response([2, 1]).tolist()
        [2, 1]
        >>> construction.user_inputs.size  # a single empty input
        1

    """

    vocab_size: int = field(init=False)
    temperature: Temperatures | float | None = None
    mask: MaskName = "causal"

    def __init_subclass__(cls, **given: Any) -> None:
        """Keep the mask a field of the instance, so that whoever reads it reads the same."""
        super().__init_subclass__(**given)
        own, held = inspect.getattr_static(cls, "mask"), cls.__dataclass_fields__["mask"].default
        if isinstance(own, str) and ("mask" in vars(cls) or own != held):
            # by keyword, or fields without a default could not follow it
            setattr(cls, "mask", field(default=own, kw_only=True))  # noqa: B010 # to mypy it is a string
            cls.__annotations__ = {**inspect.get_annotations(cls), "mask": MaskName}
        elif not isinstance(own, (str, Field)):
            reject("mask", f"a field of {cls.__name__} such as mask: MaskName = 'none'", own)

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Refuse a class that lacks ``@dataclass``, or that redefines methods through which all evidence runs."""
        forgotten_dataclass(cls, Construction)
        for name in _NOT_REDEFINED:
            if inspect.getattr_static(cls, name) is not inspect.getattr_static(Construction, name):
                raise InvalidArgument(f"{cls.__name__}: expected {name} as Construction has it, but it is redefined")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        if not hasattr(self, "vocab_size"):
            raise InvalidArgument(f"{type(self).__name__}: expected a field vocab_size, as in `vocab_size: int`")
        self._set_size("vocab_size", 1)
        if self.temperature is not None:
            object.__setattr__(self, "temperature", as_temperature(self.temperature))
        check_choice("mask", self.mask, ("causal", "none"))

    @final
    def _set_size(self, name: str, minimum: int, maximum: int | None = LARGEST_SIZE) -> None:
        """Check a size and keep it as a plain integer: a numpy one would overflow in exact counts."""
        object.__setattr__(self, name, check_integer(name, getattr(self, name), minimum, maximum))

    # what a construction defines ------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def layout(self) -> Layout:
        """How many virtual tokens, user tokens and response tokens there are."""

    @property
    @abstractmethod
    def transformer(self) -> Transformer:
        """The weights; they never depend on a target."""

    @property
    @abstractmethod
    def targets(self) -> TargetSpace:
        """The behaviours that a virtual token can select."""

    @abstractmethod
    def encode(self, targets: TokenArray) -> Ratios:
        """Return the virtual tokens of a batch of valid targets.

        It must be a pure function of each target alone. A certificate runs this very code on ALL targets at once: on
        :class:`~constructions.unknown_tokens.UnknownTokens`, numbers known only by their bounds, which can be
        added, subtracted, multiplied, divided by integers (``//``, ``%``) and moved about; see
        :mod:`constructions.token_functions` for what goes beyond that.

        Args:
            targets: int64 (or such tokens), shape ``(batch, *targets.shape)``.

        Returns:
            Exact numbers of shape ``(batch, virtual, embedding size)``.

        """

    @abstractmethod
    def answer(self, targets: TokenArray, user_inputs: IntArray) -> TokenArray:
        """Return what the theorem promises for a batch of valid targets and inputs.

        A certificate runs this on bounds too, see :meth:`encode`.

        Args:
            targets: int64 (or such tokens), shape ``(batch, *targets.shape)``.
            user_inputs: int64, shape ``(batch, user)``.

        Returns:
            Tokens of the vocabulary, integers of shape ``(batch, response)``.

        """

    # hooks ----------------------------------------------------------------------------------------------------------

    def default_temperature(self, fmt: Format | None) -> Temperature:
        """Return the temperature to use when none was given: a hook, hardmax unless overridden.

        Args:
            fmt: the number format of the forward pass; ``None`` for exact arithmetic.

        """
        return Hardmax()

    def check_format(self, fmt: Format) -> None:  # noqa: B027 # a hook: silence is the default
        """Raise :class:`InvalidArgument` when ``fmt`` cannot hold what the weights rely on: a hook, silent by default.

        Args:
            fmt: the number format of the forward pass.

        """

    # what every construction has ------------------------------------------------------------------------------------

    @final
    def temperature_for(self, fmt: Format | None) -> Temperatures:
        """Return the temperature of a forward pass: the one given, or the computed default.

        Args:
            fmt: the number format; ``None`` for exact arithmetic.

        """
        return self.default_temperature(fmt) if self.temperature is None else as_temperature(self.temperature)

    @final
    def virtual_tokens(self, target: object) -> Ratios:
        """Return the virtual tokens that select ``target``, exactly.

        Args:
            target: integers of shape ``(*batch, *targets.shape)``.

        Returns:
            Exact numbers of shape ``(*batch, virtual, embedding size)``.

        Raises:
            InvalidArgument: not a target, or :meth:`encode` gave anything but such numbers.

        """
        space = self.target_space
        tokens = check_tokens("target", target, space.vocab_size, space.shape)
        batch = tokens.shape[: tokens.ndim - len(space.shape)]
        shape = (math.prod(batch), self.layout.virtual, self.transformer.lowered.embedding_size)
        ratios = self.encode(tokens.reshape(shape[0], *space.shape))
        numerators = checked_numerators(type(self).__name__, ratios, shape)
        return Ratios(numerators.reshape(*batch, *shape[1:]), ratios.denominator)

    @final
    def response(self, target: object, user_input: object = ()) -> IntArray:
        """Return the response that the theorem promises.

        Args:
            target: integers of shape ``(*batch, *targets.shape)``.
            user_input: integers of shape ``(*batch, user)``; empty when the layout has no user tokens.

        Returns:
            int64 tokens of shape ``(*batch, response)``.

        Raises:
            InvalidArgument: not a target, not a user input, batches of different shapes, or :meth:`answer` gave
                anything but tokens of the vocabulary.

        """
        space = self.target_space
        tokens = check_tokens("target", target, space.vocab_size, space.shape)
        batch = tokens.shape[: tokens.ndim - len(space.shape)]
        if self.layout.user == 0 and np.size(np.asarray(user_input)) == 0:
            user_input = np.zeros((*batch, 0), dtype=np.int64)
        inputs = check_tokens("user_input", user_input, self.vocab_size, (self.layout.user,))
        if inputs.shape[:-1] != batch:
            raise InvalidArgument(f"user_input: expected a batch of shape {batch} but got {inputs.shape[:-1]}")
        count = math.prod(batch)
        flat = self.answer(tokens.reshape(count, *space.shape), inputs.reshape(count, self.layout.user))
        shape = (count, self.layout.response)
        checked = checked_answer(type(self).__name__, flat, shape, self.vocab_size)
        return checked.reshape(*batch, self.layout.response)

    @final
    @property
    def target_space(self) -> TargetSpace:
        """The :attr:`targets`, which evidence counts; raises :class:`InvalidArgument` for anything else."""
        space = self.targets
        if type(space) is not TargetSpace:
            reject("targets", "a TargetSpace", space)
        return space

    @final
    @property
    def user_inputs(self) -> TargetSpace:
        """The space of user inputs, of size ``V ** user``; a single empty input when there are no user tokens."""
        return TargetSpace(self.vocab_size, (self.layout.user,))

    def __repr__(self) -> str:
        """Return an expression that rebuilds the construction; options at their defaults are left out."""
        shown = [
            f"{item.name}={getattr(self, item.name)!r}"
            for item in sorted(fields(self), key=lambda item: bool(item.kw_only))
            if item.init and (item.default is MISSING or getattr(self, item.name) != item.default)
        ]
        return f"{type(self).__name__}({', '.join(shown)})"

    @final
    def _repr_latex_(self) -> str:
        """Return the block matrices in LaTeX, as a notebook renders them."""
        return f"$$\n{transformer_latex(self.transformer)}\n$$"
