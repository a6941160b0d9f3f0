"""Attacks on trees of layers, what is promised of them, and what they say of themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import pytest

from constructions import (
    Domain,
    HandBuilt,
    Hardmax,
    InvalidArgument,
    Layout,
    Transformer,
    UnconditionalGeneration,
    specify,
)
from constructions.activations import ClippedRelu, Relu
from constructions.layers import (
    FULL,
    Attention,
    Gated,
    Head,
    L2Norm,
    Layer,
    LayerNorm,
    Linear,
    Mask,
    OneHot,
    Residual,
    RMSNorm,
    Unmarked,
    Window,
)
from constructions.layers.weighted import held, inner
from verify import CallableBackend, NumpyArithmetic, RationalArithmetic, TorchArithmetic, exhaust, to_torch
from verify.certificates.all_targets import certificate_arithmetic, certify
from verify.running.model import bind, forward, generate

EYE = [[1, 0], [0, 1]]
SWAP = [[0, 1], [1, 0]]


def _readout(size: int = 2) -> Linear[Any]:
    return Linear(np.eye(size, dtype=int), activation=None, name="readout")


def _model(*layers: Any, context: int = 1, promise: Callable[[Any], Any] = lambda x: x[:, -1:]) -> HandBuilt:
    transformer = Transformer(EYE, (*layers, _readout()), context, positions=Unmarked())
    return HandBuilt.of(transformer, specify(Domain.of(2, context), promise))


# what runs ------------------------------------------------------------------------------------------------------------


def test_two_matrices_do_not_run_from_one_buffer() -> None:
    """A swap under a name that the identity's takes the place of: torch ran the identity twice."""
    layers = (Linear(SWAP, activation=None, name="x.y"), Linear(EYE, activation=None, name="x__y"))
    right, wrong = (_model(*layers, promise=promise) for promise in (lambda x: 1 - x, lambda x: x))
    assert exhaust(right, NumpyArithmetic("float32")).holds
    assert exhaust(wrong, NumpyArithmetic("float32")).holds is False
    for model in (right, wrong):
        with pytest.raises(InvalidArgument, match="buffers"):
            exhaust(model, TorchArithmetic("float32"))
        with pytest.raises(InvalidArgument, match="buffers"):
            to_torch(model)


class _Agreeable(np.ndarray[Any, Any]):
    __hash__ = None

    def __eq__(self, other: object) -> Any:
        return np.ones(self.shape, dtype=np.bool_)

    def __ne__(self, other: object) -> Any:
        return np.zeros(self.shape, dtype=np.bool_)


@pytest.mark.parametrize("lying", ["the backend", "the promise"])
def test_an_array_that_equals_everything_is_compared_by_its_numbers(lying: str) -> None:
    def kernel(virtual: Any, tokens: Any) -> Any:
        return tokens.view(_Agreeable) if lying == "the backend" else tokens

    def promise(x: Any) -> Any:
        return ((x + 1) % 3).view(_Agreeable) if lying == "the promise" else (x + 1) % 3

    assert exhaust(specify(Domain.of(3, 1), promise), CallableBackend(kernel, gives="tokens")).holds is False


def test_masked_logits_are_no_logits() -> None:
    def kernel(virtual: Any, tokens: Any) -> Any:
        return np.ma.masked_array(np.eye(3)[tokens[:, -1]], mask=True)

    with pytest.raises(InvalidArgument, match="MaskedArray"):
        exhaust(specify(Domain.of(3, 1), lambda x: x), CallableBackend(kernel))


def test_an_input_is_allowed_whatever_it_is_asked_with() -> None:
    """Of four inputs the two above the mean of those asked with them were certified, and each of the four alone."""
    domain = Domain.of(4, 1, lambda x: x[:, 0] >= x[:, 0].mean())
    transformer = Transformer(np.eye(4, dtype=int), (_readout(4),), 1, positions=Unmarked())
    with pytest.raises(InvalidArgument, match="alone"):
        certify(HandBuilt.of(transformer, specify(domain, lambda x: x)), certificate_arithmetic("ball"))


# masks ----------------------------------------------------------------------------------------------------------------


def _mean(mask: Mask | None = None, kind: type[Attention[Any]] = Attention, **more: Any) -> Attention[Any]:
    return kind((Head("mean", query=[[0, 0]], key=[[0, 0]], value=EYE),), mask=mask, **more)


