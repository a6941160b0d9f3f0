"""The main job as a command: ``verify``."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Annotated

import typer

from constructions.formats import FORMATS
from constructions.validation import InvalidArgument, check_choice, check_integer
from proofs import CLAIMS
from verify.cli import options
from verify.cli.groups import register as register_commands
from verify.cli.sizes import SizeOptions
from verify.cli.terminal import console, echo
from verify.cli.verdicts import exit_status, show_verdicts
from verify.evidence.verdict import Verdict
from verify.files.atomic import check_folder, write_atomically
from verify.report.progress import shown_progress
from verify.requests import claim_of
from verify.suite.coq_record import read_record
from verify.suite.main_job import Task, tasks
from verify.suite.numbers import Chosen
from verify.suite.strongest import strongest_table

#: Cases that each fuzzing of the main job draws, so that all of them together stay well under a minute on two cores.
_MAIN_JOB_EXAMPLES = 50


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    register_commands(app, verify)


def verify(
    *,
    claims: Annotated[
        list[str] | None,
        typer.Argument(metavar="CLAIM", help=f"all of them by default: {', '.join(CLAIMS)}"),
    ] = None,
    sizes: SizeOptions,
    dtype: Annotated[
        list[str] | None,
        typer.Option("--dtype", help="a float format (may be repeated); float64 and float32 by default"),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="where torch runs, such as cpu or cuda")] = "cpu",
    examples: Annotated[int, typer.Option("--examples", help="cases that each fuzzing draws")] = _MAIN_JOB_EXAMPLES,
    seed: options.Seed = 0,
    tf32: options.Tf32 = False,
    report: Annotated[
        Path | None, typer.Option("--report", help="write every verdict as JSON into this folder")
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Check every claim by every kind of evidence, in a minute or two: the main job.

    Each claim is checked at sizes of its own. The options for sizes are for constructions of yours, such as
    cipher.py:CaesarCipher.
    """
    chosen = [claim_of(name) for name in claims or CLAIMS]
    own = [claim for claim in chosen if claim.plan is None]
    if sizes.given and not own:
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
    numbers = Chosen(dtypes, device, tf32)
    todo: list[Task] = []
    for claim in chosen:
        given = sizes.one(claim) if claim.plan is None else None
        todo += tasks(claim, numbers, sizes=given, examples=examples, seed=seed, record=record)
    verdicts = []
    for place, task in enumerate(todo, start=1):
        with shown_progress(f"{place} of {len(todo)}, {task.claim.id}: {task.label}") as progress:
            verdict = task.run(progress)
        verdicts.append(verdict)
        if report is not None:
            write_atomically(report / f"{len(verdicts):02d}-{_file_name(verdict)}.json", _document(verdict))
    show_verdicts(verdicts, as_json=as_json, many=True)
    if not as_json:
        echo("\nthe strongest evidence, claim by claim:")
        console().print(strongest_table(verdicts))
        if missing and len(own) < len(chosen):
            echo(f"\nnot listed: {missing}")
        held = sum(verdict.holds is True for verdict in verdicts)
        echo(f"\n{held} of {len(verdicts)} verdicts hold; {time.perf_counter() - started:.1f} s")
    return exit_status(verdicts)


def _file_name(verdict: Verdict) -> str:
    return re.sub(r"[^a-z0-9]+", "-", f"{verdict.claim}-{verdict.method}-{verdict.arithmetic}".lower()).strip("-")


def _document(verdict: Verdict) -> str:
    return json.dumps(verdict.to_json(), ensure_ascii=False, allow_nan=False, indent=2) + "\n"
