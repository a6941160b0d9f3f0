"""Matrix units, to the last bit."""

from __future__ import annotations

from typing import Any, final

import numpy as np

from constructions.validation import check_choice, reject
from verify.matrix_units.blocks import Block, Output
from verify.matrix_units.formats import INPUT_FORMATS, NO_EXPONENT, RESULTS, Decoded, InputFormat, Singles
from verify.matrix_units.generations import GENERATIONS
from verify.matrix_units.generations.base import Description, Evidence

#: Products that are added at a time: their terms, of 8 bytes each, then stay within a processor's second cache.
_AT_A_TIME = 1 << 14


@final
class MatrixUnit:
    """The matrix unit of a generation of devices, for one input format and one result.

    It adds products in blocks, ``c`` among the terms of the first one, in ascending order of K. The block says how many
    products it adds, and how; see ``docs/mathematics/matrix-units.md``.

    Attributes:
        generation: ``volta``, ``turing``, ``ampere``, ``ada``, ``hopper``, ``blackwell``, ``cdna1``, ``cdna2`` or
            ``cdna3``.
        format: ``fp16``, ``bf16``, ``tf32``, ``fp8-e4m3`` or ``fp8-e5m2``.
        result: ``fp32`` or ``fp16``, the format of ``c`` and of the results.

    Raises:
        InvalidArgument: an unknown word, or a format or result that the generation does not have.

    Example:
        >>> unit = MatrixUnit("hopper", "bf16")
        >>> ones = np.ones((1, 16), dtype=np.float32)
        >>> unit.multiply_add(ones, ones, np.float32([2**27]))
        array([1.3421773e+08], dtype=float32)
        >>> (unit.block.products, unit.block.fraction_bits, unit.evidence.kind)
        (16, 25, 'recorded')

    """

    def __init__(self, generation: str, format: str, result: str = "fp32") -> None:  # noqa: A002 # the attribute's name
        found = GENERATIONS[check_choice("generation", generation, tuple(GENERATIONS))]
        check_choice("format", format, tuple(INPUT_FORMATS))
        check_choice(f"format of {generation}", format, tuple(found.formats))
        check_choice("result", result, tuple(RESULTS))
        self.description: Description = found.formats[format]
        results = [output.result.name for output in self.description.block.outputs]
        check_choice(f"result of {generation} in {format}", result, results)
        self.generation, self.format, self.result = generation, format, result
        self.output: Output = self.description.block.output(result)

    def __repr__(self) -> str:
        return f"MatrixUnit({self.generation!r}, {self.format!r}, result={self.result!r})"

    @property
    def block(self) -> Block:
        """How it adds the products of one step."""
        return self.description.block

    @property
    def values(self) -> InputFormat:
        """The numbers that factors can be."""
        return self.description.values

    @property
    def evidence(self) -> Evidence:
        """Why this is believed to be what the hardware does."""
        return self.description.evidence_of(self.result)

    def multiply_add(self, a: Any, b: Any, c: Any) -> Singles:
        """Return ``c`` plus the sum of ``a`` times ``b`` along the last axis, as the unit computes it.

        A last block with fewer products than it holds is filled with zeros.

        Args:
            a: float32 array (rows x K) of numbers that the format holds.
            b: the same; leading axes broadcast, so that (m x 1 x K) and (1 x n x K) give a product of matrices.
            c: float32 array (rows) of numbers of the result's format.

        Returns:
            float32 array (rows); float16 results are float32 numbers too. NaN is the one that the hardware writes.

        Raises:
            InvalidArgument: other arrays, numbers that a format does not hold, or lengths that differ.

        """
        left, right = self.values.decoded("a", a), self.values.decoded("b", b)
        self.output.result.values.decoded("c", c)
        for name, value in (("a", left.values), ("b", right.values)):
            if value.ndim == 0:
                reject(name, "an axis of products", value)
        *leading, length = left.values.shape
        if right.values.shape[-1] != length:
            reject("b", f"{length} numbers along its last axis, as many as a", right.values.shape)
        shape = _broadcast("b", tuple(leading), right.values.shape[:-1])
        shape = _broadcast("c", shape, c.shape)
        total = np.array(np.broadcast_to(c, shape), ndmin=1)
        left, right = (_aligned(found, total.ndim) for found in (left, right))
        with np.errstate(all="ignore"):
            step = max(1, _AT_A_TIME * total.shape[0] // (total.size * self.block.products or 1))
            for start in range(0, total.shape[0], step):
                rows = slice(start, start + step)
                total[rows] = self._added(_rows_of(left, rows), _rows_of(right, rows), total[rows])
        return np.where(np.isnan(total), self.output.result.nan, total).reshape(shape)

    def _added(self, a: Decoded, b: Decoded, c: Singles) -> Singles:
        """Return the chain of blocks; K is axis 0 of the factors."""
        for start in range(0, len(a.values), self.block.products):
            end = start + self.block.products
            one, other = (
                _filled(Decoded(x.values[start:end], x.exponents[start:end]), self.block.products) for x in (a, b)
            )
            c = self.block.add(one, other, c, self.output)
        return c


def _broadcast(name: str, rows: tuple[int, ...], others: tuple[int, ...]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(rows, others)
    except ValueError:
        reject(name, f"rows of a shape that goes with {rows}", others)


def _aligned(found: Decoded, axes: int) -> Decoded:
    """Return numbers with as many axes before that of the products as the rows have."""
    shape = (1,) * (axes + 1 - found.values.ndim) + found.values.shape
    return Decoded(found.values.reshape(shape), found.exponents.reshape(shape))


def _rows_of(found: Decoded, rows: slice) -> Decoded:
    """Return some rows, products first: sums along the first axis are the fast ones."""
    values, exponents = (
        np.ascontiguousarray(np.moveaxis(part if len(part) == 1 else part[rows], -1, 0)) for part in found
    )
    return Decoded(values, exponents)


def _filled(found: Decoded, products: int) -> Decoded:
    """Return a block filled with zeros."""
    missing = products - len(found.values)
    if missing == 0:
        return found
    zeros = (missing, *found.values.shape[1:])
    return Decoded(
        np.concatenate([found.values, np.zeros(zeros)]),
        np.concatenate([found.exponents, np.full(zeros, NO_EXPONENT, dtype=np.int32)]),
    )