def test_the_mask_that_ran_is_told() -> None:
    model = _model(_mean(FULL), context=2)
    for verdict in (exhaust(model, NumpyArithmetic("float32")), certify(model, certificate_arithmetic("ball"))):
        assert verdict.parameters["masks"] == "none in attention"
    assert "masks" not in exhaust(_model(_mean(), context=2), NumpyArithmetic("float32")).parameters


@dataclass(frozen=True)
class _Liar(Mask):
    """Says that it is causal, and shows later keys, or other ones once there are more of them."""

    lie: str
    known: ClassVar[bool] = True  # a word that once spared a mask its check
    name: ClassVar[str] = "liar"  # type: ignore[misc] # as the package's own masks have it
    causal: ClassVar[bool] = True  # type: ignore[misc]

    def visible(self, start: int, count: int) -> Any:
        keys = start + count
        seen = np.ones((count, keys), dtype=np.bool_)
        if self.lie == "later":
            return seen
        seen = np.tri(keys, dtype=np.bool_)[start:]
        if self.lie == "counts":
            seen[:, 0] = keys < 3
            seen[0, start] = True
        return seen.astype(int) if self.lie == "integers" else seen


@pytest.mark.parametrize("lie", ["later", "counts", "integers"])
def test_a_mask_that_is_not_causal_is_not_taken_for_one(lie: str) -> None:
    """A certificate bounds one pass, where generation keeps what it computed before."""
    with pytest.raises(InvalidArgument, match="mask liar"):
        certify(_model(_mean(_Liar(lie)), context=3), certificate_arithmetic("ball"))


def test_an_honest_mask_of_ones_own_runs() -> None:
    model = _model(_mean(_Liar("none")), context=1)
    assert exhaust(model, NumpyArithmetic("float32")).holds
    assert certify(model, certificate_arithmetic("ball")).holds


@dataclass(frozen=True, eq=False)
class _Normed(Attention[Any]):
    norm: Any = inner(optional=True)

    def apply(self, run: Any, rows: Any, *, last_only: bool = False) -> Any:
        return super().apply(run, self.norm.apply(run, rows), last_only=last_only)


def test_attention_that_holds_a_layer_is_attention() -> None:
    """Its mask was overlooked, so that generation kept keys and values that later positions change."""
    layer = _mean(FULL, _Normed, norm=RMSNorm(name="inside"))
    transformer = Transformer(EYE, (layer, _readout()), 3, positions=Unmarked()).lowered
    assert [found.mask for found in transformer.attentions] == [FULL]


@dataclass(frozen=True, eq=False)
class _Uncached(Layer[Any]):
    """Mixes positions without attention, and keeps nothing between steps."""

    query: Any = held("Q")
    name: str = "uncached"
    mixes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._expressions("uncached")

    def fitted(self, width: Any) -> Any:
        return width

    def apply(self, run: Any, rows: Any, *, last_only: bool = False) -> Any:
        operations = run.operations
        asked = operations.linear(rows, self.query)
        seen = np.tri(run.count, dtype=np.bool_)
        mixed = operations.mix(operations.attention(operations.scores(asked, asked), seen, Hardmax(), key_size=1), rows)
        return operations.last(mixed) if last_only else mixed


def test_a_layer_that_mixes_and_keeps_nothing_gets_every_position() -> None:
    """Generation gave it the new position alone, where a certificate bounds one pass over all of them."""
    exact = Transformer(EYE, (_Uncached([[0, 0]]), _readout()), 3, positions=Unmarked()).lowered
    arithmetic = RationalArithmetic()
    model = bind(exact, arithmetic, Hardmax(), mask="causal")
    tokens = np.array([0, 1])
    prompt = arithmetic.embed(model.embedding, tokens[:0])
    made = generate(model, prompt, 0, tokens, 2)
    fed = arithmetic.embed(model.embedding, np.concatenate([tokens, made.tokens[:1]]))
    whole = arithmetic.numbers(forward(model, fed, 3))
    assert arithmetic.numbers(made.logits[1])[0].tolist() == whole[-1].tolist()


# what they say of themselves ------------------------------------------------------------------------------------------


def _sha256(*layers: Any) -> str:
    return Transformer(EYE, (*layers, _readout()), 2, positions=Unmarked()).lowered.sha256


@dataclass(frozen=True, eq=False, repr=False)
class _Leaky(Relu):  # type: ignore[misc] # as an author does
    slope: Fraction


@dataclass(frozen=True)
class _Rows(Mask):
    rows: Any
    name: ClassVar[str] = "rows"  # type: ignore[misc]
    causal: ClassVar[bool] = False  # type: ignore[misc]

    def visible(self, start: int, count: int) -> Any:
        return self.rows[start : start + count, : start + count]


