"""The command that proves a claim for ALL targets of given sizes: ``certify``."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

import typer

from constructions.validation import InvalidArgument, reject
from verify.certificates import BUDGET, POINTS, bit_exact, certificate_arithmetic
from verify.certificates.floats.exponentials import exp_summaries
from verify.certificates.floats.rounding import summaries
from verify.certificates.floats.rounding.matrix_unit import NO_UNIT
from verify.cli import options
from verify.cli.groups import register as register_commands
from verify.cli.sharding import Sharding
from verify.cli.verdicts import finished
from verify.matrix_units import GENERATIONS
from verify.report.progress import shown_progress
from verify.suite.steps import Gathering, certified


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    register_commands(app, certify)


def certify(
    *,
    asked: options.Asked,
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
    exp: Annotated[str, typer.Option("--exp", help=f"how softmax takes its exponents: {exp_summaries()}")] = "library",
    unit: Annotated[
        str,
        typer.Option(
            "--unit",
            help="products of matrices run on the matrix units of a generation, or of any that has the format: any,"
            f" {', '.join(GENERATIONS)}; --dtype is bf16, fp16 or tf32",
        ),
    ] = NO_UNIT,
    full_reduction: Annotated[
        bool,
        typer.Option(
            "--full-reduction",
            help="a unit's partial sums stay in float32; torch lets libraries round them to 16 bits by default",
        ),
    ] = False,
    exact: Annotated[
        bool, typer.Option("--bit-exact", help="certify that nothing rounds at all, instead of the tokens")
    ] = False,
    any_embedding: Annotated[
        str | None, typer.Option("--any-embedding", metavar="M", help="every embedding with |E| <= M (theorem-1)")
    ] = None,
    budget: Annotated[int, typer.Option("--budget", help="the most cells to look at")] = BUDGET,
    points: Annotated[int, typer.Option("--points", help="the most floats of an interval to try one by one")] = POINTS,
    sharding: Sharding,
    as_json: options.Json = False,
) -> int:
    """Prove the claim for EVERY target and user input of the given sizes at once, or say what stays undecided."""
    chosen = certificate_arithmetic(
        arithmetic, dtype, products=products, tf32=tf32, exp=exp, unit=unit, full_reduction=full_reduction
    )
    request = asked.request(chosen)
    construction = request.construction
    if exact:
        if request.arithmetic.fmt is None:
            raise InvalidArgument("arithmetic: expected rounded with --bit-exact, which is about floats")
        if sharding.asked:
            raise InvalidArgument("bit_exact: expected a run that is not split into shards, as it takes a pass a step")
        return finished(bit_exact(construction, request.arithmetic, claim=asked.claim), as_json=as_json)
    embedding = None if any_embedding is None else _rational("any_embedding", any_embedding)
    if sharding.asked:
        bound = None if embedding is None else str(embedding)
        settings = {"budget": budget, "points": points, "any_embedding": bound}
        verdict = sharding.run("certify", request, settings, label=f"{asked.claim}: certificate, pieces")
        return finished(verdict, as_json=as_json)
    with shown_progress(f"{asked.claim}: certificate") as progress:
        verdict = certified(
            request, Gathering(progress=progress), budget=budget, points=points, any_embedding=embedding
        )
    return finished(verdict, as_json=as_json)


def _rational(name: str, text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        reject(name, "a rational number, such as 1 or 3/2", text)
