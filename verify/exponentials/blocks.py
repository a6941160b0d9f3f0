"""The measurement of a block of arguments, which are the bit patterns of a format in their order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from constructions.formats import Format
from verify.exponentials.findings import THRESHOLDS, Findings, Worst
from verify.exponentials.functions import Function
from verify.exponentials.reference import Reference, allowance, ball_errors

#: Errors, in units in the last place, up to which none is looked at: where the true value rounds to 0, all are.
_SMALL = 0.25
#: How many arguments with the largest error are looked at by balls; if there are more, float64 bounds the others.
_TRIED = 16

#: Integers that hold the bit patterns of a format, by its bits.
_INTEGERS = {32: torch.int32, 16: torch.int16}


@dataclass(frozen=True, eq=False)
class Blocks:
    """A function on the bit patterns of a format.

    Attributes:
        function: what is measured.
        fmt: the format of arguments and values.
        dtype: the same, as torch has it.
        reference: of the function's base, on the device.
        chunk: how many arguments are computed at once; the findings do not depend on it.

    """

    function: Function
    fmt: Format
    dtype: torch.dtype
    reference: Reference
    chunk: int

    @classmethod
    def of(cls, function: Function, fmt: Format, device: str, chunk: int) -> Blocks:
        """Return the function on all numbers of a format that torch has on a device."""
        return cls(function, fmt, getattr(torch, fmt.name), Reference.of(function.base, fmt, device), chunk)

    @property
    def bits(self) -> int:
        """Bits of a number of the format."""
        return torch.finfo(self.dtype).bits

    @property
    def patterns(self) -> int:
        """How many bit patterns there are."""
        return int(2**self.bits)

    def measured(self, start: int, stop: int) -> Findings:
        """Return what is found on the arguments of the bit patterns from ``start`` up to ``stop``."""
        found = Findings()
        half, infinity = self.patterns // 2, self._bits_of(float("inf"))
        for sign in (0, half):
            low, high = max(start, sign), min(stop, sign + half)
            numbers = (low, min(high, sign + infinity + 1))
            if sign == half or self.function.positive:
                before = self._values(sign, numbers[0] - 1)
                for first, last in self._chunks(*numbers):
                    arguments = self._arguments(first, last)
                    values = self.function.computed(arguments)
                    found.add(self._numbers(found, arguments, values, before, negative=sign == half))
                    before = values[-1:]
                    for name, got, wanted, whole in self.function.ways(arguments, values):
                        found.add(self._other_way(name, arguments, got, wanted, whole=whole, negative=sign == half))
            for first, last in self._chunks(max(low, sign + infinity + 1), high):
                values = self.function.computed(self._arguments(first, last))
                found.counts["nan"] += last - first
                found.counts["nan lost"] += int((~torch.isnan(values)).sum())
        return found

    def _chunks(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        for first in range(start, stop, self.chunk):
            yield first, min(first + self.chunk, stop)

    def _bits_of(self, number: float) -> int:
        held = torch.tensor([number], dtype=self.dtype).view(_INTEGERS[self.bits])
        return int(held) % self.patterns

    def _arguments(self, first: int, last: int) -> torch.Tensor:
        shift = self.patterns if first >= self.patterns // 2 else 0  # as a signed integer
        integers = torch.arange(
            first - shift, last - shift, dtype=_INTEGERS[self.bits], device=self.reference.table.device
        )
        return integers.view(self.dtype)

    def _values(self, sign: int, pattern: int) -> torch.Tensor | None:
        """Return the value at the number before a block, which its first one is compared with."""
        return None if pattern < sign else self.function.computed(self._arguments(pattern, pattern + 1))

    def _numbers(
        self,
        so_far: Findings,
        arguments: torch.Tensor,
        values: torch.Tensor,
        before: torch.Tensor | None,
        *,
        negative: bool,
    ) -> Findings:
        """Return what is found on neighbours that are not NaN, all of them negative (``-0`` is) or none."""
        found = Findings(so_far.normal, so_far.below)
        counts = found.counts
        counts["arguments"] = len(arguments)
        nan = torch.isnan(values)
        counts["nan made"] = int(nan.sum())
        row = values if before is None else torch.cat([before, values])
        counts["falls"] = int((row[1:] > row[:-1] if negative else row[1:] < row[:-1]).sum())
        counts["above one" if negative else "below one"] = int((values > 1 if negative else values < 1).sum())
        counts["negative"] = int((torch.signbit(values) & ~nan).sum())
        if float(arguments[0]) == 0:
            counts["zero not to one"] = int(values[0] != 1)
        if not bool(torch.isfinite(arguments[-1])):
            counts["infinity wrong"] = int(values[-1] != (0 if negative else float("inf")))
        self._errors(found, arguments, values, negative=negative)
        return found

    def _errors(self, found: Findings, arguments: torch.Tensor, values: torch.Tensor, *, negative: bool) -> None:
        fmt, counts = self.fmt, found.counts
        large, small = self.reference.parts(arguments.double())
        top, least = 2.0 ** (fmt.max_exponent + 1), 2.0**fmt.min_exponent
        smallest = least * 2.0 ** (1 - fmt.precision)
        ends = sorted([float(large[0] + small[0]), float(large[-1] + small[-1])])
        computed = values.double()
        if ends[1] >= top / 2:
            computed = computed.nan_to_num(nan=float("nan"), posinf=top)
        errors = self.reference.errors(computed, large, small, negative=negative)
        errors = errors.nan_to_num_(nan=0.0, posinf=float("inf"))  # NaN is counted
        if ends[1] > top:
            beyond = large + small > top * (1 + 2.0**-50)
            counts["finite beyond"] = int((beyond & (values < float("inf"))).sum())
            errors.masked_fill_(beyond, 0)
        low = None
        if ends[0] < 2 * least:
            true = large + small
            low = true < least * (1 - 2.0**-50)
            zero = values == 0
            counts["not gone"] = int((~zero & (true < smallest / 2 * (1 - 2.0**-50))).sum())
            counts["flushed"] = int((zero & (true >= smallest)).sum())
            counts["flushed normal"] = int((zero & ~low).sum())
        for threshold in THRESHOLDS:
            found.above[str(threshold)] = self._above(threshold, errors, arguments, values, counts)
        if low is None:
            found.normal = self._worst(found.normal, errors, arguments, values)
        else:
            found.normal = self._worst(found.normal, errors.masked_fill(low, 0), arguments, values)
            found.below = self._worst(found.below, errors.masked_fill(~low, 0), arguments, values)

    def _above(
        self,
        threshold: float,
        errors: torch.Tensor,
        arguments: torch.Tensor,
        values: torch.Tensor,
        counts: Counter[str],
    ) -> int:
        """Return how many errors are above a threshold; where float64 cannot tell, balls do."""
        room = allowance(self.fmt, threshold)
        most, sure = int((errors > threshold - room).sum()), 0
        if most:
            sure = int((errors > threshold + room).sum())
        if most == sure:
            return sure
        near = (errors > threshold - room) & (errors <= threshold + room)
        for argument, value in zip(arguments[near].tolist(), values[near].tolist(), strict=True):
            _, high = ball_errors(self.function.base, self.fmt, argument, value)
            counts["decided by balls"] += 1
            sure += high > threshold  # an error of exactly a threshold is not
        return sure

    def _worst(self, so_far: Worst, errors: torch.Tensor, arguments: torch.Tensor, values: torch.Tensor) -> Worst:
        """Return the largest error: balls decide between those that float64 cannot tell from it."""
        place = int(errors.argmax())
        most = float(errors[place])
        room = allowance(self.fmt, most)
        if most + room <= so_far.low:
            return so_far
        if most <= _SMALL:
            return so_far.joined(Worst(high=most + room))
        near = (errors >= most - 2 * room).nonzero().reshape(-1)
        # values that all are off by as much, such as those of a function that is 0, need no balls each
        tried = [place, *near[:_TRIED].tolist()]
        worst = so_far
        for at in dict.fromkeys(tried):
            argument, value = float(arguments[at]), float(values[at])
            low, high = ball_errors(self.function.base, self.fmt, argument, value)
            worst = worst.joined(Worst(low, high, argument, value))
        return worst if len(near) <= _TRIED else worst.joined(Worst(high=most + room))

    def _other_way(
        self,
        name: str,
        arguments: torch.Tensor,
        got: torch.Tensor,
        wanted: torch.Tensor,
        *,
        whole: bool,
        negative: bool,
    ) -> Findings:
        """Return at how many arguments another way gave something else, and what is found there if these are values."""
        found = Findings()
        integers = _INTEGERS[self.bits]
        differs = (got.view(integers) != wanted.view(integers)) & ~(torch.isnan(got) & torch.isnan(wanted))
        count = int(differs.sum())
        if whole and count:
            found = self._numbers(found, arguments[: len(got)][differs], got[differs], None, negative=negative)
            for already in ("arguments", "falls"):  # these arguments are counted, and they are no neighbours
                del found.counts[already]
        (found.ways if whole else found.unlike)[name] = count
        return found
