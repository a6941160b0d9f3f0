"""What one reads: a ``repr`` that rebuilds the object, block matrices in LaTeX and in plain text."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import constructions
from constructions import (
    ConditionalGeneration,
    Construction,
    ExactMatrix,
    Hardmax,
    LongerInputs,
    LongerResponses,
    RationalSoftmax,
    Softmax,
    UnconditionalGeneration,
    lower,
)
from constructions.article import numbers_article
from constructions.expressions import N, UnitRow, V, entries, latex
from constructions.typeset import numbers_text, transformer_latex, transformer_text, weights
from verify import RationalArithmetic, exhaust

_temperatures = st.one_of(
    st.none(),
    st.just(Hardmax()),
    st.builds(Softmax, st.floats(0.01, 1e6), st.sampled_from(["key", "length"])),
    st.builds(RationalSoftmax, st.fractions(min_value=Fraction(1, 10**6))),
    st.sampled_from([float("inf"), 3, 2.5]),
)
_options = st.fixed_dictionaries(
    {}, optional={"temperature": _temperatures, "mask": st.sampled_from(["causal", "none"])}
)
_sizes = st.integers(1, 9)
CONSTRUCTIONS = st.one_of(
    st.builds(lambda a, b, more: UnconditionalGeneration(a, b, **more), _sizes, _sizes, _options),
    st.builds(lambda a, more: ConditionalGeneration(a, **more), _sizes, _options),
    st.builds(lambda a, b, more: LongerResponses(a, b, **more), _sizes, _sizes, _options),
    st.builds(
        lambda a, b, lift, more: LongerInputs(a, b, lift, **more),
        st.integers(1, 4),
        st.integers(2, 4),
        st.sampled_from(["add", "mask"]),
        _options,
    ),
)


@given(CONSTRUCTIONS)
def test_repr_rebuilds_the_object(construction: Construction) -> None:
    rebuilt = eval(repr(construction), {**vars(constructions), "Fraction": Fraction})
    assert rebuilt == construction
    assert type(rebuilt) is type(construction)
    assert repr(rebuilt) == repr(construction)


@dataclass(frozen=True, repr=False)
class _OfATable(UnconditionalGeneration):  # type: ignore[misc] # final to a type checker, as claims are about it alone
    table: Any = None


def test_an_option_that_is_an_array_is_shown() -> None:
    """Arrays compare to no plain truth, and the ``repr`` ended in numpy's error."""
    assert repr(_OfATable(4, 3)) == "_OfATable(vocab_size=4, context_size=3)"
    assert repr(_OfATable(4, 3, table=np.ones(2))) == ("_OfATable(vocab_size=4, context_size=3, table=array([1., 1.]))")
    verdict = exhaust(_OfATable(2, 2, table=np.ones(2)), RationalArithmetic())
    assert verdict.holds
    assert verdict.parameters["table"] == "array([1., 1.])"


def test_repr_leaves_defaults_out() -> None:
    assert repr(UnconditionalGeneration(4, 3)) == "UnconditionalGeneration(vocab_size=4, context_size=3)"
    assert repr(LongerInputs(4, 3, "mask", mask="none", temperature=Hardmax())) == (
        "LongerInputs(vocab_size=4, input_size=3, lift='mask', temperature=Hardmax(), mask='none')"
    )


def test_repr_of_a_temperature_that_numpy_made() -> None:
    softmax = Softmax(np.float32(3))  # type: ignore[arg-type] # what a user may pass
    assert eval(repr(softmax), {**vars(constructions)}) == Softmax(3.0)


def test_equality_is_that_of_all_options() -> None:
    assert UnconditionalGeneration(4, 3) == UnconditionalGeneration(4, 3)
    assert hash(UnconditionalGeneration(4, 3)) == hash(UnconditionalGeneration(4, 3))
    assert UnconditionalGeneration(4, 3) != UnconditionalGeneration(4, 3, mask="none")
    other: Construction = LongerResponses(4, 3)
    assert other != UnconditionalGeneration(4, 3)


