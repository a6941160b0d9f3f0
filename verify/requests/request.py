"""The one object that says what to run; commands and the steps of a plan make it, and evidence is gathered from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

from constructions.construction import Construction
from constructions.fields import short
from constructions.validation import InvalidArgument, check_choice
from proofs import Claim
from verify.requests.words import command_for


@dataclass(frozen=True)
class Request:
    """A claim to run or to certify, at some sizes.

    Attributes:
        claim: whose evidence it is: a registered claim, or that of a construction of the user's.
        sizes: for every size that is given its values, by the construction's fields, in their order.
        options: the other fields of the construction that are given, such as ``mask`` and ``temperature``.
        arithmetic: the number system, or for certificates the one in which they bound; ``None`` where nothing runs.

    Example:
        >>> from proofs import get_claim
        >>> Request(get_claim("theorem-2"), {"vocab_size": range(3, 4)}).construction
        ConditionalGeneration(vocab_size=3)

    """

    claim: Claim
    sizes: Mapping[str, range] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    arithmetic: Any = None

    def build(self, sizes: Mapping[str, Any]) -> Construction:
        """Return the construction at the given sizes with the options of this request.

        Raises:
            InvalidArgument: the construction refuses a size or an option, or does not have it.

        """
        made = self.claim.construction
        for name, value in self.options.items():
            if made is not None and name not in made.__dataclass_fields__:
                raise InvalidArgument(f"{short(name)}: expected no --{short(name)} for {made.__name__}")
            if name in _CHOICES:  # a class of the user's may leave the check out
                check_choice(name, value, _CHOICES[name])
        return self.claim.build(sizes, self.options)

    @property
    def single(self) -> dict[str, int]:
        """The one value of each size; raises :class:`InvalidArgument` where a size has a range of values."""
        for name, values in self.sizes.items():
            check_single(short(name), values)
        return self.first

    @property
    def construction(self) -> Construction:
        """The construction at the one value of each size; see :attr:`single` and :meth:`build` for what is refused."""
        return self.build(self.single)

    @property
    def first(self) -> dict[str, int]:
        """The first value of each size."""
        return {name: values[0] for name, values in self.sizes.items()}

    @property
    def last(self) -> dict[str, int]:
        """The last value of each size."""
        return {name: values[-1] for name, values in self.sizes.items()}

    def command(self, construction: Construction) -> dict[str, str] | None:
        """Return the words that build a construction on the command line, ``None`` where there are none."""
        return command_for(self.claim.id, construction)

    def with_vocabularies_to(self, last: int) -> Request:
        """Return the same request for vocabularies of at most ``last`` tokens; a single size becomes that many."""
        values = self.sizes["vocab_size"]
        end = min(values[-1], last)
        return replace(self, sizes={**self.sizes, "vocab_size": range(min(values[0], end), end + 1)})


def check_single(name: str, values: range) -> None:
    """Raise :class:`InvalidArgument` where a size has more than one value."""
    if len(values) != 1:
        raise InvalidArgument(f"{name}: expected one value but got the range {values[0]}..{values[-1]}")


#: The named choices of the fields that every construction has.
_CHOICES = {name: get_args(hint) for name, hint in get_type_hints(Construction).items() if get_origin(hint) is Literal}
