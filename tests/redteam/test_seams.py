"""Constructions whose code gives something else between two passes, calls or copies: none of them holds."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from constructions import Construction, InvalidArgument, Layer, Linear, Ratios, TargetSpace, Transformer
from constructions.layers.widths import Width
from tests.evidence.test_own_construction import CaesarCipher
from verify import RationalArithmetic, Runner, check, exhaust, get_arithmetic
from verify.certificates import certificate_arithmetic, certify
from verify.evidence.fuzzing import fuzz
from verify.evidence.verdict import Verdict
from verify.shards.enumeration import exhaust as exhaust_in_shards

V = 5


def model(*extra: Layer[Any], wrong: bool = False) -> Transformer:
    """Return an adder modulo V; a wrong one never gives token V - 1."""
    right = CaesarCipher(V).transformer
    add, wrap, readout = right.layers
    if wrong:
        assert isinstance(readout, Linear)
        readout = replace(readout, bias=[[-v * v - (1000 if v == V - 1 else 0)] for v in range(V)])
    return Transformer(right.embedding, (add, *extra, wrap, readout), right.context_size)


@dataclass(frozen=True, repr=False)
class Adder(CaesarCipher):
    """Adds the target to the user's token."""

    vocab_size: int = V

    @cached_property
    def transformer(self) -> Transformer:
        return model()


class Wrong(Adder):
    """Says what its code says, with weights that never give token V - 1."""

    @cached_property
    def transformer(self) -> Transformer:
        return model(wrong=True)


def cached_by_id() -> Construction:
    held: dict[Any, Ratios] = {}

    class CachedById(Adder):
        def encode(self, targets: Any) -> Ratios:
            if not isinstance(targets, np.ndarray):
                return super().encode(targets)
            return held.setdefault((id(targets), targets.shape), super().encode(targets.copy()))

    return CachedById()


def answer_of_encode() -> Construction:
    seen: list[Any] = []

    class AnswerOfEncode(Adder):
        def encode(self, targets: Any) -> Ratios:
            seen[:] = [np.array(targets)] if isinstance(targets, np.ndarray) else []
            return super().encode(targets)

        def answer(self, targets: Any, user_inputs: Any) -> Any:
            good = super().answer(targets, user_inputs)
            return good * 0 if seen and seen[0].shape == targets.shape and (seen[0] == targets).all() else good

    return AnswerOfEncode()


def promise_that_follows() -> Construction:
    calls = itertools.count()

    class Following(Wrong):
        def encode(self, targets: Any) -> Ratios:
            next(calls)
            return super().encode(targets)

        def answer(self, targets: Any, user_inputs: Any) -> Any:
            good = super().answer(targets, user_inputs)
            late = isinstance(targets, np.ndarray) and next(calls) % 2
            return np.where(good == V - 1, V - 2, good) if late else good

    return Following()


def other_targets() -> Construction:
    calls = itertools.count()

    class Alternating(Wrong):
        @property
        def targets(self) -> TargetSpace:
            return TargetSpace(V if next(calls) % 2 else 1, (1,))

    return Alternating()


def weights_of_every_second_call() -> Construction:
    calls = itertools.count()

    class Second(Adder):
        @property
        def transformer(self) -> Transformer:
            return model(wrong=next(calls) % 2 == 0)

    return Second()


def weights_after(count: int) -> Construction:
    calls = itertools.count()

    class Late(Adder):
        @property
        def transformer(self) -> Transformer:
            return model(wrong=next(calls) >= count)

    return Late()


