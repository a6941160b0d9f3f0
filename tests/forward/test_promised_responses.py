"""Every construction does what its theorem promises, in every arithmetic, at the computed default temperature."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import pytest
import torch

from constructions import (
    ConditionalGeneration,
    Construction,
    Hardmax,
    InvalidArgument,
    Layout,
    Linear,
    LongerInputs,
    LongerResponses,
    RationalSoftmax,
    Ratios,
    Softmax,
    TargetSpace,
    Transformer,
    UnconditionalGeneration,
)
from constructions.validation import IntArray
from verify.arithmetic import Arithmetic, NumpyArithmetic, RationalArithmetic, SymbolicArithmetic, get_arithmetic
from verify.arithmetic.structured import StructuredTorchArithmetic
from verify.arithmetic.tensors import TorchArithmetic
from verify.running.model import bind, bind_construction, forward

Decode = Callable[..., np.ndarray[Any, np.dtype[np.int64]]]
AnyArithmetic = Arithmetic[Any, Any, Any]

EXACT = RationalArithmetic()
SYMBOLIC = SymbolicArithmetic()


def _floats(*names: str) -> list[AnyArithmetic]:
    made: list[AnyArithmetic] = []
    for name in names:
        made += [TorchArithmetic(name), StructuredTorchArithmetic(name)]
        made += [] if name == "bfloat16" else [NumpyArithmetic(name)]
    return made


WIDE = _floats("float64", "float32")
ALL = [*WIDE, *_floats("bfloat16", "float16")]

SMALL: list[Construction] = [
    UnconditionalGeneration(1, 1),
    UnconditionalGeneration(1, 5),
    UnconditionalGeneration(4, 1),
    UnconditionalGeneration(5, 6),
    ConditionalGeneration(1),
    ConditionalGeneration(7),
    LongerResponses(1, 1),
    LongerResponses(4, 1),
    LongerResponses(1, 3),
    LongerResponses(3, 4),
    LongerInputs(1, 2),
    LongerInputs(2, 2),
    LongerInputs(4, 2, "mask"),
    LongerInputs(1, 4),
]
LARGER: list[tuple[Construction, list[AnyArithmetic]]] = [
    (UnconditionalGeneration(94, 20), [EXACT, *WIDE]),
    (UnconditionalGeneration(16, 12), _floats("bfloat16")),
    (UnconditionalGeneration(37, 12), _floats("float16")),
    (UnconditionalGeneration(94, 20, temperature=Hardmax()), [EXACT, *WIDE]),
    (ConditionalGeneration(94), [EXACT, *WIDE]),
    (LongerResponses(30, 8), [EXACT, *WIDE]),
    (LongerInputs(5, 2), [EXACT, *WIDE]),
    (LongerInputs(7, 2), _floats("float32")),
    (LongerInputs(8, 2, "mask"), _floats("float32")),
    (LongerInputs(13, 2), _floats("float64")),
    (LongerInputs(2, 4), [EXACT, *_floats("float64")]),
    (LongerInputs(3, 3), [EXACT, *_floats("float64")]),
    (LongerInputs(3, 3, "mask", mask="none"), _floats("float64")),
]


def _check(decode: Decode, construction: Construction, arithmetic: AnyArithmetic, count: int) -> None:
    targets = construction.targets.sample(count, seed=11)
    targets[-1] = construction.vocab_size - 1  # the hardest of Theorem 1
    inputs = construction.user_inputs.sample(count, seed=12)
    made = decode(construction, arithmetic, targets, inputs)
    assert made.dtype == np.int64
    assert made.tolist() == construction.response(targets, inputs).tolist()


def _name(value: Any) -> str:
    return repr(value) if isinstance(value, Construction) else f"{type(value).__name__}-{value.name}"


@pytest.mark.share(30)
@pytest.mark.parametrize("mask", ["causal", "none"])
@pytest.mark.parametrize("arithmetic", [EXACT, *ALL], ids=_name)
@pytest.mark.parametrize("construction", SMALL, ids=repr)
def test_small_sizes(
    decode: Decode, construction: Construction, arithmetic: AnyArithmetic, mask: Literal["causal", "none"]
) -> None:
    if isinstance(construction, LongerInputs) and arithmetic.fmt is not None:
        try:
            construction.check_format(arithmetic.fmt)
        except InvalidArgument:
            with pytest.raises(InvalidArgument, match=r"^dtype: expected a format that carries"):
                decode(construction, arithmetic, construction.targets.sample(1, seed=0))
            return
    variant = dataclasses.replace(construction, mask=mask)
    _check(decode, variant, arithmetic, 6 if arithmetic is EXACT else 40)


@pytest.mark.share(10)
@pytest.mark.parametrize(
    ("construction", "arithmetic"), [(made, kind) for made, kinds in LARGER for kind in kinds], ids=_name
)
def test_larger_sizes(decode: Decode, construction: Construction, arithmetic: AnyArithmetic) -> None:
    _check(decode, construction, arithmetic, 2 if arithmetic is EXACT else 60)


@pytest.mark.parametrize(
    "construction",
    [
        UnconditionalGeneration(3, 3, temperature=Hardmax()),
        ConditionalGeneration(3, temperature=Hardmax()),
        LongerResponses(2, 2, temperature=Hardmax()),
        LongerInputs(2, 2, temperature=Hardmax()),
    ],
    ids=repr,
)
def test_symbols_at_hardmax(decode: Decode, construction: Construction) -> None:
    _check(decode, construction, SYMBOLIC, 3)


@pytest.mark.parametrize("arithmetic", WIDE, ids=_name)
def test_an_exact_q_in_floats(decode: Decode, arithmetic: AnyArithmetic) -> None:
    """The threshold of V = 10, N = 4 is 111; rounding is far smaller than what 1 % of ``q`` moves."""
    target = [[9, 9, 9, 9]]
    above = UnconditionalGeneration(10, 4, temperature=RationalSoftmax(Fraction(112)))
    below = UnconditionalGeneration(10, 4, temperature=RationalSoftmax(Fraction(110)))
    assert decode(above, arithmetic, target).tolist() == target
    assert decode(below, arithmetic, target).tolist() == [[9, 9, 9, 8]]


def test_every_target_of_a_batch_has_its_own_virtual_token(decode: Decode) -> None:
    construction = LongerResponses(3, 2)
    targets = construction.targets.unrank_range(0, construction.targets.size)
    for arithmetic in WIDE:
        for token in range(3):
            inputs = np.full((len(targets), 1), token)
            assert np.array_equal(decode(construction, arithmetic, targets, inputs), targets[:, :, token])


@dataclasses.dataclass(frozen=True, repr=False)
class _Loud(Construction):
    """A construction of one's own with a weight of ``2^200``."""

    vocab_size: int = 1

    @property
    def layout(self) -> Layout:
        return Layout(virtual=1, user=0, response=1)

    @property
    def transformer(self) -> Transformer:
        return Transformer([[0]], (Linear([[2**200, 0]], [[0]], activation=None),), 1)

    @property
    def targets(self) -> TargetSpace:
        return TargetSpace(1, (1,))

    def encode(self, targets: IntArray) -> Ratios:
        return Ratios(targets[:, None, :], 1)

    def answer(self, targets: IntArray, user_inputs: IntArray) -> IntArray:
        return targets


