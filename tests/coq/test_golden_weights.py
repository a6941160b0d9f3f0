"""The tie: the matrices that Coq proves theorems about are the matrices that Python runs, entry by entry."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from constructions import ConditionalGeneration, Construction, LongerInputs, LongerResponses, UnconditionalGeneration
from tests.coq import golden_weights as golden

FILES = sorted(golden.FOLDER.glob("*.txt"))


def test_there_are_golden_files_for_every_construction_and_encoding_of_the_theorems() -> None:
    names = {path.stem.rstrip("_0123456789") for path in FILES}
    integers = {"unconditional_generation_integer", "conditional_generation_integer", "longer_responses_integer"}
    paper = {"unconditional_generation", "conditional_generation", "longer_responses", "longer_inputs"}
    assert names == paper | integers
    assert golden.FOLDER / "unconditional_generation_94_20.txt" in FILES
    assert golden.FOLDER / "unconditional_generation_integer_94_20.txt" in FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_entry_of_every_matrix_is_the_same(path: Path) -> None:
    construction, matrices, layers = golden.parse(path)
    ours, our_layers = _weights(construction)
    assert list(our_layers.items()) == list(layers.items())
    assert ours.keys() == matrices.keys()
    for name, matrix in matrices.items():
        assert ours[name] == matrix, name


CONSTRUCTIONS = [
    UnconditionalGeneration(5, 4),
    ConditionalGeneration(5),
    LongerResponses(3, 2),
    LongerInputs(3, 2),
    UnconditionalGeneration(5, 4, encoding="integer"),
    ConditionalGeneration(5, encoding="integer"),
    LongerResponses(3, 2, encoding="integer"),
]


#: Files of the integer encoding with more than one token; a single token is 0 in every encoding.
INTEGERS = [path for path in FILES if "_integer_" in path.stem and golden.parse(path)[0].vocab_size > 1]


@pytest.mark.parametrize("construction", CONSTRUCTIONS, ids=repr)
def test_one_changed_entry_of_any_matrix_breaks_the_tie(construction: Construction) -> None:
    matrices = next(found for named, found, _ in map(golden.parse, FILES) if named == construction)
    ours, _ = _weights(construction)
    for name, (shape, entries) in ours.items():
        if 0 in shape:
            continue
        place = next(iter(entries), (0, 0))
        broken = dict(entries) | {place: entries.get(place, Fraction(0)) + Fraction(1, 10**9)}
        assert matrices[name] == (shape, entries), name
        assert matrices[name] != (shape, broken), name


@pytest.mark.parametrize("path", INTEGERS, ids=lambda path: path.stem)
@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"encoding": "paper"}, {"block0.mlp2.weight", "block0.mlp2.bias", "virtual_tokens"}),
        ({"encoding": "dyadic"}, {"block0.mlp2.weight", "block0.mlp2.bias", "virtual_tokens"}),
        ({"lift": "mask"}, {"block0.mlp0.bias"}),
        ({"readout": "centred"}, {"block0.mlp2.weight", "block0.mlp2.bias"}),
    ],
    ids=["paper", "dyadic", "mask", "centred"],  # a set has no order of its own, and xdist compares the names
)
def test_another_encoding_lift_or_readout_breaks_the_tie_of_the_integers(
    path: Path, wrong: dict[str, Any], where: set[str]
) -> None:
    construction, matrices, _ = golden.parse(path)
    assert isinstance(construction, UnconditionalGeneration | ConditionalGeneration | LongerResponses)
    ours, _ = _weights(dataclasses.replace(construction, **wrong))
    assert where <= {name for name, matrix in matrices.items() if ours[name] != matrix}


def _weights(construction: Construction) -> tuple[dict[str, golden.Sparse], dict[str, str]]:
    ours, layers = golden.from_python(construction.transformer.lowered)
    return ours | {"virtual_tokens": golden.virtual_tokens(construction)}, layers