class Agreeing(np.ndarray[Any, Any]):
    """An array that is equal to everything."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        plain = [np.asarray(one) if isinstance(one, Agreeing) else one for one in inputs]
        if ufunc in {np.equal, np.not_equal}:
            return np.full(np.broadcast_shapes(*map(np.shape, plain)), ufunc is np.equal)
        return getattr(ufunc, method)(*plain, **options)


class AgreeingArrays(Wrong):
    def encode(self, targets: Any) -> Ratios:
        known = isinstance(targets, np.ndarray)
        return Ratios(targets[:, None, :].copy().view(Agreeing), 1) if known else super().encode(targets)

    def answer(self, targets: Any, user_inputs: Any) -> Any:
        good = super().answer(targets, user_inputs)
        return good.view(Agreeing) if isinstance(good, np.ndarray) else good


class Copied(Wrong):
    """Every copy of it is right."""

    def __reduce__(self) -> Any:
        return Adder, (self.vocab_size,)

    def __copy__(self) -> Adder:
        return Adder(self.vocab_size)

    def __deepcopy__(self, memo: Any) -> Adder:
        return Adder(self.vocab_size)


@dataclass(frozen=True, eq=False)
class Generating(Layer[Any]):
    """Right twice and wrong once, as a generator says."""

    right: Any = field(default_factory=lambda: (call % 3 != 2 for call in itertools.count()))
    name: str = "generating"

    def fitted(self, width: Width) -> Width:
        return width

    def apply(self, run: Any, rows: Any, *, last_only: bool = False) -> Any:
        rows = run.operations.last(rows) if last_only else rows
        return rows if next(self.right) else run.operations.total([rows, rows])


@dataclass(frozen=True, eq=False)
class Spoiling(Layer[Any]):
    """Returns a copy of its rows, and sets what it was given to 0; alone it is wrong."""

    name: str = "spoiling"

    def fitted(self, width: Width) -> Width:
        return width

    def apply(self, run: Any, rows: Any, *, last_only: bool = False) -> Any:
        rows = run.operations.last(rows) if last_only else rows
        if not isinstance(rows, torch.Tensor):
            return rows
        kept = rows.clone()
        rows.mul_(0)
        return kept + 1 if len(kept) == 1 else kept


def with_layer(layer: Callable[[], Layer[Any]]) -> Construction:
    class Layered(Adder):
        @cached_property
        def transformer(self) -> Transformer:
            return model(layer())

    return Layered()


MADE: dict[str, Callable[[], Construction]] = {
    "encode caches by the id of its array": cached_by_id,
    "answer depends on what was encoded": answer_of_encode,
    "answer follows the weights": promise_that_follows,
    "targets that change": other_targets,
    "weights that change": weights_of_every_second_call,
    "weights that change late": lambda: weights_after(4),
    "arrays that are equal to all": AgreeingArrays,
    "copies that are right": Copied,
    "a layer of a generator": lambda: with_layer(Generating),
    "a layer that spoils its rows": lambda: with_layer(Spoiling),
}
#: Those that compute as promised of every case that a certificate can be about, or that a single case can show.
RIGHT = {
    ("a layer that spoils its rows", "rational"),  # with a warning
    ("a layer that spoils its rows", "ball"),
    ("encode caches by the id of its array", "check"),
}


def told(run: Callable[[], Verdict]) -> bool | None:
    try:
        return run().holds
    except InvalidArgument:
        return None


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("kind", ["rational", "torch", "structured", "engine", "numpy"])
def test_none_is_exhausted(name: str, kind: str) -> None:
    found = told(lambda: exhaust(MADE[name](), get_arithmetic(kind, dtype="float32")))
    assert (found is True) is ((name, kind) in RIGHT)


def made(name: str) -> Construction:
    """Return it anew, as a worker does."""
    return MADE[name]()


@pytest.mark.heavy
@pytest.mark.parametrize("name", MADE)
def test_none_is_exhausted_by_workers(name: str) -> None:
    arithmetic = get_arithmetic("torch", dtype="float32")
    assert told(lambda: exhaust_in_shards(partial(made, name), arithmetic, jobs=2)) is not True


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("kind", ["ball", "rounded"])
def test_none_is_certified(name: str, kind: str) -> None:
    found = told(lambda: certify(MADE[name](), certificate_arithmetic(kind)))
    assert (found is True) is ((name, kind) in RIGHT)


@pytest.mark.parametrize("name", MADE)
def test_none_is_fuzzed_or_checked(name: str) -> None:
    drawn = st.just(MADE[name]())
    assert told(lambda: fuzz(drawn, get_arithmetic("torch", dtype="float32"), examples=60, claim="x")) is not True
    found = told(lambda: check(MADE[name](), rank=V - 1, user_input=[0], arithmetic="torch"))
    assert (found is True) is ((name, "check") in RIGHT)


@dataclass(frozen=True)
class Table:
    """What decides the weights, and is equal to every other one."""

    wrong: bool

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table)

    def __hash__(self) -> int:
        return 0


@dataclass(frozen=True, repr=False)
class Tabled(Adder):
    table: Table = field(default_factory=lambda: Table(wrong=False))

    @cached_property
    def transformer(self) -> Transformer:
        return model(wrong=self.table.wrong)


def test_a_field_that_is_equal_to_every_other_one_hides_no_weights() -> None:
    drawn = st.sampled_from([Tabled(V, Table(wrong=False)), Tabled(V, Table(wrong=True))])
    found = fuzz(drawn, get_arithmetic("rational"), examples=200, claim="x")
    assert found.holds is False


@dataclass(frozen=True, eq=False)
class Written(Layer[Any]):
    """The identity, but twice its rows where they are no matrix of rationals of one case."""

    name: str = "written"

    def fitted(self, width: Width) -> Width:
        return width

    def apply(self, run: Any, rows: Any, *, last_only: bool = False) -> Any:
        rows = run.operations.last(rows) if last_only else rows
        return rows if isinstance(run.operations, RationalArithmetic) else run.operations.total([rows, rows])


def test_a_batch_in_exact_numbers_is_what_its_cases_are_alone() -> None:
    construction = with_layer(Written)
    targets = np.arange(V).repeat(V)[:, None]
    inputs = np.tile(np.arange(V), V)[:, None]
    runner = Runner(construction, RationalArithmetic())
    together = runner.run(targets, inputs)
    alone = [runner.run(targets[place : place + 1], inputs[place : place + 1]) for place in range(len(targets))]
    assert together.margins.tolist() == [one.margins[0].tolist() for one in alone]
    assert not together.failures().any()
