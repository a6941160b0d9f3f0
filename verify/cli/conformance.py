"""The command that holds backends against known answers: ``conformance``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, cast

import typer
from rich.markup import escape

from constructions.formats import FORMATS
from constructions.validation import InvalidArgument, check_choice, check_integer
from verify.backends.callables import Gives
from verify.cli import options
from verify.cli.groups import register as register_commands
from verify.cli.sizes import FieldOptions, SizeOptions
from verify.cli.terminal import console, print_json
from verify.conformance import Row, conform
from verify.conformance.backends import BackendFactory, chosen, words
from verify.conformance.report import conformance_table, document, lines, passed
from verify.report.progress import shown_progress
from verify.requests import Request, claim_of
from verify.requests.own import is_own


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    register_commands(app, conformance, exits="0 all that ran conform, 1 one does not, or nothing ran")


def conformance(
    *,
    claim: Annotated[
        str,
        typer.Argument(
            metavar="CLAIM",
            help="a claim, several with commas, or a construction of yours as module:Class or path/to/file.py:Class",
        ),
    ],
    sizes: SizeOptions,
    temperature: options.TemperatureOptions,
    fields: FieldOptions,
    backend: Annotated[
        str | None,
        typer.Option(
            "--backend",
            help=f"with commas: {', '.join(words())}, one of a group, such as sdpa-flash, or all; and what is yours, as"
            " module:NAME or path/to/file.py:NAME. By default those that need neither a compiler nor an extra",
        ),
    ] = None,
    dtype: Annotated[str, typer.Option("--dtype", help=f"formats, with commas: {', '.join(FORMATS)}")] = "float32",
    cases: Annotated[int, typer.Option("--cases", help="how many cases of each claim")] = 200,
    seed: options.Seed = 0,
    gives: Annotated[str, typer.Option("--gives", help="what a function of yours gives: logits or tokens")] = "logits",
    one_by_one: Annotated[
        bool, typer.Option("--one-by-one", help="call a function of yours with one case at a time")
    ] = False,
    bitwise: Annotated[
        bool, typer.Option("--bitwise", help="fail where a bit of a logit depends on the batch that a case runs in")
    ] = False,
    as_json: options.Json = False,
) -> int:
    """Hold backends against known answers: tokens, logits against a certificate's bounds, and bits in other batches."""
    from verify.conformance.backends.own import Own  # noqa: PLC0415 # torch takes seconds to import

    check_integer("cases", cases, 1)
    check_integer("seed", seed, 0)
    check_choice("gives", gives, ("logits", "tokens"))
    formats = options.listed("dtype", dtype, tuple(FORMATS))
    asked = [] if backend is None else [part.strip() for part in backend.split(",")]
    own = [word for word in asked if is_own(word)]
    if not own and (gives != "logits" or one_by_one):
        raise InvalidArgument("gives: expected a --backend of yours with --gives and --one-by-one")
    mine: list[BackendFactory] = [Own(word, cast("Gives", gives), batched=not one_by_one) for word in own]
    known = ",".join(word for word in asked if not is_own(word))
    factories = [*(chosen(known or None) if known or not own else []), *mine]
    rows: list[Row] = []
    for request in _requests(claim, sizes, temperature, fields):
        construction = request.construction
        rows += conform(
            construction,
            factories,
            formats,
            cases=cases,
            seed=seed,
            claim=request.claim.id,
            command=request.command(construction),
            shown=shown_progress,
        )
    good = passed(rows, required=frozenset(asked), bitwise=bitwise)
    if as_json:
        print_json(document(rows, passed=good))
    else:
        screen = console()
        screen.print(conformance_table(rows))
        for line in lines(rows):
            screen.print(escape(line), soft_wrap=True)
    return 0 if good else 1


def _requests(
    claims: str, sizes: SizeOptions, temperature: options.TemperatureOptions, fields: FieldOptions
) -> Iterator[Request]:
    """Yield a request for each claim; of several, each takes the sizes that it has.

    Raises:
        InvalidArgument: an unknown claim, one twice, or a size that is missing or that none of them has.

    """
    names = [name.strip() for name in claims.split(",")]
    if len(set(names)) < len(names):
        raise InvalidArgument(f"claim: expected each one once but got {claims!r}")
    several = {name: claim_of(name, built=True) for name in names}
    for name in sizes.values:
        if len(several) > 1 and not any(name in claim.sizes.defaults for claim in several.values()):
            raise InvalidArgument(f"{name}: expected a size of {' or '.join(several)}")
    if len(several) > 1 and sizes.size:
        raise InvalidArgument("size: expected one claim with --size")
    for name, claim in several.items():
        values = {key: value for key, value in sizes.values.items() if len(several) == 1 or key in claim.sizes.defaults}
        yield options.Asked(name, replace(sizes, values=values), temperature, fields).request()
