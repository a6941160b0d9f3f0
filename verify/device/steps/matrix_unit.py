"""The matrix unit of the device against the exact one, bit by bit, and the order in which its library adds up K."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, final

import numpy as np

from constructions import UnconditionalGeneration
from verify.device.base import Data, Judgement, Setting, Step, Task
from verify.device.factors import KINDS, drawn
from verify.device.libraries import CALLS, Call, Library, Torch
from verify.device.orders import different, masks, orders, run_lengths
from verify.device.units import unit_of
from verify.matrix_units import MatrixUnit
from verify.matrix_units.formats import INPUT_FORMATS, RESULTS, TF32

#: Rows of which every order is tried; the one that explains them is tried on all.
_TRIED = 128
#: Rows of 16 bytes, eight numbers of 16 bits: at other widths a library may take kernels that are not on the unit.
_ALIGNED = 8
#: The numbers of :func:`~verify.device.orders.masks` by format: their products are ``2^42`` apart or more (``2^28`` in
#: fp8, whose sums keep 13 bits), and as many as there are of the small ones add up without an error.
_MASKS = {"fp8-e4m3": (2.0**8, 2.0**-6), "fp16": (2.0**15, 2.0**-12)}
_WIDE_MASKS = (2.0**20, 2.0**-14)


@dataclass(frozen=True)
class _Amount:
    """How much is compared.

    Attributes:
        sizes: V and N, whose weights' shapes are multiplied.
        lengths: further K, with 16 columns.
        rows: of each kind of factors.
        probed: K of which the order is probed by masks.

    """

    sizes: tuple[tuple[int, int], ...]
    lengths: tuple[int, ...]
    rows: int
    probed: tuple[int, ...]


@final
class UnitOfDevice(Step):
    """Products of the shapes of the constructions' weights, and of longer ones, by every call of torch."""

    name = "matrix-unit"
    summary = "the matrix unit bit by bit, and the order of K that explains its library"
    seconds: ClassVar = {"full": 150.0, "tiny": 60.0}
    needs_cuda = True
    #: 140 columns for each of ten shapes, 6 kinds and 256 rows: above a million sums for all calls together.
    amounts: ClassVar[Mapping[str, _Amount]] = MappingProxyType(
        {
            "full": _Amount(((94, 20), (10, 6), (4, 8)), (64, 128, 512), 256, (40, 64, 128)),
            "tiny": _Amount(((4, 8),), (32,), 8, (32,)),
        }
    )

    def tasks(self, setting: Setting) -> Iterator[Task]:
        """Yield a task for each call and shape, and the probes of the order."""
        import torch  # noqa: PLC0415 # torch takes seconds to import

        major, minor = torch.cuda.get_device_capability(setting.device)
        yield from self.compared(Torch(setting.device), f"{major}.{minor}", self.amounts[setting.preset])

    def compared(
        self, library: Library, capability: str, amount: _Amount, calls: Sequence[Call] = CALLS
    ) -> Iterator[Task]:
        """Yield the tasks for a library on a device.

        Args:
            library: multiplies.
            capability: of its device, which says of what generation its unit is.
            amount: how much is compared.
            calls: how it is asked.

        """
        for call in calls:
            asked = _Asked(library, call, capability)
            for shape in shapes(amount.sizes, amount.lengths, call.multiple):
                named = f"{call.name}, {shape[0]} columns, K = {shape[1]}"
                yield Task(named, partial(_compared, asked, shape, amount.rows))
            if not call.biased and not call.batched:
                for length in amount.probed:
                    size = -(-length // call.multiple) * call.multiple
                    yield Task(f"{call.name}, order of K = {size}", partial(_probed, asked, size))

    def judge(self, data: Data) -> Judgement:
        """Some order must explain every product if one is known to; the profile of the masks is a finding."""
        if "profile" in data:
            parts = ", ".join(f"{count} x {value}" for value, count in data["profile"])
            same = data["explained by"] or "none of the orders tried"
            return Judgement(
                None, f"left of {data['terms']} terms when 0 and j meet, j = 1..: {parts}; as {same} has it"
            )
        wrong, sums = data["different"], data["sums"]
        if not isinstance(sums, int) or not sums > 0 or not all(0 <= count <= sums for count in wrong.values()):
            raise ValueError("different sums are some of all")
        order = data["order"]
        tried = "; ".join(f"{name}: {count}" for name, count in sorted(wrong.items(), key=lambda item: item[1])[:3])
        if order is not None and wrong[order] == 0:
            return Judgement(holds=True, sentence=f"0 of {sums:,} sums differ from {data['unit']}, {order}")
        return Judgement(
            None if data["promised"] is False else False,
            f"no order tried explains {sums:,} sums on {data['unit']}; different of {data['tried']:,} tried: {tried}",
        )


def shapes(sizes: tuple[tuple[int, int], ...], lengths: tuple[int, ...], multiple: int) -> list[tuple[int, int]]:
    """Return columns and K of the products: those of the weights of Theorem 1, and longer ones.

    Args:
        sizes: V and N.
        lengths: further K.
        multiple: both are rounded up to multiples of this.

    """
    found = [(16, length) for length in lengths]
    for size in sizes:
        exact = UnconditionalGeneration(*size).transformer.lowered.matrices()
        found += [matrix.shape for name, matrix in exact.items() if name.endswith((".weight", ".key", ".value"))]
    return sorted({(-(-out // multiple) * multiple, -(-length // multiple) * multiple) for out, length in found})


@dataclass(frozen=True)
class _Asked:
    """A library, how it is asked, and the compute capability of its device."""

    library: Library
    call: Call
    capability: str

    def unit(self) -> MatrixUnit:
        """Return the exact unit of the device; raises :class:`~verify.device.base.AbsentError` where none is known."""
        return unit_of(self.capability, self.call.format)


def _compared(asked: _Asked, shape: tuple[int, int], rows: int) -> Data:
    call, unit, (columns, length) = asked.call, asked.unit(), shape
    # float32 numbers become factors of TF32 on the way, and how they do is asked too
    fmt = RESULTS["fp32"].values if call.format == TF32.name else INPUT_FORMATS[call.format]
    count = -(-rows // call.multiple) * call.multiple
    found: list[tuple[Any, ...]] = []
    for seed, kind in enumerate(KINDS):
        pair = drawn(kind, fmt, (count, columns, length), seed)
        bias = drawn(kind, fmt, (columns, 1, 1), seed + len(KINDS)).left[:, 0] if call.biased else None
        found.append((pair.left, pair.right, bias, asked.library.product(call, pair.left, pair.right, bias)))
    wrong: dict[str, int] = {}
    best = None
    for order in orders(call, unit, length):
        wrong[order.name] = sum(
            different(order.product(unit, call, left[:_TRIED], right, bias), made[:_TRIED])
            for left, right, bias, made in found
        )
        if wrong[order.name] == 0 and best is None:
            best = order
    kinds: dict[str, int] = {}
    if best is not None:
        for kind, (left, right, bias, made) in zip(KINDS, found, strict=True):
            kinds[kind] = different(best.product(unit, call, left, right, bias), made)
        wrong[best.name] = sum(kinds.values())
    return {
        "unit": repr(unit),
        "evidence": unit.evidence.kind,
        "sums": len(KINDS) * count * columns,
        "tried": len(KINDS) * min(_TRIED, count) * columns,
        "order": None if best is None else best.name,
        "different": wrong,
        "different by kind": kinds,
        "promised": call.known and columns % _ALIGNED == 0 and length % _ALIGNED == 0,
    }


def _probed(asked: _Asked, length: int) -> Data:
    call, unit = asked.call, asked.unit()
    big, small = _MASKS.get(call.format, _WIDE_MASKS)
    left, right = masks(length, big, small)
    padded = -(-len(left) // call.multiple) * call.multiple - len(left)
    left, right = (np.pad(part, ((0, padded), (0, 0))) for part in (left, right))
    made = np.diagonal(asked.library.product(call, left, right, None))[: length - 1]
    counts = [int(count) for count in made / np.float32(small * small)]
    explained = None
    for order in orders(call, unit, length):
        rows = [
            order.product(unit, call, left[at : at + 1], right[at : at + 1], None)[0, 0] for at in range(length - 1)
        ]
        if different(np.array(rows, dtype=np.float32), np.ascontiguousarray(made)) == 0:
            explained = order.name
            break
    return {"terms": length - 2, "profile": run_lengths(counts), "explained by": explained, "unit": repr(unit)}