def _twice(layer: type) -> Any:
    """Return a class of the same name that is another one."""
    return dataclass(frozen=True, eq=False)(type(layer.__name__, (layer,), {"__module__": __name__}))


def test_models_that_differ_have_different_digests() -> None:
    whole = np.ones((40, 40), dtype=np.bool_)
    other = whole.copy()
    other[20, 20] = False  # in the part of a large array that numpy's repr leaves out
    pairs: list[tuple[Any, Any]] = [
        (Linear(EYE, activation=_Leaky(Fraction(1, 2))), Linear(EYE, activation=_Leaky(Fraction(1, 3)))),
        (_mean(_Rows(whole)), _mean(_Rows(other))),
        (_mean(Window(1)), _mean(Window(2))),
        (RMSNorm(Fraction(1, 3)), RMSNorm(Fraction(1, 4))),
        (Linear(EYE), _twice(Linear)(EYE)),
    ]
    for first, second in pairs:
        assert _sha256(first) != _sha256(second)
        assert _sha256(first) == _sha256(first)


def test_a_layer_of_ones_own_is_not_the_papers() -> None:
    assert Linear(EYE, [[0], [0]]).is_plain
    assert not _twice(Linear)(EYE, [[0], [0]]).is_plain
    assert Head("mean", EYE, EYE, EYE).is_plain
    assert not _twice(Head)("mean", EYE, EYE, EYE).is_plain
    plain = UnconditionalGeneration(3, 2).transformer
    assert plain.is_plain
    assert not Transformer(plain.embedding, plain.layers, 2, plain.bindings, positions=_twice(OneHot)()).is_plain


# what is no number ----------------------------------------------------------------------------------------------------

_ZERO = Linear([[0, 0], [0, 0]], activation=None, name="zero")
_FIRST = Linear([[0, 0], [0, 0]], [[1], [0]], activation=None, name="readout")


@pytest.mark.parametrize("kind", [LayerNorm, RMSNorm, L2Norm])
@pytest.mark.parametrize(
    "behind",
    [
        lambda norm: (norm(), _FIRST),
        lambda norm: (norm(weight=[[0], [0]], bias=[[1], [0]]), _readout()),
        lambda norm: (norm(), Linear([[1, 1], [1, 1]], [[1], [0]], activation=None, name="readout")),
        lambda norm: (norm(), Linear(EYE, activation=ClippedRelu(Fraction(1)), name="clipped"), _FIRST),
        lambda norm: (Gated(norm(), _ZERO), Linear(EYE, [[1], [0]], activation=None, name="readout")),
        lambda norm: (Residual((norm(), _ZERO)), Linear(EYE, [[1], [0]], activation=None, name="readout")),
        lambda norm: (norm(), _mean(), _FIRST),
    ],
    ids=["weight", "scale", "difference", "clipped", "gate", "residual", "attention"],
)
@pytest.mark.parametrize("embedding", [[[0, 0], [0, 0]], [[1, 0], [1, 0]]], ids=["zeros", "equal"])
def test_a_row_of_zeros_has_no_direction_wherever_it_goes(kind: Any, behind: Any, embedding: Any) -> None:
    """0/0 times a weight of 0 was 0 to balls, and is NaN to every kernel."""
    transformer = Transformer(embedding, behind(kind), 1, positions=Unmarked())
    model = HandBuilt.of(transformer, specify(Domain.of(2, 1), lambda x: 0 * x))
    assert exhaust(model, NumpyArithmetic("float64")).holds is False
    for arithmetic in (certificate_arithmetic("ball"), certificate_arithmetic("rounded", "float32")):
        assert certify(model, arithmetic).holds is None


@pytest.mark.parametrize("name", ["virtual", "user", "response"])
@pytest.mark.parametrize("count", [True, -1, 1.0, "1"])
def test_a_layout_counts_in_integers(name: str, count: Any) -> None:
    with pytest.raises(InvalidArgument, match=f"{name}: expected an integer >= 0 but got"):
        Layout(**{"virtual": 1, "user": 1, "response": 1, name: count})


def test_equal_models_have_one_digest_whatever_holds_their_weights() -> None:
    written = UnconditionalGeneration(3, 2).transformer
    held = written.lowered.map(lambda _, matrix: matrix)  # as a caller has them who starts from exact matrices
    assert written.lowered.sha256 == held.lowered.sha256 == held.sha256
