"""One user input stands for all only where that is so: whatever treats a token in its own way is never believed."""

from __future__ import annotations

from collections.abc import Callable
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
    Ratios,
    TargetSpace,
    Transformer,
    UnconditionalGeneration,
)
from constructions.bounded_runs import run_on_bounds
from constructions.decoding import Argmin, Decoding, Number
from constructions.domain import Domain
from constructions.entries import Entries
from constructions.exact_matrix import ExactMatrix, Leaf
from constructions.layers.masks import Table
from constructions.unknown_tokens import dependence, is_unknown, unknown_tokens
from tests.certificates.own import FromTheEnd
from verify.certificates import BallArithmetic, all_targets, certificate_arithmetic, certify, handed_on
from verify.certificates.handed_on import UnlikeError
from verify.certificates.symmetry import check_form, check_weights, symmetric_margins

V, TOKEN = 17, 5
_TINY = Fraction(1, 10**30)


def believed(construction: Construction, arithmetic: Any = None) -> bool:
    """Return whether one input is said to stand for all."""
    arithmetic = certificate_arithmetic("rounded", "float64") if arithmetic is None else arithmetic
    try:
        with arithmetic.bounding(), np.errstate(all="ignore"):
            bound = all_targets.bind_for_certificate(construction, arithmetic.for_cells())
            for _ in symmetric_margins(bound, construction, points=4):
                pass
    except UnlikeError:
        return "stands for all" in str(certify(construction, arithmetic, budget=V * V - 1).reason)
    return True


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


@pytest.mark.parametrize("honest", range(8))
def test_weights_that_commute_when_they_are_asked_for_once_are_not_certified(honest: int) -> None:
    """The weights that are shown to commute are those that were bound, and every cell of the first token is right."""
    wrong = Changed(V, weight="select.bias", at=(TOKEN, 0), by=Fraction(-1)).transformer
    verdict = certify(Fickle(V, wrong=wrong, honest=honest), certificate_arithmetic("rounded"), budget=V * V - 1)
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


@pytest.mark.parametrize("ends", [(0, 1), (1, 0)])
def test_what_one_bound_repeats_the_other_may_not(ends: tuple[int, int]) -> None:
    """Bounds that share memory along an axis are compared once there, unless the other bound changes along it."""
    parts = np.broadcast_to(np.int64(1), (3,)), np.array([[1, 1, 2], [1, 0, 1]][ends[0]])
    low, high = parts[ends[0]], parts[ends[1]]
    with run_on_bounds() as run:
        found = dependence(unknown_tokens(run, low, high, np.array([1, 2, 4])))
    assert found.tolist() == np.where(low == high, 0, [1, 2, 4]).tolist()


# kernels -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"products": "reversed"}, {"products": "reversed", "tf32": True}])
def test_a_known_order_of_sums_is_not_kept_by_permutations(options: dict[str, Any]) -> None:
    assert not believed(ConditionalGeneration(V), certificate_arithmetic("rounded", **options))


def test_arithmetics_say_so_themselves() -> None:
    assert not believed(ConditionalGeneration(V), BallArithmetic())


# encode and answer ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Coded(ConditionalGeneration):  # type: ignore[misc] # as above
    """Theorem 2 with code of another author."""

    encoding_code: Callable[[Any], Any] | None = None
    answer_code: Callable[[Any, Any], Any] | None = None

    def encode(self, targets: Any) -> Ratios:
        code = self.encoding_code
        if code is None:
            return super().encode(targets)
        found = code(targets)
        return found if isinstance(found, Ratios) else Ratios(found[:, None, :], V)

    def answer(self, targets: Any, user_inputs: Any) -> Any:
        honest = super().answer(targets, user_inputs)
        return honest if self.answer_code is None else self.answer_code(targets, user_inputs)


def _swapped(targets: Any) -> Any:
    order = np.arange(V)
    order[[TOKEN, TOKEN + 1]] = order[[TOKEN + 1, TOKEN]]
    return targets[:, order]


def _in_place(targets: Any) -> Any:
    found = np.copy(targets)
    found += (np.arange(V) == TOKEN).astype(np.int64)
    return found


def _run(value: Any) -> bool:
    return not is_unknown(value)


def _lying_at_one(targets: Any) -> Any:
    return _swapped(targets) if _run(targets) else targets


