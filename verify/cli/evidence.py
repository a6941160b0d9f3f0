"""Commands that gather evidence: ``verify``, ``fuzz``, ``exhaust``, ``check``."""

from __future__ import annotations

import json
import re
import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import flint
import typer
from rich.markup import escape

from constructions.formats import FORMATS
from constructions.validation import InvalidArgument, check_choice, check_integer, reject
from proofs import CLAIMS, LAYER_CLAIMS, get_any_claim
from verify.cli import options
from verify.cli.sizes import command_for
from verify.cli.terminal import when_interrupted
from verify.evidence.enumeration import exhaust as exhaust_construction
from verify.evidence.evaluation import check as check_case
from verify.evidence.verdict import Verdict
from verify.files.atomic import check_checkpoint, check_folder, write_atomically
from verify.prefixes import fuzz_layers
from verify.report.tables import assumptions, explanation, verdict_table
from verify.running.batches import InBatch
from verify.running.trace import Trace
from verify.suite.coq_record import read_record
from verify.suite.main_job import fuzz_subject, tasks
from verify.suite.own import own_tasks
from verify.suite.strongest import strongest_json, strongest_table

#: Cases that each fuzzing of the main job draws, so that all of them together stay well under a minute on two cores.
_MAIN_JOB_EXAMPLES = 50


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (verify, fuzz, exhaust, check):
        app.command()(command)


