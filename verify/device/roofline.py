"""How near the dominating operation of a run comes to the measured limits of the device."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from verify.device.base import NotDoneError

#: Operations that move numbers between the device and the processor, whose limit is another: that of the wire.
TRANSFERS = frozenset({"aten::copy_", "aten::_to_copy", "aten::to", "aten::item", "aten::_local_scalar_dense"})

#: Rounds of a measurement.
_ROUNDS = 5


@dataclass(frozen=True)
class Rates:
    """Measured rates of the device, medians of a few rounds.

    Attributes:
        flops: additions and multiplications a second in a product of two square matrices.
        bytes: read and written in a second by a copy.

    """

    flops: float
    bytes: float


def synchronised(device: str) -> None:
    """Wait until the device has done all that it was given."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(run: Callable[[], Any], device: str) -> float:
    """Return how long a run takes on the device, from when it is idle until it is idle again."""
    synchronised(device)
    started = time.perf_counter()
    run()
    synchronised(device)
    return time.perf_counter() - started


def measured_rates(dtype: str, device: str, *, size: int, count: int) -> Rates:
    """Measure a device.

    Args:
        dtype: of the numbers.
        device: where.
        size: rows and columns of the matrices.
        count: numbers that are copied.

    """
    square = torch.ones(size, size, dtype=getattr(torch, dtype), device=device)
    source = torch.ones(count, dtype=square.dtype, device=device)
    target, product = torch.empty_like(source), torch.empty_like(square)
    multiplied = [seconds_of(lambda: torch.mm(square, square, out=product), device) for _ in range(_ROUNDS + 1)]
    copied = [seconds_of(lambda: target.copy_(source), device) for _ in range(_ROUNDS + 1)]
    moved = 2 * source.numel() * source.element_size()
    # the first round of each sets its library up
    return Rates(2 * size**3 / statistics.median(multiplied[1:]), moved / statistics.median(copied[1:]))


def dominating(run: Callable[[], Any], device: str, itemsize: int, rates: Rates) -> dict[str, Any]:
    """Return the operation that takes most of a run's time on the device, and the share of the roofline it reaches.

    Args:
        run: the run.
        device: where.
        itemsize: bytes of a number.
        rates: of the device.

    Raises:
        NotDoneError: torch's profiler does not see what runs on the device.

    """
    cuda = torch.device(device).type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with profile(activities=activities, record_shapes=True, with_flops=True) as profiled:
        run()
        synchronised(device)
    taken = "self_device_time_total" if cuda else "self_cpu_time_total"
    rows: list[Any] = [
        row for row in profiled.key_averages(group_by_input_shape=True) if str(row.key).startswith("aten::")
    ]
    total = sum(getattr(row, taken) for row in rows)
    candidates = [row for row in rows if row.key not in TRANSFERS and getattr(row, taken) > 0]
    if not candidates or not total:
        raise NotDoneError("torch's profiler saw no operation on the device")
    first = max(candidates, key=lambda row: getattr(row, taken))
    transfers = sum(getattr(row, taken) for row in rows if row.key in TRANSFERS)
    shapes = [shape for shape in first.input_shapes if shape]
    seconds = getattr(first, taken) / first.count / 1e6  # the profiler counts microseconds
    moved, flops = bytes_of(str(first.key), shapes, itemsize), first.flops / first.count
    bound = None if moved is None else max(moved / rates.bytes, flops / rates.flops)
    return {
        "operation": str(first.key),
        "kernel": _kernel(profiled) if cuda else None,
        "shapes": [list(shape) for shape in shapes],
        "calls": first.count,
        "seconds of a call": seconds,
        "share of the device's time": getattr(first, taken) / total,
        "share of transfers": transfers / total,
        "bytes": moved,
        "flops": flops,
        "share of the roofline": None if bound is None else bound / seconds,
    }


def _kernel(profiled: Any) -> str | None:
    """Return the name of the kernel that the device was busy with for most of the time."""
    kernels = [
        row
        for row in profiled.key_averages()
        if str(row.device_type).endswith("CUDA") and not str(row.key).startswith(("aten::", "Memcpy", "Memset"))
    ]
    return str(max(kernels, key=lambda row: row.self_device_time_total).key)[:160] if kernels else None


def bytes_of(operation: str, shapes: Sequence[Sequence[int]], itemsize: int) -> int | None:
    """Return how many bytes an operation has to read and write at least; ``None`` where its shapes are not known.

    A product of matrices writes rows x columns. Any other operation is taken to write as many numbers as its inputs
    have when they are stretched to one shape.

    Example:
        >>> bytes_of("aten::mm", [(2, 3), (3, 4)], 4)  # 6 and 12 numbers are read, 8 are written
        104
        >>> bytes_of("aten::add", [(2, 3), (3,)], 4)
        60

    """
    if not shapes:
        return None
    read = sum(math.prod(shape) for shape in shapes)
    if operation in {"aten::mm", "aten::bmm", "aten::addmm", "aten::baddbmm"}:
        left, right = shapes[-2:]
        written = math.prod(left[:-1]) * right[-1]
    else:
        longest = max(len(shape) for shape in shapes)
        padded = [[1] * (longest - len(shape)) + list(shape) for shape in shapes]
        written = math.prod(max(sizes) for sizes in zip(*padded, strict=True))
    return (read + written) * itemsize
