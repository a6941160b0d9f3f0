"""Runs in shards: the options that split a run, and the command that shows its ledger, ``runs``."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from constructions.validation import InvalidArgument, check_choice
from verify.cli import options
from verify.cli.groups import Group
from verify.cli.groups import register as register_commands
from verify.cli.terminal import echo, print_json, when_interrupted
from verify.evidence.verdict import Verdict
from verify.report.progress import shown_progress
from verify.requests import Request
from verify.shards.executors import EXECUTORS, Executor


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    register_commands(app, runs, exits="0 the ledgers were read")


@dataclass(frozen=True)
class Sharding(Group):
    """How a run is split over processes, machines and time; it is not where none of these is given."""

    jobs: Annotated[
        int | None, typer.Option("--jobs", metavar="N", help="split the run over N processes, of one thread each")
    ] = None
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine",
            help="who runs the parts: " + ", ".join(f"{word} ({kind.summary})" for word, kind in EXECUTORS.items()),
        ),
    ] = None
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", metavar="ADDRESS", help="of a cluster, such as tcp://10.0.0.1:8786")
    ] = None
    ledger: Annotated[
        Path | None,
        typer.Option("--ledger", metavar="FILE", help="keep in this file what is done; go on from it, or share it"),
    ] = None

    @property
    def asked(self) -> bool:
        """Whether the run is split."""
        return any(given is not None for given in (self.jobs, self.engine, self.scheduler, self.ledger))

    @property
    def executor(self) -> Executor:
        """Who runs the shards."""
        word = self.engine
        if word is None:
            word = "in-process" if self.jobs is None and self.scheduler is None else "processes"
        return EXECUTORS[check_choice("engine", word, tuple(EXECUTORS))].of(jobs=self.jobs, scheduler=self.scheduler)

    def run(
        self, word: str, request: Request, settings: Mapping[str, Any], *, label: str, limit: int | None = None
    ) -> Verdict:
        """Return the verdict of a run in shards; it shows its progress.

        Args:
            word: the kind of run.
            request: the claim, its sizes and the arithmetic.
            settings: what else the command was given, as JSON values.
            label: what the work is, on the progress bar.
            limit: stop after so many units.

        """
        from verify.shards.driver import run_request  # noqa: PLC0415 # with all that runs

        file = self.ledger
        resumable = nullcontext() if file is None else when_interrupted(f"the same command goes on from {file}")
        with resumable, shown_progress(label, rate=True) as progress:
            return run_request(word, request, settings, self.executor, ledger=file, limit=limit, progress=progress)


def runs(
    *,
    ledger: Annotated[
        list[Path] | None, typer.Option("--ledger", metavar="FILE", help="the ledger of a run; may be repeated")
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Show what is running, done and refuted: the runs that were given a --ledger."""
    from verify.shards.runs import lines, summary  # noqa: PLC0415 # with all that runs

    if not ledger:
        raise InvalidArgument("ledger: expected --ledger FILE, the ledger of a run, at least once")
    found = [summary(path) for path in ledger]
    if as_json:
        print_json({"runs": found})
    else:
        for each in found:
            for line in lines(each):
                echo(line)
    return 0
