"""The command that finds where a construction stops being exact in floats: ``frontier``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from constructions.fields import short
from constructions.validation import InvalidArgument, check_choice
from verify.cli import options
from verify.cli.groups import register as register_commands
from verify.cli.sizes import FieldOptions, OtherSizes
from verify.cli.terminal import console, echo, print_json
from verify.files.atomic import check_checkpoint
from verify.matrix_units import GENERATIONS
from verify.report.pictures import check_picture
from verify.report.progress import shown_progress

#: V that are looked at unless told otherwise: beyond the paper's encoding in float32, minutes of work.
_LIMIT = 4096


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    register_commands(app, frontier, exits="0 both edges of every kernel are found, 1 one is missing")


def frontier(
    *,
    claim: options.ClaimId,
    sizes: OtherSizes,
    temperature: options.TemperatureOptions,
    fields: FieldOptions,
    dtype: Annotated[
        str,
        typer.Option(
            "--dtype",
            help="formats, with commas: float64, float32, tf32, bfloat16, float16; on a matrix unit bf16, fp16, tf32",
        ),
    ] = "bfloat16,float16",
    arithmetic: Annotated[
        str, typer.Option("--arithmetic", help="what runs: torch on the CPU, or matrix-unit, bit by bit")
    ] = "torch",
    unit: Annotated[
        str | None,
        typer.Option("--unit", help=f"of --arithmetic matrix-unit: {', '.join(GENERATIONS)}; hopper by default"),
    ] = None,
    bias: Annotated[
        str | None,
        typer.Option(
            "--bias",
            help="torch's kernels, with commas: linear (F.linear), separate (x @ W.T, then + b), fma; all by default",
        ),
    ] = None,
    order: Annotated[
        str | None,
        typer.Option(
            "--order",
            help="a unit's kernels, with commas: chain (one ascending chain), parts (added in float32), reduced (parts"
            " rounded to the format), factors (other roundings to TF32); all of the format by default",
        ),
    ] = None,
    first: Annotated[int, typer.Option("--first", help="the smallest V to look at")] = 1,
    limit: Annotated[int, typer.Option("--limit", help="the largest V to look at")] = _LIMIT,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", help="for one format: save progress in this file, and go on from it")
    ] = None,
    seconds: Annotated[float | None, typer.Option("--seconds", help="stop after about this long")] = None,
    picture: Annotated[Path | None, typer.Option("--picture", help="draw the result, such as frontier.png")] = None,
    as_json: options.Json = False,
) -> int:
    """Find the largest V up to which EVERY V is certified, and the smallest V that fails on the real kernels."""
    from verify.frontier import find_frontier  # noqa: PLC0415 # torch takes seconds to import
    from verify.frontier.family import Family  # noqa: PLC0415 # the same
    from verify.frontier.kernels import MACHINES, kernels_on  # noqa: PLC0415 # the same
    from verify.frontier.report import explanation, frontier_table  # noqa: PLC0415 # the same

    machine = MACHINES[check_choice("arithmetic", arithmetic, tuple(MACHINES))]
    formats = options.listed("dtype", dtype, machine.formats)
    kernels = None
    for name, words in (("bias", bias), ("order", order)):
        if words is not None:
            check_choice(f"option with --arithmetic {arithmetic}", name, (machine.option,))
            kernels = options.listed(name, words, kernels_on(arithmetic))
    if checkpoint is not None and len(formats) > 1:
        raise InvalidArgument(f"checkpoint: expected one format with --checkpoint but got {', '.join(formats)}")
    if seconds is not None and not seconds > 0:
        raise InvalidArgument(f"seconds: expected a positive number but got {seconds}")
    if checkpoint is not None:
        check_checkpoint(checkpoint)
    if picture is not None:
        check_picture(picture)
    chosen = {short(name): value for name, value in fields.values.items() if (name, value) != ("mask", "causal")}
    family = Family(claim, sizes.values_alone, temperature.given, chosen)
    found = []
    for name in formats:
        with shown_progress(f"{claim} {name}: V") as progress:
            found.append(
                find_frontier(
                    family,
                    dtype=name,
                    limit=limit,
                    first=first,
                    kernels=kernels,
                    arithmetic=arithmetic,
                    unit=unit,
                    setting=family.setting(),
                    command=family.command,
                    checkpoint=checkpoint,
                    seconds=seconds,
                    progress=progress,
                )
            )
    if picture is not None:
        from verify.frontier.picture import draw_frontiers  # noqa: PLC0415 # as above

        draw_frontiers(picture, found)  # before anything is printed: an error would be a second document
    if as_json:
        print_json({"frontiers": [part.to_json() for part in found]})
    else:
        console().print(frontier_table(found))
        for part in found:
            for line in explanation(part):
                echo(line)
    return 0 if all(part.found for part in found) else 1
