"""Options that several commands share, and what is made of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from constructions.construction import Construction
from constructions.temperature import Hardmax, Softmax, Temperatures, as_temperature, parse_head_q
from constructions.validation import InvalidArgument, check_choice
from proofs import Claim
from verify.arithmetic import KINDS, Arithmetic, get_arithmetic, torch_arithmetic
from verify.commands import OPTION_NAMES
from verify.verdict import Verdict

#: Width of a table where the terminal does not say; a claim, its evidence and its margin fit.
_WIDTH = 150

ClaimId = Annotated[
    str, typer.Argument(metavar="CLAIM", help="theorem-1, theorem-2, longer-responses, longer-inputs, ...")
]
Vocab = Annotated[int | None, typer.Option("--vocab", metavar="V", help="vocabulary size")]
Context = Annotated[int | None, typer.Option("--context", metavar="N", help="context size (theorem-1)")]
Response = Annotated[int | None, typer.Option("--response", metavar="N0", help="response size (longer-responses)")]
Input = Annotated[int | None, typer.Option("--input", metavar="NX", help="input size (longer-inputs)")]
Dtype = Annotated[str, typer.Option("--dtype", help="float64, float32, bfloat16 or float16")]
Kind = Annotated[str, typer.Option("--arithmetic", help="rational, symbolic, numpy, torch or structured")]
Device = Annotated[str, typer.Option("--device", help="where torch runs, such as cpu or cuda")]
TemperatureOption = Annotated[
    str | None, typer.Option("--temperature", metavar="T", help="inverse temperature; inf is hardmax")
]
ScaledBy = Annotated[
    str, typer.Option("--scaled-by", help="T is divided by the square root of: key (its size, the paper) or length")
]
Q = Annotated[
    str | None,
    typer.Option("--q", metavar="P/Q", help="exact exp(T/sqrt(k)) of all heads, or of each: self=7,first=9/2"),
]
MaskOption = Annotated[str, typer.Option("--mask", help="causal or none")]
LiftOption = Annotated[str | None, typer.Option("--lift", help="add or mask")]
EncodingOption = Annotated[
    str | None, typer.Option("--encoding", help="a token as a number: paper (y/V), integer or dyadic")
]
ReadoutOption = Annotated[
    str | None, typer.Option("--readout", help="from a number to logits: paper, centred, split, hat or banded")
]
BandOption = Annotated[int | None, typer.Option("--band", metavar="B", help="tokens in a band (--readout banded)")]
Tf32 = Annotated[bool, typer.Option("--tf32", help="allow TF32 in float32 products")]
BiasOption = Annotated[
    str, typer.Option("--bias", help="linear (F.linear), separate (x @ W.T, then + b) or fma (emulated)")
]
Tf32Factors = Annotated[
    bool, typer.Option("--tf32-factors", help="emulate TF32: round the factors of float32 products to 11 bits")
]
InBatch = Annotated[
    str | None, typer.Option("--in-batch", metavar="A..B", help="run the case in this batch of the enumeration")
]
Batches = Annotated[
    bool, typer.Option("--batch", help="compare the case alone with the case in batches of 2, 7, 64, 1024, bit for bit")
]
Json = Annotated[bool, typer.Option("--json", help="print one JSON document and nothing else")]
Seed = Annotated[int, typer.Option("--seed", help="the same seed draws the same cases")]

#: Sizes by the names that ``Claim.build`` takes.
Sizes = dict[str, int]


def sizes_of(**given: int | None) -> Sizes:
    """Return the sizes that were given."""
    return {name: size for name, size in given.items() if size is not None}


def parse_temperature(temperature: str | None, q: str | None, scaled_by: str) -> Temperatures | None:
    """Return the temperature of the options, ``None`` when neither was given.

    Raises:
        InvalidArgument: both were given, or not a number.

    """
    check_choice("scaled_by", scaled_by, ("key", "length"))
    if temperature is not None and q is not None:
        raise InvalidArgument("temperature: expected either --temperature or --q but got both")
    if q is not None:
        return parse_head_q(q)
    if temperature is None:
        if scaled_by != "key":
            raise InvalidArgument("scaled_by: expected --temperature T with --scaled-by length")
        return None
    try:
        value: float | str = float(temperature)
    except ValueError:
        value = temperature
    parsed = as_temperature(value)
    if isinstance(parsed, Hardmax) or scaled_by == "key":
        return parsed
    assert isinstance(parsed, Softmax)
    return replace(parsed, scaled_by="length")


def with_options(
    construction: Construction,
    *,
    temperature: Temperatures | None,
    mask: str,
    lift: str | None,
    encoding: str | None = None,
    readout: str | None = None,
    band: int | None = None,
) -> Construction:
    """Return the construction with the options set.

    Raises:
        InvalidArgument: a value that is not accepted, or an option for a construction that does not have it.

    """
    check_choice("mask", mask, ("causal", "none"))
    fields: dict[str, Any] = {"temperature": temperature, "mask": mask}
    given = {"lift": lift, "encoding": encoding, "readout": readout, "band": band}
    for option, value in given.items():
        if value is not None:
            name = OPTION_NAMES[option]
            if name not in type(construction).__dataclass_fields__:
                raise InvalidArgument(f"{option}: expected no --{option} for {type(construction).__name__}")
            fields[name] = value
    return replace(construction, **fields)


def build(
    claim: Claim,
    sizes: Sizes,
    *,
    temperature: Temperatures | None,
    mask: str,
    lift: str | None,
    encoding: str | None = None,
    readout: str | None = None,
    band: int | None = None,
) -> Construction:
    """Return a claim's construction at the sizes and options of a command."""
    return with_options(
        claim.build(options=None, **sizes),
        temperature=temperature,
        mask=mask,
        lift=lift,
        encoding=encoding,
        readout=readout,
        band=band,
    )


def arithmetic_of(
    kind: str, dtype: str, device: str, *, bias: str = "linear", tf32_factors: bool = False
) -> Arithmetic[Any, Any, Any]:
    """Return the arithmetic of the options.

    Raises:
        InvalidArgument: an unknown name, or an option that the arithmetic does not have.

    """
    check_choice("arithmetic", kind, KINDS)
    if bias != "linear" or tf32_factors:
        if kind != "torch":
            raise InvalidArgument("arithmetic: expected torch with --bias or --tf32-factors, which choose its kernels")
        return torch_arithmetic(dtype, device, bias=bias, tf32_factors=tf32_factors)
    return get_arithmetic(kind, dtype=dtype, device=device)


def console() -> Console:
    """Return a console on standard output that does not fold tables when it is not a terminal."""
    return Console(width=None if sys.stdout.isatty() else _WIDTH, soft_wrap=False, highlight=False)


@contextmanager
def progress_bar(label: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on standard error while it is a terminal; yield what reports done and total."""
    if quiet or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def print_json(document: object) -> None:
    """Print one JSON document on standard output."""
    typer.echo(json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2))


def exit_status(verdicts: list[Verdict]) -> int:
    """Return 0 when there is a verdict and all of them hold, 1 otherwise."""
    return 0 if verdicts and all(verdict.holds is True for verdict in verdicts) else 1
