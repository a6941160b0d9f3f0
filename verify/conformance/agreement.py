"""Margins of cases held against those of torch's dense arithmetic, and against the certified bounds of any kernel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from constructions.construction import Construction
from constructions.formats import Format
from constructions.validation import InvalidArgument
from verify.arithmetic.base import Arithmetic
from verify.conformance.bounds import Bounds, Cases, allowed_bounds
from verify.running.again import in_words
from verify.running.batches import Batch
from verify.running.cases import Outcome, Runner

#: How a margin may agree, and in which words.
_AGREE = {
    "equal": "equal bit by bit",
    "bounded": "within the certified bounds of any kernel",
    "unbounded": "right in both, where no certificate has bounds",
}


def agreement(
    construction: Construction,
    dense: Arithmetic[Any, Any, Any],
    batch: Batch,
    margins: Float[np.ndarray, " cases"],
    name: str,
) -> list[str]:
    """Return of each case how its margin agrees with that of the dense arithmetic, or in words how it does not.

    It is equal (both rounded to the format); or both lie within the bounds that a certificate allows any kernel; or no
    certificate bounds it, and the dense arithmetic is right there as well. Code of other authors can make bounds as
    wide as it likes, so where any runs, the dense arithmetic must be right within the bounds too.

    Args:
        construction: whose cases they are.
        dense: torch's dense arithmetic in the format of the margins.
        batch: the cases, which run together.
        margins: the smallest margin of each, in the other arithmetic.
        name: the other arithmetic, as a sentence names it.

    """
    fmt = dense.fmt
    assert fmt is not None, "the dense arithmetic holds floats"
    outcome = Runner(construction, dense).run(batch.targets, batch.inputs)
    own = outcome.margins.min(axis=1)
    with np.errstate(over="ignore"):  # a difference of two finite logits may be beyond the format
        equal = np.asarray(_rounded(own, fmt) == _rounded(margins, fmt))
    found = ["equal" if same else "" for same in equal.tolist()]
    if equal.all():
        return found
    off = np.flatnonzero(~equal)
    bounds = _bounds(construction, dense, fmt, Cases(batch.targets[off], batch.inputs[off], outcome.expected[off]))
    right = ~np.asarray(outcome.failures().any(axis=1))[off] & (margins[off] > 0)
    if bounds is None:
        inside = right
    else:
        low, high = (_rounded(end, fmt) for end in margin_bounds(bounds, outcome, off))
        # bounds of any kernel are those of the dense one too, unless a layer is another function of its tensors
        ends = [_rounded(each[off], fmt) for each in (margins, own)]
        inside = np.logical_and.reduce([(low <= each) & (each <= high) for each in ends])
        if construction.transformer.authored:
            inside &= right
    for place, within in zip(off.tolist(), inside.tolist(), strict=True):
        agreed = "unbounded" if bounds is None else "bounded"
        case = in_words(batch.targets[place], batch.inputs[place])
        told = f"{case} has a margin of {margins[place]} in {name} and of {own[place]} in torch's dense arithmetic"
        found[place] = agreed if within else told
    return found


def agrees(said: str) -> bool:
    """Return whether something that :func:`agreement` said of a case is how it agrees."""
    return said in _AGREE


def account(said: Collection[str], of: str = "drawn cases") -> str:
    """Return in words how many cases were compared, and how they agreed.

    Args:
        said: of each case what :func:`agreement` said.
        of: these cases, in words.

    """
    counts = Counter(said)
    parts = [f"{counts[kind]} {words}" for kind, words in _AGREE.items() if counts[kind]]
    off = [words for words in said if not agrees(words)]
    parts += [f"{len(off)} off, such as: {off[0]}"] if off else []
    compared = f"{len(said)} {of} compared with torch's dense arithmetic"
    return ": ".join([compared, *([", ".join(parts)] if parts else [])])


class Agreement:
    """Cases of code of other authors, which may run otherwise in the dense arithmetic than in another one.

    Of floats, a margin that does not agree is a reason to show nothing. Of exact numbers, whose dense floats round, a
    case that is not right there is told beside the verdict.

    Attributes:
        warning: a case that is right in exact numbers, and not in dense floats; ``None`` where there is none.

    """

    def __init__(self) -> None:
        """Compare nothing yet."""
        self.warning: str | None = None
        self._said: list[str] = []

    def off(self, runner: Runner, batch: Batch, margins: np.ndarray[Any, Any]) -> str | None:
        """Run cases in the dense arithmetic of a runner's, if it has one; return in words the first that is off.

        Args:
            runner: what ran them.
            batch: the cases.
            margins: of every case at every step.

        """
        dense, construction, name = runner.prepared.dense, runner.construction, runner.backend.name
        if dense is None or not isinstance(construction, Construction):
            return None
        try:
            if runner.backend.exact:
                self._warn(Runner(construction, dense), batch, name)
                return None
            said = agreement(construction, dense, batch, margins.min(axis=1), name)
        except InvalidArgument as error:  # in exact numbers a size or an operation may be one that floats do not have
            return None if runner.backend.exact else f"{dense.name}, where the same code runs: {error}"
        except Exception as error:  # noqa: BLE001 # code of other authors may raise anything of tensors
            told = f"{dense.name}, where the same code runs: {type(error).__name__}: {error}"
            if not runner.backend.exact:
                return told
            self.warning = told
            return None
        self._said += said
        return next((words for words in said if not agrees(words)), None)

    def account(self) -> str | None:
        """Return in words how many cases were compared, and how they agreed; ``None`` where none was."""
        return account(self._said, "runs of drawn cases") if self._said else None

    def _warn(self, runner: Runner, batch: Batch, name: str) -> None:
        failed = runner.run(batch.targets, batch.inputs).failures().any(axis=1)
        if failed.any() and self.warning is None:
            place = int(np.argmax(failed))
            case = in_words(batch.targets[place], batch.inputs[place])
            self.warning = (
                f"it holds in {name} arithmetic alone: {case} is not right in {runner.backend.name}, which rounds, or"
                " where the code of other authors does otherwise"
            )


def margin_bounds(bounds: Bounds, outcome: Outcome, chosen: np.ndarray[Any, Any]) -> tuple[Any, Any]:
    """Return bounds of the smallest margin of each case, one float64 further out for the rounding of the difference.

    Args:
        bounds: of the logits of the chosen cases.
        outcome: of all of them.
        chosen: their places.

    """
    low, high = (bounds.low, bounds.high) if outcome.decoding.takes_largest else (-bounds.high, -bounds.low)
    own = outcome.expected[chosen][..., None]
    lowest, highest = (np.take_along_axis(end, own, axis=-1)[..., 0] for end in (low, high))
    others = [end.copy() for end in (low, high)]
    for end in others:
        np.put_along_axis(end, own, -np.inf, axis=-1)
    most = [end.max(axis=-1) for end in others]
    smallest, largest = (lowest - most[1]).min(axis=1), (highest - most[0]).min(axis=1)
    return np.nextafter(smallest, -np.inf), np.nextafter(largest, np.inf)


def _bounds(construction: Construction, dense: Arithmetic[Any, Any, Any], fmt: Format, cases: Cases) -> Bounds | None:
    """Return the bounds that a certificate allows any kernel, ``None`` where there are none."""
    if not construction.reading.gives_tokens:
        return None
    tf32 = dense.spec is not None and bool(dict(dense.spec.options).get("tf32"))
    try:
        return allowed_bounds(construction, fmt, cases, lambda _: None, tf32=tf32)[0]
    except InvalidArgument:
        return None


def _rounded(numbers: Float[np.ndarray, " cases"], fmt: Format) -> Float[np.ndarray, " cases"]:
    """Return numbers rounded to a format, those beyond it as infinities."""
    held = torch.from_numpy(np.ascontiguousarray(numbers, dtype=np.float64))
    return np.asarray(held.to(getattr(torch, fmt.name)).to(torch.float64).numpy())
