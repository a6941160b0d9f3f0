"""The command that reproduces an experiment of the paper: ``experiment``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from constructions.validation import check_choice
from verify.cli.groups import register as register_commands
from verify.cli.options import Json
from verify.cli.terminal import console, echo, print_json, when_interrupted
from verify.report.progress import shown_progress


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    register_commands(
        app,
        experiment,
        exits="0 all came out that must, 1 something did not, nothing is judged, or a loss is not finite",
    )


def experiment(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="which one; any other word lists them")],
    preset: Annotated[
        str, typer.Option("--preset", help="cpu, minutes; paper, the paper's steps; or tiny, seconds, not judged")
    ] = "cpu",
    seeds: Annotated[int, typer.Option("--seeds", metavar="K", help="seeds 0 to K-1")] = 1,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="for all files, experiments/NAME-PRESET by default; goes on from it"),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="where torch runs, such as cuda or cpu")] = "cpu",
    as_json: Json = False,
) -> int:
    """Train what the paper trained, and hold it to the paper's numbers and theory."""
    from verify.experiments import EXPERIMENTS, NotFiniteError, run_experiment  # noqa: PLC0415 # torch
    from verify.experiments.running import RESULT, holds  # noqa: PLC0415 # the same

    chosen = EXPERIMENTS[check_choice("name", name, tuple(EXPERIMENTS))]
    folder = Path("experiments") / f"{name}-{preset}" if out is None else out
    with when_interrupted(f"the same command goes on from {folder}"), shown_progress(name, rate=True) as progress:
        try:
            result = run_experiment(chosen, preset, folder, seeds=seeds, device=device, say=_say, progress=progress)
        except NotFiniteError as error:
            if as_json:
                print_json({"error": str(error)})
            else:
                echo(f"{name}: {error}")
            return 1
    if as_json:
        print_json(result)
    else:
        _show(result)
        echo(f"{folder / RESULT}")
    return 0 if holds(result) else 1


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 # the command line's own output


def _show(result: Mapping[str, Any]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("phase", "task", "right, %", "paper, %"):
        table.add_column(heading, justify="right" if "%" in heading else "left")
    for phase, tasks in result["shares"].items():
        for task, shares in tasks.items():
            paper = result["paper"].get(phase, {}).get(task)
            spread = f"{sum(shares) / len(shares):.1f}"
            if len(shares) > 1:
                spread += f" ({min(shares):.1f}..{max(shares):.1f})"
            table.add_row(phase, task, spread, "" if paper is None else f"{paper:.1f}")
    if result["shares"]:
        console().print(table)
    echo(f"sizes and steps: {result['smaller']}")
    for check in result["checks"]:
        found = "not finite" if check["found"] is None else f"{check['found']:.4g}"
        echo(f"{check['what']}: {found}: {'as it must be' if check['holds'] else 'NOT so'}")
    if not result["checks"]:
        echo("nothing is judged")
