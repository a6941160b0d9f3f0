"""Cells that share: the same margins as cells by themselves, every target held, and nothing shared that differs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pytest

from constructions import (
    Attention,
    ConditionalGeneration,
    Construction,
    DigitGeneration,
    Head,
    Linear,
    LongerResponses,
    Transformer,
    UnconditionalGeneration,
)
from constructions.decoding import Number
from tests.certificates.own import Given, nearest, read_first, rounded, shared_margins
from tests.mutation import certifier_shared as oracles
from tests.mutation import certifier_shared_liars as liars
from verify import NumpyArithmetic, Runner, check
from verify.certificates import all_targets, certificate_arithmetic, certify, shared_cells, sharing
from verify.certificates.cells import cells
from verify.certificates.sharing import parts_that_share, tally_part
from verify.certificates.sheets import UnsharedError


@pytest.mark.share(3)
@pytest.mark.parametrize(
    "oracle",
    [
        oracles.agreeing("float32"),
        oracles.covering,
        liars.refused,
        oracles.unshared,
        oracles.few_terms,
        oracles.balls,
        oracles.of_few(oracles.places_of_few),
    ],
)
def test_cells_that_share_are_those_by_themselves(oracle: Any) -> None:
    assert oracle() == []


def test_only_what_the_readout_reads_must_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Theorem 2's readout reads one number for each cell, however wide the layers before; that of bands reads many."""
    two, bands = ConditionalGeneration(70), UnconditionalGeneration(300, 16, encoding="integer", readout="banded")
    reads = [each.transformer.lowered.readout.weight.shape[1] for each in (two, bands)]
    assert reads[0] == 1 < reads[1]
    for construction, columns in zip((two, bands), reads, strict=True):
        bound = all_targets.bind_for_certificate(construction, rounded("float32").for_cells())
        for most, shares in ((construction.vocab_size * columns, True), (construction.vocab_size * columns - 1, False)):
            monkeypatch.setattr(sharing, "LAYER_NUMBERS", most)
            found = shared_margins(bound, construction, budget=10**6, points=4)
            with np.errstate(all="ignore"):
                if shares:
                    next(found)
                    continue
            with pytest.raises(UnsharedError, match="too large to hold at once"):
                next(found)


SHARED: list[Construction] = [
    UnconditionalGeneration(24, 16),
    UnconditionalGeneration(31, 20, encoding="integer", lift="mask", readout="banded"),
    ConditionalGeneration(24),
    LongerResponses(12, 3),
    DigitGeneration(40, 12, digits=2),
]


def test_the_model_is_looked_at_once_for_all_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "_NUMBERS", 1)  # a pass for each user input
    asked: list[None] = []
    check = sharing._check_steps
    monkeypatch.setattr(sharing, "_check_steps", lambda *given: asked.append(check(*given)))
    assert certify(ConditionalGeneration(24), rounded()).holds
    assert certify(ConditionalGeneration(24), rounded(), budget=100).holds  # one user input stands for all
    assert len(asked) == 2


@pytest.mark.share(2)
@pytest.mark.parametrize("construction", SHARED, ids=repr)
def test_no_run_has_a_smaller_margin(construction: Construction) -> None:
    bound = all_targets.bind_for_certificate(construction, rounded().for_cells())
    with np.errstate(all="ignore"):
        parts = parts_that_share(bound, construction, budget=2**20)
        (margin,) = [tally_part(bound, part, points=64) for part in parts]
    assert margin is not None
    assert sum(part.count for part in parts) >= construction.vocab_size * construction.layout.response
    targets, users = construction.targets.sample(64, seed=2), construction.user_inputs.sample(64, seed=3)
    outcome = Runner(construction, NumpyArithmetic("float32")).run(targets, users)
    assert float(np.min(outcome.margins)) >= margin


def test_a_fed_token_that_spoils_the_next_is_not_left_out() -> None:
    size = 64
    own = [[0] * size + [1, 0], [0] * size + [0, 1]]
    attention = Attention((Head("self", own, own, [[1] + [0] * (size + 1)]),))
    # over all targets 2 t - t is from -63 to 126: as ends of a slice, these leave out the column of 0
    twice = lambda t, _: np.concatenate([t[:, :1] * 2 - t[:, :1], t[:, :1] * 0], axis=1)  # noqa: E731 # one line
    embedding = [[1] + [0] * (size - 1)] + [[0] * size] * (size - 1)
    spoiled = Given(size, size, embedding, (attention, nearest(size)), steps=2, promise=twice)
    assert check(spoiled, target=[0] * size, arithmetic=NumpyArithmetic("float32")).holds is False
    assert certify(spoiled, certificate_arithmetic("rounded")).holds is None


