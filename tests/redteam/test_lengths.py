"""Layers that compute otherwise in the pass that a certificate looks at than in the passes of generation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pytest

from constructions import Attention, Chain, Construction, Head, Layer, Linear, Ratios, RMSNorm, Transformer
from constructions.activations import RELU, Activation, Relu
from constructions.layers import Added, Gated, Residual, Rotary, Sum
from constructions.layers.weighted import held, inner
from constructions.layers.widths import Width
from tests.certificates.own import FromTheEnd, Given, nearest, read_first, rounded
from verify import EngineArithmetic, NumpyArithmetic, RationalArithmetic, exhaust
from verify.certificates import bit_exact, certificate_arithmetic, certify, shared_cells

V, FED = 3, 7
#: What a layer may look at to tell generation from the pass of a certificate.
Sees = Callable[[Any, Any], bool]


def spoiled(run: Any, rows: Any) -> Any:
    """Return another token's number, but for token 0."""
    return run.operations.total([rows, rows])


def later(run: Any, _: Any) -> bool:
    """Return whether this is a step of generation behind the first: a pass over its new position alone."""
    return bool(run.start)


def keeping(run: Any, _: Any) -> bool:
    """Return whether keys and values are kept."""
    return run.cache is not None


def several(run: Any, rows: Any) -> bool:
    """Return whether there are rows of several positions; the last row alone is asked where it is all that is read."""
    return bool(np.shape(run.operations.numbers(rows))[1 if run.operations.batched else 0] > 1)


@dataclass(frozen=True, eq=False)
class Moody(Layer[Any]):
    """The identity, but where it sees generation."""

    sees: Any = later
    name: str = "moody"

    def fitted(self, width: Width) -> Width:
        return width

    def apply(self, run: Any, rows: Any, *, last_only: bool = False) -> Any:
        rows = run.operations.last(rows) if last_only else rows
        return spoiled(run, rows) if self.sees(run, rows) else rows


@dataclass(frozen=True, eq=False)
class Declared(Moody):
    """One that says otherwise."""

    by_position: ClassVar[bool] = True


@dataclass(frozen=True, eq=False)
class OfThisPass(Layer[Any]):
    """Every position reads the first one of the pass: without a cache, although it says that it keeps the past."""

    query: Any = held("Q")
    key: Any = held("K")
    value: Any = held("V")
    name: str = "of this pass"
    mixes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._expressions("of this pass")

    def keeps_past(self, mask: Any) -> bool:
        return True

    def fitted(self, width: Width) -> Width:
        return Width(1, self.name)

    def apply(self, run: Any, rows: Any, *, last_only: bool = False) -> Any:
        operations = run.operations
        keys, values = operations.linear(rows, self.key), operations.linear(rows, self.value)
        asked = operations.linear(operations.last(rows) if last_only else rows, self.query)
        seen = np.tri(run.count, dtype=np.bool_)[-1:] if last_only else np.tri(run.count, dtype=np.bool_)
        weights = operations.attention(operations.scores(asked, keys), seen, run.temperature_of("first"), key_size=1)
        return operations.mix(weights, values)


def moody(base: type, **fields: Any) -> Callable[..., Any]:
    """Return a subclass of a layer whose output is spoiled where it sees generation."""

    @dataclass(frozen=True, eq=False)
    class Subclass(base):  # type: ignore[misc]
        sees: Any = later

        def apply(self, run: Any, rows: Any, *more: Any, **options: Any) -> Any:
            made = super().apply(run, rows, *more, **options)
            return spoiled(run, made) if self.sees(run, made) else made

    return lambda *given, **more: Subclass(*given, **(fields | more))


@dataclass(frozen=True, eq=False)
class AskedForAll(Attention[Any]):
    """Attention that is right where the last position alone is asked for."""

    def apply(self, run: Any, rows: Any, *, last_only: bool = False) -> Any:
        made = super().apply(run, rows, last_only=last_only)
        return made if last_only else spoiled(run, made)


@dataclass(frozen=True, eq=False)
class NewestLater(Attention[Any]):
    """Attention to the newest position alone, in every step but the first."""

    def attended(self, head: Any, run: Any, keys: Any, values: Any, visible: Any) -> Any:
        last = np.arange(visible.shape[1]) == visible.shape[1] - 1
        return keys, values, np.broadcast_to(last, visible.shape) if later(run, keys) else visible


