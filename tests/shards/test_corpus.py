"""Wrong constructions of the corpus, in shards that come back in any order: the first failure of one process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from constructions.validation import InvalidArgument
from tests.mutation.corpus import FAMILIES, SUBJECTS, drawn_mutants
from tests.shards.test_driver import Shuffled
from tests.shares import few_or_all
from verify import RationalArithmetic, Verdict, exhaust, shards
from verify.arithmetic.tensors import TorchArithmetic


def _said(run: Callable[[], Verdict]) -> Verdict | str:
    """Return the verdict, or the refusal."""
    try:
        return replace(run(), seconds=0.0)
    except InvalidArgument as error:
        return str(error)


@few_or_all(8)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("subject", SUBJECTS)
def test_finds_what_one_process_finds(
    subject: str, family: str, count: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # batches of a few cases: these spaces would be one shard each
    for module in ("verify.evidence.enumeration", "verify.shards.works.enumerating"):
        monkeypatch.setattr(f"{module}.cases_at_once", lambda specification, backend: 5)
    looked_at = 0
    for number, mutant in enumerate(drawn_mutants(subject, family, count)):
        for arithmetic in (RationalArithmetic(), TorchArithmetic("float32")):
            alone = _said(partial(exhaust, mutant.construction, arithmetic))
            split = partial(shards.exhaust, mutant.construction, arithmetic, executor=Shuffled(number))
            assert _said(split) == alone, mutant.id
            looked_at += not isinstance(alone, str)
    assert looked_at
