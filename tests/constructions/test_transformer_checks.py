"""A transformer of one's own: weights given in many forms, and layers that do not fit are refused by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch

from constructions import Attention, Head, InvalidArgument, Linear, Table, Transformer, Unmarked, lower
from constructions.expressions import N, V
from constructions.layers import rotary, sinusoidal

ROWS: list[list[Any]] = [[0, Fraction(1, 2)], [-1, 4]]

FORMS: list[Any] = [
    ROWS,
    tuple(tuple(row) for row in ROWS),
    np.array([[0, 0.5], [-1, 4]]),
    np.array([[0, 0.5], [-1, 4]], dtype=np.float16),
    list(np.array([[0, 0.5], [-1, 4]], dtype=np.float32)),
    torch.tensor([[0, 0.5], [-1, 4]], dtype=torch.bfloat16),
    torch.tensor([[0, 0.5], [-1, 4]], dtype=torch.float64, requires_grad=True),
    sp.Matrix([[0, sp.Rational(1, 2)], [-1, 4]]),
    [[sp.Integer(0), sp.Rational(1, 2)], [-1, np.int8(4)]],
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: type(form).__name__)
def test_weights_in_any_form(form: Any) -> None:
    assert lower(form, {}).to_fractions() == ROWS
    head = Head("own", query=form, key=form, value=form)
    layer = Linear(form, [[1], [2]])
    assert lower(head.value, {}).to_fractions() == lower(layer.weight, {}).to_fractions() == ROWS


def test_a_float_is_the_dyadic_number_that_it_is() -> None:
    assert lower([[0.1]], {}).to_fractions() == [[Fraction(0.1)]]
    assert lower(torch.tensor([[0.1]]), {}).to_fractions() == [[Fraction(float(np.float32(0.1)))]]


def _transformer(**changes: Any) -> Transformer:
    """Return one that fits: V = 3, d_e = 2, N = 2, so that 4 coordinates go into the attention."""
    query, value = [[0, 0, 1, 1]], [[1, 0, 0, 0], [0, 1, 0, 0]]
    parts: dict[str, Any] = {
        "embedding": [[1, 0, 0], [0, 1, 0]],
        "layers": (
            Attention((Head("a", query=query, key=query, value=value),)),
            Linear([[1, 1]], [[0]], name="middle"),
            Linear([[1], [2], [3]], [[0], [0], [0]], activation=None, name="readout"),
        ),
        "context_size": 2,
    }
    return Transformer(**{**parts, **changes})


def _layers(**changes: Any) -> tuple[Any, ...]:
    names = ("attention", "middle", "readout")
    return tuple(changes.get(name, layer) for name, layer in zip(names, _transformer().layers, strict=True))


def test_one_that_fits() -> None:
    exact = _transformer().lowered
    assert (exact.embedding_size, exact.vocab_size, exact.context_size) == (2, 3, 2)
    assert list(exact.matrices()) == [
        "embedding",
        "attention.a.query",
        "attention.a.key",
        "attention.a.value",
        "middle.weight",
        "middle.bias",
        "readout.weight",
        "readout.bias",
    ]


def _head(
    name: str = "b", *, query: int = 4, key: int = 4, value: int = 4, key_rows: int = 1, value_rows: int = 2
) -> Head:
    return Head(name, query=[[0] * query], key=[[0] * key] * key_rows, value=[[0] * value] * value_rows)


WIDE = "its input is 4 wide: 2 coordinates of the embedding and 2 positions"
MIDDLE = "its input is {} wide: what comes from attention"


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((), "layers: expected the last layer to be a Linear without an activation, the readout"),
        (_layers()[:1], "layers: expected the last layer to be a Linear without an activation, the readout"),
        (_layers()[:2], "layers: expected the last layer to be a Linear without an activation, the readout"),
        (
            _layers(middle=Linear([[1, 1]], [[0]], name="readout")),
            "layers: expected distinct names but got attention, readout, readout (readout twice)",
        ),
        (_layers(attention=Attention(())), "layers: expected attention to have at least one head"),
        (
            _layers(attention=Attention((_head(query=3),))),
            f"layers: expected query of head b in layer attention to be 1 x 4 but it is 1 x 3; {WIDE}",
        ),
        (
            _layers(attention=Attention((_head(key=5),))),
            f"layers: expected key of head b in layer attention to be 1 x 4 but it is 1 x 5; {WIDE}",
        ),
        (
            _layers(attention=Attention((_head(value=5),))),
            f"layers: expected value of head b in layer attention to be 2 x 4 but it is 2 x 5; {WIDE}",
        ),
        (
            _layers(attention=Attention((_head(key_rows=2),))),
            "layers: expected key of head b in layer attention to be 1 x 4 but it is 2 x 4; it has as many rows as the"
            f" query, and {WIDE}",
        ),
        (
            _layers(attention=Attention((_head(), _head("c", value_rows=3)), name="two")),
            "layers: expected value of head c in layer two to be 2 x 4 but it is 3 x 4; the outputs of heads are added"
            f" up, and {WIDE}",
        ),
        (
            _layers(attention=Attention((_head(), _head()))),
            "heads of layer attention: expected distinct names but got b, b (b twice)",
        ),
        (
            _layers(middle=Attention((_head(),), name="attention.b")),
            f"layers: expected query of head b in layer attention.b to be 1 x 2 but it is 1 x 4; {MIDDLE.format(2)}",
        ),
        (
            _layers(attention=Attention((_head(value_rows=3),))),
            f"layers: expected weight of layer middle to be 1 x 3 but it is 1 x 2; {MIDDLE.format(3)}",
        ),
        (
            _layers(middle=Linear([[1, 1, 1]], [[0]], name="middle")),
            f"layers: expected weight of layer middle to be 1 x 2 but it is 1 x 3; {MIDDLE.format(2)}",
        ),
        (
            _layers(middle=Linear([[1, 1]], [[0], [0]], name="middle")),
            "layers: expected bias of layer middle to be 1 x 1 but it is 2 x 1; one number for each row of the weight",
        ),
        (
            _layers(middle=Linear([[1, 1]], [[0, 0]], name="middle")),
            "layers: expected bias of layer middle to be 1 x 1 but it is 1 x 2; one number for each row of the weight",
        ),
        (
            _layers(readout=Linear([[1, 1]] * 3, [[0]] * 3, activation=None, name="readout")),
            "layers: expected weight of layer readout to be 3 x 1 but it is 3 x 2; its input is 1 wide: what comes from"
            " middle",
        ),
        (
            _layers(readout=Linear([[1]] * 4, [[0]] * 4, activation=None, name="readout")),
            "layers: expected weight of layer readout to have 3 rows, one logit for each token (a column of the"
            " embedding), but it is 4 x 1",
        ),
    ],
)
def test_layers_that_do_not_fit(layers: tuple[Any, ...], message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        _ = _transformer(layers=layers).lowered
    assert str(caught.value) == message


WEIGHT = "weight of layer linear"


def _refused(call: Callable[[], object]) -> str:
    with pytest.raises(InvalidArgument) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize(
    ("entry", "shown"),
    [
        (math.nan, "nan (type float)"),
        (math.inf, "inf (type float)"),
        (np.float32("nan"), "np.float32(nan) (type float32)"),
        ("x", "'x' (type str)"),
        (None, "None (type NoneType)"),
        (1j, "1j (type complex)"),
    ],
)
def test_entries_that_are_not_finite_numbers(entry: Any, shown: str) -> None:
    assert _refused(lambda: Linear([[0, entry]], [[0]])) == f"{WEIGHT}: expected finite numbers but got {shown}"
    assert (
        _refused(lambda: Linear([[0]], [[entry]])) == f"bias of layer linear: expected finite numbers but got {shown}"
    )
    assert _refused(lambda: _transformer(embedding=[[entry]])) == f"embedding: expected finite numbers but got {shown}"
    assert _refused(lambda: Head("a", query=[[1]], key=[[entry]], value=[[1]])).startswith(
        "key of head a: expected finite"
    )


def test_an_array_or_tensor_with_a_nan_is_refused() -> None:
    assert _refused(lambda: Linear(np.array([[math.nan]]), [[0]])).startswith(f"{WEIGHT}: expected finite")
    assert _refused(lambda: Linear([[0]], torch.tensor([[math.nan]]))).startswith(
        "bias of layer linear: expected finite"
    )


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ([[1, 2], [3]], "list of 2: rows of 1 and 2 entries"),
        ([1, 2], "list of 2: entries that are no rows"),
        ([[1], 2], "list of 2: entries that are no rows"),
        (np.array([1.0]), "ndarray of 1: entries that are no rows"),
        (torch.tensor([1.0]), "ndarray of 1: entries that are no rows"),
    ],
)
def test_what_is_not_a_matrix(value: Any, kind: str) -> None:
    assert _refused(lambda: Linear(value, [[0]])) == f"{WEIGHT}: expected a two-dimensional matrix but got {kind}"


@pytest.mark.parametrize("value", [5, None, 0.5])
def test_what_is_not_even_a_sequence(value: Any) -> None:
    message = _refused(lambda: Linear(value, [[0]]))
    assert message == f"{WEIGHT}: expected a two-dimensional matrix but got {type(value).__name__}"


@pytest.mark.parametrize("entry", [sp.sqrt(2), sp.pi, sp.nan, sp.oo, sp.I])
def test_sympy_entries_that_are_not_rational(entry: sp.Expr) -> None:
    """An exact weight is a rational number: an irrational one must not become a float's worth of it."""
    _refused(lambda: lower([[entry]], {}))
    _refused(lambda: lower(sp.Matrix([[entry]]), {}))


