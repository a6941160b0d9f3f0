"""A verdict: what was shown, with which arithmetic and evidence, and the case that refutes it, if there is one."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import flint

from constructions.validation import InvalidArgument
from verify.evidence.kinds import KINDS, kind_of
from verify.evidence.refuted import Counterexample as Counterexample
from verify.evidence.refuted import Refutation as Refutation
from verify.evidence.refuted import margin_from_json as margin_from_json
from verify.evidence.refuted import margin_to_json as margin_to_json
from verify.numbers import Margin as Margin
from verify.numbers import decimal as decimal

#: How a verdict was reached: the name of a kind of evidence, see :data:`verify.evidence.kinds.KINDS`.
Method = str


@lru_cache(maxsize=1)
def library_versions() -> Mapping[str, str]:
    """Return the versions of Python, this package and the libraries that a verdict rests on."""
    found = {"python": platform.python_version()}
    for name in ("prefixproof", "numpy", "torch", "sympy", "hypothesis", "python-flint"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


@dataclass(frozen=True)
class Verdict:
    """The outcome of checking a claim at some parameters, by one method, in one arithmetic.

    Attributes:
        claim: the claim's id, or the construction's name for one of the user's own.
        parameters: sizes, temperature and mask, as JSON values.
        method: see :data:`Method`.
        arithmetic: ``real`` (proved), ``rational``, ``torch float32``, ...
        device: where it ran.
        holds: true on positive evidence alone (every margin is positive, and ``exhausted`` every case of the space);
            false with a counterexample; ``None``: not shown, for the ``reason`` given.
        cases: how many cases were checked (for ``proved``, how many obligations).
        space: how many there are, ``None`` where the notion does not apply.
        margin: the smallest margin over the cases, ``None`` where there is none to speak of.
        counterexample: the case that refutes the claim.
        seed: of what was drawn.
        seconds: wall time.
        versions: of Python, this package and the libraries that did the work.
        reason: why nothing is shown, or what a reader must know with the verdict.
        refutation: the case that refutes a claim about anything but tokens; in JSON it is the ``counterexample``.
        resumed: where the run went on from a checkpoint or a ledger: the ``cases`` that it took over (a decimal string;
            a ledger may count ``seeds``, ``vocabularies`` or ``pieces``), when they were ``saved`` (UTC), and how many
            cases of them were run again (``replayed``).
        assumptions: what a verdict about a backend takes for granted that is not inspected.

    Example:
        >>> from constructions import ConditionalGeneration
        >>> from verify import RationalArithmetic, exhaust
        >>> verdict = exhaust(ConditionalGeneration(3), RationalArithmetic())
        >>> verdict.holds, verdict.method, verdict.cases, verdict.space
        (True, 'exhausted', 81, 81)
        >>> Verdict.from_json(verdict.to_json()) == verdict
        True

    """

    claim: str
    parameters: Mapping[str, Any]
    method: Method
    arithmetic: str
    device: str
    holds: bool | None
    cases: int
    space: int | None = None
    margin: Margin | None = None
    counterexample: Counterexample | None = None
    seed: int | None = None
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=library_versions)
    reason: str | None = None
    refutation: Refutation | None = None
    resumed: Mapping[str, Any] | None = None
    assumptions: str | None = None

    def __post_init__(self) -> None:
        if self.counterexample is not None and self.refutation is not None:
            raise InvalidArgument("counterexample: expected one case but got two, one of them a refutation")
        if self.holds is True and (self.cases < 1 or self.case is not None):
            raise InvalidArgument("holds: expected no True without a case, or with a counterexample")
        if self.holds is True and self.margin is not None and not self.margin > 0:
            raise InvalidArgument(f"holds: expected a positive margin for True but got {self.margin}")
        objection = kind_of(self.method).objection(self)
        if self.holds is True and objection is not None:
            raise InvalidArgument(f"holds: {objection}")
        if self.holds is False and self.case is None:
            raise InvalidArgument("holds: expected a counterexample for False")
        if self.counterexample is not None and not self.counterexample.refutes:
            raise InvalidArgument("counterexample: expected a case that is not as promised, or without a margin")

    @property
    def case(self) -> Counterexample | Refutation | None:
        """The case that refutes the claim, whatever it is about."""
        return self.counterexample if self.refutation is None else self.refutation

    def to_json(self) -> dict[str, Any]:
        """Return JSON values: numbers that can be huge as decimal strings, exact margins as ``"p/q"``."""
        record = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "refutation"}
        record["parameters"], record["versions"] = dict(self.parameters), dict(self.versions)
        record["resumed"] = None if self.resumed is None else dict(self.resumed)
        record["cases"], record["space"] = decimal(self.cases), None if self.space is None else decimal(self.space)
        record["margin"] = margin_to_json(self.margin)
        record["counterexample"] = None if self.case is None else self.case.to_json()
        if self.assumptions is None:
            del record["assumptions"]
        return record

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Verdict:
        """Return the verdict that :meth:`to_json` wrote.

        Raises:
            InvalidArgument: a key is missing or unknown, or a value does not parse.

        """
        known = {item.name for item in fields(cls)} - {"refutation", "assumptions"}
        if not isinstance(record, Mapping) or set(record) - {"assumptions"} != known:
            raise InvalidArgument(f"verdict: expected a JSON object with exactly the keys {', '.join(sorted(known))}")
        values = {"assumptions": None, **record}
        if not _kinds_fit(values):
            raise InvalidArgument("verdict: expected holds true, false or null, a known method, and named parameters")
        try:
            values["cases"] = int(flint.fmpz(values["cases"]))
            values["space"] = None if values["space"] is None else int(flint.fmpz(values["space"]))
            values["margin"] = margin_from_json(values["margin"])
            if values["counterexample"] is not None:
                case = dict(values["counterexample"])
                if "subject" in case:
                    values["counterexample"], values["refutation"] = None, Refutation.from_json(case)
                else:
                    values["counterexample"] = Counterexample.from_json(case)
        except (TypeError, ValueError, KeyError, ZeroDivisionError) as error:
            raise InvalidArgument(f"verdict: expected the JSON of a verdict but {error}") from None
        return cls(**values)


def verdict_text(verdict: Verdict) -> str:
    """Return the verdict as one JSON line."""
    return json.dumps(verdict.to_json(), ensure_ascii=False, allow_nan=False)


def _kinds_fit(values: Mapping[str, Any]) -> bool:
    """Return whether the values of a verdict's JSON that no reader converts are of their kinds."""
    seconds, seed, resumed = values["seconds"], values["seed"], values["resumed"]
    texts = [values[name] for name in ("claim", "arithmetic", "device")]
    texts += [values[name] for name in ("reason", "assumptions") if values[name] is not None]
    return (
        (values["holds"] is None or isinstance(values["holds"], bool))
        and isinstance(values["method"], str)
        and values["method"] in KINDS
        and all(isinstance(text, str) for text in texts)
        and isinstance(values["parameters"], Mapping)
        and isinstance(values["versions"], Mapping)
        and (seed is None or type(seed) is int)
        and type(seconds) in {int, float}
        and 0 <= seconds < math.inf
        # what was taken over, when it was saved, and what ran again
        and (
            resumed is None
            or (isinstance(resumed, Mapping) and len(resumed) == 3 and {"saved", "replayed"} < {*resumed})
        )
    )
