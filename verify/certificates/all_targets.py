"""One proof for ALL targets and user inputs, in time polynomial in the sizes, on the weights that are given.

The forward pass runs on bounds: the entries of the target that decide the answer are exact, every other entry of the
virtual token may be anything, and so may the response tokens that were fed back before, which are as promised by
induction. Nothing here knows a construction's closed form.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, Generic

import numpy as np
import sympy as sp

from constructions.construction import Construction
from constructions.lowering import lower
from constructions.ratios import Ratios
from constructions.transformer import Linear, Transformer
from constructions.validation import InvalidArgument, check_integer, reject
from verify.arithmetic.base import NumberSystem, RowsT, ScoresT, WeightT
from verify.arithmetic.families import ENCLOSING, made
from verify.arithmetic.spec import Setting
from verify.certificates.cells import Cells
from verify.certificates.code_on_bounds import CellsError
from verify.certificates.concluding import certificate
from verify.certificates.enclosing import EnclosingArithmetic, Margins
from verify.certificates.found import Found
from verify.certificates.passes import check_parts, last_row
from verify.certificates.pieces import Judge, pieces
from verify.certificates.relational import factored, relational
from verify.certificates.symmetry import tally_symmetric
from verify.evidence.enumeration import Progress, no_progress
from verify.evidence.verdict import Verdict
from verify.running.model import Model, bind_construction
from verify.running.trace import Trace

#: Cells that a certificate may look at by default: V^2 of them at the vocabulary of the largest claims made, 1,000.
BUDGET = 2**20
#: Floats of one box that are tried one by one before a pair of tokens is left undecided.
POINTS = 2**12


def certificate_arithmetic(kind: str, dtype: str = "float32", **options: Setting) -> EnclosingArithmetic[Any, Any, Any]:
    """Return the arithmetic of a certificate.

    Args:
        kind: ``ball`` for the real numbers, ``rounded`` for floats.
        dtype: the float format of ``rounded``.
        options: of ``rounded``: ``products``, how products and a bias are added, and ``tf32``, whether factors may be
            rounded to TF32; ``unit``, the generation of matrix units that multiply, and ``full_reduction``, whether
            their partial sums stay in float32; see :class:`~verify.certificates.floats.kernel.Kernel`.

    Raises:
        InvalidArgument: an unknown arithmetic, format or option.

    Example:
        >>> certificate_arithmetic("rounded", "bfloat16").name
        'rounded bfloat16'

    """
    found: EnclosingArithmetic[Any, Any, Any] = made(ENCLOSING, kind, dtype, options=options)
    return found


def certify(
    construction: Construction,
    arithmetic: EnclosingArithmetic[Any, Any, Any],
    *,
    claim: str | None = None,
    budget: int = BUDGET,
    points: int = POINTS,
    any_embedding: Fraction | None = None,
    progress: Progress = no_progress,
) -> Verdict:
    """Certify that EVERY target is generated, with every user input.

    Args:
        construction: with its weights as they are.
        arithmetic: of :func:`certificate_arithmetic`.
        claim: the claim's id; the construction's name by default.
        budget: the most cells to look at.
        points: the most floats of a box to try one by one.
        any_embedding: certify every token embedding ``E`` with ``|E| <= any_embedding`` at once, whatever the
            construction's own is; for constructions without user tokens, whose embedding is free (Theorem 1).
        progress: called with response steps done and in all.

    Returns:
        ``holds`` true when every margin is certain; unknown otherwise, with the first token and position that could
        not be decided. Never false: a certificate does not look at any single target.

    Raises:
        InvalidArgument: the format cannot hold what the weights rely on.

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> verdict = certify(UnconditionalGeneration(10, 4), certificate_arithmetic("rounded", "float32"))
        >>> verdict.holds, verdict.cases
        (True, 10000)

    """
    check_limits(construction, budget=budget, points=points, any_embedding=any_embedding)
    started, found = time.perf_counter(), Found()
    with arithmetic.bounding(), np.errstate(all="ignore"):  # what is not finite is never certain
        bound = replace(bind_for_certificate(construction, arithmetic.for_cells()), any_embedding=any_embedding)
        try:
            check_parts(bound.model.transformer, bound.readout)
            alike = tally_symmetric(bound, construction, progress, budget=budget, points=points)
            found = found if alike is None else alike
            judge = Judge(bound, Ways(bound, points), points, progress)
            for piece in pieces(bound, construction, budget=budget) if alike is None else ():
                piece.judge(judge, found)
                if found.reason is not None:
                    break
        except CellsError as error:
            found.reason = str(error)
    return certificate(bound, construction, arithmetic, found, claim=claim, started=started)


def check_limits(construction: Construction, *, budget: int, points: int, any_embedding: Fraction | None) -> None:
    """Refuse limits below 1, and a bound on embeddings that are not free; see :func:`certify`."""
    check_integer("budget", budget, 1)
    check_integer("points", points, 1)
    if any_embedding is not None:
        if any_embedding < 0:
            reject("any_embedding", "a bound >= 0", any_embedding)
        if construction.layout.user:
            raise InvalidArgument("any_embedding: expected a construction without user tokens, whose embedding is free")


@dataclass(frozen=True)
class Bound(Generic[WeightT, RowsT, ScoresT]):
    """A construction in the arithmetic of a certificate: all layers but the readout, and the readout.

    Its ``source`` is the transformer that the construction gave before it was bound.
    """

    arithmetic: EnclosingArithmetic[WeightT, RowsT, ScoresT]
    model: Model[WeightT, RowsT, ScoresT, NumberSystem[WeightT, RowsT, ScoresT]]
    readout: Linear[WeightT]
    bias: WeightT
    source: Transformer[Any]
    any_embedding: Fraction | None = None


def bind_for_certificate(
    construction: Construction, arithmetic: EnclosingArithmetic[WeightT, RowsT, ScoresT]
) -> Bound[WeightT, RowsT, ScoresT]:
    """Return the model without its readout, and the readout; its negative where the answer is the smallest logit.

    Rounding to nearest and cutting off are the same for a number and its negative, so that a kernel computes of the
    negative readout the negative logits, bit for bit.
    """
    source = construction.transformer
    model = bind_construction(construction, arithmetic, transformer=source)
    readout, exact = model.transformer.readout, source.lowered.readout
    if construction.reading.sign < 0:
        readout = readout.changed(weight=arithmetic.weight(exact.weight.negative()))
    bias = lower(sp.ZeroMatrix(exact.weight.shape[0], 1), {}) if exact.bias is None else exact.bias  # 0 changes no sum
    held = arithmetic.weight(bias.negative() if construction.reading.sign < 0 else bias)
    return Bound(arithmetic, model.without_readout(), readout, held, source)


def readout_input(bound: Bound[WeightT, RowsT, ScoresT], batch: Cells, *, trace: Trace | None = None) -> RowsT:
    """Return bounds of the readout's input at the last position.

    Args:
        bound: the construction.
        batch: cells of one step.
        trace: records every intermediate.

    Raises:
        CellsError: as of :func:`~verify.certificates.passes.last_row`.

    """
    arithmetic = bound.arithmetic
    arithmetic.begin()
    rows = arithmetic.prompt_between(batch.low, batch.high)
    count = batch.low.shape[1] + batch.user_low.shape[1]

    def embedded(low: np.ndarray[Any, Any], high: np.ndarray[Any, Any]) -> RowsT:
        if bound.any_embedding is None:
            return arithmetic.embed_between(bound.model.embedding, low, high)
        largest = bound.any_embedding
        numerators = np.full((1, low.shape[1], batch.low.shape[2]), largest.numerator)
        ends = (Ratios(-numerators, largest.denominator), Ratios(numerators, largest.denominator))
        return arithmetic.reals_between(*ends)

    if batch.user_low.shape[1]:
        rows = arithmetic.below(rows, embedded(batch.user_low, batch.user_high))
    fed = batch.fed_low.shape[1], lambda chosen: embedded(batch.fed_low[:, chosen], batch.fed_high[:, chosen])
    return last_row(bound.model, rows, count, fed, trace=trace)


class Ways:
    """Margins of batches, in arithmetics that keep more and more relations between coordinates.

    Bounds of each coordinate come first, and whatever takes longer where they decide nothing. Factors of norms, which
    such bounds forget, come first in the batches after one that they decide.
    """

    def __init__(self, bound: Bound[Any, Any, Any], points: int) -> None:
        """Start from bounds of each coordinate."""
        self._bound, self._points, self._factors_first = bound, points, False
        self._normed = any(layer.rescales for layer in bound.model.transformer.leaves)

    def _in(self, arithmetic: EnclosingArithmetic[Any, Any, Any] | None) -> Bound[Any, Any, Any] | None:
        if arithmetic is None:
            return None
        bound = self._bound
        model = Model(arithmetic, bound.model.transformer, bound.model.mask, bound.model.temperature)
        return Bound(arithmetic, model, bound.readout, bound.bias, bound.source, bound.any_embedding)

    @cached_property
    def _by_factors(self) -> Bound[Any, Any, Any] | None:
        """The construction in the arithmetic of factors: one for all batches, as it keeps what they share."""
        return self._in(factored(self._bound.arithmetic))

    def _bounds(self) -> Iterator[tuple[bool, Bound[Any, Any, Any] | None]]:
        """Yield the construction in one arithmetic after the other, each made when it is asked for."""
        first = self._factors_first
        if first:
            yield True, self._by_factors
        yield False, self._bound
        if self._normed and not first:
            yield True, self._by_factors
        yield False, self._in(relational(self._bound.arithmetic))

    def margins(self, batch: Cells) -> Margins:
        """Return lower bounds of the margins; whichever arithmetic they come from holds by itself."""
        lower = np.full(len(batch.expected), np.nan)
        for by_factors, bound in self._bounds():
            if bound is None:
                continue
            lower = np.fmax(lower, _margins(bound, batch, self._points).lower)  # the other one for NaN
            if Margins(lower).certain.all():
                self._factors_first = by_factors
                break
        return Margins(lower)


def _margins(bound: Bound[Any, Any, Any], batch: Cells, points: int) -> Margins:
    rows, readout = readout_input(bound, batch), bound.readout
    if bound.arithmetic.undefined:
        return Margins(np.full(len(batch.expected), -np.inf))
    return bound.arithmetic.margins(rows, readout.weight, bound.bias, batch.expected, points=points)
