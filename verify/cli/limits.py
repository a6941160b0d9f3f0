"""Commands about the limits of prefixes: ``attention``, ``reach``, ``counterexample``."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import typer

from constructions.counterexamples import REFUTED
from constructions.validation import InvalidArgument, check_choice, check_integer, reject
from proofs import CLAIMS
from proofs.attention import SECOND_LAYER
from verify.cli import options
from verify.cli.groups import register as register_commands
from verify.cli.language_model import LanguageModel
from verify.cli.terminal import echo, print_json
from verify.cli.verdicts import exit_status, finished, show_verdicts
from verify.evidence.counterexamples import refute
from verify.evidence.finder import find_counterexample
from verify.prefixes import IDENTITIES, check_layer, draw_case
from verify.prefixes.files import read_layer
from verify.prefixes.picture import draw_attention
from verify.reachability import Problem, Reachability, decide, decide_pattern
from verify.report.pictures import check_picture
from verify.report.progress import shown_progress
from verify.requests.own import is_own
from verify.running.cases import options_of

_File = Annotated[Path | None, typer.Argument(metavar="FILE", help="JSON file with the layer, its content, its prefix")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    register_commands(app, attention)
    register_commands(app, reach, exits="0 a prefix is found, 1 impossible or unknown")
    register_commands(
        app,
        counterexample,
        exits="0 no case of the range fails, 1 one fails (it is shown) or not every case could be looked at",
    )


def attention(
    *,
    file: _File = None,
    claim: Annotated[
        list[str] | None, typer.Option("--claim", help="an identity (may be repeated); all that fit by default")
    ] = None,
    drawn: Annotated[
        str | None, typer.Option("--drawn", metavar="SEED:INDEX", help="a layer that fuzzing drew")
    ] = None,
    picture: Annotated[Path | None, typer.Option("--picture", help="draw attention before and after")] = None,
    head: Annotated[int, typer.Option("--head", help="the head that the picture shows")] = 0,
    language: LanguageModel,
    running: options.Running,
    as_json: options.Json = False,
) -> int:
    """Check the identities of attention under a prefix on a layer of your own, or on all layers of a language model."""
    kind = running.chosen()
    if picture is not None:
        check_picture(picture)
    if language.given:
        if file is not None or drawn is not None:
            raise InvalidArgument("model: expected neither a FILE nor --drawn with it")
        return language.run(running, claims=claim, picture=picture, head=head, as_json=as_json)
    if (file is None) == (drawn is None):
        raise InvalidArgument("layer: expected either a FILE or --drawn SEED:INDEX, or --model DIR")
    if file is not None:
        given = read_layer(file)
        given.needs("prefix")
        layer, content, prefix, next_head = given.layer, given.content, given.prefix, given.next_head
        where = str(file)
    else:
        assert drawn is not None
        case = draw_case(*_drawn(drawn), fmt=kind.fmt)
        layer, content, prefix, next_head = case.layer, case.content, case.prefix, case.next_head
        where = f"--drawn {drawn}"
    names = claim or [name for name in IDENTITIES if name != SECOND_LAYER or next_head is not None]
    chosen = f"--arithmetic {running.arithmetic} --dtype {running.dtype} --device {running.device}"
    command = " ".join([f"prefixproof attention {where} {chosen}", *running.of_unit.words])
    verdicts = [
        check_layer(name, layer, content, prefix, kind, next_head=next_head, reproduce=f"{command} --claim {name}")
        for name in names
    ]
    caption = None if picture is None else draw_attention(picture, layer, content, prefix, kind, head=head)
    show_verdicts(verdicts, as_json=as_json, many=True)
    if caption is not None and not as_json:
        echo(f"{picture}: {caption}")
    return exit_status(verdicts)


def _drawn(text: str) -> tuple[int, int]:
    if not re.fullmatch(r"[0-9]{1,18}:[0-9]{1,18}", text):
        reject("drawn", "SEED:INDEX, two natural numbers of at most 18 digits", text)
    seed, index = text.split(":")
    return int(seed), int(index)


def reach(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON file with the layer and its wanted outputs")],
    prefix_size: Annotated[int | None, typer.Option("--prefix-size", metavar="p", help="length of the prefix")] = None,
    as_json: options.Json = False,
) -> int:
    """Decide whether SOME prefix gives the wanted outputs or pattern: yes with it, no with a proof, or unknown."""
    given = read_layer(file)
    if (given.outputs is None) == (given.pattern is None):
        raise InvalidArgument("outputs: expected either outputs or pattern in the file")
    if given.pattern is not None:
        answer = decide_pattern(given.layer, given.content, given.pattern)
        size: int | None = None
    else:
        size = check_integer("prefix_size", given.prefix_size if prefix_size is None else prefix_size, 1)
        answer = decide(Problem(given.layer, given.content, given.outputs, size))
    if as_json:
        print_json(_record(answer, size))
    else:
        words = {True: "reachable", False: "impossible", None: "unknown"}
        length = "any length" if size is None else f"{size}"
        echo(f"{words[answer.reachable]} (prefix vectors: {length})")
        for line in (answer.prefix, answer.certificate, answer.reason):
            if line is not None:
                echo(_plain(line))
    return 0 if answer.reachable else 1


def _plain(value: object) -> str:
    return re.sub(r"Fraction\((-?\d+), (\d+)\)", lambda m: m[1] if m[2] == "1" else f"{m[1]}/{m[2]}", str(value))


def _record(answer: Reachability, size: int | None) -> dict[str, Any]:
    return {
        "reachable": answer.reachable,
        "prefix_size": size,
        "prefix": None if answer.prefix is None else _json(vars(answer.prefix)),
        "certificate": None
        if answer.certificate is None
        else {"kind": type(answer.certificate).__name__, **_json(vars(answer.certificate))},
        "reason": answer.reason,
    }


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _json(part) for name, part in value.items()}
    if isinstance(value, tuple):
        return [_json(part) for part in value]
    return str(value) if isinstance(value, Fraction) else value


def counterexample(
    *,
    asked: options.AskedRanges,
    running: options.Running,
    as_json: options.Json = False,
) -> int:
    """Find the smallest failing case of a construction in a range of sizes, or show one that refutes a false claim."""
    claim = asked.claim
    if claim in REFUTED:
        if asked.sizes.given or asked.temperature.options:
            raise InvalidArgument(f"size: expected no sizes and no temperature, as {claim} has one counterexample")
        show_verdicts([refute(claim)], as_json=as_json, statement=REFUTED[claim].statement)
        return 1
    if not is_own(claim):
        built = [name for name, known in CLAIMS.items() if known.construction is not None]
        check_choice("claim", claim, (*built, *REFUTED))
    request = asked.request(running.chosen())
    with shown_progress(f"{claim}: search") as progress:
        verdict = find_counterexample(
            lambda **sizes: request.build(sizes),
            request.sizes,
            request.arithmetic,
            claim=claim,
            command=request.command,
            progress=progress,
        )
    if verdict.counterexample is None:  # where it was looked for; a case that was found says so itself
        verdict = replace(verdict, parameters={**verdict.parameters, **options_of(request.build(request.first))})
    return finished(verdict, as_json=as_json)
