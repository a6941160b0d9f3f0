"""A verdict: what was shown, with which arithmetic and evidence, and the case that refutes it, if there is one.

Verdicts and their cases stay in one module, a little over 300 lines, as their JSON is written and read here alone.
"""

from __future__ import annotations

import json
import math
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import flint

from constructions.decoding import Argmax, Decoding, decoding_from_json
from constructions.validation import InvalidArgument
from verify.evidence.kinds import KINDS, kind_of
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
class Counterexample:
    """A case that refutes a claim.

    Attributes:
        construction: an expression that rebuilds the construction.
        rank: place of the target in its space.
        target: the target, as nested lists.
        user_input: the user's tokens.
        position: place in the response of the first token that is not as promised, 0-based.
        expected: the token promised there, or the number.
        produced: the token produced there; the same as ``expected`` where it won only by the order of tokens.
        margin: the logit of ``expected`` minus the largest other one; not positive, or NaN where a logit is not finite.
            ``None`` where the backend gives tokens alone.
        reproduce: one command that shows the case.
        batch: the batch in which it fails, where it is right alone; see :class:`~verify.running.batches.Batch`.
        decoding: how the answer was read off the logits.

    Example:
        >>> from constructions import RationalSoftmax, UnconditionalGeneration
        >>> from verify import RationalArithmetic, exhaust
        >>> verdict = exhaust(UnconditionalGeneration(2, 2, temperature=RationalSoftmax(5)), RationalArithmetic())
        >>> verdict.counterexample.target, verdict.counterexample.margin
        ([0, 1], Fraction(0, 1))

    """

    construction: str
    rank: int
    target: Any
    user_input: list[int]
    position: int
    expected: int | Margin
    produced: int | Margin
    margin: Margin | None
    reproduce: str
    batch: str | None = None
    decoding: Decoding = field(default_factory=Argmax)

    def sentence(self) -> str:
        """Return the case in one sentence."""
        which = "" if self.target == [] else f"target {_short(self.target)}"  # a model without targets
        given = [which, f"user input {self.user_input}" if self.user_input else ""]
        where = "" if self.batch is None else f" in the batch {self.batch}; alone it is right"
        instead = self.decoding.instead(self.expected, self.produced, self.margin)
        margin = "" if self.margin is None else f" (margin {_show_margin(self.margin)})"
        return (
            f"{self.construction}: {' with '.join(filter(None, given))} must give {self.expected} at response position"
            f" {self.position}, but {instead}{margin}{where}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return JSON values: the rank as a decimal string, exact numbers as ``"p/q"``; no ``decoding`` for argmax."""
        case = {item.name: getattr(self, item.name) for item in fields(self)}
        case["rank"], case["margin"] = decimal(self.rank), margin_to_json(self.margin)
        for name in ("expected", "produced"):
            case[name] = case[name] if isinstance(case[name], int) else margin_to_json(case[name])
        decoding = case.pop("decoding")
        return case if decoding.takes_largest else case | {"decoding": decoding.to_json()}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Counterexample:
        """Return the case that :meth:`to_json` wrote; raises ValueError and its like for anything else."""
        case = dict(record)
        case["rank"], case["margin"] = int(flint.fmpz(case["rank"])), margin_from_json(case["margin"])
        case["decoding"] = decoding_from_json(case.get("decoding", Argmax().to_json()))
        if not case["decoding"].gives_tokens:
            for name in ("expected", "produced"):
                case[name] = margin_from_json(case[name])
        return cls(**case)


@dataclass(frozen=True)
class Refutation:
    """A case that refutes a claim about anything but the tokens of a construction, such as an attention layer.

    Attributes:
        subject: what the claim is false of, in full.
        place: where in it, in words.
        expected: what the claim promises there.
        produced: what is there instead.
        margin: how far that is from the promise, where it can be measured.
        reproduce: one command that shows the case.

    """

    subject: str
    place: str
    expected: str
    produced: str
    margin: Margin | None
    reproduce: str

    def sentence(self) -> str:
        """Return the case in one sentence."""
        return f"{self.subject}: {self.place} must be {self.expected}, but it is {self.produced}"

    def to_json(self) -> dict[str, Any]:
        """Return JSON values, exact margins as ``"p/q"``."""
        case = {item.name: getattr(self, item.name) for item in fields(self)}
        return case | {"margin": margin_to_json(self.margin)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Refutation:
        """Return the case that :meth:`to_json` wrote; raises ValueError and its like for anything else."""
        return cls(**{**record, "margin": margin_from_json(record["margin"])})


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
            a ledger may count ``seeds`` or ``vocabularies``), when they were ``saved`` (UTC), and how many cases of
            them were run again (``replayed``).
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
        kinds_fit = (
            (values["holds"] is None or isinstance(values["holds"], bool))
            and values["method"] in KINDS
            and isinstance(values["parameters"], Mapping)
            and (values["resumed"] is None or isinstance(values["resumed"], Mapping))
            and (values["assumptions"] is None or isinstance(values["assumptions"], str))
        )
        if not kinds_fit:
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


def margin_to_json(margin: Margin | None) -> str | float | None:
    """Return a margin as a JSON value: exact ones as ``"p/q"``, what is not finite as a word."""
    if margin is None:
        return None
    if isinstance(margin, Fraction):
        return _exact(margin)
    return margin if math.isfinite(margin) else str(margin)  # JSON has no NaN


def margin_from_json(value: str | float | None) -> Margin | None:
    """Return the margin that :meth:`Verdict.to_json` wrote; raises ValueError and its like for anything else."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, (str, int, float))):
        raise TypeError(f"a margin is {value!r}")
    if not isinstance(value, str):
        return value
    if value in {"nan", "inf", "-inf"}:
        return float(value)
    whole = re.fullmatch(r"(-?[0-9]+)(?:/([0-9]+))?", value)  # of any length
    return Fraction(value) if whole is None else Fraction(*(int(flint.fmpz(part)) for part in whole.groups("1")))


def _exact(margin: Fraction) -> str:
    """Return a fraction as Python writes it, of any length."""
    whole = decimal(margin.numerator)
    return whole if margin.denominator == 1 else f"{whole}/{decimal(margin.denominator)}"


def _show_margin(margin: Margin) -> str:
    return _exact(margin) if isinstance(margin, Fraction) else f"{margin:.3g}"


def _short(value: Any) -> str:
    """Return nested lists in at most a line; the full target is in the record."""
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
