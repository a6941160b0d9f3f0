"""The entries of a target that prompts and answers depend on, known for all targets at once.

A construction's own ``encode`` and ``answer`` are run on tokens known only by their bounds, as a certificate runs them:
each number comes with the entries of the target that it may depend on. A number that depends on the last entries alone
need be asked for once for each of their values, and is then known for every prefix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from constructions.construction import Construction
from verify.certificates.code_on_bounds import CellsError, Enclosure, Members, Targets, answer, encode
from verify.running.batches import spaces
from verify.running.cases import BATCH_BYTES

#: Entries of a target are told apart by the bits of an int64.
_MOST_ENTRIES = 62


@dataclass(frozen=True, eq=False)
class Dependence:
    """The entries of a target, as bits, that each number depends on; the first entry is the lowest bit.

    Attributes:
        prompt: of the virtual tokens, virtual x embedding size.
        answers: of the response, one for each step; with any user input.

    """

    prompt: np.ndarray[Any, Any]
    answers: np.ndarray[Any, Any]


def dependence(construction: Construction) -> Dependence | None:
    """Return what prompts and answers depend on; ``None`` where their code cannot be run on bounds.

    Members of the space are run as well, as they are for a certificate, to find code that is no pure function, or that
    tells bounds from numbers.
    """
    targets, users = spaces(construction)
    width = max(1, targets.digits, construction.layout.user, construction.transformer.lowered.embedding_size)
    if targets.digits > _MOST_ENTRIES or users.size * width > BATCH_BYTES // 8:
        return None
    inputs = users.unrank_range(0, users.size)
    shape = (users.size, *targets.shape)
    bits = (1 << np.arange(targets.digits, dtype=np.int64)).reshape(targets.shape)
    cells = Targets(
        np.zeros(shape, dtype=np.int64),
        np.full(shape, targets.vocab_size - 1, dtype=np.int64),
        np.broadcast_to(bits, shape).copy(),
    )
    try:
        prompts, answers = encode(construction, cells), answer(construction, cells, inputs)
        Members(construction, np.random.default_rng(0)).check(cells, prompts, (inputs, answers))
    except CellsError:
        return None
    return Dependence(_united(prompts[0]), _united(answers))


def _united(found: Enclosure) -> np.ndarray[Any, Any]:
    return np.asarray(np.bitwise_or.reduce(np.asarray(found.entries, dtype=np.int64), axis=0))
