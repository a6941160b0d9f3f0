"""The command that writes the page of evidence: ``report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from proofs import CLAIMS
from verify.cli.groups import register as register_commands
from verify.cli.options import Json
from verify.cli.terminal import echo, print_json
from verify.cli.verifying import MAIN_JOB_DTYPES, MAIN_JOB_EXAMPLES, gathered
from verify.evidence.fingerprint import package_sha256
from verify.extras import needed
from verify.files.atomic import check_folder, check_output, write_atomically
from verify.files.strict import canonical
from verify.suite.coq_record import read_record
from verify.suite.main_job import tasks
from verify.suite.numbers import Chosen
from verify.suite.side_by_side import chosen_jobs
from verify.suite.whole import main_job_json

#: The files: the page, and beside it the verdicts where this command gathers them.
PAGE, VERDICTS = "index.html", "verdicts.json"


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    register_commands(
        app, report, exits="0 all verdicts on the page hold, 1 one does not, or they are of other sources"
    )


def report(
    *,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help=f"the folder for {PAGE}; made when it is not there")],
    verdicts: Annotated[
        Path | None,
        typer.Option(
            "--verdicts",
            metavar="FILE",
            help="the output of prefixproof verify --json; without it the verdicts are gathered now, in a minute or two"
            f", and kept in DIR as {VERDICTS}",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs", metavar="N", help="processes that gather verdicts; as many as there are cores by default"
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """Write all that is known of the claims as one page that needs no network: DIR/index.html."""
    for library in ("jinja2", "matplotlib"):
        needed(library, "report")
    check_folder(folder, "dir")
    check_output(folder / PAGE, "dir")
    if verdicts is None:
        verdicts = folder / VERDICTS
        check_output(verdicts, "dir")
        write_atomically(verdicts, canonical(_gathered_now(jobs)))
    from verify.report.page import make_page  # noqa: PLC0415 # torch takes seconds to import

    page = make_page(verdicts)
    write_atomically(folder / PAGE, page.text)
    told = {
        "page": str(folder / PAGE),
        "bytes": len(page.text.encode()),
        "verdicts": len(page.verdicts),
        "holds": sum(item.verdict.holds is True for item in page.verdicts),
        "sources": page.age.word,
        "without_verdict": page.without_verdict,
        "missing": list(page.missing),
    }
    if as_json:
        print_json(told)
    else:
        echo(f"{told['page']}: {told['holds']} of {told['verdicts']} verdicts hold; their sources: {told['sources']}")
        if page.without_verdict:
            echo(f"no verdict here, so nothing is shown of them: {', '.join(page.without_verdict)}")
        for name in page.missing:
            echo(f"not here, so nothing is shown of it: {name}")
    return 0 if page.holds else 1


def _gathered_now(jobs: int | None) -> dict[str, object]:
    """Return the document of the main job, run now."""
    package_sha256()  # of the sources as they are before anything runs
    record, _ = read_record()
    numbers = Chosen(list(MAIN_JOB_DTYPES), "cpu", tf32=False)
    todo = [
        task
        for claim in CLAIMS.values()
        for task in tasks(claim, numbers, examples=MAIN_JOB_EXAMPLES, seed=0, record=record)
    ]
    found = dict(gathered(todo, chosen_jobs(jobs, "cpu")))
    return main_job_json([found[place] for place in range(len(todo))])
