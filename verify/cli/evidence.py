"""Commands that run cases: ``fuzz``, ``exhaust``, ``check``, and one for each family of cases."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import flint
import typer

from constructions.validation import InvalidArgument, check_integer, reject
from verify.cli import options
from verify.cli.groups import register as register_commands
from verify.cli.sharding import Sharding
from verify.cli.terminal import echo, print_json, when_interrupted
from verify.cli.verdicts import exit_status, finished, show_verdicts
from verify.evidence.evaluation import check as check_case
from verify.evidence.families import families
from verify.evidence.kinds import CaseFamily
from verify.files.atomic import check_checkpoint
from verify.report.progress import shown_progress
from verify.running.batches import InBatch
from verify.running.trace import Trace
from verify.suite.steps import STEPS, Gathering, exhausted, fuzzer_of, gathered


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    register_commands(app, fuzz, exhaust, sweep, *(_of_family(kind) for kind in families().values()), check)


def fuzz(
    *,
    asked: options.Asked,
    examples: Annotated[int, typer.Option("--examples", help="cases to draw")] = 1000,
    seed: options.Seed = 0,
    sharding: Sharding,
    running: options.Running,
    tf32: options.Tf32 = False,
    as_json: options.Json = False,
) -> int:
    """Check drawn cases of all sizes UP TO the given ones, and shrink a failure to the smallest counterexample."""
    request = asked.request(running.chosen(tf32=tf32), least=1, built=False)
    gatherer = fuzzer_of(request.claim)
    if sharding.asked:
        settings = {"examples": examples, "seed": seed}
        verdict = sharding.run(gatherer.work, request, settings, label=f"{asked.claim}: {gatherer.label}, seeds")
        return finished(verdict, as_json=as_json)
    with shown_progress(f"{asked.claim}: {gatherer.label}") as progress:
        verdict = gatherer.gather(request, Gathering(examples, seed, progress))
    return finished(verdict, as_json=as_json)


def exhaust(
    *,
    asked: options.Asked,
    limit: Annotated[
        int | None, typer.Option("--limit", help="stop after this many cases; the verdict is then 'not shown'")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", help="save progress in this file, and go on from it")
    ] = None,
    sharding: Sharding,
    running: options.Running,
    tf32: options.Tf32 = False,
    as_json: options.Json = False,
) -> int:
    """Check EVERY target with EVERY user input at the given sizes."""
    request = asked.request(running.chosen(tf32=tf32))
    if sharding.asked:
        if checkpoint is not None:
            raise InvalidArgument("checkpoint: expected --ledger FILE in its place where a run is split into shards")
        verdict = sharding.run("exhaust", request, {}, label=f"{asked.claim}: enumeration", limit=limit)
        return finished(verdict, as_json=as_json)
    if checkpoint is not None:
        check_checkpoint(checkpoint)
    resumable = nullcontext() if checkpoint is None else when_interrupted(f"the same command goes on from {checkpoint}")
    with resumable, shown_progress(f"{asked.claim}: enumeration") as progress:
        verdict = exhausted(request, Gathering(progress=progress), limit=limit, checkpoint=checkpoint)
    return finished(verdict, as_json=as_json)


def sweep(
    *,
    asked: options.Asked,
    sharding: Sharding,
    running: options.Running,
    tf32: options.Tf32 = False,
    as_json: options.Json = False,
) -> int:
    """Check the targets that are one token everywhere, at EVERY vocabulary up to the given one."""
    request = asked.request(running.chosen(tf32=tf32))
    if "vocab_size" not in request.sizes:
        raise InvalidArgument(f"claim: expected one that is given its vocab_size but got {asked.claim!r} (type str)")
    label = f"{asked.claim}: {STEPS['swept'].label}"
    if sharding.asked:
        return finished(sharding.run("sweep", request, {}, label=label), as_json=as_json)
    with shown_progress(label) as progress:
        verdict = STEPS["swept"].gather(request, Gathering(progress=progress))
    return finished(verdict, as_json=as_json)


def _of_family(kind: CaseFamily) -> Callable[..., int]:
    """Return the command that gathers a kind of evidence, named and described as the kind says."""

    def gather(
        *, asked: options.Asked, running: options.Running, tf32: options.Tf32 = False, as_json: options.Json = False
    ) -> int:
        request = asked.request(running.chosen(tf32=tf32))
        with shown_progress(f"{asked.claim}: {kind.label}") as progress:
            verdict = gathered(kind, request, Gathering(progress=progress))
        return finished(verdict, as_json=as_json)

    gather.__name__, gather.__doc__ = kind.subcommand or kind.name, kind.help
    return gather


def check(
    *,
    asked: options.Asked,
    rank: Annotated[str, typer.Option("--rank", metavar="R", help="the target's place in its space")],
    user: Annotated[str, typer.Option("--user", metavar="X,...", help="the user's tokens")] = "",
    show_trace: Annotated[bool, typer.Option("--trace", help="print every intermediate of the last step")] = False,
    running: options.Running,
    tf32: options.Tf32 = False,
    bias: Annotated[
        str,
        typer.Option(
            "--bias", help="how a bias is added: linear (F.linear), separate (x @ W.T, then + b), or fma (emulated)"
        ),
    ] = "linear",
    tf32_factors: Annotated[
        bool, typer.Option("--tf32-factors", help="emulate TF32: round the factors of float32 products to 11 bits")
    ] = False,
    in_batch: Annotated[
        str | None, typer.Option("--in-batch", metavar="A..B", help="run the case in this batch of the enumeration")
    ] = None,
    batch: Annotated[
        bool,
        typer.Option("--batch", help="compare the case alone with the case in batches of 2, 7, 64, 1024, bit for bit"),
    ] = False,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> int:
    """Evaluate one case: reproduce a counterexample, or see whether its numbers depend on its batch (--batch)."""
    request = asked.request(running.chosen(bias=bias, tf32_factors=tf32_factors, tf32=tf32))
    construction = request.construction
    trace = Trace(enabled=show_trace)
    batches: list[InBatch] | None = [] if batch else None
    verdict = check_case(
        construction,
        rank=natural("rank", rank),
        user_input=[natural("user", token) for token in user.split(",")] if user else [],
        arithmetic=request.arithmetic,
        claim=request.claim.id,
        command=request.command(construction),
        trace=trace,
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
        print_json(document)
    else:
        if show_trace:
            echo(trace.table())
        show_verdicts([verdict], as_json=False)
        if batches is not None:
            for line in [found.sentence() for found in batches] or ["this arithmetic runs its cases one by one"]:
                echo(line)
    return exit_status([verdict])


def _plain(value: object) -> str:
    return json.dumps(value, default=str)


def natural(name: str, text: str) -> int:
    """Return a natural number of any length, written in decimal digits.

    Raises:
        InvalidArgument: anything else.

    """
    if not re.fullmatch(r"\s*[0-9]+\s*", text):
        reject(name, "a natural number", text)
    return int(flint.fmpz(text.strip()))  # int() refuses more than 4,300 digits