def verify(
    claims: Annotated[list[str] | None, typer.Argument(metavar="[CLAIM]...", help="all claims by default")] = None,
    dtype: Annotated[list[str] | None, typer.Option("--dtype", help="float formats; float64 and float32")] = None,
    vocab: options.Vocab = None,
    context: options.Context = None,
    response: options.Response = None,
    input_size: options.Input = None,
    size: options.SizeOption = None,
    device: options.Device = "cpu",
    examples: Annotated[int, typer.Option("--examples", help="cases of each fuzzing")] = _MAIN_JOB_EXAMPLES,
    seed: options.Seed = 0,
    tf32: options.Tf32 = False,
    report: Annotated[
        Path | None, typer.Option("--report", help="write every verdict as JSON into this folder")
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Check every claim by every kind of evidence that fits here: the main job.

    The claims have sizes of their own here. Sizes are for constructions of yours, such as cipher.py:CaesarCipher.
    """
    names = claims or [*CLAIMS, *LAYER_CLAIMS]
    own = [options.get_subject(name) for name in names if ":" in name]
    chosen = [get_any_claim(name) for name in names if ":" not in name]
    sizes = options.sizes_of(size, vocab=vocab, context=context, response=response, input=input_size)
    if sizes and not own:
        raise InvalidArgument("size: expected none, as the claims have sizes of their own in this command")
    if own and tf32:
        raise InvalidArgument("tf32: expected a claim with it, as it is no option of a construction of your own here")
    dtypes = list(dict.fromkeys(dtype or ["float64", "float32"]))
    for name in dtypes:
        check_choice("dtype", name, tuple(FORMATS))
    check_integer("examples", examples, 1)
    check_integer("seed", seed, 0)
    if report is not None:
        check_folder(report, "report")
    started = time.perf_counter()
    record, missing = read_record()
    verdicts = []
    how: dict[str, Any] = {"dtypes": dtypes, "device": device, "examples": examples, "seed": seed}
    todo = list(tasks(chosen, **how, tf32=tf32, record=record))
    for subject in own:
        todo += own_tasks(subject, sizes, **how)
    for place, task in enumerate(todo, start=1):
        with options.shown_progress(f"{place} of {len(todo)}, {task.claim.id}: {task.label}") as progress:
            verdict = task.run(progress)
        verdicts.append(verdict)
        if report is not None:
            write_atomically(report / f"{len(verdicts):02d}-{_file_name(verdict)}.json", _document(verdict))
    show_verdicts(verdicts, as_json=as_json, many=True)
    if not as_json:
        options.echo("\nthe strongest evidence, claim by claim:")
        options.console().print(strongest_table(verdicts))
        if missing and chosen:
            options.echo(f"\nnot listed: {missing}")
        held = sum(verdict.holds is True for verdict in verdicts)
        options.echo(f"\n{held} of {len(verdicts)} verdicts hold; {time.perf_counter() - started:.1f} s")
    return options.exit_status(verdicts)


def fuzz(
    claim: options.ClaimId,
    vocab: options.Vocab = None,
    context: options.Context = None,
    response: options.Response = None,
    input_size: options.Input = None,
    size: options.SizeOption = None,
    examples: Annotated[int, typer.Option("--examples", help="cases to draw")] = 1000,
    seed: options.Seed = 0,
    arithmetic: options.Kind = "torch",
    dtype: options.Dtype = "float32",
    device: options.Device = "cpu",
    temperature: options.TemperatureOption = None,
    scaled_by: options.ScaledBy = "key",
    q: options.Q = None,
    mask: options.MaskOption = None,
    lift: options.LiftOption = None,
    encoding: options.EncodingOption = None,
    readout: options.ReadoutOption = None,
    band: options.BandOption = None,
    tf32: options.Tf32 = False,
    as_json: options.Json = False,
) -> int:
    """Check drawn cases of all sizes UP TO the given ones, and shrink what fails to the smallest counterexample."""
    given = {"vocab": vocab, "context": context, "response": response, "input": input_size}
    parsed = options.parse_temperature(temperature, q, scaled_by)
    if claim in LAYER_CLAIMS:
        if size or any(given.values()) or temperature is not None or q is not None:
            raise InvalidArgument(f"claim: expected no sizes and no temperature for {claim}, whose layers are drawn")
        with options.shown_progress(f"{claim}: drawn layers") as progress:
            verdict = fuzz_layers(
                claim,
                options.arithmetic_of(arithmetic, dtype, device),
                examples=examples,
                seed=seed,
                progress=progress,
            )
        show_verdicts([verdict], as_json=as_json)
        return options.exit_status([verdict])
    subject = options.get_subject(claim)
    ranges = options.ranges_of(subject, size, least=1, **given)
    set_options = partial(
        options.with_options,
        temperature=parsed,
        mask=mask,
        lift=lift,
        encoding=encoding,
        readout=readout,
        band=band,
    )
    set_options(subject.build({name: values[-1] for name, values in ranges.items()}))  # refuses what does not fit
    with options.shown_progress(f"{claim}: fuzzing") as progress:
        verdict = fuzz_subject(
            subject,
            options.arithmetic_of(arithmetic, dtype, device),
            ranges=ranges,
            examples=examples,
            seed=seed,
            progress=progress,
            tf32=tf32,
            options=set_options,
        )
    show_verdicts([verdict], as_json=as_json)
    return options.exit_status([verdict])


def exhaust(
    claim: options.ClaimId,
    vocab: options.Vocab = None,
    context: options.Context = None,
    response: options.Response = None,
    input_size: options.Input = None,
    size: options.SizeOption = None,
    limit: Annotated[int | None, typer.Option("--limit", help="stop after this many cases (not shown, then)")] = None,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", help="file to go on from after an interruption")
    ] = None,
    arithmetic: options.Kind = "torch",
    dtype: options.Dtype = "float32",
    device: options.Device = "cpu",
    temperature: options.TemperatureOption = None,
    scaled_by: options.ScaledBy = "key",
    q: options.Q = None,
    mask: options.MaskOption = None,
    lift: options.LiftOption = None,
    encoding: options.EncodingOption = None,
    readout: options.ReadoutOption = None,
    band: options.BandOption = None,
    tf32: options.Tf32 = False,
    as_json: options.Json = False,
) -> int:
    """Check EVERY target with EVERY user input at the given sizes."""
    sizes = options.sizes_of(size, vocab=vocab, context=context, response=response, input=input_size)
    parsed = options.parse_temperature(temperature, q, scaled_by)
    construction = options.build(
        claim, sizes, temperature=parsed, mask=mask, lift=lift, encoding=encoding, readout=readout, band=band
    )
    if checkpoint is not None:
        check_checkpoint(checkpoint)
    resumable = nullcontext() if checkpoint is None else when_interrupted(f"the same command goes on from {checkpoint}")
    with resumable, options.shown_progress(f"{claim}: enumeration") as progress:
        verdict = exhaust_construction(
            construction,
            options.arithmetic_of(arithmetic, dtype, device),
            claim=claim,
            command=command_for(claim, construction),
            limit=limit,
            checkpoint=checkpoint,
            progress=progress,
            tf32=tf32,
        )
    show_verdicts([verdict], as_json=as_json)
    return options.exit_status([verdict])


def check(
    claim: options.ClaimId,
    rank: Annotated[str, typer.Option("--rank", metavar="R", help="the target's place in its space")],
    user: Annotated[str, typer.Option("--user", metavar="X,...", help="the user's tokens")] = "",
    vocab: options.Vocab = None,
    context: options.Context = None,
    response: options.Response = None,
    input_size: options.Input = None,
    size: options.SizeOption = None,
    show_trace: Annotated[bool, typer.Option("--trace", help="print every intermediate of the last step")] = False,
    arithmetic: options.Kind = "torch",
    dtype: options.Dtype = "float32",
    device: options.Device = "cpu",
    temperature: options.TemperatureOption = None,
    scaled_by: options.ScaledBy = "key",
    q: options.Q = None,
    mask: options.MaskOption = None,
    lift: options.LiftOption = None,
    encoding: options.EncodingOption = None,
    readout: options.ReadoutOption = None,
    band: options.BandOption = None,
    tf32: options.Tf32 = False,
    bias: options.BiasOption = "linear",
    tf32_factors: options.Tf32Factors = False,
    in_batch: options.InBatch = None,
    batch: options.Batches = False,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> int:
    """Evaluate one case: how a counterexample is reproduced, and whether its numbers depend on its batch."""
    sizes = options.sizes_of(size, vocab=vocab, context=context, response=response, input=input_size)
    parsed = options.parse_temperature(temperature, q, scaled_by)
    construction = options.build(
        claim, sizes, temperature=parsed, mask=mask, lift=lift, encoding=encoding, readout=readout, band=band
    )
    trace = Trace(enabled=show_trace)
    batches: list[InBatch] | None = [] if batch else None
    verdict = check_case(
        construction,
        rank=_natural("rank", rank),
        user_input=[_natural("user", token) for token in user.split(",")] if user else [],
        arithmetic=options.arithmetic_of(arithmetic, dtype, device, bias=bias, tf32_factors=tf32_factors),
        claim=claim,
        command=command_for(claim, construction),
        trace=trace,
        tf32=tf32,
        in_batch=in_batch,
        batches=batches,
        seed=check_integer("seed", seed, 0),
    )
    if as_json:
        document = verdict.to_json()
        if batches is not None:
            document["batches"] = [found.to_json() for found in batches]
        if show_trace:
            document["trace"] = {name: json.loads(_plain(value.tolist())) for name, value in trace.steps.items()}
        options.print_json(document)
    else:
        if show_trace:
            options.echo(trace.table())
        show_verdicts([verdict], as_json=False)
        if batches is not None:
            for line in [found.sentence() for found in batches] or ["this arithmetic runs its cases one by one"]:
                options.echo(line)
    return options.exit_status([verdict])


def _plain(value: object) -> str:
    return json.dumps(value, default=str)


def _natural(name: str, text: str) -> int:
    if not re.fullmatch(r"\s*[0-9]+\s*", text):
        reject(name, "a natural number", text)
    return int(flint.fmpz(text.strip()))  # int() refuses more than 4,300 digits


def _file_name(verdict: Verdict) -> str:
    return re.sub(r"[^a-z0-9]+", "-", f"{verdict.claim}-{verdict.method}-{verdict.arithmetic}".lower()).strip("-")


def _document(verdict: Verdict) -> str:
    return json.dumps(verdict.to_json(), ensure_ascii=False, allow_nan=False, indent=2) + "\n"


def show_verdicts(verdicts: list[Verdict], *, as_json: bool, many: bool = False, statement: str | None = None) -> None:
    """Print verdicts: as JSON, one document, or as a table with what a reader needs below it.

    Args:
        verdicts: at least one.
        as_json: whether to print JSON.
        many: whether the JSON is a list of verdicts even if there is one.
        statement: the claim in words, above the table.

    """
    if as_json:
        records = [verdict.to_json() for verdict in verdicts]
        options.print_json({"verdicts": records, "strongest": strongest_json(verdicts)} if many else records[0])
        return
    console = options.console()
    if statement is not None:
        console.print(escape(statement), soft_wrap=True)
    console.print(verdict_table(verdicts))
    for verdict in verdicts:
        for line in explanation(verdict):
            console.print(escape(line), soft_wrap=True)
    for line in assumptions(verdicts):
        console.print(escape(line), soft_wrap=True)
