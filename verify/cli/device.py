"""The command that gathers the evidence of a device, and checks what was gathered: ``gpu-evidence``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from constructions.validation import InvalidArgument, check_choice
from verify.cli.groups import register as register_commands
from verify.cli.options import Json, listed
from verify.cli.terminal import echo, print_json


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    register_commands(
        app, gpu_evidence, exits="0 all that must hold holds, 1 something does not, was not done, or is stale"
    )


def gpu_evidence(
    *,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="DIR", help="the folder to write; {device} in it is the device's name"),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="where torch runs, such as cuda or cpu")] = "cuda",
    preset: Annotated[str, typer.Option("--preset", help="full, minutes on a GPU, or tiny, seconds anywhere")] = "full",
    step: Annotated[str | None, typer.Option("--step", help="some steps alone, with commas; all by default")] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", help="end after about this long; 570 by default")
    ] = None,
    check: Annotated[
        Path | None, typer.Option("--check", metavar="DIR", help="say whether evidence is whole, and current or stale")
    ] = None,
    as_json: Json = False,
) -> int:
    """Run all that needs a device, within ten minutes, and write one small folder of JSON files."""
    from verify.device.steps import STEPS  # noqa: PLC0415 # torch takes seconds to import

    if check is not None:
        if out is not None:
            raise InvalidArgument("check: expected no --out, as nothing is written")
        if step is not None or seconds is not None:
            raise InvalidArgument("check: expected no --step and no --seconds, as no step runs")
        return _check(check, as_json=as_json)
    if out is None:
        raise InvalidArgument("out: expected a folder to write, or --check with one to read")
    if seconds is not None and not seconds > 0:
        raise InvalidArgument(f"seconds: expected a positive number but got {seconds}")
    from verify.arithmetic.tensors import check_device  # noqa: PLC0415 # as above
    from verify.device.base import PRESETS, Setting  # noqa: PLC0415 # as above
    from verify.device.evidence import SECONDS, complete, folder_for, gather_evidence  # noqa: PLC0415 # as above

    check_choice("preset", preset, PRESETS)
    chosen = list(STEPS) if step is None else listed("step", step, tuple(STEPS))
    setting = Setting(str(check_device(device)), preset)
    summary = gather_evidence(
        folder_for(out, setting),
        setting,
        [STEPS[name] for name in chosen],
        seconds=SECONDS if seconds is None else seconds,
        report=lambda row: None if as_json else _report(row),
    )
    if as_json:
        print_json(summary)
    return 0 if complete(summary) else 1


def _report(row: Mapping[str, Any]) -> None:
    echo(f"{row['step']}: {row['status']} ({row['seconds']:.1f} s): {row['reason']}")


def _check(path: Path, *, as_json: bool) -> int:
    from verify.device.checking import BrokenError, check_evidence  # noqa: PLC0415 # torch takes seconds to import
    from verify.device.steps import STEPS  # noqa: PLC0415 # the same

    try:
        found = check_evidence(path, STEPS)
    except BrokenError as error:
        said, changed = f"broken: {error}", []
    else:
        said, changed = found.sentence(), list(found.changed)
    if as_json:
        print_json({"state": said.partition(":")[0], "sentence": said, "changed": changed})
    else:
        echo(said)
    return 0 if said == "current" else 1