@pytest.mark.parametrize("ends", [(-1, 2), (0, 3)])
def test_tokens_outside_a_table_have_no_embedding(ends: tuple[int, int]) -> None:
    table = rounded().weight(UnconditionalGeneration(3, 2).transformer.lowered.embedding)
    with pytest.raises(IndexError, match=f"tokens from {ends[0]} to {ends[1]} where there are 3 columns"):
        rounded().embed_between(table, np.array([[ends[0]]]), np.array([[ends[1]]]))


@dataclass(frozen=True, repr=False)
class _Read(Given):
    """A construction whose answer is its one logit, read as a number."""

    output_vocab_size = 1
    decoding = Number("1/10")

    @cached_property
    def transformer(self) -> Transformer:
        return Transformer(self.embedding, self.layers, self.layout.context_size, output_vocab_size=1)


def test_a_number_that_is_read_is_never_certified(monkeypatch: pytest.MonkeyPatch) -> None:
    # promised to be 0, and is the first entry: with a single logit there is no other token to beat
    monkeypatch.setattr(shared_cells, "SHARED_FROM", 0)
    readout = Linear([[1]], [[0]], activation=None, name="readout")
    read = _Read(5, 1, [[0] * 5], (read_first(1, 1), readout), promise=lambda t, _: t * 0)
    assert check(read, target=[3], arithmetic=NumpyArithmetic("float32")).holds is False
    verdict = certify(read, certificate_arithmetic("rounded"))
    assert verdict.holds is None
    assert verdict.reason is not None
    assert "margins of a number" in verdict.reason


@pytest.mark.parametrize("target", liars.at_ends(), ids=str)
def test_members_are_at_the_ends_of_all_cells(target: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_cells, "SHARED_FROM", 0)
    honest, lying = (liars.of_twelve(lies) for lies in ((), (target,)))
    assert certify(honest, certificate_arithmetic("rounded")).holds
    verdict = certify(lying, certificate_arithmetic("rounded"))
    assert verdict.holds is None
    assert verdict.reason == "encode gives a target numbers outside the bounds of the set that holds it"


@pytest.mark.parametrize("name", liars.by_length())
def test_a_layer_that_depends_on_the_length_shares_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_cells, "SHARED_FROM", 0)
    wrong = liars.by_length()[name]
    assert check(wrong, target=[0], arithmetic=NumpyArithmetic("float32")).holds is False
    assert certify(wrong, certificate_arithmetic("rounded")).holds is None


def test_sharing_starts_where_cells_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    construction = UnconditionalGeneration(16, 16)  # 16 steps of 16 cells of 16 entries
    count = sum(len(batch.expected) for batch in cells(construction, budget=10_000)) * 16
    assert count == shared_cells.SHARED_FROM
    assert len(shared_cells.shared_parts(construction, budget=10_000, numbers=2**12)) == 1
    monkeypatch.setattr(shared_cells, "SHARED_FROM", count + 1)
    with pytest.raises(UnsharedError, match="few cells"):
        shared_cells.shared_parts(construction, budget=10_000, numbers=2**12)


def test_many_user_inputs_are_bounded_in_several_passes() -> None:
    construction = ConditionalGeneration(20)
    bound = all_targets.bind_for_certificate(construction, rounded().for_cells())
    with np.errstate(all="ignore"):
        whole = [margins.lower for _, margins in shared_margins(bound, construction, budget=2**20, points=64)]
    parts = [part.cells() for part in shared_cells.shared_parts(construction, budget=2**20, numbers=100)]
    assert len(whole) == 1
    assert [len(part.users) for part in parts] == [3] * 6 + [2]
    assert sorted(user for part in parts for (user,) in part.users.tolist()) == list(range(20))


def test_the_verdict_is_that_of_cells_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    construction = UnconditionalGeneration(24, 16)
    shared = certify(construction, certificate_arithmetic("rounded"))
    monkeypatch.setattr(shared_cells, "SHARED_FROM", 2**60)
    alone = certify(construction, certificate_arithmetic("rounded"))
    assert (shared.holds, shared.margin, shared.cases, shared.space) == (True, alone.margin, alone.cases, alone.space)
    assert shared.reason != alone.reason  # which says how many members were looked at


def test_more_cells_than_the_budget_are_refused() -> None:
    reversed_order = certificate_arithmetic("rounded", products="reversed")  # in which no input stands for another
    verdict = certify(ConditionalGeneration(20), reversed_order, budget=399)
    assert verdict.holds is None
    assert verdict.reason is not None
    assert "budget of 399" in verdict.reason
