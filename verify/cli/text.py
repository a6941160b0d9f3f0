"""Commands on a user's own text and maps: ``generate`` (Theorem 1) and ``answer`` (Theorem 2, longer responses)."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from constructions.construction import Construction
from constructions.formats import Format
from constructions.text import CharacterVocabulary
from constructions.validation import InvalidArgument
from constructions.vocabularies import carrying
from proofs import get_claim
from verify.certificates.all_targets import BUDGET
from verify.cli import options
from verify.cli.groups import register as register_commands
from verify.cli.sizes import MaskOption
from verify.cli.terminal import console, echo, print_json
from verify.cli.verdicts import exit_status
from verify.evidence.evaluation import evaluate
from verify.evidence.verdict import Verdict
from verify.files.maps import read_map
from verify.report.tables import explanation, verdict_table
from verify.requests import Request
from verify.tokenizers import TOKENIZERS, Tokenizer, get_tokenizer

#: Numbers of a virtual token that are printed; ``--json`` has them all.
_SHOWN_NUMBERS = 24


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    register_commands(app, generate, answer)


def generate(
    *,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="the text to generate, any Unicode")],
    vocab: Annotated[
        str | None, typer.Option("--vocab", metavar="CHARACTERS", help="the vocabulary; TEXT's characters by default")
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            "--tokenizer", metavar="NAME", help=f"a real vocabulary: {', '.join(TOKENIZERS)} or a file tokenizer.json"
        ),
    ] = None,
    temperature: options.TemperatureOptions,
    fields: MaskOption,
    running: options.Running,
    tf32: options.Tf32 = False,
    as_json: options.Json = False,
) -> int:
    """Make Theorem 1's transformer generate TEXT from ONE virtual token."""
    given = {**temperature.options, **fields.values}
    arithmetic = running.chosen(tf32=tf32)
    if tokenizer is not None and vocab is not None:
        raise InvalidArgument("vocab: expected none with --tokenizer, which has one")
    vocabulary: CharacterVocabulary | Tokenizer
    if tokenizer is not None:
        vocabulary = get_tokenizer(tokenizer)
    else:
        vocabulary = CharacterVocabulary.of(text) if vocab is None else CharacterVocabulary(vocab)
    tokens = vocabulary.encode(text)
    if not len(tokens):
        raise InvalidArgument("text: expected at least one character but got '' (type str)")
    coding: dict[str, Any] = {}
    claim, sizes = "theorem-1", {"vocab_size": vocabulary.size, "context_size": len(tokens)}
    if tokenizer is not None:
        claim, sizes, coding = carrying(vocabulary.size, len(tokens), arithmetic.fmt)
    request = Request(get_claim(claim), options={**coding, **given}, arithmetic=arithmetic)
    construction = request.build(sizes)
    command = request.command(construction)
    verdict, outcome = evaluate(
        construction, target=tokens, arithmetic=arithmetic, claim=request.claim.id, command=command
    )
    made = vocabulary.decode(outcome.produced[0])
    prompt = _prompt(construction, tokens)
    every = None if tokenizer is None else _certificate(construction, command, arithmetic.fmt)
    if as_json:
        found = {
            "text": text,
            "virtual_tokens": prompt,
            "generated": made,
            "verdict": verdict.to_json(),
        }
        if isinstance(vocabulary, CharacterVocabulary):
            print_json({"vocabulary": vocabulary.characters, **found})
        else:
            print_json({"tokenizer": vocabulary.name, "tokens": tokens.tolist(), "certificate": every, **found})
    else:
        if tokenizer is not None:
            echo(f"tokens ({len(tokens)} of {vocabulary.size:,}): {_numbers([str(token) for token in tokens])}")
        echo(f"virtual token ({len(prompt[0])} numbers): {_numbers(prompt[0])}")
        echo(f"generated: {made}")
        _show(verdict)
        if every is not None:
            echo(f"every text of as many tokens, in any order of summation: {every}")
    return exit_status([verdict])


def _certificate(construction: Construction, command: dict[str, str] | None, fmt: Format | None) -> str | None:
    """Return the command whose certificate covers every target of a construction; ``None`` where there is none."""
    if command is None or fmt is None:
        return None
    options = {name: value for name, value in command.items() if name != "claim"}
    words = ["prefixproof", "certify", command["claim"]]
    words += [part for name, value in options.items() for part in (name, value) if part]
    cells = construction.vocab_size * construction.layout.response
    words += ["--dtype", fmt.name, *(["--budget", str(cells)] if cells > BUDGET else [])]
    return shlex.join(words)


def answer(
    *,
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="the user's token, one of the map")],
    map_file: Annotated[Path, typer.Option("--map", metavar="FILE", help="JSON: {token: answer, ...} or [answer ...]")],
    temperature: options.TemperatureOptions,
    fields: MaskOption,
    running: options.Running,
    tf32: options.Tf32 = False,
    as_json: options.Json = False,
) -> int:
    """Answer TOKEN by the map in FILE: Theorem 2, or longer responses where the answers are lists."""
    table = read_map(map_file)
    user = table.token(token)
    request = Request(
        get_claim(table.claim), options={**temperature.options, **fields.values}, arithmetic=running.chosen(tf32=tf32)
    )
    construction = request.build(table.sizes)
    verdict, outcome = evaluate(
        construction,
        target=table.target,
        user_input=[user],
        arithmetic=request.arithmetic,
        claim=request.claim.id,
        command=request.command(construction),
    )
    made = [table.vocabulary[place] for place in outcome.produced[0].tolist()]
    prompt = _prompt(construction, table.target)
    if as_json:
        print_json(
            {
                "token": table.vocabulary[user],
                "vocabulary": list(table.vocabulary),
                "virtual_tokens": prompt,
                "answer": made if table.lists else made[0],
                "verdict": verdict.to_json(),
            }
        )
    else:
        for place, numbers in enumerate(prompt):
            echo(f"virtual token {place} ({len(numbers)} numbers): {_numbers(numbers)}")
        echo(f"answer: {' '.join(json.dumps(part, ensure_ascii=False) for part in made)}")
        _show(verdict)
    return exit_status([verdict])


def _prompt(construction: Construction, target: Any) -> list[list[str]]:
    """Return the virtual tokens as exact numbers, written as they are built: numerator over the common denominator."""
    ratios = construction.virtual_tokens(target)
    return [[f"{value}/{ratios.denominator}" for value in row] for row in ratios.numerators.tolist()]


def _numbers(numbers: list[str]) -> str:
    shown = ", ".join(numbers[:_SHOWN_NUMBERS])
    return shown if len(numbers) <= _SHOWN_NUMBERS else f"{shown}, ..."


def _show(verdict: Verdict) -> None:
    screen = console()
    screen.print(verdict_table([verdict]))
    for line in explanation(verdict):
        screen.print(escape(line), soft_wrap=True)
