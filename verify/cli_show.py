"""The command ``show``: a claim's weight matrices, symbolic or at given numbers, as text or LaTeX."""

from __future__ import annotations

from typing import Annotated

import typer

from constructions.article import formula_article, numbers_article, standalone_article, symbolic_article
from constructions.typeset import numbers_text, transformer_latex, transformer_text
from constructions.validation import InvalidArgument
from proofs import LayerClaim, get_any_claim
from verify import cli_options as options
from verify.commands import SIZE_NAMES

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
    mask: options.MaskOption = "causal",
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
    chosen = get_any_claim(claim)
    if isinstance(chosen, LayerClaim):
        return _show_layer_claim(chosen, latex=latex, standalone=standalone, as_json=as_json)
    sizes = options.sizes_of(vocab=vocab, context=context, response=response, input=input_size)
    construction = options.build(
        chosen,
        sizes or _ANY_SIZES[claim],
        temperature=None,
        mask=mask,
        lift=lift,
        encoding=encoding,
        readout=readout,
        band=band,
    )
    if as_json:
        document: dict[str, object] = {
            "claim": chosen.id,
            "statement": chosen.statement,
            "latex": chosen.latex,
            "source": chosen.source,
            "weights_latex": transformer_latex(construction.transformer),
        }
        if sizes:
            document["parameters"] = {SIZE_NAMES[name]: size for name, size in sizes.items()}
            document["weights"] = {
                name: [[str(value) for value in row] for row in matrix.to_fractions()]
                for name, matrix in construction.transformer.lowered.matrices().items()
            }
        options.print_json(document)
        return 0
    if latex:
        transformer = construction.transformer
        body = numbers_article(transformer.lowered.matrices()) if sizes else symbolic_article(transformer)
        if standalone:
            body = standalone_article(f"{formula_article(chosen.latex)}\n{body}", chosen.title)
        typer.echo(body)
        return 0
    typer.echo(f"{chosen.title}\n{chosen.statement}\n({chosen.source})\n")
    if not sizes:
        typer.echo(transformer_text(construction.transformer))
        return 0
    typer.echo(repr(construction))
    for name, matrix in construction.transformer.lowered.matrices().items():
        typer.echo(f"\n{name} ({matrix.shape[0]} x {matrix.shape[1]})\n{numbers_text(matrix)}")
    return 0


def _show_layer_claim(claim: LayerClaim, *, latex: bool, standalone: bool, as_json: bool) -> int:
    """Show a claim that is about any layer, so that it has no weights of its own."""
    if as_json:
        record = {"claim": claim.id, "statement": claim.statement, "latex": claim.latex, "source": claim.source}
        options.print_json(record)
    elif latex:
        body = formula_article(claim.latex)
        typer.echo(standalone_article(body, claim.title) if standalone else body)
    else:
        typer.echo(f"{claim.title}\n{claim.statement}\n({claim.source})")
    return 0
