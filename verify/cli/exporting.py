"""The command ``export``: a construction in the files of other programs, and such a file verified again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from constructions.construction import Construction
from constructions.validation import InvalidArgument
from verify.cli import options
from verify.cli.evidence import natural
from verify.cli.groups import register as register_commands
from verify.cli.sizes import FieldOptions, SizeOptions
from verify.cli.verdicts import exit_status, show_verdicts
from verify.files.atomic import read_json

# the registry itself would take seconds, as it imports torch; a test compares these three with it
FORMATS = (
    "safetensors: every weight by its name; onnx: the forward pass and its weights, for any batch and length (needs"
    " prefixproof[onnx]); torch-export: the forward pass and its weights, for torch.export.load; huggingface: a stock"
    " model of transformers, with an adapter of peft for each case (needs prefixproof[huggingface]); bundle: weights,"
    " prompts, promised tokens, and logits as exact numbers and as floats"
)
ENDINGS = ".safetensors, .onnx, .pt2"
SAMPLE = 20


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    register_commands(app, export, exits="0 written and verified, 1 not verified")


def export(
    *,
    claim: Annotated[
        str | None,
        typer.Argument(metavar="CLAIM", help="a claim, or a construction of yours; with --verify only for the latter"),
    ] = None,
    sizes: SizeOptions,
    temperature: options.TemperatureOptions,
    fields: FieldOptions,
    form: Annotated[str | None, typer.Option("--format", help=FORMATS)] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="PATH", help=f"a file that ends in {ENDINGS}, or a new folder")
    ] = None,
    verify: Annotated[
        Path | None, typer.Option("--verify", metavar="PATH", help="verify this export from its files alone")
    ] = None,
    dtype: options.Dtype = "float32",
    targets: Annotated[
        Path | None, typer.Option("--targets", metavar="FILE", help="JSON: the targets of its cases")
    ] = None,
    rank: Annotated[
        list[str] | None,
        typer.Option("--rank", metavar="R", help="a target of its cases by its place in the space; may be repeated"),
    ] = None,
    sample: Annotated[int, typer.Option("--sample", metavar="K", help="cases to draw where none are given")] = SAMPLE,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> int:
    """Write a construction for other programs, and verify what was written from the files alone."""
    from verify.export import verify_export, write_export  # noqa: PLC0415 # torch takes seconds to import

    if verify is not None:
        if form is not None or out is not None or targets is not None or rank:
            raise InvalidArgument("verify: expected no --format, --out, --targets or --rank with it")
        known = None if claim is None else options.Asked(claim, sizes, temperature, fields).request().construction
        verdicts = verify_export(verify, known)
    else:
        if claim is None or form is None or out is None:
            raise InvalidArgument("export: expected CLAIM --format NAME --out PATH, or --verify PATH")
        request = options.Asked(claim, sizes, temperature, fields).request()
        construction = request.construction
        verdicts = write_export(
            construction,
            out,
            form,
            dtype=dtype,
            targets=_chosen(construction, targets, rank),
            sample=sample,
            seed=seed,
            claim=request.claim.id,
        )
    show_verdicts(verdicts, as_json=as_json, many=True)
    return exit_status(verdicts)


def _chosen(construction: Construction, path: Path | None, ranks: list[str] | None) -> Any:
    """Return the targets that were given, ``None`` where they are to be drawn."""
    if path is not None and ranks:
        raise InvalidArgument("targets: expected either --targets or --rank but got both")
    if path is not None:
        return read_json(path, "targets")
    if ranks:
        return [construction.target_space.unrank(natural("rank", rank)).tolist() for rank in ranks]
    return None