def test_symbols_need_numbers() -> None:
    transformer = _transformer(embedding=sp.ZeroMatrix(N, V), context_size=N, bindings={V: 3})
    assert _refused(lambda: transformer.lowered) == "bindings: expected a number for N in N"
    whole = _transformer(embedding=sp.ZeroMatrix(N, V), context_size=N, bindings={V: 3, N: 2})
    assert whole.lowered.context_size == 2


@pytest.mark.parametrize(
    ("activation", "shown"),
    [("gelu", "'gelu' (type str)"), (1, "1 (type int)"), (True, "True (type bool)"), ("none", "'none' (type str)")],
)
def test_an_activation_that_is_not_there(activation: Any, shown: str) -> None:
    message = _refused(lambda: Linear([[1]], [[0]], activation=activation, name="middle"))
    assert message == "activation of layer middle: expected an Activation, such as RELU, or None, but got " + shown


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (_layers()[2], "layers: expected a tuple of layers; one alone is written (it,), with a comma"),
        ("layers", "layers: expected a tuple of layers, but got 'layers' (type str)"),
        ((*_layers(), np.eye(2)), "layers: expected a tuple of layers, but got array("),
    ],
)
def test_layers_that_are_none(layers: Any, message: str) -> None:
    assert _refused(lambda: _transformer(layers=layers)).startswith(message)