@dataclass(frozen=True, eq=False)
class KeptValues(Head[Any]):
    """A head whose values are others where they are kept."""

    def keys_and_values(self, run: Any, rows: Any) -> Any:
        keys, values = super().keys_and_values(run, rows)
        return keys, spoiled(run, values) if keeping(run, rows) else values


@dataclass(frozen=True, eq=False)
class TurnedLater(Rotary[Any]):
    """Rotary positions that turn nothing, and everything around behind the first step."""

    def turned(self, run: Any, rows: Any, *, last_only: bool = False) -> Any:
        made = super().turned(run, rows, last_only=last_only)
        return run.operations.linear(made, self.turn) if later(run, rows) else made


@dataclass(frozen=True, eq=False)
class Counted(Relu):  # type: ignore[misc] # as an author does
    """An activation that looks at how many rows there are."""

    def apply(self, operations: Any, rows: Any) -> Any:
        made = super().apply(operations, rows)
        many = np.shape(operations.numbers(rows))[1 if operations.batched else 0] > 1
        return operations.total([made, made]) if many else made


@dataclass(frozen=True, eq=False)
class Twice(Linear[Any]):
    """A readout that is not its weights."""

    def apply(self, run: Any, rows: Any, *, last_only: bool = False) -> Any:
        return super().apply(run, run.operations.total([rows, rows]), last_only=last_only)


@dataclass(frozen=True, eq=False)
class Whole(Transformer[Any]):
    """A transformer that doubles everything that it is given, where it has a readout."""

    def apply(self, run: Any, embedded: Any, *, last_only: bool = False) -> Any:
        whole = self.layers[-1].name == "readout"
        return super().apply(run, spoiled(run, embedded) if whole else embedded, last_only=last_only)


@dataclass(frozen=True, repr=False)
class Built(Given):
    """A construction of given parts, with its transformer's class and its positions."""

    positions: Any = None
    of: Any = Transformer

    @cached_property
    def transformer(self) -> Any:
        more = {} if self.positions is None else {"positions": self.positions}
        return self.of(self.embedding, self.layers, self.layout.context_size, **more)


def repeating(*layers: Any, size: int = 1, steps: int = 3, vocab: int = V, users: int = 0, **parts: Any) -> Built:
    """Return a construction that repeats its target, with layers on rows of one number before the readout."""
    first = (read_first(size, steps + users),) if not layers or not layers[0].mixes else ()
    last = () if layers and layers[-1].name == "readout" else (nearest(vocab),)
    parts = {"promise": lambda t, _: t[:, [0] * steps]} | parts
    return Built(vocab, 1, [[FED] * vocab] * size, (*first, *layers, *last), steps=steps, users=users, **parts)


def _eye(activation: Any = None, name: str = "eye", kind: Any = Linear) -> Any:
    return kind([[1]], [[0]], activation=activation, name=name)


def _rotary(context: int) -> Any:
    ones = [[1] * context]
    return TurnedLater(ones, [[0] * context], [[-1]])


def _first(context: int, attention: Any = Attention, head: Any = Head, **more: Any) -> Any:
    query, key = [[0] + [1] * context], [[0, 1] + [0] * (context - 1)]
    return attention((head("first", query, key, [[1] + [0] * context], **more),))


