"""Options that set the fields of a construction, made from the fields of the registered claims' constructions."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

import typer

from constructions.validation import InvalidArgument, check_integer, reject
from proofs import CLAIMS, Claim
from verify.cli.groups import Group
from verify.requests import Request
from verify.requests.request import check_single
from verify.requests.words import FieldOption, field_options

#: Digits of a size that are read; no size that a construction accepts has more.
_DIGITS = 9

#: The first and the last value of a size; no first one where the last alone was given.
Ends = tuple[int | None, int]


@dataclass(frozen=True)
class _Fields(Group):
    """Options that set fields of a construction.

    Attributes:
        values: what was given, by field.

    """

    values: Mapping[str, Any]
    are_sizes: ClassVar[bool]
    only: ClassVar[frozenset[str] | None] = None
    without: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def shown(cls) -> list[FieldOption]:
        """Return the options of this group."""
        return [
            option
            for name, option in field_options().items()
            if option.size is cls.are_sizes and name not in cls.without and (cls.only is None or name in cls.only)
        ]

    @classmethod
    def parameters(cls) -> list[inspect.Parameter]:
        """Return an option for each field, by its short and by its full name."""
        return [_parameter(option) for option in cls.shown()]

    @classmethod
    def made(cls, values: dict[str, Any]) -> Self:
        """Return what was given."""
        taken = {option.field: values.pop(option.field) for option in cls.shown()}
        return cls({name: value for name, value in taken.items() if value is not None})


def _parameter(option: FieldOption) -> inspect.Parameter:
    names = dict.fromkeys((f"--{option.name}", f"--{option.field.replace('_', '-')}"))
    everywhere = [claim.id for claim in CLAIMS.values() if claim.construction is not None]
    missing = [claim for claim in everywhere if claim not in option.claims]
    few = f" (all but {', '.join(missing)})" if len(missing) < len(option.claims) else f" ({', '.join(option.claims)})"
    claims = few if missing else ""
    metavar = option.letter or (option.name.upper() if option.kind is int else None)
    kind: Any = option.kind | None
    annotation = Annotated[kind, typer.Option(*names, metavar=metavar, help=option.words + claims)]
    return inspect.Parameter(option.field, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


@dataclass(frozen=True)
class SizeOptions(_Fields):
    """The sizes that were given.

    Attributes:
        values: by field, by the options of the registered claims.
        size: as ``--size`` takes them.

    """

    are_sizes = True
    help: ClassVar[str] = "a size by the name of its field, such as shift=3; may be repeated"
    metavar: ClassVar[str] = "NAME=B"
    size: tuple[str, ...] = ()

    @classmethod
    def parameters(cls) -> list[inspect.Parameter]:
        """Return an option for each size, and ``--size`` for any other."""
        annotation = Annotated[list[str] | None, typer.Option("--size", metavar=cls.metavar, help=cls.help)]
        size = inspect.Parameter("size", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        return [*super().parameters(), size]

    @classmethod
    def made(cls, values: dict[str, Any]) -> Self:
        """Return what was given."""
        return cls(super().made(values).values, tuple(values.pop("size") or ()))

    @property
    def given(self) -> dict[str, Ends]:
        """The ends of every size that was given, by the name by which it was.

        Raises:
            InvalidArgument: written in another way, or one name twice.

        """
        known = field_options()
        ends: dict[str, Ends] = {known[name].name: (None, value) for name, value in self.values.items()}
        for name, pair in parse_sizes(self.size).items():
            if name in ends:
                raise InvalidArgument(f"{name}: expected it once but got it twice")
            ends[name] = pair
        return ends

    def ranges(self, claim: Claim, *, least: int | None = None) -> dict[str, range]:
        """Return the values of every size that was given, by the fields of the construction, all that it needs.

        Args:
            claim: whose sizes they are.
            least: the first value where the last alone was given; ``None``: the last one.

        Raises:
            InvalidArgument: a size that is missing, unknown or given twice.

        """
        found = {}
        for name, (first, last) in claim.sizes.complete(self.given).items():
            start = (last if least is None else min(least, last)) if first is None else first
            found[name] = range(start, last + 1)
        return found

    def one(self, claim: Claim) -> dict[str, int]:
        """Return the sizes that were given, each as one value, by the fields of the construction.

        Raises:
            InvalidArgument: a range, or what :meth:`ranges` refuses.

        """
        return Request(claim, self.ranges(claim)).single


@dataclass(frozen=True)
class OtherSizes(SizeOptions):
    """The sizes beside the vocabulary's."""

    without = frozenset({"vocab_size"})

    @property
    def values_alone(self) -> dict[str, int]:
        """The sizes as they were given, each as one value.

        Raises:
            InvalidArgument: a range, or one name twice.

        """
        for name, (first, last) in self.given.items():
            check_single(name, range(last if first is None else first, last + 1))
        return {name: last for name, (_, last) in self.given.items()}


@dataclass(frozen=True)
class RangeOptions(SizeOptions):
    """Sizes of which each may be a range."""

    help = "range of a size, such as vocab=1..6; may be repeated"
    metavar = "NAME=A..B"


@dataclass(frozen=True)
class FieldOptions(_Fields):
    """The fields that were given and are no sizes."""

    are_sizes = False


@dataclass(frozen=True)
class MaskOption(FieldOptions):
    """The mask alone."""

    only = frozenset({"mask"})


def parse_sizes(texts: tuple[str, ...]) -> dict[str, Ends]:
    """Return the first and the last value of ``NAME=A..B`` and ``NAME=B``, which has no first; or several, with commas.

    Raises:
        InvalidArgument: written in another way, or one name twice.

    """
    ends: dict[str, Ends] = {}
    for text in (part for whole in texts for part in whole.split(",")):
        number = rf"(-?[0-9]{{1,{_DIGITS}}})"
        match = re.fullmatch(rf"\s*(\w+)=(?:{number}\.\.)?{number}\s*", text)
        if match is None:
            reject("size", "NAME=B or NAME=A..B, such as vocab=6 or vocab=1..6", text)
        name, first = match[1], None if match[2] is None else int(match[2])
        if name in ends:
            raise InvalidArgument(f"{name}: expected it once but got it twice")
        ends[name] = first, int(match[3]) if first is None else check_integer(name, int(match[3]), first)
    return ends
