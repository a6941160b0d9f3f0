"""The functions of a library that are measured: one object each, and a line here that registers it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from constructions.registry import Registry

#: Another way in which the library computes: its name, what it gave, what the measured values make it, and whether
#: these are values of the function, at the first of the arguments.
Way = tuple[str, torch.Tensor, torch.Tensor, bool]

#: Softmax along the last axis takes many times as long as all else: it is compared at every so many arguments.
_SELDOM = 16

#: Values in a call that is shorter than any vector register, so that all of them are in the tail of a kernel's loop.
SHORT = 7


@dataclass(frozen=True)
class Function:
    """A function of a library that stands for ``exp`` or for a power of 2.

    Attributes:
        word: its name, as ``--function`` takes it.
        summary: in a few words.
        base: ``e`` or ``2``.
        computed: the values at arguments, in the format of the arguments.
        ways: the same values by other ways.
        positive: whether arguments above 0 are measured too.

    """

    word: str
    summary: str
    base: str
    computed: Callable[[torch.Tensor], torch.Tensor]
    ways: Callable[[torch.Tensor, torch.Tensor], Iterator[Way]]
    positive: bool = True


def _elementwise(function: Callable[[torch.Tensor], torch.Tensor]) -> Callable[..., Iterator[Way]]:
    """Return the ways of an elementwise function: calls too short for a vector, and numbers that are not neighbours."""

    def ways(arguments: torch.Tensor, values: torch.Tensor) -> Iterator[Way]:
        rows = len(arguments) // SHORT
        if rows:
            held = arguments.new_zeros(rows, SHORT + 1)
            held[:, :SHORT] = arguments[: rows * SHORT].view(rows, SHORT)
            yield "short rows", function(held[:, :SHORT]).reshape(-1), values[: rows * SHORT], True
        pairs = torch.stack([arguments, arguments], dim=1)
        yield "every other number", function(pairs[:, 0]), values, True

    return ways


def _inside_softmax(arguments: torch.Tensor) -> torch.Tensor:
    """Return the ``exp`` that torch's softmax is made of, which on a CPU is another function than ``torch.exp``.

    The gradient of log-softmax is ``g - exp(y) sum(g)``, with the same ``exp``: it is taken at ``g = 0`` beside -1, so
    that nothing rounds but the ``exp``. The comparisons of the measurement show that softmax itself has these values.
    """
    held = arguments.float()
    rows = torch.stack([held, torch.zeros_like(held)])
    slopes = torch.zeros_like(rows)
    slopes[1] = -1
    return torch._log_softmax_backward_data(slopes, rows, 0, torch.float32)[0].to(arguments.dtype)


def _softmax_of_pairs(arguments: torch.Tensor, values: torch.Tensor) -> Iterator[Way]:
    """Return the weight of ``x`` beside 0: the exp ``e`` over ``1 + e``, or times the reciprocal of it."""
    for name, axis, chosen in (("first", 0, arguments), ("last", 1, arguments[::_SELDOM])):
        inner = _inside_softmax(chosen.float())
        got = torch.softmax(torch.stack([torch.zeros_like(chosen), chosen], dim=axis), dim=axis).select(axis, 1)
        quotient, product = ((part).to(values.dtype) for part in (inner / (inner + 1), inner * (1 / (inner + 1))))
        yield f"softmax along the {name} axis", got, torch.where(got == product, product, quotient), False


#: What can be measured, by the words of ``--function``; a new one is registered here.
FUNCTIONS: Registry[Function] = Registry(
    "function",
    (
        Function("exp", "torch.exp", "e", torch.exp, _elementwise(torch.exp)),
        Function(
            "softmax",
            "the exp inside torch.softmax",
            "e",
            _inside_softmax,
            _softmax_of_pairs,
            positive=False,
        ),
        Function("exp2", "torch.exp2", "2", torch.exp2, _elementwise(torch.exp2)),
    ),
    name=lambda function: function.word,
)


def summaries() -> str:
    """Return the functions in a line, each with what it is: ``exp (torch.exp), ...``."""
    return ", ".join(f"{word} ({function.summary})" for word, function in FUNCTIONS.items())
