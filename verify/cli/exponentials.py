"""The command that measures a library's exp on every argument of a format: ``exp``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from constructions.validation import reject
from verify.certificates.floats.kernel import EXP_ULPS
from verify.cli import options
from verify.cli.groups import register as register_commands
from verify.cli.terminal import echo, print_json, when_interrupted
from verify.exponentials.measuring import DTYPES
from verify.files.atomic import check_checkpoint, check_output, write_atomically
from verify.report.progress import shown_progress


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    register_commands(app, exp, exits="0 every value is within the bound, 1 one is not or not all were measured")


def exp(
    *,
    function: Annotated[
        str,
        # the registry's own line would take seconds, as it imports torch; a test compares both
        typer.Option("--function", help="exp (torch.exp), softmax (the exp inside torch.softmax) or exp2 (torch.exp2)"),
    ] = "exp",
    dtype: Annotated[str, typer.Option("--dtype", help=f"one of {', '.join(DTYPES)}")] = "float32",
    device: Annotated[str, typer.Option("--device", help="where torch runs, such as cpu or cuda")] = "cpu",
    ulps: Annotated[
        float, typer.Option("--ulps", help="the largest error that is accepted, in units in the last place")
    ] = EXP_ULPS,
    patterns: Annotated[
        int | None, typer.Option("--patterns", help="measure the first so many bit patterns alone; shows nothing")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="write the record to this file")] = None,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", help="save progress in this file, and go on from it")
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Measure exp on EVERY number of a format: how far it is off, where, and what a certificate assumes of it."""
    from verify.exponentials import measure  # noqa: PLC0415 # torch takes seconds to import

    if not 0 < ulps < float("inf"):
        reject("ulps", "a positive number", ulps)
    if out is not None:
        check_output(out, "out")
    resumed = "nothing was saved"
    if checkpoint is not None:
        check_checkpoint(checkpoint)
        if out is not None and out.resolve() == checkpoint.resolve():
            reject("out", "another file than the checkpoint", str(out))
        resumed = f"the same command goes on from {checkpoint}"
    with when_interrupted(resumed), shown_progress(f"{function} {dtype}: bit patterns", rate=True) as progress:
        record = measure(function, dtype, device, checkpoint=checkpoint, patterns=patterns, progress=progress)
    if out is not None:
        write_atomically(out, json.dumps(record.to_json(), indent=2) + "\n")
    if as_json:
        print_json(record.to_json() | {"within": record.within(ulps), "ulps": ulps})
    else:
        for line in record.lines(ulps):
            echo(line)
    return 0 if record.within(ulps) else 1
