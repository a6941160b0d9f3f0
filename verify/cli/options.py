"""Options that several commands share, each written once, and the request that is made of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from constructions.formats import FORMATS
from constructions.temperature import Softmax, Temperatures, as_temperature, parse_head_q
from constructions.validation import InvalidArgument, check_choice
from proofs import CLAIMS
from verify.arithmetic import Arithmetic, get_arithmetic
from verify.arithmetic.families import FAMILIES, MATRIX_UNIT
from verify.arithmetic.spec import Setting
from verify.cli.groups import Group
from verify.cli.sizes import FieldOptions, RangeOptions, SizeOptions
from verify.matrix_units import GENERATIONS
from verify.matrix_units.products import FACTORS
from verify.requests import Request, claim_of

_BUILT = ", ".join(claim.id for claim in CLAIMS.values() if claim.construction is not None)


def _one_of(words: Iterable[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}"


def listed(name: str, text: str, allowed: tuple[str, ...]) -> list[str]:
    """Return words that were given with commas, each of them once.

    Raises:
        InvalidArgument: a word that is not allowed, or one twice.

    """
    parts = [part.strip() for part in text.split(",")]
    for part in parts:
        check_choice(name, part, allowed)
    if len(set(parts)) < len(parts):
        raise InvalidArgument(f"{name}: expected each one once but got {text!r}")
    return parts


ClaimId = Annotated[
    str,
    typer.Argument(
        metavar="CLAIM",
        help=f"{_BUILT}; or a construction of yours, as module:Class or path/to/file.py:Class, whose sizes are options"
        " by the names of its fields",
    ),
]
Dtype = Annotated[str, typer.Option("--dtype", help=_one_of(FORMATS))]
Tf32 = Annotated[bool, typer.Option("--tf32", help="allow TF32 in float32 products")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON document and nothing else")]
Seed = Annotated[int, typer.Option("--seed", help="the same seed draws the same cases")]


@dataclass(frozen=True)
class TemperatureOptions(Group):
    """How sharp attention is: an inverse temperature, or an exact ``q``."""

    temperature: Annotated[
        str | None, typer.Option("--temperature", metavar="T", help="inverse temperature; inf is hardmax")
    ] = None
    scaled_by: Annotated[
        str,
        typer.Option("--scaled-by", help="divide T by the square root of: key (its size, as in the paper) or length"),
    ] = "key"
    q: Annotated[
        str | None,
        typer.Option("--q", metavar="P/Q", help="exact exp(T/sqrt(k)) of all heads, or of each: self=7,first=9/2"),
    ] = None

    @property
    def given(self) -> Temperatures | None:
        """The temperature of the options, ``None`` when neither was given.

        Raises:
            InvalidArgument: both were given, or one is not a number.

        """
        check_choice("scaled_by", self.scaled_by, ("key", "length"))
        if self.temperature is not None and self.q is not None:
            raise InvalidArgument("temperature: expected either --temperature or --q but got both")
        if self.q is not None:
            return parse_head_q(self.q)
        if self.temperature is None:
            if self.scaled_by != "key":
                raise InvalidArgument("scaled_by: expected --temperature T with --scaled-by length")
            return None
        try:
            value: float | str = float(self.temperature)
        except ValueError:
            value = self.temperature
        parsed = as_temperature(value)
        if self.scaled_by == "length" and isinstance(parsed, Softmax):  # hardmax is the same under any scale
            return Softmax(parsed.inverse_temperature, "length")
        return parsed

    @property
    def options(self) -> dict[str, Any]:
        """The temperature as a field of the construction, where it was given."""
        given = self.given
        return {} if given is None else {"temperature": given}


@dataclass(frozen=True)
class UnitOptions(Group):
    """How a library multiplies on a matrix unit; nothing is chosen by default."""

    unit: Annotated[
        str | None, typer.Option("--unit", help=f"the generation of --arithmetic matrix-unit: {_one_of(GENERATIONS)}")
    ] = None
    split: Annotated[
        int | None, typer.Option("--split", metavar="K", help="of a matrix unit: add up in so many parts")
    ] = None
    slice_size: Annotated[
        int | None, typer.Option("--slice-size", metavar="K", help="of a matrix unit: add up in parts of K products")
    ] = None
    reduced: Annotated[
        bool, typer.Option("--reduced", help="of a matrix unit: round the sums of parts to the format")
    ] = False
    factors: Annotated[
        str | None,
        typer.Option("--factors", help=f"of a matrix unit in tf32: how factors are rounded: {_one_of(FACTORS)}"),
    ] = None

    @property
    def chosen(self) -> dict[str, Setting]:
        """The options that were given."""
        return {name: value for name, value in vars(self).items() if value is not None and value is not False}

    @property
    def words(self) -> list[str]:
        """The words that give them again."""
        given = [option for option in MATRIX_UNIT.options if option.name in self.chosen]
        return [word for option in given for word in option.words(self.chosen[option.name])]


@dataclass(frozen=True, kw_only=True)
class Running(Group):
    """In which arithmetic cases run, and where."""

    arithmetic: Annotated[str, typer.Option("--arithmetic", help=_one_of(FAMILIES))] = "torch"
    dtype: Annotated[
        str, typer.Option("--dtype", help=f"{_one_of(FORMATS)}; on a matrix unit {_one_of(MATRIX_UNIT.formats)}")
    ] = "float32"
    device: Annotated[str, typer.Option("--device", help="where torch runs, such as cpu or cuda")] = "cpu"
    of_unit: UnitOptions

    def chosen(self, **options: Setting) -> Arithmetic[Any, Any, Any]:
        """Return the arithmetic of the options.

        Args:
            options: of its kernels.

        Raises:
            InvalidArgument: an unknown name, or an option that the arithmetic does not have.

        """
        return get_arithmetic(self.arithmetic, dtype=self.dtype, device=self.device, **options, **self.of_unit.chosen)


@dataclass(frozen=True)
class Asked(Group):
    """The claim that a command is to run, its sizes, and the other fields of its construction."""

    claim: ClaimId
    sizes: SizeOptions
    temperature: TemperatureOptions
    fields: FieldOptions

    def request(self, arithmetic: Any = None, *, least: int | None = None, built: bool = True) -> Request:
        """Return the request.

        Args:
            arithmetic: in which it runs or is certified.
            least: the first value of a size that was given by its last one alone; ``None``: the last one.
            built: accept claims about a construction alone.

        Raises:
            InvalidArgument: an unknown claim, a size that is missing or unknown, or a bad temperature.

        """
        options = {**self.temperature.options, **self.fields.values}
        claim = claim_of(self.claim, built=built)
        if claim.construction is None and (options or self.sizes.given):
            raise InvalidArgument(f"claim: expected no sizes and no temperature for {claim.id}, whose layers are drawn")
        return Request(claim, self.sizes.ranges(claim, least=least), options, arithmetic)


@dataclass(frozen=True)
class AskedRanges(Asked):
    """The same with ranges of sizes."""

    claim: Annotated[
        str,
        typer.Argument(
            metavar="CLAIM",
            help="a claim, a refuted claim, or a construction of yours as module:Class or path/to/file.py:Class",
        ),
    ]
    sizes: RangeOptions
