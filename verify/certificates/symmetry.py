"""One user input that stands for all: ``V`` cells of a construction that answers any map of the user's token.

A permutation ``p`` of the tokens turns a map ``m`` and a user token ``x`` into the map ``m'`` with ``m'[p(y)] = m[y]``
and the token ``p(x)``. Where every weight commutes with ``p``, the prompt holds the entries of the map and the answer
is ``m[x]``, a pass of the one is a pass of the other: its rows are permuted, its sums are taken in another order, and
its logits are the same, as is the token that is promised. A bound of sums in any order holds of both. With ``p`` a swap
of ``x`` and the first token, bounds of the first token's cells hold of all; ``docs/mathematics/sharing.md`` proves it.

All of this is checked: weights exactly, as they are written (:mod:`constructions.layers.permuted`), and the code of
``encode`` and ``answer`` on targets of which nothing is known (:mod:`verify.certificates.handed_on`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from constructions.construction import Construction, Layout
from constructions.layers.permuted import TokenCoordinates
from constructions.ratios import Ratios
from constructions.targets import TargetSpace
from constructions.transformer import ExactTransformer, Transformer
from verify.certificates.cells import LAYER_NUMBERS
from verify.certificates.enclosing import Margins
from verify.certificates.found import Found
from verify.certificates.handed_on import UnlikeError, check_handed_on
from verify.certificates.shared_cells import SharedCells, SharedPlace
from verify.certificates.sharing import margins_of
from verify.certificates.sheets import UnsharedError
from verify.evidence.enumeration import Progress

if TYPE_CHECKING:
    from verify.certificates.all_targets import Bound

#: The user token whose cells are looked at.
REPRESENTATIVE = 0
#: Of the members that are drawn: the same verdict on every machine.
_SEED = 0
_BY = (
    "one user input stands for all, as every weight, encode and answer were shown to commute with permutations of the"
    " tokens; "
)


def tally_symmetric(
    bound: Bound[Any, Any, Any], construction: Construction, progress: Progress, *, budget: int, points: int
) -> Found | None:
    """Return the findings of one user input that stands for all, where the cells of all are more than the budget.

    ``None`` where the budget is enough for all cells or too small for those of one input, where one input is not shown
    to stand for all, and where only some user inputs are allowed, whose cells may be few.

    Args:
        bound: the construction in the arithmetic of a certificate.
        construction: the construction.
        progress: called with response steps done and in all.
        budget: the most cells to look at.
        points: the most floats of a box to try one by one.

    """
    vocab, users = construction.vocab_size, construction.user_inputs
    if not users.is_all_of(vocab) or not vocab <= budget < vocab * users.size:
        return None
    found = Found(by=_BY)
    try:
        for cells, margins in symmetric_margins(bound, construction, points=points):
            found.members = cells.members
            found.add(margins, cells.expected, np.repeat(cells.users, len(cells.expected), axis=0), 0)
            if found.reason is not None:
                found.reason += ", which stands for all"
                break
            progress(0, construction.layout.response)
    except (UnlikeError, UnsharedError):
        return None
    return found


def symmetric_margins(
    bound: Bound[Any, Any, Any], construction: Construction, *, points: int
) -> Iterator[tuple[SharedCells, Margins]]:
    """Yield the cells of one user input, which stands for all, with lower bounds of their margins.

    Args:
        bound: the construction in the arithmetic of a certificate.
        construction: the construction.
        points: the most floats of a box to try one by one.

    Raises:
        UnlikeError: it is not shown that this input stands for all.
        UnsharedError: there is no rule for a pass that its cells share.

    """
    if not bound.arithmetic.any_order:
        raise UnlikeError("sums in a known order, which permuted terms do not keep")
    check_form(construction)
    assert bound.source is not None, "it was bound here"
    check_weights(bound.source.lowered)  # those that were bound, whatever the construction gives when asked again
    denominator, members = check_handed_on(construction, np.random.default_rng(_SEED))
    yield from margins_of(bound, construction, _cells(construction, denominator, members), points=points)


def check_form(construction: Construction) -> None:
    """Refuse a construction of another form than one map of the user's token, read as the largest or smallest logit.

    Raises:
        UnlikeError: it has another form.

    """
    vocab = construction.vocab_size
    if construction.layout != Layout(virtual=1, user=1, response=1):
        raise UnlikeError("not one virtual token, one user token and one response token")
    if construction.target_space != TargetSpace(vocab, (vocab,)):
        raise UnlikeError("targets that are not the maps of the tokens")
    if construction.output_vocab_size != vocab or construction.reading.sign == 0:
        raise UnlikeError("an answer that is not the token of the largest or the smallest logit")


def check_weights(transformer: ExactTransformer) -> None:
    """Refuse weights that do not commute with every permutation of the tokens, or layers of which that is not known.

    The embedding has a coordinate for each token. The logits must stay where they are.

    Raises:
        UnlikeError: there are some.

    """
    if type(transformer) is not Transformer or transformer.authored or not transformer.is_plain:
        raise UnlikeError("another architecture than that of the paper")
    tokens = transformer.vocab_size
    embedded = TokenCoordinates(transformer.embedding_size, tokens, (0,))
    if transformer.embedding_size != tokens or not embedded.commutes(
        transformer.embedding, TokenCoordinates(tokens, tokens, (0,))
    ):
        raise UnlikeError("an embedding that does not commute with every permutation of the tokens")
    # one-hot codes of the positions are under the embedding
    rows: TokenCoordinates | None = TokenCoordinates(tokens + transformer.context_size, tokens, (0,))
    for layer in transformer.layers:
        assert rows is not None
        rows = layer.permuted(rows)
        if rows is None:
            raise UnlikeError(f"layer {layer.name} is not shown to commute with every permutation of the tokens")
    if rows is None or rows.starts:
        raise UnlikeError("logits that are permuted as the tokens are")


def _cells(construction: Construction, denominator: int, members: int) -> Iterator[SharedCells]:
    """Yield the cells of the representative: its entry is each token in turn, every other one may be anything.

    The prompt holds the entries of the target, each in its own coordinate. The readout's input differs in all cells,
    which come in batches that hold no more of it than cells that do not share.
    """
    vocab = construction.vocab_size
    low = np.zeros((1, 1, vocab), dtype=np.int64)
    one = np.full((1, 1), REPRESENTATIVE)
    step = max(1, LAYER_NUMBERS // construction.transformer.lowered.readout.weight.shape[1])
    for start in range(0, vocab, step):
        values = np.arange(start, min(vocab, start + step))
        yield SharedCells(
            low=Ratios(low, denominator),
            high=Ratios(low + (vocab - 1), denominator),
            users=one,
            fed_low=np.zeros((1, 1), dtype=np.int64),
            fed_high=np.full((1, 1), vocab - 1),
            places=(SharedPlace(0, 0, np.array([REPRESENTATIVE]), values[:, None], values),),
            members=members,
        )
