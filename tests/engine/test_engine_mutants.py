"""The mutation corpus through the engine: what the dense path rejects, it rejects, and what is harmless it accepts."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from constructions import InvalidArgument
from tests.engine.compilers import Free
from tests.mutation.corpus import FAMILIES, SUBJECTS, Mutant, drawn_mutants, mutants
from tests.mutation.methods import METHODS
from tests.mutation.semantics import SEMANTIC_METHODS, semantic_mutants
from tests.mutation.test_mutants import STRIDE
from tests.mutation.wrong_arithmetic import Delegating
from tests.shares import few_or_all
from verify import EngineArithmetic, exhaust
from verify.engine import ranks
from verify.engine.blocks import Blocks
from verify.engine.ranks import EngineRanks

DENSE = METHODS["exhaust, torch float32"]
_, DENSE_CLAIMS = SEMANTIC_METHODS["exhaust, structured float32"]

#: Faults of operations that an enumeration at once does not have: it embeds the promised tokens itself, reads margins
#: and not the largest logit, and keeps nothing between steps. They are faults of the batches, and caught there.
NOT_THERE = ("argmax", "embed", "prompt", "below")


def survivors(chosen: Iterable[Mutant]) -> list[str]:
    """Return the mutants that the engine calls otherwise than the dense path must."""
    wrong = []
    for mutant in chosen:
        try:
            holds: Any = exhaust(mutant.construction, EngineArithmetic("float32")).holds
        except InvalidArgument:
            holds = False
        if (DENSE.claims(mutant) and holds is not False) or (DENSE.accepts(mutant) and holds is not True):
            wrong.append(f"{mutant.id}: {holds}")
    return wrong


def test_one_mutant_in_so_many() -> None:
    chosen = [mutant for family in ("entries", "symbolic weights") for mutant in mutants("theorem-1", family)][::STRIDE]
    assert survivors(chosen) == []
    assert sum(DENSE.claims(mutant) for mutant in chosen) > 0


@few_or_all(16)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_mutant(subject: str, family: str, count: int | None) -> None:
    assert survivors(drawn_mutants(subject, family, count)) == []


@pytest.mark.skipif(shutil.which("cc") is None, reason="they are compiled by a C compiler")
@pytest.mark.parametrize(
    "stride", [23, pytest.param(3, marks=pytest.mark.heavy), pytest.param(1, marks=pytest.mark.long)]
)
def test_mutants_through_kernels_in_c(stride: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled before the first case, however little there is to gain."""
    made, margins = list[Any](), EngineRanks._margins

    def compiled(self: Any, prefix: int) -> Any:
        if not self._tried:
            self._decide(prefix)
            made.append(self)
        return margins(self, prefix)

    whole = Blocks.of
    monkeypatch.setattr(Blocks, "of", lambda *given: replace(whole(*given), digits=1))  # else no case has a prefix
    monkeypatch.setattr(EngineRanks, "_margins", compiled)
    monkeypatch.setattr(ranks, "Compiler", lambda: Free(tmp_path))
    chosen = [mutant for family in ("entries", "symbolic weights") for mutant in mutants("theorem-1", family)][::stride]
    assert survivors(chosen) == []
    assert sum(DENSE.claims(mutant) for mutant in chosen) > 0
    assert len(made) > len(chosen) // 2  # others are refused before anything runs
    in_c = [each for each in made if each.kernel is not None and each.compiler.by == "a C compiler"]
    assert len(in_c) > len(made) // 2  # torch has the others


def _at_once(self: Any, construction: Any, model: Any, alone: Any) -> Any:
    """Run ranks at once in the faulty arithmetic, whose model has its operations."""
    made = EngineRanks(construction, model)
    self.base._run.made.append(made)
    return made


def _faults(count: int | None, stride: int) -> list[str]:
    wrong = []
    for mutant in islice(semantic_mutants(), 0, count, stride):
        engine = EngineArithmetic("float32")
        faulty = mutant.wrap(engine)
        if not DENSE_CLAIMS(mutant) or "last" in vars(type(faulty)):  # that fault is written for other rows
            continue
        if isinstance(faulty, Delegating) and not set(vars(type(faulty))).intersection(NOT_THERE):
            vars_of: Any = type(faulty)
            vars_of.at_once = _at_once
            for name in ("dtype", "torch_dtype", "at", "fmt"):
                setattr(faulty, name, getattr(engine, name))
        try:
            holds: Any = exhaust(mutant.construction, faulty).holds
        except InvalidArgument:
            holds = False
        # A fault changes margins, by more than the bounds of any kernel, of cases that are right all the same: of every
        # one if it is harmless, of those before the first wrong one if not. A drawn case of these differs from the
        # dense arithmetic, which does not have the fault. It ends the run, and is right alone: not shown.
        differs = holds is None and " off, such as: " in engine.assumptions()
        if not (holds is mutant.harmless or differs):
            wrong.append(f"{mutant.id}: {holds}")
    return wrong


def test_some_faults_of_the_forward_pass() -> None:
    assert _faults(None, 61) == []


@pytest.mark.heavy
def test_every_fault_of_the_forward_pass() -> None:
    assert _faults(None, 1) == []
