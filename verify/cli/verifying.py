"""The main job as a command: ``verify``."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from constructions.formats import FORMATS
from constructions.validation import InvalidArgument, check_choice, check_integer
from proofs import CLAIMS
from verify.cli import options
from verify.cli.groups import register as register_commands
from verify.cli.sizes import SizeOptions
from verify.cli.start import STARTED
from verify.cli.terminal import console, echo, print_json
from verify.cli.verdicts import exit_status, show_verdicts
from verify.evidence.fingerprint import package_sha256
from verify.evidence.verdict import Verdict
from verify.files.atomic import check_folder, write_atomically
from verify.report.progress import shown_progress
from verify.requests import claim_of
from verify.suite.coq_record import read_record
from verify.suite.main_job import Task, tasks
from verify.suite.numbers import Chosen
from verify.suite.proof_cache import ProofCache, cache_folder
from verify.suite.side_by_side import SideBySide, chosen_jobs, one_thread
from verify.suite.strongest import strongest_table
from verify.suite.whole import main_job_json

#: Cases that each fuzzing of the main job draws, so that all of them together stay well under a minute on two cores.
MAIN_JOB_EXAMPLES = 50
#: The float formats of the main job unless others are asked for.
MAIN_JOB_DTYPES = ("float64", "float32")


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
    examples: Annotated[int, typer.Option("--examples", help="cases that each fuzzing draws")] = MAIN_JOB_EXAMPLES,
    seed: options.Seed = 0,
    tf32: options.Tf32 = False,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", metavar="N", help="processes that work at once; as many as there are cores by default"),
    ] = None,
    cache: Annotated[
        bool,
        typer.Option(
            "--cache/--no-cache",
            help="take proofs of obligations from earlier runs, and keep them; not by default, as whoever can write the"
            " files of the cache can make a proof",
        ),
    ] = False,
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
    dtypes = list(dict.fromkeys(dtype or MAIN_JOB_DTYPES))
    for name in dtypes:
        check_choice("dtype", name, tuple(FORMATS))
    check_integer("examples", examples, 1)
    check_integer("seed", seed, 0)
    if report is not None:
        check_folder(report, "report")
    processes = chosen_jobs(jobs, device)
    started = time.perf_counter()
    package_sha256()  # of the sources as they are before anything runs
    record, missing = read_record()
    numbers = Chosen(dtypes, device, tf32)
    proofs = _cache() if cache else None
    todo: list[Task] = []
    for claim in chosen:
        given = sizes.one(claim) if claim.plan is None else None
        todo += tasks(claim, numbers, sizes=given, examples=examples, seed=seed, record=record, cache=proofs)
    found: dict[int, Verdict] = {}
    for place, verdict in gathered(todo, processes):
        found[place] = verdict
        if report is not None:
            write_atomically(report / f"{place + 1:02d}-{_file_name(verdict)}.json", _document(verdict))
    verdicts = [found[place] for place in range(len(todo))]
    if as_json:
        print_json(main_job_json(verdicts))
    else:
        show_verdicts(verdicts, as_json=False)
        echo("\nthe strongest evidence, claim by claim:")
        console().print(strongest_table(verdicts))
        if missing and len(own) < len(chosen):
            echo(f"\nnot listed: {missing}")
        held = sum(verdict.holds is True for verdict in verdicts)
        echo(f"\n{held} of {len(verdicts)} verdicts hold; {time.perf_counter() - started:.1f} s")
    return exit_status(verdicts)


def _cache() -> ProofCache:
    if STARTED is None:
        raise InvalidArgument("cache: expected a process of the command line's own, which knows when it started")
    return ProofCache(cache_folder(), STARTED)


def gathered(todo: list[Task], jobs: int) -> Iterator[tuple[int, Verdict]]:
    """Yield the place of each task and its verdict: in their order in one process, as they come from several."""
    if jobs == 1 or len({task.series for task in todo}) == 1:
        with one_thread():
            for place, task in enumerate(todo):
                with shown_progress(f"{place + 1} of {len(todo)}, {task.claim.id}: {task.label}") as progress:
                    verdict = task.run(progress)
                yield place, verdict
        return
    with SideBySide(todo, jobs) as running, shown_progress("verdicts", alike=False) as progress:
        for done, (place, verdict) in enumerate(running.verdicts(), start=1):
            progress(done, len(todo))
            yield place, verdict


def _file_name(verdict: Verdict) -> str:
    return re.sub(r"[^a-z0-9]+", "-", f"{verdict.claim}-{verdict.method}-{verdict.arithmetic}".lower()).strip("-")


def _document(verdict: Verdict) -> str:
    return json.dumps(verdict.to_json(), ensure_ascii=False, allow_nan=False, indent=2) + "\n"
