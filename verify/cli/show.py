"""The command ``show``: a claim's weight matrices, symbolic or at given numbers, as text or LaTeX."""

from __future__ import annotations

from typing import Annotated

import typer

from constructions.article import formula_article, numbers_article, standalone_article, symbolic_article
from constructions.construction import Construction
from constructions.typeset import numbers_text, transformer_latex, transformer_text
from constructions.validation import InvalidArgument
from proofs import Claim
from verify.cli import options
from verify.cli.groups import register as register_commands
from verify.cli.sizes import FieldOptions, SizeOptions
from verify.cli.terminal import echo, print_json
from verify.requests import Request, claim_of


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    register_commands(app, show, exits="0 shown")


def show(
    *,
    claim: options.ClaimId,
    sizes: SizeOptions,
    fields: FieldOptions,
    latex: Annotated[
        bool, typer.Option("--latex", help="LaTeX for the text of a paper; needs the package amsmath")
    ] = False,
    standalone: Annotated[
        bool, typer.Option("--standalone", help="with --latex: a whole file that compiles by itself")
    ] = False,
    as_json: options.Json = False,
) -> int:
    """Show a claim and its weight matrices: symbolic, or at the sizes given."""
    if standalone and (as_json or not latex):
        raise InvalidArgument("standalone: expected --latex with it, and no --json")
    chosen = claim_of(claim)
    numbers = bool(sizes.given) or not chosen.symbols_at  # the weights of a user's construction have no symbols
    construction = None
    if chosen.construction is not None or sizes.given or fields.values:
        at = sizes.one(chosen) if numbers else chosen.symbols_at
        construction = Request(chosen, options=fields.values).build(at)
    if as_json:
        print_json(
            {**_said(chosen), **({} if construction is None else _weights(chosen, construction, numbers=numbers))}
        )
    elif latex:
        formula = [formula_article(chosen.latex)] if chosen.latex else []
        weights = [] if construction is None else [_weights_article(construction, numbers=numbers)]
        whole = standalone_article("\n".join([*formula, *weights]), chosen.title) if standalone else None
        echo(whole or "\n".join(weights or formula))
    else:
        parts = [chosen.title, chosen.statement, f"({chosen.source})" if chosen.source else ""]
        echo("\n".join(dict.fromkeys(part for part in parts if part)))
        if construction is not None:
            echo("")
            echo(_weights_text(construction, numbers=numbers))
    return 0


def _said(claim: Claim) -> dict[str, str]:
    """Return what is known of a claim in words; of a user's construction, its own documentation."""
    said = {"claim": claim.id, "statement": claim.statement, "latex": claim.latex, "source": claim.source}
    return {name: text for name, text in said.items() if text}


def _weights(claim: Claim, construction: Construction, *, numbers: bool) -> dict[str, object]:
    document: dict[str, object] = {"weights_latex": transformer_latex(construction.transformer)}
    if numbers:
        document["parameters"] = {name: getattr(construction, name) for name in claim.sizes.defaults}
        document["weights"] = {
            name: [[str(value) for value in row] for row in matrix.to_fractions()]
            for name, matrix in construction.transformer.lowered.matrices().items()
        }
    return document


def _weights_article(construction: Construction, *, numbers: bool) -> str:
    transformer = construction.transformer
    return numbers_article(transformer.lowered.matrices()) if numbers else symbolic_article(transformer)


def _weights_text(construction: Construction, *, numbers: bool) -> str:
    if not numbers:
        return transformer_text(construction.transformer)
    matrices = construction.transformer.lowered.matrices()
    shown = [
        f"{name} ({matrix.shape[0]} x {matrix.shape[1]})\n{numbers_text(matrix)}" for name, matrix in matrices.items()
    ]
    return "\n\n".join([repr(construction), *shown])
