"""A construction: one transformer, a space of targets, and the virtual tokens that select each of them."""

from __future__ import annotations

import inspect
import math
from abc import abstractmethod
from dataclasses import Field, dataclass, field
from functools import cached_property
from typing import Any, Self, final

from constructions.formats import Format
from constructions.ratios import Ratios
from constructions.returned import checked_numerators, forgotten_dataclass, refuse_redefinition
from constructions.specification import LARGEST_SIZE as LARGEST_SIZE
from constructions.specification import Layout as Layout
from constructions.specification import Specification
from constructions.temperature import Hardmax, Temperature, Temperatures, as_temperature
from constructions.transformer import MaskName, Transformer
from constructions.typeset import transformer_latex
from constructions.validation import IntArray, TokenArray, check_choice, check_tokens, reject

#: Evidence runs and counts by these too, beside those that a specification keeps.
_NOT_REDEFINED = (
    "virtual_tokens",
    "prompts",
    "response",
    "target_space",
    "user_inputs",
    "reading",
    "temperature_for",
    "changed_temperature",
    "_temperatures_held",
    "_temperature_now",
)


@dataclass(frozen=True, kw_only=True, repr=False)
class Construction(Specification):
    """One transformer and, for every target, the virtual tokens with which it behaves as the target says.

    It is a specification, a transformer and a prompt. The order of quantifiers is in the types: :attr:`transformer`
    takes no target. To define a construction, subclass this as a frozen dataclass with a field ``vocab_size`` and
    implement :attr:`layout`, :attr:`transformer`, :attr:`targets`, :meth:`encode` and :meth:`answer`; the hooks
    :meth:`default_temperature` and :meth:`check_format`, and those of a specification, have defaults. Everything else
    is final. A model of your own without virtual tokens is a :class:`~constructions.hand_built.HandBuilt`.

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
        refuse_redefinition(cls, Construction, _NOT_REDEFINED)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.temperature is not None:
            object.__setattr__(self, "temperature", as_temperature(self.temperature))
        check_choice("mask", self.mask, ("causal", "none"))

    # what a construction defines ------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def transformer(self) -> Transformer:
        """The weights; they never depend on a target."""

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

    # hooks ----------------------------------------------------------------------------------------------------------

    def default_temperature(self, fmt: Format | None) -> Temperature:
        """Return the temperature to use when none was given: a hook, hardmax unless overridden.

        It must be a pure function of the fields and the format.

        Args:
            fmt: the number format of the forward pass; ``None`` for exact arithmetic.

        """
        return Hardmax()

    def check_format(self, fmt: Format) -> None:  # a hook: silence is the default
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
        if fmt not in self._temperatures_held:
            self._temperatures_held[fmt] = self._temperature_now(fmt)
        return self._temperatures_held[fmt]

    @cached_property
    def _temperatures_held(self) -> dict[Format | None, Temperatures]:
        """The temperatures so far, each asked for once, so that a verdict names the one that ran."""
        return {}

    @final
    def _temperature_now(self, fmt: Format | None) -> Temperatures:
        given = self.temperature
        return as_temperature(self.default_temperature(fmt) if given is None else given)

    @final
    def changed_temperature(self) -> str | None:
        """Ask for the temperatures again; return in words one that is not what it was, ``None`` where there is none.

        Raises:
            InvalidArgument: the hook gave no temperature.

        """
        for fmt, held in self._temperatures_held.items():
            if (now := self._temperature_now(fmt)) != held:
                name = "exact numbers" if fmt is None else fmt.name
                return f"temperature in {name}: {now!r} when it is asked again, {held!r} before"
        return None

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
    def prompts(self, targets: IntArray) -> Ratios:
        """Return :meth:`virtual_tokens` of a batch of targets."""
        return self.virtual_tokens(targets)

    @final
    def _repr_latex_(self) -> str:
        """Return the block matrices in LaTeX, as a notebook renders them."""
        return f"$$\n{transformer_latex(self.transformer)}\n$$"
