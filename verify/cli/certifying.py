"""The command that proves a claim for ALL targets of given sizes: ``certify``."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

import typer

from constructions.validation import InvalidArgument, reject
from verify.certificates import BUDGET, POINTS, RoundedArithmetic, bit_exact, certificate_arithmetic
from verify.certificates import certify as certify_construction
from verify.certificates.floats.rounding import summaries
from verify.cli import options
from verify.cli.evidence import show_verdicts


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(certify)


def certify(
    claim: options.ClaimId,
    vocab: options.Vocab = None,
    context: options.Context = None,
    response: options.Response = None,
    input_size: options.Input = None,
    size: options.SizeOption = None,
    arithmetic: Annotated[
        str, typer.Option("--arithmetic", help="rounded (floats) or ball (real numbers)")
    ] = "rounded",
    dtype: options.Dtype = "float32",
    products: Annotated[
        str,
        typer.Option(
            "--products",
            help=f"how products and a bias are added: {summaries()}",
        ),
    ] = "either",
    tf32: options.Tf32 = False,
    exact: Annotated[
        bool, typer.Option("--bit-exact", help="certify that nothing rounds at all, instead of the tokens")
    ] = False,
    any_embedding: Annotated[
        str | None, typer.Option("--any-embedding", metavar="M", help="every embedding with |E| <= M (theorem-1)")
    ] = None,
    budget: Annotated[int, typer.Option("--budget", help="the most cells to look at")] = BUDGET,
    points: Annotated[int, typer.Option("--points", help="the most floats of an interval to try one by one")] = POINTS,
    temperature: options.TemperatureOption = None,
    scaled_by: options.ScaledBy = "key",
    q: options.Q = None,
    mask: options.MaskOption = None,
    lift: options.LiftOption = None,
    encoding: options.EncodingOption = None,
    readout: options.ReadoutOption = None,
    band: options.BandOption = None,
    as_json: options.Json = False,
) -> int:
    """Prove the claim for EVERY target and user input of the given sizes at once, or say what could not be decided."""
    sizes = options.sizes_of(size, vocab=vocab, context=context, response=response, input=input_size)
    parsed = options.parse_temperature(temperature, q, scaled_by)
    construction = options.build(
        claim,
        sizes,
        temperature=parsed,
        mask=mask,
        lift=lift,
        encoding=encoding,
        readout=readout,
        band=band,
    )
    kind = certificate_arithmetic(arithmetic, dtype, products=products, tf32=tf32)
    if exact:
        if not isinstance(kind, RoundedArithmetic):
            raise InvalidArgument("arithmetic: expected rounded with --bit-exact, which is about floats")
        verdict = bit_exact(construction, kind, claim=claim)
    else:
        with options.shown_progress(f"{claim}: certificate") as progress:
            verdict = certify_construction(
                construction,
                kind,
                claim=claim,
                budget=budget,
                points=points,
                any_embedding=None if any_embedding is None else _rational("any_embedding", any_embedding),
                progress=progress,
            )
    show_verdicts([verdict], as_json=as_json)
    return options.exit_status([verdict])


def _rational(name: str, text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        reject(name, "a rational number, such as 1 or 3/2", text)