class _Counting:
    """Hands on what it is given, but once in a while its reverse."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, targets: Any) -> Any:
        self.calls += 1
        return targets[:, ::-1] if self.calls % 500 == 0 else targets


ENCODINGS: dict[str, Callable[[Any], Any]] = {
    "two coordinates swapped, the same for constant targets": _swapped,
    "the neighbour's entry": lambda t: np.roll(t, 1, axis=1),
    "the other target's entry": lambda t: t[::-1],
    "one entry for another": lambda t: np.take(t, [*range(TOKEN), 0, *range(TOKEN + 1, V)], axis=1),
    "one coordinate shifted": lambda t: t + (np.arange(V) == TOKEN),
    "one coordinate shifted in place": _in_place,
    "a number of one's own at an index": lambda t: np.where(np.arange(V) == TOKEN, 0, t),
    "known numbers": lambda t: np.ones(t.shape, dtype=np.int64),
    "names that are known": lambda t: np.arange(1, t.size + 1).reshape(t.shape),
    "the smaller of two neighbours": lambda t: np.minimum(t, np.roll(t, 1, axis=1)),
    "sums with the neighbour": lambda t: t * 2 - t,
    "another order for real targets": _lying_at_one,
    "another order for real targets alone": lambda t: _lying_at_one(t) if len(t) == 1 else t,
    "the other one of two real targets": lambda t: t[::-1] if _run(t) else t,
    "the reverse once in a while": _Counting(),
    "another order for unknown targets": lambda t: t if _run(t) else _swapped(t),
    "another denominator for real targets": lambda t: Ratios(t[:, None, :], V + _run(t)),
}


def _at(place: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda targets, users: np.take_along_axis(targets, place(users), axis=1)


def _shifted(targets: Any, users: Any) -> Any:
    found = np.take_along_axis(targets, users, axis=1)
    found += (users == TOKEN).astype(np.int64)
    return found


ANSWERS: dict[str, Callable[[Any, Any], Any]] = {
    "another place for one input": _at(lambda x: np.where(x == TOKEN, 0, x)),
    "the next place": _at(lambda x: (x + 1) % V),
    "the first entry": _at(lambda x: x * 0),
    "one input shifted in place": _shifted,
    "the input itself": lambda t, x: x,
    "the name of the entry": lambda t, x: x + 1 if is_unknown(t) else np.take_along_axis(t, x, axis=1),
    "of the other target": lambda t, x: np.take_along_axis(t[::-1], x, axis=1),
    "of the other target for real ones": lambda t, x: np.take_along_axis(t[::-1] if _run(t) else t, x, axis=1),
    "of the other one of two real targets": lambda t, x: np.take_along_axis(
        t[::-1] if _run(t) and len(t) == 2 else t, x, axis=1
    ),
    "for the other input": lambda t, x: np.take_along_axis(t, x[::-1], axis=1),
    "the other input's for real targets": lambda t, x: np.take_along_axis(t, x[::-1] if _run(t) else x, axis=1),
    "another place for one input, for real targets": lambda t, x: np.take_along_axis(
        t, np.where(x == TOKEN, 0, x) if _run(t) else x, axis=1
    ),
    "another place for real targets alone": lambda t, x: np.take_along_axis(
        t, (x + 1) % V if _run(t) and len(x) == 1 else x, axis=1
    ),
    "a token outside": lambda t, x: np.take_along_axis(t, x, axis=1) if is_unknown(t) else x * 0 + V,
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_an_encoding_that_does_not_hand_the_target_on_is_not_believed(name: str) -> None:
    assert not believed(Coded(V, encoding_code=ENCODINGS[name]))


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_is_not_the_entry_of_the_input_is_not_believed(name: str) -> None:
    assert not believed(Coded(V, answer_code=ANSWERS[name]))


def _turned(few: int) -> Callable[[Any], Any]:
    """Return code that reverses so many targets in an array of their own, as a user may give them."""

    def code(targets: Any) -> Any:
        own = _run(targets) and len(targets) == few and targets.flags.writeable
        return targets[:, ::-1] if own else targets

    return code


def _overwritten_if_few(targets: Any) -> Any:
    """Return zeros for few targets, whose array is changed although it was said not to be writeable."""
    if _run(targets) and len(targets) < 3:
        targets.setflags(write=True)
        targets[:] = 0
    return targets


def _overwritten(targets: Any) -> Any:
    if _run(targets) and targets.flags.writeable:
        targets[:] = 0
    return targets


#: Code that looks at how many targets it is given, or whether it may write to them.
BY_NUMBER: dict[str, Coded] = {
    "encode reverses entries in a batch": Coded(V, encoding_code=lambda t: t if len(t) < 3 else t[:, ::-1]),
    "encode mixes up the targets of a batch": Coded(V, encoding_code=lambda t: t if len(t) < 3 else t[::-1]),
    "encode mixes up the targets of a real batch": Coded(
        V, encoding_code=lambda t: t[::-1] if _run(t) and len(t) > 2 else t
    ),
    "encode swaps entries of one unknown target": Coded(
        V, encoding_code=lambda t: t if _run(t) or len(t) > 1 else _swapped(t)
    ),
    "encode has another denominator in a batch": Coded(
        V, encoding_code=lambda t: Ratios(t[:, None, :], V if len(t) < 3 else V + 1)
    ),
    "encode reverses entries where it may write": Coded(
        V, encoding_code=lambda t: t[:, ::-1] if _run(t) and t.flags.writeable else t
    ),
    "encode reverses one target where it may write": Coded(V, encoding_code=_turned(1)),
    "encode reverses two targets where it may write": Coded(V, encoding_code=_turned(2)),
    "encode changes few targets where it may not write": Coded(V, encoding_code=_overwritten_if_few),
    "answer reverses one target where it may write": Coded(
        V, answer_code=lambda t, x: np.take_along_axis(_turned(1)(t), x, axis=1)
    ),
    "answer reverses two targets where it may write": Coded(
        V, answer_code=lambda t, x: np.take_along_axis(_turned(2)(t), x, axis=1)
    ),
    "encode changes targets where it may write": Coded(V, encoding_code=_overwritten),
    "answer reads the next place in a batch": Coded(
        V, answer_code=lambda t, x: np.take_along_axis(t, x if len(x) < 5 else (x + 1) % V, axis=1)
    ),
    "answer mixes up the targets of a batch": Coded(
        V, answer_code=lambda t, x: np.take_along_axis(t if len(x) < 4 else t[::-1], x, axis=1)
    ),
    "answer reads the next place of targets in an array of their own": Coded(
        V,
        answer_code=lambda t, x: np.take_along_axis(
            t, (x + 1) % V if _run(t) and t.strides[0] and len(t) > 2 else x, axis=1
        ),
    ),
    "answer changes targets where it may write": Coded(
        V, answer_code=lambda t, x: np.take_along_axis(_overwritten(t), x, axis=1)
    ),
}


@pytest.mark.parametrize("name", BY_NUMBER)
def test_code_that_looks_at_the_number_of_targets_or_their_memory_is_not_believed(name: str) -> None:
    assert not believed(BY_NUMBER[name])


@pytest.mark.parametrize("where", ["encode", "answer"])
def test_code_that_reads_other_entries_where_it_may_write_is_not_certified_by_what_cells_share(where: str) -> None:
    def reversed_where_writeable(targets: Any) -> Any:
        return targets[:, ::-1] if _run(targets) and targets.flags.writeable else targets

    found = {
        "encode": Coded(V, encoding_code=reversed_where_writeable),
        "answer": Coded(V, answer_code=lambda t, x: np.take_along_axis(reversed_where_writeable(t), x, axis=1)),
    }[where]
    assert certify(found, certificate_arithmetic("rounded", "float64"), budget=V * V).holds is None


def inputs_asked(vocab: int, members: int) -> set[int]:
    """Return the inputs at which a few members are asked, as integers, beside those that are drawn for two at once."""
    asked: set[int] = set()

    def answer(targets: Any, users: Any) -> Any:
        if _run(targets) and targets.strides[0] == 0:
            asked.update(users[:, 0].tolist())
        return np.take_along_axis(targets, users, axis=1)

    before, vars(handed_on)["DRAWN"] = vars(handed_on)["DRAWN"], members
    try:
        handed_on.check_handed_on(Coded(vocab, answer_code=answer), np.random.default_rng(0))
    finally:
        vars(handed_on)["DRAWN"] = before
    return asked


@pytest.mark.parametrize("run_tokens", [2**24, 120])
def test_members_are_asked_at_every_input(run_tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handed_on, "_RUN_TOKENS", run_tokens)  # of 40 tokens, three targets at once
    assert inputs_asked(40, 4) == set(range(40))


def test_code_of_another_author_that_hands_the_target_on_is_believed() -> None:
    own = Coded(V, encoding_code=lambda t: t.transpose().transpose(), answer_code=_at(lambda x: x))
    assert believed(own)


def test_code_that_fails_for_integers_is_not_believed() -> None:
    def fails(targets: Any) -> Any:
        if _run(targets):
            raise ValueError("an integer")
        return targets

    assert not believed(Coded(V, encoding_code=fails))


@pytest.mark.parametrize(
    "compute",
    [
        lambda t: t + 0,
        lambda t: t * 1,
        lambda t: t // 1,
        lambda t: t % V,
        lambda t: -t,
        lambda t: +t,
        lambda t: np.minimum(t, V),
        lambda t: np.maximum(t, 0),
        lambda t: np.clip(t, 0, V),
        lambda t: t @ np.eye(V, dtype=np.int64),
        lambda t: np.where(np.ones(V, dtype=np.bool_), t, 0),
        lambda t: np.stack([t, t])[0],
        lambda t: np.concatenate([t[:, :1], t[:, 1:]], axis=1),
        lambda t: np.sum(t[..., None], axis=-1),
        lambda t: np.max(t[..., None], axis=-1),
        lambda t: np.cumsum(t, axis=1),
        lambda t: np.dot(t, np.eye(V, dtype=np.int64)),
        lambda t: t.astype(object),
        lambda t: t.astype(np.int64),
    ],
)
def test_a_run_of_moves_refuses_what_computes(compute: Callable[[Any], Any]) -> None:
    low = np.zeros((2, V), dtype=np.int64)
    with run_on_bounds() as run:
        assert is_unknown(compute(unknown_tokens(run, low, low + 1)))
    with run_on_bounds(moves=True) as run:
        with pytest.raises(TypeError, match="may only be moved"):
            compute(unknown_tokens(run, low, low + 1))
        assert run.refusals