def test_a_weight_beyond_the_format_is_an_error(decode: Decode) -> None:
    assert decode(_Loud(), EXACT, [[0]]).tolist() == [[0]]
    assert decode(_Loud(), NumpyArithmetic("float64"), [[0]]).tolist() == [[0]]
    for arithmetic in _floats("float32", "float16", "bfloat16"):
        assert arithmetic.fmt is not None
        with pytest.raises(InvalidArgument) as caught:
            decode(_Loud(), arithmetic, [[0]])
        assert str(caught.value) == (
            f"dtype: a weight of about 2^200 is beyond the largest number of {arithmetic.fmt.name}"
        )


def test_more_positions_than_the_context_has() -> None:
    construction = ConditionalGeneration(3)
    model = bind_construction(construction, EXACT)
    rows = EXACT.below(
        EXACT.prompt(construction.virtual_tokens([0, 1, 2])), EXACT.embed(model.embedding, np.array([0, 1]))
    )
    with pytest.raises(InvalidArgument) as caught:
        forward(model, rows, 3)
    assert str(caught.value) == "sequence: expected at most 2 positions, the context size, but got 3"


def test_arithmetics_by_name() -> None:
    assert isinstance(get_arithmetic("rational"), RationalArithmetic)
    assert isinstance(get_arithmetic("symbolic"), SymbolicArithmetic)
    assert get_arithmetic("numpy", dtype="float16").name == "numpy float16"
    assert get_arithmetic("torch", dtype="bfloat16").name == "torch bfloat16"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"kind": "ball"},
            "arithmetic: expected one of rational, symbolic, numpy, matrix-unit, torch, structured, engine but got"
            " 'ball' (type str)",
        ),
        (
            {"kind": "numpy", "dtype": "bfloat16"},
            "dtype: expected one of float64, float32, float16 but got 'bfloat16' (type str)",
        ),
        (
            {"kind": "torch", "dtype": "int8"},
            "dtype: expected one of float64, float32, bfloat16, float16 but got 'int8' (type str)",
        ),
        ({"kind": "numpy", "device": "cuda"}, "device: expected one of cpu but got 'cuda' (type str)"),
        ({"kind": "rational", "device": "cuda"}, "device: expected one of cpu but got 'cuda' (type str)"),
        (
            {"kind": "torch", "device": 5},
            "device: expected the name of a torch device, such as cpu or cuda but got 5 (type int)",
        ),
    ],
)
def test_names_that_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        get_arithmetic(**options)
    assert str(caught.value) == message


@pytest.mark.parametrize("device", ["cuda:77", "gpu", "meta"])
def test_devices_that_are_not_there(device: str) -> None:
    there = ", ".join(["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))])
    with pytest.raises(InvalidArgument) as caught:
        get_arithmetic("torch", device=device)
    assert str(caught.value) == f"device: expected a device of this machine ({there}) but got {device!r} (type str)"


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("construction", [c for c in SMALL if not isinstance(c, LongerInputs)], ids=repr)
def test_on_cuda(decode: Decode, construction: Construction, name: str) -> None:
    for arithmetic in (TorchArithmetic(name, "cuda"), StructuredTorchArithmetic(name, "cuda")):
        _check(decode, construction, arithmetic, 40)


def test_a_model_can_run_at_another_temperature() -> None:
    construction = UnconditionalGeneration(10, 4)
    exact = construction.transformer.lowered
    blunt = bind(exact, NumpyArithmetic(), Softmax(1.0), mask=construction.mask)
    assert blunt.temperature == Softmax(1.0)
    assert bind_construction(construction, NumpyArithmetic()).temperature != Softmax(1.0)
