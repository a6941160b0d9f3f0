"""The command ``show``: a claim's weight matrices, symbolic or at given numbers, as text or LaTeX."""

from __future__ import annotations

from typing import Annotated

import typer

from constructions.article import formula_article, numbers_article, standalone_article, symbolic_article
from constructions.typeset import numbers_text, transformer_latex, transformer_text
from constructions.validation import InvalidArgument
from proofs import LAYER_CLAIMS, LayerClaim, get_claim
from verify.cli import options
from verify.suite.subjects import Subject

#: Sizes at which every kind of layer is there; the symbolic matrices do not depend on them.
_ANY_SIZES = {
    "theorem-1": {"vocab": 2, "context": 2},
    "theorem-2": {"vocab": 2},
    "longer-responses": {"vocab": 2, "response": 2},
    "longer-inputs": {"vocab": 2, "input": 3},
}


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(show)


def show(
    claim: options.ClaimId,
    vocab: options.Vocab = None,
    context: options.Context = None,
    response: options.Response = None,
    input_size: options.Input = None,
    size: options.SizeOption = None,
    mask: options.MaskOption = None,
    lift: options.LiftOption = None,
    encoding: options.EncodingOption = None,
    readout: options.ReadoutOption = None,
    band: options.BandOption = None,
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
    if claim in LAYER_CLAIMS:
        return _show_layer_claim(LAYER_CLAIMS[claim], latex=latex, standalone=standalone, as_json=as_json)
    subject = options.get_subject(claim)
    sizes = options.sizes_of(size, vocab=vocab, context=context, response=response, input=input_size)
    numbers = bool(sizes) or subject.own  # a construction of the user's own has no symbols but its numbers
    construction = options.build(
        subject,
        sizes if numbers else _ANY_SIZES[claim],
        temperature=None,
        mask=mask,
        lift=lift,
        encoding=encoding,
        readout=readout,
        band=band,
    )
    if as_json:
        document: dict[str, object] = {
            "claim": subject.id,
            **_said(subject),
            "weights_latex": transformer_latex(construction.transformer),
        }
        if numbers:
            document["parameters"] = {name: getattr(construction, name) for name in subject.sizes}
            document["weights"] = {
                name: [[str(value) for value in row] for row in matrix.to_fractions()]
                for name, matrix in construction.transformer.lowered.matrices().items()
            }
        options.print_json(document)
        return 0
    if latex:
        transformer = construction.transformer
        body = numbers_article(transformer.lowered.matrices()) if numbers else symbolic_article(transformer)
        if standalone:
            formula = "" if subject.own else f"{formula_article(get_claim(claim).latex)}\n"
            body = standalone_article(f"{formula}{body}", subject.title)
        options.echo(body)
        return 0
    if subject.own:
        options.echo(f"{subject.title}\n")
    else:
        chosen = get_claim(claim)
        options.echo(f"{chosen.title}\n{chosen.statement}\n({chosen.source})\n")
    if not numbers:
        options.echo(transformer_text(construction.transformer))
        return 0
    options.echo(repr(construction))
    for name, matrix in construction.transformer.lowered.matrices().items():
        options.echo(f"\n{name} ({matrix.shape[0]} x {matrix.shape[1]})\n{numbers_text(matrix)}")
    return 0


def _said(subject: Subject) -> dict[str, str]:
    """Return what is known of a claim in words; of a construction of the user's, its own documentation."""
    if subject.own:
        return {"statement": subject.title}
    chosen = get_claim(subject.id)
    return {"statement": chosen.statement, "latex": chosen.latex, "source": chosen.source}


def _show_layer_claim(claim: LayerClaim, *, latex: bool, standalone: bool, as_json: bool) -> int:
    """Show a claim that is about any layer, so that it has no weights of its own."""
    if as_json:
        record = {"claim": claim.id, "statement": claim.statement, "latex": claim.latex, "source": claim.source}
        options.print_json(record)
    elif latex:
        body = formula_article(claim.latex)
        options.echo(standalone_article(body, claim.title) if standalone else body)
    else:
        options.echo(f"{claim.title}\n{claim.statement}\n({claim.source})")
    return 0
