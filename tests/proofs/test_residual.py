"""The obligations about residual streams are discharged, and each weight that is wrong fails one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

import pytest
import sympy as sp

from constructions import (
    RELU,
    Attention,
    LayerNorm,
    Linear,
    Residual,
    ResidualConditional,
    ResidualGeneration,
    Sum,
    Transformer,
)
from constructions.activations import GELU
from constructions.residual import ARCHITECTURES
from proofs import ObligationError, get_claim
from proofs.residual.obligations import CONDITIONAL_OBLIGATIONS, GENERATION_OBLIGATIONS, _subjects
from tests.shares import heavy_or_long

OBLIGATIONS = {item.id: item for item in (*GENERATION_OBLIGATIONS, *CONDITIONAL_OBLIGATIONS)}
#: The obligations of one architecture in one claim: its layers, its norms, and how it selects.
SUBJECTS = sorted({name.rpartition("-")[0] for name in OBLIGATIONS if not name.endswith(".bounds")})
#: In the default tier this one; each takes seconds.
FIRST = ("residual-theorem-1.gpt2", "0")


def _refused(subject: str, changed: Transformer) -> bool:
    for part in ("layers", "norms", "selects"):
        try:
            OBLIGATIONS[f"{subject}-{part}"].discharge(changed)
        except ObligationError:
            return True
    return False


def _subject(name: str) -> Transformer:
    made: Transformer = OBLIGATIONS[f"{name}-layers"].subject()
    return made


def test_every_architecture_has_its_obligations() -> None:
    assert sorted(f"residual-theorem-{n}.{name}" for n in (1, 2) for name in ARCHITECTURES) == SUBJECTS
    for n in (1, 2):
        steps = get_claim(f"residual-theorem-{n}").plan or ()
        exhausted = {step.options.get("architecture", "gpt2") for step in steps if step.evidence == "exhausted"}
        assert exhausted == set(ARCHITECTURES)


def _blocks(matrix: Any) -> Iterator[tuple[int, int]]:
    rows, columns = matrix.blocks.shape
    for row in range(rows):
        for column in range(columns):
            if not matrix.blocks[row, column].is_ZeroMatrix:
                yield row, column


def _changed(matrix: Any, place: tuple[int, int], change: Callable[[Any], Any]) -> Any:
    grid = [[matrix.blocks[r, c] for c in range(matrix.blocks.shape[1])] for r in range(matrix.blocks.shape[0])]
    grid[place[0]][place[1]] = change(grid[place[0]][place[1]])
    return sp.BlockMatrix(grid)


CHANGES: dict[str, Callable[[Any], Any]] = {
    "doubled": lambda part: 2 * part,
    "0": lambda part: sp.ZeroMatrix(*part.shape),
}


@pytest.mark.parametrize(
    ("subject", "kind"),
    [
        FIRST,
        *heavy_or_long([(name, kind) for name in SUBJECTS for kind in CHANGES if (name, kind) != FIRST], 6),
    ],
)
def test_every_block_of_every_weight_matters(subject: str, kind: str) -> None:
    """Each block that is not 0, doubled or left out, fails an obligation."""
    right, count = _subject(subject), 0
    assert not _refused(subject, right)
    for name, matrix in right.matrices().items():
        for place in _blocks(matrix) if isinstance(matrix, sp.BlockMatrix) else ():

            def at(where: Any, weight: Any, name: str = name, place: Any = place) -> Any:
                return _changed(weight, place, CHANGES[kind]) if where.name == name else weight

            assert _refused(subject, right.map(at)), (name, place)
            count += 1
    assert count >= 10


@pytest.mark.parametrize(
    "subject", [pytest.param(name, marks=() if "theorem-1" in name else pytest.mark.heavy) for name in SUBJECTS]
)
def test_other_layers_are_refused(subject: str) -> None:
    right = _subject(subject)
    first, *rest = right.layers
    assert isinstance(first, Residual)

    def with_layers(*layers: Any) -> Transformer:
        return replace(right, layers=layers)

    readout = rest[-1]
    norm = rest[-2]
    assert _refused(subject, with_layers(first, *rest[:-2], readout))  # no norm before the readout
    assert _refused(subject, with_layers(*rest))  # no attention
    assert _refused(subject, with_layers(first, *rest[:-1], readout.changed(activation=RELU)))
    assert _refused(subject, with_layers(first, *rest[:-2], norm.changed(weight=sp.OneMatrix(2, 1)), readout))
    bare = first.changed(layers=first.layers[1:]) if len(first.layers) > 1 else first.changed(name="another")
    changed = with_layers(bare, *rest)
    assert _refused(subject, changed) is (len(first.layers) > 1)  # a name of a residual says nothing


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("theorem", "sizes", "spares"),
    [
        (ResidualGeneration, (3, 2), {"llama": 1, "gpt-neox": 6}),
        (ResidualConditional, (2,), {"llama": 1, "gpt-neox": 7}),
    ],
)
def test_zeros_that_make_up_a_width_change_no_obligation(
    theorem: Any, sizes: tuple[int, ...], spares: dict[str, int]
) -> None:
    for subject in _subjects(theorem, *sizes, counted=theorem is ResidualGeneration):
        name, stream = subject.construction.architecture, subject.construction.stream
        if name in spares:
            assert stream["spare"] == spares[name]
            assert all(item.discharge().holds for item in subject.obligations("here"))


def test_a_class_made_from_a_known_one_is_refused() -> None:
    """It may compute anything, as a layer whose weights are 0 and that adds a number beside them."""
    right = _subject("residual-theorem-1.gpt-neox")
    for name, kind in (("mlp 0", Linear), ("attention 1", Attention), ("norm before readout", LayerNorm)):
        made = type(kind.__name__, (kind,), {})

        def other(layer: Any, name: str = name, made: type = made) -> Any:
            if layer.name == name:
                return made(**{item.name: getattr(layer, item.name) for item in fields(layer) if item.init})
            held = "branches" if isinstance(layer, Sum) else "layers"
            inner = tuple(map(other, getattr(layer, held, ())))
            return layer.changed(**{held: inner}) if inner else layer

        changed = replace(right, layers=tuple(map(other, right.layers)))
        assert any(type(layer) is made for layer in changed.leaves)
        with pytest.raises(ObligationError):
            OBLIGATIONS["residual-theorem-1.gpt-neox-layers"].discharge(changed)


def test_another_activation_is_refused() -> None:
    right = _subject("residual-theorem-1.gpt2")
    fetch, block, *rest = right.layers
    assert isinstance(block, Residual)
    norm, select, write = block.layers
    changed = block.changed(layers=(norm, select.changed(activation=GELU), write))
    assert _refused("residual-theorem-1.gpt2", replace(right, layers=(fetch, changed, *rest)))
    assert isinstance(norm, LayerNorm)
