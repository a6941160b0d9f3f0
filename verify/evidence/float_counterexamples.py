"""Where floats fail: searched on the real torch kernel."""

from __future__ import annotations

from typing import Any

from constructions.unconditional_generation import UnconditionalGeneration
from constructions.validation import check_integer
from verify.arithmetic import torch_arithmetic
from verify.evidence.finder import find_counterexample
from verify.evidence.verdict import Verdict

#: Theorem 1 with N = 1 in torch's float32 was right for every target of every smaller vocabulary (measured on a cpu,
#: and again in the long tier of the tests). The search starts here, and goes on where another kernel rounds otherwise.
FLOAT32_FIRST = 2553
#: Where kernels of two kinds fail first: one that rounds the product before it adds the bias, and one that fuses both.
#: They are tried before all the sizes between them, which take half a minute on a kernel of the second kind.
FLOAT32_LIKELY = (FLOAT32_FIRST, 2929)


def smallest_float32_failure(first: int = 1, last: int = 3000, *, dtype: str = "float32") -> Verdict:
    """Return the verdict on Theorem 1 with ``N = 1`` on torch's kernel, every ``V`` of a range, all ``V`` targets.

    Args:
        first: smallest ``V``.
        last: largest ``V``.
        dtype: the float format.

    """
    check_integer("first", first, 1)
    check_integer("last", last, first)
    return find_counterexample(
        lambda vocab_size: UnconditionalGeneration(vocab_size, 1),
        {"vocab_size": range(first, last + 1)},
        torch_arithmetic(dtype, "cpu"),
        claim="float32-is-enough",
        limit=last,
    )


def float32_failure() -> Verdict:
    """Return a verdict on Theorem 1 with ``N = 1`` on torch's kernel at a size where it fails, a likely one first."""
    for vocab_size in FLOAT32_LIKELY:
        verdict = smallest_float32_failure(vocab_size, vocab_size)
        if verdict.holds is False:
            return verdict
    return smallest_float32_failure(FLOAT32_FIRST)


def unpacked_digits(packed: Any, vocab_size: int, digits: int) -> Any:
    """Return the digits of packed numbers in [0, 1) by multiplication, floor and remainder, on torch in float64.

    Args:
        packed: float64 tensor of shape ``(count,)``.
        vocab_size: the base ``V``.
        digits: how many after the point.

    Returns:
        float64 tensor of shape ``(count, digits)``.

    """
    import torch  # noqa: PLC0415 # torch takes seconds to import

    powers = torch.tensor([float(vocab_size) ** (place + 1) for place in range(digits)], dtype=torch.float64)
    return torch.remainder(torch.floor(packed[:, None] * powers), vocab_size)


def smallest_misread_row(vocab_size: int = 10, limit: int = 1 << 16) -> tuple[int, list[int], list[int]] | None:
    """Return the smallest row of a map of two tokens that float64 misreads: its rank, its digits, the digits read.

    Args:
        vocab_size: ``V``; a row has ``V`` digits.
        limit: how many rows are tried, from rank 0 up.

    Returns:
        ``None`` where all of them are read right.

    """
    import torch  # noqa: PLC0415 # torch takes seconds to import

    check_integer("vocab_size", vocab_size, 2)
    ranks = range(min(limit, vocab_size**vocab_size))
    wanted = torch.tensor(
        [[rank // vocab_size ** (vocab_size - 1 - place) % vocab_size for place in range(vocab_size)] for rank in ranks]
    )
    # the quotient of two integers that float64 holds is the correctly rounded packed number
    packed = torch.tensor([rank / vocab_size**vocab_size for rank in ranks], dtype=torch.float64)
    read = unpacked_digits(packed, vocab_size, vocab_size)
    wrong = (read != wanted).any(dim=1)
    if not wrong.any():
        return None
    rank = int(wrong.int().argmax())
    return rank, wanted[rank].tolist(), [int(digit) for digit in read[rank].tolist()]
