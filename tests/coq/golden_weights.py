"""The weights of a construction in the line format of ``proofs/coq/golden``, from the Python side."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from constructions import ConditionalGeneration, Construction, LongerInputs, LongerResponses, UnconditionalGeneration
from constructions.transformer import Attention, ExactTransformer, Linear

FOLDER = Path(__file__).parents[2] / "proofs" / "coq" / "golden"

#: A matrix as its shape and its non-zero entries.
Sparse = tuple[tuple[int, int], dict[tuple[int, int], Fraction]]


def parse(path: Path) -> tuple[Construction, dict[str, Sparse], dict[str, str]]:
    """Return the construction that a golden file names, the matrices by name and the kind of each layer."""
    header, encoding, matrices, layers = "", "", {}, {}
    entries: dict[tuple[int, int], Fraction] = {}
    for line in path.read_text(encoding="ascii").splitlines():
        words = line.split()
        if words[0] == "construction":
            header = " ".join(words[1:])
        elif words[0] == "encoding":
            encoding = words[1]
        elif words[0] == "matrix":
            entries = {}
            matrices[words[1]] = ((int(words[2]), int(words[3])), entries)
        elif words[0] == "layer":
            layers[words[1]] = words[2]
        elif words[0] not in {"target", "blocks"}:
            row, column, numerator, denominator = map(int, words)
            assert (row, column) not in entries
            entries[row, column] = Fraction(numerator, denominator)
    return _construction(header, encoding), matrices, layers


def _construction(header: str, encoding: str) -> Construction:
    name, *sizes = header.split()
    kinds: dict[str, Any] = {
        kind.__name__: kind for kind in (UnconditionalGeneration, ConditionalGeneration, LongerResponses, LongerInputs)
    }
    options = {} if encoding == "paper" else {"encoding": encoding}  # longer inputs have the paper's alone
    construction: Construction = kinds[name](*map(int, sizes), **options)
    return construction


def golden_target(construction: Construction) -> np.ndarray[Any, Any]:
    """Return the target that the golden files encode: ``(7 x + 3) mod V``, with ``5 g`` added for response token g."""
    shape, vocab_size = construction.targets.shape, construction.vocab_size
    if isinstance(construction, LongerResponses):
        token, place = np.arange(shape[1])[None, :], np.arange(shape[0])[:, None]
        return (7 * token + 5 * place + 3) % vocab_size
    return (7 * np.arange(construction.targets.digits).reshape(shape) + 3) % vocab_size


def from_python(transformer: ExactTransformer) -> tuple[dict[str, Sparse], dict[str, str]]:
    """Return a transformer's matrices and layers under the names of the golden files."""
    matrices: dict[str, Sparse] = {"embedding": _sparse(transformer.embedding)}
    size = transformer.context_size
    matrices["position"] = ((size, size), {(place, place): Fraction(1) for place in range(size)})
    layers: dict[str, str] = {}
    assert transformer.is_plain
    block, mlp = -1, 0
    for layer in transformer.layers:
        if isinstance(layer, Attention):
            block, mlp = block + 1, 0
            for number, head in enumerate(layer.heads):
                for name, matrix in (("W_Q", head.query), ("W_K", head.own_key), ("W_V", head.own_value)):
                    matrices[f"block{block}.head{number}.{name}"] = _sparse(matrix)
        else:
            assert isinstance(layer, Linear)
            name = f"block{block}.mlp{mlp}"
            layers[name] = "relu" if layer.has_relu else "linear"
            matrices[f"{name}.weight"], matrices[f"{name}.bias"] = _sparse(layer.weight), _sparse(layer.given_bias)
            mlp += 1
    return matrices, layers


def virtual_tokens(construction: Construction) -> Sparse:
    """Return the virtual tokens of the golden target."""
    rows = construction.virtual_tokens(golden_target(construction)).to_fractions()
    entries = {(i, j): value for i, row in enumerate(rows) for j, value in enumerate(row) if value}
    return (len(rows), len(rows[0])), entries


def _sparse(matrix: Any) -> Sparse:
    return matrix.shape, {(row, column): value for row, column, value in matrix.nonzero()}