def test_heads_that_are_none() -> None:
    head = _head()
    assert "expected a tuple of Head; one alone is written (it,)" in _refused(lambda: Attention(head))  # type: ignore[arg-type]
    assert _refused(lambda: Attention((head, [[1]]), name="two")).startswith(  # type: ignore[arg-type]
        "heads of layer two: expected a tuple of Head, but got [[1]] (type list)"
    )
    assert Attention([head]).heads == (head,)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", None, 3])
def test_names_that_are_none(name: Any) -> None:
    assert _refused(lambda: _head(name)).startswith("name of a head: expected a word but got")
    assert _refused(lambda: Linear([[1]], [[0]], name=name)).startswith("name of a layer: expected a word but got")
    assert _refused(lambda: Attention((_head(),), name=name)).startswith("name of a layer: expected a word but got")


def test_names_of_matrices_that_are_the_same() -> None:
    """Weights are held by name: the matrices of one would run in the place of the other's."""
    one = Attention((Head("b.c", query=[[0] * 4], key=[[0] * 4], value=[[0] * 4] * 2),), name="a")
    other = Attention((Head("c", query=[[0] * 2], key=[[0] * 2], value=[[0] * 2] * 2),), name="a.b")
    message = _refused(lambda: _transformer(layers=(one, other, *_layers()[1:])).lowered)
    assert message.startswith("names of matrices: expected distinct names but got embedding, a.b.c.query")


@pytest.mark.parametrize("size", [2.0, "2", None, True])
def test_a_context_size_that_is_no_number(size: Any) -> None:
    message = _refused(lambda: _transformer(context_size=size))
    assert message.startswith("context_size: expected a number of positions but got")


def test_the_mask_and_the_context() -> None:
    assert _refused(lambda: _transformer(mask="none")) == (
        "mask: a Transformer takes none, as its construction owns it (Construction.mask)"
    )
    empty = _transformer(context_size=0)
    assert _refused(lambda: empty.lowered) == "context_size: expected an integer >= 1 but got 0 (type int)"


def test_without_its_readout_it_is_lowered_anew() -> None:
    layers = (Linear([[1, 0], [0, 1]], name="inner"), Linear([[1, 0], [0, 1]], activation=None, name="readout"))
    transformer = Transformer([[1, 0], [0, 1]], layers, context_size=1, positions=Unmarked())
    assert "lowered" not in vars(transformer.without_readout())
    assert len(transformer.lowered.layers) == 2
    shortened = transformer.without_readout()  # it had the lowered weights of the whole transformer
    assert "lowered" not in vars(shortened)
    assert [layer.name for layer in shortened.layers] == ["inner"]


@pytest.mark.parametrize("rows", [None, 1, (1,), ((True, False),), (), ((1,),)])
def test_a_table_that_is_no_mask(rows: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"rows of a mask: expected a square tuple of tuples of True and False"):
        Table(rows)


def test_a_table_does_not_change_with_the_lists_that_it_was_made_of() -> None:
    rows: Any = [[True, False], [True, True]]
    table = Table(rows)
    rows[0][1] = True
    assert table.causal
    assert table == Table(((True, False), (True, True)))


@pytest.mark.parametrize("base", [0, -1.0, math.inf, math.nan, "x", True])
def test_a_base_that_is_no_positive_number(base: Any) -> None:
    for make in (sinusoidal, rotary):
        with pytest.raises(InvalidArgument, match=r"base: expected a positive number but got"):
            make(4, 3, base=base)
