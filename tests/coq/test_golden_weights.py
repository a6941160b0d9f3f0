"""The tie: the matrices that Coq proves theorems about are the matrices that Python runs, entry by entry."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from constructions import (
    ConditionalGeneration,
    Construction,
    LongerInputs,
    LongerResponses,
    UnconditionalGeneration,
)
from tests.coq import golden_weights as golden

FILES = sorted(golden.FOLDER.glob("*.txt"))


def test_there_are_golden_files_for_every_construction() -> None:
    names = {path.stem.rstrip("_0123456789") for path in FILES}
    assert names == {"unconditional_generation", "conditional_generation", "longer_responses", "longer_inputs"}
    assert golden.FOLDER / "unconditional_generation_94_20.txt" in FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_entry_of_every_matrix_is_the_same(path: Path) -> None:
    header, matrices, layers = golden.parse(path)
    construction = golden.construction_of(header)
    ours, our_layers = golden.from_python(construction.transformer.lowered)
    ours["virtual_tokens"] = golden.virtual_tokens(construction)
    assert list(our_layers.items()) == list(layers.items())
    assert ours.keys() == matrices.keys()
    for name, matrix in matrices.items():
        assert ours[name] == matrix, name


CONSTRUCTIONS = [
    UnconditionalGeneration(5, 4),
    ConditionalGeneration(5),
    LongerResponses(3, 2),
    LongerInputs(3, 2),
]


@pytest.mark.parametrize("construction", CONSTRUCTIONS, ids=lambda construction: type(construction).__name__)
def test_one_changed_entry_of_any_matrix_breaks_the_tie(construction: Construction) -> None:
    names = {type(construction).__name__ + f" {' '.join(map(str, _sizes(construction)))}": construction}
    path = next(path for path in FILES if golden.parse(path)[0] in names)
    _, matrices, _ = golden.parse(path)
    ours, _ = golden.from_python(construction.transformer.lowered)
    for name, (shape, entries) in ours.items():
        if 0 in shape:
            continue
        place = next(iter(entries), (0, 0))
        broken = dict(entries) | {place: entries.get(place, Fraction(0)) + Fraction(1, 10**9)}
        assert matrices[name] == (shape, entries), name
        assert matrices[name] != (shape, broken), name


def _sizes(construction: Construction) -> list[int]:
    named = ("vocab_size", "context_size", "response_size", "input_size")
    return [getattr(construction, name) for name in named if name in type(construction).__dataclass_fields__]
