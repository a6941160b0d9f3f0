"""Right constructions on something broken: a device that returns rubbish. No evidence may say that they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from constructions import ConditionalGeneration, Construction, LongerInputs, LongerResponses, UnconditionalGeneration
from tests.mutation.canaries import AnyArithmetic, verdicts
from tests.mutation.semantic_operators import Wrap
from tests.mutation.wrong_arithmetic import wrapped
from verify import NumpyArithmetic, RationalArithmetic, Verdict
from verify.arithmetic.tensors import TorchArithmetic

RIGHT: tuple[Construction, ...] = (
    UnconditionalGeneration(3, 2),
    ConditionalGeneration(2),
    LongerResponses(2, 2),
    LongerInputs(2, 2),
)


def _numbers(change: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]) -> Wrap:
    """Spoil what is read back from the device; the tokens that it chose stay right."""
    return wrapped("numbers", lambda self, rows: change(np.array(self.base.numbers(rows))))


def _spoiled(value: float, *, place: int) -> Wrap:
    """Put one value in one logit of every row."""

    def change(numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        numbers[..., place] = value
        return numbers

    return _numbers(change)


def _last_case_spoiled(numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if numbers.ndim == 3:
        numbers[-1] = np.nan
    return numbers


def _forgetful(self: Any, logits: Any) -> Any:
    """Choose right for the first case and token 0 from then on."""
    made = self.base.argmax(logits)
    if self.base.batched:
        made = made * (np.arange(len(made)) == 0)[:, None]
    elif hasattr(self, "asked"):
        made = np.zeros_like(made)
    self.asked = True
    return made


def _neighbours(self: Any, logits: Any) -> Any:
    """Give every case of a batch the tokens of the case before it; a case alone those of the call before."""
    made = self.base.argmax(logits)
    before, self.before = getattr(self, "before", np.zeros_like(made)), made
    if self.base.batched and len(made) > 1:
        return np.roll(made, 1, axis=0)
    return before if before.shape == made.shape else np.zeros_like(made)


#: Faults in any arithmetic.
ANYWHERE: Mapping[str, Wrap] = {
    "logits read back as zeros": _numbers(lambda numbers: numbers * 0),
    "logits all the same": _numbers(lambda numbers: numbers * 0 + 1),
    "logits of the wrong sign": _numbers(lambda numbers: -numbers),
    "logits in reverse order": _numbers(lambda numbers: numbers[..., ::-1]),
    "weights are zeros": wrapped("weight", lambda self, matrix: self.base.weight(replace(matrix, leaves={}))),
    "the argmax is always token 0": wrapped("argmax", lambda self, logits: np.zeros_like(self.base.argmax(logits))),
    "the argmax is always the last token": wrapped(
        "argmax",
        lambda self, logits: np.zeros_like(self.base.argmax(logits)) + self.base.numbers(logits).shape[-1] - 1,
    ),
    "the argmax is right for the first case alone": wrapped("argmax", _forgetful),
    "tokens of the case before": wrapped("argmax", _neighbours),
}

#: Faults that a rational cannot have.
IN_FLOATS: Mapping[str, Wrap] = {
    f"{name} in {where}": _spoiled(value, place=place)
    for name, value in (("NaN", np.nan), ("inf", np.inf), ("-inf", -np.inf))
    for where, place in (("the first logit", 0), ("the last logit", -1))
} | {
    "NaN in every logit": _numbers(lambda numbers: numbers * np.nan),
    "inf in every logit": _numbers(lambda numbers: numbers * 0 + np.inf),
    "NaN in the last case of a batch": _numbers(_last_case_spoiled),
}


FIRST_ALONE = "the argmax is right for the first case alone"
#: A single case may not meet these: they give a token that it may expect, or spoil another case.
BEYOND_ONE_CASE = {
    "the argmax is always token 0",
    "the argmax is always the last token",
    FIRST_ALONE,
    "tokens of the case before",
}
#: What no claim is made of: fuzzing runs batches of one case, so that every case is the first of its own.
NOT_CLAIMED = {("check", fault) for fault in BEYOND_ONE_CASE} | {("fuzz", FIRST_ALONE)}
KINDS = ("exhaust", "fuzz", "sweep", "check")


def surroundings() -> Iterator[tuple[str, str, Callable[[], Verdict]]]:
    """Yield ``(fault, kind of evidence, what runs it)`` for every fault, construction, arithmetic and evidence."""
    floats = (NumpyArithmetic("float64"), TorchArithmetic("float32"))
    for construction in RIGHT:
        for arithmetic in (RationalArithmetic(), *floats):
            faults = ANYWHERE if arithmetic.fmt is None else {**ANYWHERE, **IN_FLOATS}
            for fault, wrap in faults.items():
                for name in KINDS:
                    if (name, fault) not in NOT_CLAIMED:
                        yield fault, name, _run(construction, arithmetic, wrap, name)


def _run(construction: Construction, arithmetic: AnyArithmetic, wrap: Wrap, name: str) -> Callable[[], Verdict]:
    return dict(verdicts(construction, wrap(arithmetic)))[name]  # a fresh arithmetic each: some faults remember
