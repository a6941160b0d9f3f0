"""One user input stands for all only where weights and kernels treat all tokens alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pytest

from constructions import (
    Attention,
    ConditionalGeneration,
    Construction,
    Head,
    Linear,
    LongerInputs,
    LongerResponses,
    TargetSpace,
    Transformer,
    UnconditionalGeneration,
)
from constructions.decoding import Argmin, Decoding, Number
from constructions.domain import Domain
from constructions.entries import Entries
from constructions.exact_matrix import ExactMatrix, Leaf
from constructions.layers.masks import Table
from tests.certificates.own import FromTheEnd
from tests.redteam.one_for_all import TOKEN, V, believed
from verify.certificates import BallArithmetic, certificate_arithmetic, certify
from verify.certificates.handed_on import UnlikeError
from verify.certificates.symmetry import check_form, check_weights

_TINY = Fraction(1, 10**30)


# weights -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Changed(ConditionalGeneration):  # type: ignore[misc] # final to a type checker, as claims are about it alone
    """Theorem 2 with a number added to one entry of one weight."""

    weight: str = ""
    at: tuple[int, int] = (0, 0)
    by: Fraction = Fraction(0)

    @cached_property
    def transformer(self) -> Transformer:
        found = ConditionalGeneration(self.vocab_size, lift=self.lift, readout=self.readout).transformer.lowered

        def change(place: Any, matrix: ExactMatrix) -> ExactMatrix:
            return _changed(matrix, self.at, self.by) if place.name == self.weight else matrix

        made = found.map(change)
        object.__setattr__(made, "context_size", found.context_size)
        return made


def _changed(matrix: ExactMatrix, at: tuple[int, int], by: Fraction) -> ExactMatrix:
    """Return a matrix with a number added to one entry, in the blocks that it was written in."""
    dense = matrix.to_fractions()
    dense[at[0]][at[1]] += by
    downs, acrosses = (np.cumsum([0, *sizes]).tolist() for sizes in (matrix.row_sizes, matrix.column_sizes))
    leaves = {}
    for row, (top, below) in enumerate(pairwise(downs)):
        for column, (left, right) in enumerate(pairwise(acrosses)):
            block = [line[left:right] for line in dense[top:below]]
            entries = [(i, j, each) for i, line in enumerate(block) for j, each in enumerate(line) if each]
            if entries:
                leaves[row, column] = Leaf("entries", nonzero=Entries.of(entries))
    return ExactMatrix(matrix.row_sizes, matrix.column_sizes, leaves)


#: Entries of which a change is one to a token alone.
ENTRIES = (
    ("embedding", (TOKEN, TOKEN)),
    ("embedding", (TOKEN, 2)),
    ("attention.self.query", (0, TOKEN)),
    ("attention.self.key", (1, TOKEN)),
    ("attention.first.query", (0, TOKEN)),
    ("attention.first.key", (0, TOKEN)),
    ("attention.self.value", (TOKEN, TOKEN)),
    ("attention.self.value", (TOKEN, 0)),
    ("attention.first.value", (TOKEN, V)),
    ("select.weight", (TOKEN, TOKEN)),
    ("select.weight", (TOKEN, TOKEN + 1)),
    ("select.bias", (TOKEN, 0)),
    ("sum.weight", (0, TOKEN)),
)


@pytest.mark.parametrize("by", [Fraction(1, 2**23), -_TINY], ids=["an ulp", "a tiny number"])
@pytest.mark.parametrize(("weight", "at"), ENTRIES)
@pytest.mark.parametrize("lift", ["add", "mask"])
def test_a_weight_of_one_token_that_differs_is_never_overlooked(
    weight: str, at: tuple[int, int], by: Fraction, lift: Any
) -> None:
    assert not believed(Changed(V, lift=lift, weight=weight, at=at, by=by))


@pytest.mark.parametrize(
    ("weight", "at"),
    [
        ("attention.self.query", (0, V)),
        ("attention.first.key", (0, V + 1)),
        ("sum.bias", (0, 0)),
        ("readout.weight", (TOKEN, 0)),
        ("readout.bias", (TOKEN, 0)),
    ],
)
def test_weights_that_no_permutation_moves_may_be_any(weight: str, at: tuple[int, int]) -> None:
    assert believed(Changed(V, weight=weight, at=at, by=_TINY))
    assert believed(Changed(V, readout="hat", weight="readout.bias", at=(TOKEN, 0), by=_TINY))


def test_what_is_wrong_for_other_inputs_alone_is_not_certified() -> None:
    """The cells of the first token are all right."""
    wrong = Changed(V, weight="select.bias", at=(TOKEN, 0), by=Fraction(-1))
    verdict = certify(wrong, certificate_arithmetic("rounded", "float64"), budget=V * V - 1)
    assert verdict.holds is None
    assert f"budget of {V * V - 1}" in str(verdict.reason)


@pytest.mark.parametrize("budget", [V * V - 1, V * V], ids=["one input", "all inputs"])
@pytest.mark.parametrize("honest", range(8))
def test_weights_that_are_right_when_they_are_asked_for_once_are_not_certified(honest: int, budget: int) -> None:
    """The weights that are shown to commute are those that were bound, and every cell of the first token is right."""
    wrong = Changed(V, weight="select.bias", at=(TOKEN, 0), by=Fraction(-1)).transformer
    verdict = certify(Fickle(V, wrong=wrong, honest=honest), certificate_arithmetic("rounded"), budget=budget)
    assert verdict.holds is None


@dataclass(frozen=True, repr=False)
class Fickle(ConditionalGeneration):  # type: ignore[misc] # as above
    """Theorem 2 whose weights are right once, and wrong whenever else they are asked for."""

    wrong: Any = None
    honest: int = 0
    asked: list[int] = field(default_factory=list)

    @property
    def transformer(self) -> Transformer:
        self.asked.append(0)
        wrong: Transformer = self.wrong
        return ConditionalGeneration(V).transformer if len(self.asked) == self.honest + 1 else wrong


def test_logits_that_a_permutation_moves_are_no_answer() -> None:
    """Logits that are the prompt itself commute with every permutation, and so does a wrong answer."""
    assert not believed(Permuted(V))


@dataclass(frozen=True, repr=False)
class Permuted(ConditionalGeneration):  # type: ignore[misc] # as above
    """Theorem 2 that gives what it selects as logits."""

    @cached_property
    def transformer(self) -> Transformer:
        found = super().transformer
        last = Linear(np.eye(V, dtype=int), np.zeros((V, 1), dtype=int), activation=None, name="readout")
        return Transformer(found.embedding, (*found.layers[:2], last), 2, found.bindings)


# other architectures -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Rebuilt(ConditionalGeneration):  # type: ignore[misc] # as above
    """Theorem 2 with some parts of another kind."""

    kind: str = ""

    @cached_property
    def transformer(self) -> Transformer:
        found = super().transformer
        attention, select, *rest = found.layers
        assert isinstance(attention, Attention)
        assert isinstance(select, Linear)
        changed: dict[str, Any] = {"embedding": found.embedding, "layers": found.layers, "positions": found.positions}
        if self.kind == "positions":
            changed["positions"] = FromTheEnd()
        elif self.kind == "mask":
            masked = attention.changed(mask=Table(((True, False), (True, True))))
            changed["layers"] = (masked, select, *rest)
        elif self.kind == "layer":
            changed["layers"] = (attention, _Foreign(select.weight, select.bias, name="select"), *rest)
        elif self.kind == "head":
            heads = tuple(_ForeignHead(head.name, head.query, head.key, head.value) for head in attention.heads)
            changed["layers"] = (Attention(heads), select, *rest)
        elif self.kind == "a head of one token":
            value = np.zeros((V, V + 2), dtype=int)
            value[TOKEN, V] = 1
            more = Head("more", np.zeros((1, V + 2), dtype=int), np.zeros((1, V + 2), dtype=int), value)
            changed["layers"] = (Attention((*attention.heads, more)), select, *rest)
        return (_ForeignTransformer if self.kind == "transformer" else Transformer)(
            changed["embedding"], changed["layers"], 2, found.bindings, changed["positions"]
        )


class _Foreign(Linear[Any]):
    """A layer of another author, which claims to be plain."""

    is_plain = True  # a claim


class _ForeignHead(Head[Any]):
    is_plain = True  # a claim


class _ForeignTransformer(Transformer[Any]):
    is_plain = True  # a claim
    authored: ClassVar[Any] = ()


#: Parts of another kind.
KINDS = ("positions", "mask", "layer", "head", "transformer", "a head of one token")


@pytest.mark.parametrize("kind", KINDS)
def test_parts_of_another_kind_are_not_believed(kind: str) -> None:
    assert believed(Rebuilt(V))
    assert not believed(Rebuilt(V, kind=kind))
    with pytest.raises(UnlikeError):
        check_weights(Rebuilt(V, kind=kind).transformer.lowered)


@dataclass(frozen=True, repr=False)
class Few(ConditionalGeneration):  # type: ignore[misc] # as above
    """Theorem 2 at some user inputs."""

    allowed: Any = None

    @property
    def domain(self) -> Domain | None:
        return self.allowed  # type: ignore[no-any-return] # given so


@pytest.mark.parametrize(
    "allowed", [Domain((range(2),)), Domain((range(V),), lambda x: x[:, 0] != 3)], ids=["two", "all but one"]
)
def test_some_inputs_alone_are_looked_at_one_by_one(allowed: Domain) -> None:
    few = Few(V, allowed=allowed)
    cells = V * few.user_inputs.size
    verdicts = [certify(few, certificate_arithmetic("rounded"), budget=budget) for budget in (cells, cells - 1)]
    assert [verdict.holds for verdict in verdicts] == [True, None]
    assert "stands for all" not in str(verdicts[0].reason)


@dataclass(frozen=True, repr=False)
class Read(ConditionalGeneration):  # type: ignore[misc] # as above
    """Theorem 2 of which another thing is read."""

    how: Any = field(default_factory=Argmin)

    @property
    def decoding(self) -> Decoding:
        return self.how  # type: ignore[no-any-return] # given so


@dataclass(frozen=True, repr=False)
class Spaced(ConditionalGeneration):  # type: ignore[misc] # as above
    """Theorem 2 with other targets, or of more tokens that are written."""

    shape: tuple[int, int] = (V, V)
    written: int = V

    @property
    def targets(self) -> TargetSpace:
        return TargetSpace(self.shape[0], self.shape[1:])

    @property
    def output_vocab_size(self) -> int:
        return self.written


def test_an_answer_that_is_no_token_is_not_believed() -> None:
    assert believed(Read(V))  # the smallest logit, which is certified as the largest of the negative readout
    assert not believed(Read(V, how=Number(1)))
    assert not believed(LongerResponses(V, 2))


#: Constructions of another form, and what of it is refused.
FORMS: tuple[tuple[Construction, str], ...] = (
    (UnconditionalGeneration(V, V), "not one virtual token"),
    (LongerResponses(V, 2), "not one virtual token"),
    (LongerInputs(V, 2), "not one virtual token"),
    (Spaced(V, shape=(V, V - 1)), "targets"),
    (Spaced(V, shape=(V - 1, V)), "targets"),
    (Spaced(V, written=V - 1), "an answer"),
    (Read(V, how=Number(1)), "an answer"),
)


@pytest.mark.parametrize(("construction", "reason"), FORMS)
def test_other_forms_are_refused(construction: Construction, reason: str) -> None:
    with pytest.raises(UnlikeError, match=reason):
        check_form(construction)


# kernels -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"products": "reversed"}, {"products": "reversed", "tf32": True}])
def test_a_known_order_of_sums_is_not_kept_by_permutations(options: dict[str, Any]) -> None:
    assert not believed(ConditionalGeneration(V), certificate_arithmetic("rounded", **options))


def test_arithmetics_say_so_themselves() -> None:
    assert not believed(ConditionalGeneration(V), BallArithmetic())