@pytest.mark.parametrize(
    ("construction", "parts"),
    [
        (
            UnconditionalGeneration(4, 3),
            [
                r"E &= 0_{N \times V}",
                r'head "self":}\quad W_Q &= \left[\begin{matrix}0_{N \times N} & I_{N}\end{matrix}\right]',
                r'head "first":}\quad W_Q &= \left[\begin{matrix}0_{1 \times N} & 1_{1 \times N}\end{matrix}\right]',
                r'head "first":}\quad W_K &= \left[\begin{matrix}0_{1 \times N} & e_{0}^{\top}\end{matrix}\right]',
                r'head "first":}\quad W_V &= \left[\begin{matrix}I_{N} & 0_{N \times N}\end{matrix}\right]',
                r"\text{select:}\quad b &= - 1_{N \times 1}",
                r"\text{sum:}\quad W &= 1_{1 \times N}",
                r"\text{readout:}\quad W &= \left[-1 + \frac{2 i}{V}\right]_{0 \le i < V}",
                r"\text{readout:}\quad b &= \left[\frac{1}{4} - \frac{i^{2}}{V^{2}}\right]_{0 \le i < V}",
            ],
        ),
        (ConditionalGeneration(4), [r"E &= I_{V}", r"0_{2 \times V} & I_{2}", r"I_{V} & 0_{V \times 2}"]),
        (
            LongerResponses(3, 2),
            [r'head "back":}\quad W_Q &= \left[\begin{matrix}0_{N_{0} \times V} & 0_{N_{0} \times N_{0}} & I_{N_{0}}'],
        ),
        (
            LongerInputs(2, 2),
            [
                r"e_{l - 1}^{\top}",
                r"\text{compare first:}",
                r"\text{step:}",
                r"\text{pack:}",
                r"\text{block2.readout:}",
            ],
        ),
    ],
)
def test_the_latex_of_a_construction(construction: Any, parts: list[str]) -> None:
    text = construction._repr_latex_()
    assert text == f"$$\n{transformer_latex(construction.transformer)}\n$$"
    for part in parts:
        assert part in text
    assert text.count("{") == text.count("}")
    assert text.count(r"\begin{") == text.count(r"\end{")
    lines = text.removeprefix("$$\n\\begin{aligned}\n").removesuffix("\n\\end{aligned}\n$$").split("\n")
    assert len(lines) == len(list(weights(construction.transformer)))
    assert all(line.endswith(r" \\") for line in lines[:-1])


def test_the_weights_are_symbolic_and_do_not_name_the_sizes() -> None:
    assert UnconditionalGeneration(4, 3)._repr_latex_() == UnconditionalGeneration(50, 7)._repr_latex_()


def test_layers_of_one_family_are_shown_once() -> None:
    names = [where for where, _, _ in weights(LongerInputs(2, 4).transformer)]
    assert names.count("step") == names.count("compare") == names.count("pack") == 2  # a weight and a bias
    assert sum(name.startswith("attention of the middle block") for name in names) == 6
    masked = [where for where, _, _ in weights(LongerInputs(2, 3, "mask").transformer)]
    assert "select" in masked
    assert "select masked" in masked


def test_plain_text() -> None:
    assert transformer_text(UnconditionalGeneration(4, 3).transformer).splitlines() == [
        "embedding: E = 0(N x V)",
        'attention, head "self": W_Q = [0(N x N), I(N x N)]',
        'attention, head "self": W_K = [0(N x N), I(N x N)]',
        'attention, head "self": W_V = [0(N x N), I(N x N)]',
        'attention, head "first": W_Q = [0(1 x N), 1(1 x N)]',
        'attention, head "first": W_K = [0(1 x N), e_0^T(1 x N)]',
        'attention, head "first": W_V = [I(N x N), 0(N x N)]',
        "select: W = I(N x N)",
        "select: b = (-1) 1(N x 1)",
        "sum: W = 1(1 x N)",
        "sum: b = 0(1 x 1)",
        "readout: W = [-1 + 2*i/V](V x 1)",
        "readout: b = [1/4 - i**2/V**2](V x 1)",
    ]


def test_plain_text_of_sums() -> None:
    text = transformer_text(LongerInputs(2, 2, "mask").transformer)
    assert {"embedding: E = (-1) 1(V x V) + I(V x V)", "embedding: E = I(V x V) + (-1) 1(V x V)"} & {*text.splitlines()}


def test_exact_numbers() -> None:
    matrix = ConditionalGeneration(3).transformer.lowered.matrices()["readout.bias"]
    assert numbers_text(matrix) == "[   1/4 ]\n[  5/36 ]\n[ -7/36 ]"
    assert r"\begin{bmatrix}\frac{1}{4} \\ \frac{5}{36} \\ - \frac{7}{36}\end{bmatrix}" in numbers_article(
        {"b": matrix}
    )
    wide: ExactMatrix = lower([[1, Fraction(-1, 2)], [0, 10]], {})
    assert numbers_text(wide) == "[    1 -1/2 ]\n[    0   10 ]"
    assert r"\begin{bmatrix}1 & - \frac{1}{2} \\ 0 & 10\end{bmatrix}" in numbers_article({"wide": wide})


def test_expressions() -> None:
    assert latex(UnitRow(N, V - 1)) == r"e_{V - 1}^{\top}"
    assert latex(entries(N, V, lambda i, j: i + j)) == r"\left[i + j\right]_{0 \le i < N,\ 0 \le j < V}"
    assert latex(sp.Identity(N) + sp.OneMatrix(N, N)) in {r"I_{N} + 1_{N \times N}", r"1_{N \times N} + I_{N}"}
    assert UnitRow(N, 0).shape == (1, N)
    assert sp.Matrix(UnitRow(4, 2)) == sp.Matrix([[0, 0, 1, 0]])
