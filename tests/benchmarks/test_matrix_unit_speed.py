"""Products a second on matrix units, beside the same sums in float64; the aim is ten million a second."""

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from verify import MatrixUnit
from verify.matrix_units import GENERATIONS

pytestmark = pytest.mark.benchmark_tier

_ROWS, _LENGTH = 16384, 64


def _factors() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((_ROWS, _LENGTH)).astype(np.float32).view(np.uint32) for _ in "ab")
    return (a & np.uint32(0xFFFF0000)).view(np.float32), (b & np.uint32(0xFFFF0000)).view(np.float32)


def _block_by_block(unit: MatrixUnit, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the sums of rows of whole blocks, a call for each block."""
    total, size = np.zeros(len(a), dtype=np.float32), unit.block.products
    for start in range(0, a.shape[1], size):
        total = unit.multiply_add(a[:, start : start + size], b[:, start : start + size], total)
    return total


@pytest.mark.parametrize("generation", [name for name, found in GENERATIONS.items() if "bf16" in found.formats])
def test_rows_are_added(benchmark: BenchmarkFixture, generation: str) -> None:
    unit, (a, b), c = MatrixUnit(generation, "bf16"), _factors(), np.zeros(_ROWS, dtype=np.float32)
    benchmark.extra_info["products in a round"] = a.size
    np.testing.assert_array_equal(benchmark(unit.multiply_add, a, b, c), _block_by_block(unit, a, b))


def test_rows_are_added_in_float64(benchmark: BenchmarkFixture) -> None:
    a, b = _factors()
    benchmark.extra_info["products in a round"] = a.size
    benchmark(lambda: (a.astype(np.float64) * b).sum(axis=1))


def test_matrices_are_multiplied(benchmark: BenchmarkFixture) -> None:
    unit, (a, b) = MatrixUnit("hopper", "bf16"), _factors()
    c = np.zeros((256, 256), dtype=np.float32)
    benchmark.extra_info["products in a round"] = 256 * 256 * _LENGTH
    benchmark(unit.multiply_add, a[:256, None], b[None, :256], c)
