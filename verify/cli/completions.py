"""The command that counts hard prompts against soft ones: ``completions``."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import typer

from constructions.validation import InvalidArgument
from verify.cli import options
from verify.cli.groups import Group
from verify.cli.groups import register as register_commands
from verify.cli.sizes import FieldOptions, SizeOptions
from verify.cli.terminal import console, echo, print_json, when_interrupted
from verify.cli.verdicts import exit_status, show_verdicts
from verify.evidence.completions import count_completions
from verify.evidence.verdict import library_versions
from verify.files.atomic import check_folder
from verify.report.completions import completions_lines
from verify.report.progress import shown_progress


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    register_commands(app, completions, exits="0 counted, 1 falsified or not shown, or a training that stopped")


@dataclass(frozen=True)
class ModelOptions(Group):
    """What is counted of a language model; each option is ``None`` where it was not given."""

    length: Annotated[int | None, typer.Option("--length", help="tokens of a completion; 10 by default")] = None
    tokens: Annotated[
        int | None, typer.Option("--tokens", metavar="M", help="try the first M single tokens; all by default")
    ] = None
    batch: Annotated[
        int | None,
        typer.Option(
            "--batch", help="prompts at once; by default as many as take the memory of the weights, or 64 MiB"
        ),
    ] = None
    train: Annotated[
        int | None, typer.Option("--train", metavar="K", help="train K virtual tokens for random targets (--output)")
    ] = None
    steps: Annotated[int | None, typer.Option("--steps", help="steps of Adam at most; 2000 by default")] = None
    rate: Annotated[
        float | None, typer.Option("--rate", help="Adam's rate; by default a tenth of the scale of the embeddings")
    ] = None
    seed: Annotated[int | None, typer.Option("--seed", help="the same seed draws the same targets; 0 by default")] = (
        None
    )
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="DIR", help="write every result here, and go on from what is there"),
    ] = None

    @property
    def given(self) -> dict[str, Any]:
        """The options that were given."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


def completions(
    *,
    claim: Annotated[
        str | None, typer.Argument(metavar="CLAIM", help="a claim, or a construction of yours; or --model")
    ] = None,
    sizes: SizeOptions,
    temperature: options.TemperatureOptions,
    fields: FieldOptions,
    model: Annotated[
        Path | None,
        typer.Option("--model", metavar="DIR", help="a causal language model, as save_pretrained writes it"),
    ] = None,
    of_model: ModelOptions,
    running: options.Running,
    tf32: options.Tf32 = False,
    as_json: options.Json = False,
) -> int:
    """Count what prompts of tokens select, and what virtual tokens do: of a construction, or of a language model."""
    if (claim is None) == (model is None):
        raise InvalidArgument("claim: expected either a CLAIM or --model DIR")
    if model is not None:
        if sizes.given or temperature.options or fields.values or running.arithmetic != "torch" or tf32:
            raise InvalidArgument("model: expected no options of a construction with --model")
        return _of_model(model, of_model, running, as_json=as_json)
    for name in of_model.given:
        raise InvalidArgument(f"{name}: expected --model DIR with --{name}")
    assert claim is not None
    asked = options.Asked(claim, sizes, temperature, fields)
    request = asked.request(running.chosen(tf32=tf32))
    construction = request.construction
    with shown_progress(f"{claim}: prompts", rate=True) as progress:
        made = count_completions(
            construction,
            request.arithmetic,
            claim=request.claim.id,
            command=request.command(construction),
            progress=progress,
        )
    if as_json:
        print_json(made.to_json())
    else:
        for line in completions_lines(made):
            echo(line)
        show_verdicts([made.verdict], as_json=False)
    return exit_status([made.verdict])


def _of_model(folder: Path, of_model: ModelOptions, running: options.Running, *, as_json: bool) -> int:
    from verify.huggingface.completions import Training, hard_completions, soft_completions  # noqa: PLC0415 # torch
    from verify.huggingface.completions.table import counts_table  # noqa: PLC0415 # the same
    from verify.huggingface.models import load_model  # noqa: PLC0415 # the same

    running.chosen()  # refuses a format or a device that is not there
    output, started = of_model.output, time.perf_counter()
    training = Training(**{name: value for name, value in of_model.given.items() if name in {"steps", "rate", "seed"}})
    if of_model.train is None and (other := {"steps", "rate", "seed"} & set(of_model.given)):
        raise InvalidArgument(f"{min(other)}: expected --train K with --{min(other)}")
    if of_model.train is not None and output is None:
        raise InvalidArgument("output: expected --output DIR with --train, where the virtual tokens are saved")
    if output is not None:
        check_folder(output, "output")
    length = 10 if of_model.length is None else of_model.length
    model = load_model(folder, dtype=running.dtype, device=running.device)
    resumable = nullcontext() if output is None else when_interrupted(f"the same command goes on from {output}")
    with resumable:
        with shown_progress("single tokens", rate=True) as progress:
            counts = [
                hard_completions(
                    model,
                    length=length,
                    tokens=of_model.tokens,
                    batch=of_model.batch,
                    file=None if output is None else output / "tokens.jsonl",
                    progress=progress,
                )
            ]
        if of_model.train is not None:
            assert output is not None
            with shown_progress("trained virtual tokens", rate=True) as progress:
                counts.append(
                    soft_completions(
                        model,
                        output,
                        targets=of_model.train,
                        length=length,
                        batch=of_model.batch,
                        training=training,
                        progress=progress,
                    )
                )
    stopped = sum(count.not_finite for count in counts)
    if as_json:
        print_json(
            {
                "model": str(folder),
                "class": type(model).__name__,
                "arithmetic": f"torch {running.dtype}",
                "device": running.device,
                "counts": [count.to_json() for count in counts],
                "seconds": time.perf_counter() - started,
                "versions": dict(library_versions()),
            }
        )
    else:
        console().print(counts_table(counts))
        for count in counts:
            for line in count.remarks():
                echo(line)
    return 1 if stopped else 0
