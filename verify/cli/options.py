"""Options that several commands share, and what is made of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import typer

from constructions.construction import Construction
from constructions.temperature import Hardmax, Softmax, Temperatures, as_temperature, parse_head_q
from constructions.validation import InvalidArgument, check_choice
from verify.arithmetic import KINDS, Arithmetic, get_arithmetic, torch_arithmetic
from verify.cli.sizes import OPTION_NAMES
from verify.cli.terminal import console as console
from verify.cli.terminal import echo as echo
from verify.cli.terminal import print_json as print_json
from verify.evidence.verdict import Verdict
from verify.report.progress import shown_progress as shown_progress
from verify.suite.subjects import Subject, parse_sizes
from verify.suite.subjects import get_subject as get_subject

ClaimId = Annotated[
    str,
    typer.Argument(
        metavar="CLAIM",
        help="theorem-1, theorem-2, longer-responses, longer-inputs; or a construction of yours as module:Class or"
        " path/to/file.py:Class",
    ),
]
SizeOption = Annotated[
    list[str] | None,
    typer.Option("--size", metavar="NAME=B", help="a size by the name of its field, such as shift=3 (again and again)"),
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
MaskOption = Annotated[str | None, typer.Option("--mask", help="causal or none; as the construction has it, causal")]
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

#: Sizes by the names of the construction's fields, or by their short names.
Sizes = dict[str, int]


def sizes_of(size: list[str] | None = None, **given: int | None) -> Sizes:
    """Return the sizes that were given, each as one value.

    Raises:
        InvalidArgument: a range, or one name twice.

    """
    found = {name: value for name, value in given.items() if value is not None}
    for name, (first, last) in parse_sizes(size or []).items():
        if first not in {None, last}:
            raise InvalidArgument(f"{name}: expected one value but got the range {first}..{last}")
        if name in found:
            raise InvalidArgument(f"{name}: expected it once but got it twice")
        found[name] = last
    return found


def ranges_of(subject: Subject, size: list[str] | None, *, least: int | None, **given: int | None) -> dict[str, range]:
    """Return the ranges of sizes that were given, by the fields of the construction, all that it needs.

    Args:
        subject: whose sizes they are.
        size: as ``--size`` takes them.
        least: the first value of a range given by its end alone; ``None``: its end.
        given: ends by their short names.

    Raises:
        InvalidArgument: a size that is missing, unknown or given twice, or a range without a value.

    """
    ends: dict[str, tuple[int | None, int]] = {name: (None, end) for name, end in given.items() if end is not None}
    for name, pair in parse_sizes(size or []).items():
        if name in ends:
            raise InvalidArgument(f"{name}: expected it once but got it twice")
        ends[name] = pair
    found = {}
    for name, (first, last) in subject.complete(ends).items():
        start = (last if least is None else min(least, last)) if first is None else first
        found[name] = range(start, last + 1)
    return found


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
    mask: str | None,
    lift: str | None,
    encoding: str | None = None,
    readout: str | None = None,
    band: int | None = None,
) -> Construction:
    """Return the construction with the options set that were given.

    Raises:
        InvalidArgument: a value that is not accepted, or an option for a construction that does not have it.

    """
    if mask is not None:
        check_choice("mask", mask, ("causal", "none"))
    fields: dict[str, Any] = {} if temperature is None else {"temperature": temperature}
    given = {"mask": mask, "lift": lift, "encoding": encoding, "readout": readout, "band": band}
    for option, value in given.items():
        if value is not None:
            name = OPTION_NAMES[option]
            if name not in type(construction).__dataclass_fields__:
                raise InvalidArgument(f"{option}: expected no --{option} for {type(construction).__name__}")
            fields[name] = value
    return replace(construction, **fields) if fields else construction


def build(
    claim: str | Subject,
    sizes: Sizes,
    *,
    temperature: Temperatures | None,
    mask: str | None,
    lift: str | None,
    encoding: str | None = None,
    readout: str | None = None,
    band: int | None = None,
) -> Construction:
    """Return the construction of a claim, or of the user's own, at the sizes and options of a command."""
    subject = get_subject(claim) if isinstance(claim, str) else claim
    return with_options(
        subject.build(sizes),
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


def exit_status(verdicts: list[Verdict]) -> int:
    """Return 0 when there is a verdict and all of them hold, 1 otherwise."""
    return 0 if verdicts and all(verdict.holds is True for verdict in verdicts) else 1