LIARS: dict[str, Callable[[], Construction]] = {
    "a layer looks at where the pass starts": lambda: repeating(Moody()),
    "a layer looks at whether keys are kept": lambda: repeating(Moody(keeping)),
    "a layer looks at whether keys are kept, in the only step": lambda: repeating(Moody(keeping), steps=1),
    "a layer looks at how many rows it is given": lambda: repeating(Moody(several), steps=1, users=1),
    "a layer is wrong in the last step alone": lambda: repeating(Moody(lambda run, _: run.start == 2)),
    "a layer is deep inside others": lambda: repeating(Chain((Sum((Moody(),)),))),
    "a layer declares otherwise": lambda: repeating(Declared()),
    "a layer declares otherwise of the only step": lambda: repeating(Declared(keeping), steps=1),
    "a layer mixes the rows of a pass, and keeps none": lambda: repeating(
        OfThisPass([[0, 1, 1, 1]], [[0, 1, 0, 0]], [[1, 0, 0, 0]])
    ),
    "a subclass of Chain": lambda: repeating(moody(Chain)((_eye(),))),
    "a subclass of Residual": lambda: repeating(moody(Residual)((Linear([[0]], [[0]], activation=None, name="zero"),))),
    "a subclass of Sum": lambda: repeating(moody(Sum)((_eye(),))),
    "a subclass of Gated": lambda: repeating(moody(Gated)(Linear([[0]], [[1]], activation=None, name="one"), _eye())),
    "a subclass of RMSNorm": lambda: repeating(
        Linear([[1], [0]], [[0], [1]], activation=None, name="two"),
        moody(RMSNorm)(),
        Linear([[0, 1], [0, 0]], [[Fraction(-6, 5)], [0]], activation=None, name="readout"),
        vocab=2,
    ),
    "a subclass of Linear": lambda: repeating(_eye(RELU, kind=moody(Linear))),
    "a subclass of Attention": lambda: repeating(_first(3, moody(Attention))),
    "attention is right where the last position alone is asked": lambda: repeating(_first(1, AskedForAll), steps=1),
    "attention of all positions is right where the last one alone is asked": lambda: repeating(
        _first(1, AskedForAll), steps=1, mask="none"
    ),
    "attention to the newest position behind the first step": lambda: repeating(_first(3, NewestLater)),
    "a head's values are others where they are kept": lambda: repeating(_first(1, head=KeptValues), steps=1),
    "rotary positions turn around behind the first step": lambda: repeating(_first(3, rotary=_rotary(3))),
    "an activation looks at how many rows it is given": lambda: repeating(_eye(Counted()), steps=1, users=1),
    "the readout is not its weights": lambda: repeating(
        Twice([[2 * v] for v in range(V)], [[-v * v] for v in range(V)], activation=None, name="readout")
    ),
    "positions count from the end": lambda: repeating(positions=FromTheEnd()),
    "added positions are others behind the first step": lambda: Built(
        V,
        1,
        [[FED] * V, [0] * V],
        (Attention((Head("first", [[0, 0]], [[0, 1]], [[1, 0]], query_bias=[[1]]),)), nearest(V)),
        steps=3,
        encoding=lambda t: Ratios(np.concatenate([t, t * 0], axis=1)[:, None], 1),
        promise=lambda t, _: t[:, [0] * 3],
        positions=moody(Added)([[0, 0, 0], [2, 1, 1]]),
    ),
    "a transformer does more than its layers": lambda: repeating(of=Whole),
}


def _bump(vocab: int, at: int) -> Chain:
    """Return layers that add 1/2 at one number, and 0 at every other integer."""
    around = Linear([[1]] * 3, [[1 - at], [-at], [-1 - at]], activation=RELU, name="around")
    return Chain((around, Linear([[Fraction(1, 2), -1, Fraction(1, 2)]], [[0]], activation=None, name="bump")), "rare")


@dataclass(frozen=True, eq=False)
class Rare(Moody):
    """One whose number is another for a single target."""

    by_position: ClassVar[bool] = True

    inside: Any = inner(optional=True)

    def apply(self, run: Any, rows: Any, *, last_only: bool = False) -> Any:
        rows = run.operations.last(rows) if last_only else rows
        if not self.sees(run, rows):
            return rows
        return run.operations.total([rows, *[self.inside.apply(run, rows)] * 4])


@dataclass(frozen=True, eq=False)
class Third(Moody):
    """One that rounds where it sees generation."""

    third: Any = held("W", optional=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "third", [[Fraction(1, 3)]])
        self._expressions("third")

    def apply(self, run: Any, rows: Any, *, last_only: bool = False) -> Any:
        rows = run.operations.last(rows) if last_only else rows
        return run.operations.linear(rows, self.third) if self.sees(run, rows) else rows


@pytest.mark.parametrize("name", LIARS)
@pytest.mark.parametrize("kind", ["ball", "rounded", "rounded, shared"])
def test_no_certificate_takes_one_pass_for_generation(name: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_cells, "SHARED_FROM", 0 if "shared" in kind else 2**12)
    wrong = LIARS[name]()
    assert exhaust(wrong, NumpyArithmetic("float32")).holds is False
    assert certify(wrong, certificate_arithmetic(kind.partition(",")[0])).holds is None


