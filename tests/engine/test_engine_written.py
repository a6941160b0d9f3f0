"""Kernels written out in C: each operation is torch's, number by number; what cannot be written out is refused."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, fx

from verify.engine import libraries
from verify.engine.in_c import NotWritten
from verify.engine.libraries import Written
from verify.engine.written import Source

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="they are compiled by a C compiler")

#: Numbers that rules of floats are about, side by side with themselves.
SPECIAL = (0.0, -0.0, 1.0, -1.5, 1e-40, -1e-40, 3e38, -3e38, float("inf"), float("-inf"), float("nan"), 0.1)

#: Every operation, of two arguments and a constant; the last of the two is read whole, in part and broadcast.
OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "abs": lambda x, y: torch.abs(torch.sub(x, y)),
    "add": lambda x, y: torch.add(torch.mul(x, y), 0.1),  # a product and a sum: two roundings
    "eq": lambda x, y: torch.where(torch.eq(x, y), -torch.inf, x),
    "full_like": lambda x, y: torch.maximum(torch.full_like(torch.add(x, y), 2.0), y),
    "gt": lambda x, y: torch.where(torch.gt(x, y), x, y),
    "le": lambda x, y: torch.where(torch.le(x, y), torch.nan, y),
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "neg": lambda x, y: torch.neg(torch.add(x, y)),
    "relu": lambda x, y: torch.relu(torch.mul(x, y)),
    "zeros_like": lambda x, y: torch.add(torch.zeros_like(torch.mul(x, y)), y),
    "smallest": lambda x, y: torch.add(torch.mul(x, y).amin(1, keepdim=True), y),
    "smallest coordinate": lambda x, y: torch.sub(torch.add(x, y), torch.add(x, y).amin(0, keepdim=True)),
    "parts": lambda x, y: torch.add(torch.relu(torch.add(x, y))[:, 1:3], torch.mul(x, y)[:1, 0:2]),
    "of prefixes": lambda x, y: torch.add(torch.mul(x, 2.0).amin(1, keepdim=True), y),
}


def _module(function: Callable[..., Tensor]) -> fx.GraphModule:
    class Whole(torch.nn.Module):
        """The smallest of all coordinates and positions, and the result itself where there is one."""

        def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor]:
            found = function(x, y)
            return (torch.add(found.amin(1, keepdim=True).amin(0, keepdim=True), 0.0),)

    return fx.symbolic_trace(Whole())


def _numbers(shape: tuple[int, ...], dtype: torch.dtype, seed: int) -> Tensor:
    random = np.random.default_rng(seed)
    drawn = np.where(random.random(shape) < 0.3, random.choice(SPECIAL, size=shape), random.normal(size=shape))
    return torch.from_numpy(drawn).to(dtype)


def _same(found: Tensor, expected: Tensor) -> None:
    assert found.shape == expected.shape
    assert torch.equal(torch.isnan(found), torch.isnan(expected))
    assert torch.equal(torch.nan_to_num(found), torch.nan_to_num(expected))


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_is_that_of_torch(name: str, tmp_path: Path) -> None:
    """Prefixes and suffixes on either side; more suffixes than go through together, and a single one."""
    module = _module(OPERATIONS[name])
    for turned, dtype, outer, inner in ((False, torch.float32, 3, 300), (True, torch.float64, 2, 1)):
        x = _numbers((2, 3, outer, 1), dtype, inner)
        y = _numbers((1, 3, 1, inner), dtype, outer)
        given = (y, x) if turned else (x, y)
        _same(Written(module, given, tmp_path)(*given)[0], module(*given)[0])


def test_intermediates_that_are_larger_than_a_stack(tmp_path: Path) -> None:
    x, y = _numbers((1, 9000, 1, 1), torch.float64, 0), _numbers((1, 9000, 1, 256), torch.float64, 1)
    assert x.shape[1] * y.shape[3] * 8 > 2 * 2**23  # a stack has 8 MiB
    module = _module(OPERATIONS["smallest coordinate"])
    _same(Written(module, (x, y), tmp_path)(x, y)[0], module(x, y)[0])


def test_views_of_other_strides(tmp_path: Path) -> None:
    x = _numbers((4, 2, 3, 300), torch.float32, 0).transpose(0, 1).transpose(2, 3)[:, :3]
    y = _numbers((1, 3, 1, 3), torch.float32, 1)
    module = _module(torch.add)
    kernel = Written(module, (x, y), tmp_path)
    _same(kernel(x, y)[0], module(x, y)[0])
    with pytest.raises(ValueError, match="the shapes and strides that the kernel was made for"):
        kernel(x.contiguous(), y)
    with pytest.raises(ValueError, match="the shapes and strides that the kernel was made for"):
        kernel(x.double(), y.double())


@pytest.mark.filterwarnings("ignore:This overload of add is deprecated")
@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: torch.exp(torch.add(x, y)),
        lambda x, y: torch.where(torch.eq(x, y), 0.1, 0.2),
        lambda x, y: torch.add(x, y, alpha=2),
        lambda x, y: torch.add(x, y)[:, ::2],
        lambda x, y: torch.add(x, y)[..., 1:],
        lambda x, y: torch.add(x, y)[0],
        lambda x, y: torch.add(x, y).amin(3, keepdim=True),
        lambda x, y: torch.add(x, y).amin(-1, keepdim=True),
        lambda x, y: torch.add(torch.add(x, y), y.shape[0] == 1),
        lambda x, y: torch.add(torch.add(x, y), 2**53 + 1),
        lambda x, y: torch.mul(x, torch.add(torch.gt(x, 0.0), torch.gt(y, 0.0))),  # a truth, 2 in C
        lambda x, y: torch.add(torch.add(x, y), 2, y),  # of three arguments: twice the last is added
        lambda x, y: torch.gt(x, y).amin(0, keepdim=True),
        lambda x, y: torch.where(torch.gt(x, 0.0), torch.gt(x, y), x),
        lambda x, y: torch.add(x, y).where(torch.gt(x, y), y),  # the condition is not first here
    ],
)
def test_other_operations_are_refused(function: Any) -> None:
    x, y = _numbers((1, 3, 2, 1), torch.float32, 0), _numbers((1, 3, 1, 8), torch.float32, 1)
    with pytest.raises(NotWritten):
        Source(_module(function), (x, y))


def test_other_arguments_are_refused() -> None:
    module, x = _module(torch.add), _numbers((1, 3, 2, 1), torch.float32, 0)
    for other in (x.double(), x[0], x.half()):
        with pytest.raises(NotWritten):
            Source(module, (x, other))
    with pytest.raises(NotWritten):
        Source(module, (x.half(), x.half()))
    whole = fx.symbolic_trace(lambda x, y: (torch.add(x, y),))
    with pytest.raises(NotWritten, match="not a single intermediate"):
        Source(whole, (x, x))


def test_a_library_that_was_cut_short_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, x = _module(torch.add), _numbers((1, 3, 2, 9), torch.float32, 0)
    libraries._library(Source(module, (x, x)).text, tmp_path, None)
    (made,) = tmp_path.iterdir()
    whole = made.read_bytes()
    for left in (4, len(whole) // 2, len(whole) - 1):
        made.unlink()  # the one that is loaded stays as it is
        made.write_bytes(whole[:left])
        _same(Written(module, (x, x), tmp_path)(x, x)[0], module(x, x)[0])
        assert [path.read_bytes() for path in tmp_path.iterdir()] == [whole]
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(NotWritten, match="no C compiler"):
        Written(module, (x, x), tmp_path)


def test_a_folder_that_others_may_write_to_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, x = _module(torch.add), _numbers((1, 3, 2, 9), torch.float32, 0)
    Written(module, (x, x), tmp_path / "made")
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o700
    for mode in (0o720, 0o702):
        (tmp_path / "made").chmod(mode)
        with pytest.raises(NotWritten, match="others may write to"):
            Written(module, (x, x), tmp_path / "made")
    (tmp_path / "made").chmod(0o755)
    Written(module, (x, x), tmp_path / "made")
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(NotWritten, match="others may write to"):
        Written(module, (x, x), tmp_path / "made")


@pytest.mark.parametrize("option", ["-ffast-math", "-ffinite-math-only", "-D__FLT_EVAL_METHOD__=2"])
def test_a_compiler_of_another_arithmetic_is_refused(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, x = _module(torch.add), _numbers((1, 3, 2, 9), torch.float32, 0)
    monkeypatch.setattr(libraries, "_OPTIONS", (*libraries._OPTIONS, option))
    with pytest.raises(subprocess.CalledProcessError) as raised:
        Written(module, (x, x), tmp_path)
    assert b"floats of another arithmetic" in raised.value.stderr