@pytest.mark.parametrize("name", LIARS)
@pytest.mark.parametrize("arithmetic", [EngineArithmetic("float32"), RationalArithmetic()], ids=["engine", "rational"])
def test_no_engine_takes_one_pass_for_generation(name: str, arithmetic: Any) -> None:
    if "RMSNorm" in name and arithmetic.name == "rational":
        pytest.skip("its length is irrational")
    assert exhaust(LIARS[name](), arithmetic).holds is False


@pytest.mark.parametrize("sees", [later, keeping])
def test_one_case_that_no_draw_meets(sees: Sees) -> None:
    vocab, at = 400, 311
    wrong = repeating(Rare(sees, inside=_bump(vocab, at)), vocab=vocab, steps=2)
    for arithmetic in (EngineArithmetic("float64"), RationalArithmetic()):
        verdict = exhaust(wrong, arithmetic)
        assert verdict.holds is False
        assert verdict.counterexample is not None
        assert verdict.counterexample.rank == at
    assert certify(wrong, certificate_arithmetic("rounded", "float64")).holds is None


@pytest.mark.parametrize("sees", [later, keeping])
def test_numbers_that_round_in_generation_alone(sees: Sees) -> None:
    assert bit_exact(repeating(Third(lambda *_: False)), rounded()).holds
    verdict = bit_exact(repeating(Third(sees)), rounded())
    assert verdict.holds is None
    assert "may be rounded" in str(verdict.reason)


def _never(*_: Any) -> bool:
    return False


HONEST: dict[str, Callable[[], Construction]] = {
    "a layer of another author": lambda: repeating(Moody(_never)),
    "a layer of another author that says so": lambda: repeating(Declared(_never)),
    "a layer that mixes": lambda: repeating(OfThisPass([[0, 1]], [[0, 1]], [[1, 0]]), steps=1),
    "a subclass of Attention": lambda: repeating(_first(3, moody(Attention, sees=_never))),
    "a subclass of Residual": lambda: repeating(
        moody(Residual, sees=_never)((Linear([[0]], [[0]], activation=None, name="zero"),))
    ),
    "an activation of another author": lambda: repeating(_eye(Counted())),
    "a layer that is right in generation, and not in one pass": lambda: repeating(
        _first(3), Moody(lambda run, rows: several(run, rows) and not keeping(run, rows))
    ),
}


@pytest.mark.parametrize("name", HONEST)
def test_code_of_ones_own_that_is_right_is_certified_as_it_runs(name: str) -> None:
    right = HONEST[name]()
    for kind in ("ball", "rounded"):
        verdict = certify(right, certificate_arithmetic(kind))
        assert verdict.holds, verdict.reason
        assert "the same function of what a pass gives it whenever it runs" in str(verdict.reason)
    found = exhaust(right, EngineArithmetic("float32"))
    assert found.holds
    assert found.margin == exhaust(right, NumpyArithmetic("float32")).margin


def test_what_is_assumed_names_the_code_of_others_alone() -> None:
    verdict = certify(repeating(Chain((Moody(_never), _eye(Counted())))), certificate_arithmetic("ball"))
    assert "; Counted, Moody: the same function" in str(verdict.reason)
    assert "the same function" not in str(certify(repeating(), certificate_arithmetic("ball")).reason)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a transformer does more than its layers", "a transformer of class Whole may run more than its layers"),
        ("the readout is not its weights", "a readout of class Twice may give other logits than its weights"),
    ],
)
def test_why_it_is_not_shown(name: str, said: str) -> None:
    wrong = LIARS[name]()
    assert certify(wrong, certificate_arithmetic("ball")).reason == said
    assert bit_exact(wrong, rounded()).reason == said


class Equal(Activation):
    """An activation that equals every other one."""

    name = "equal"

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = Activation.__hash__


def test_an_activation_that_equals_the_identity_is_no_readout() -> None:
    kind: Any = type("Zero", (Equal,), {name: (lambda self, x: 0 * x) for name in Equal.__abstractmethods__})
    readout = Linear([[1]], activation=kind(), name="readout")
    assert not readout.is_readout
    assert not readout.has_relu
