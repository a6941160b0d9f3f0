"""Judgements that several steps share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import constructions
from constructions.construction import Construction
from constructions.validation import InvalidArgument
from verify.certificates import certify
from verify.certificates.enclosing import EnclosingArithmetic
from verify.device.base import Data, Judgement, NotDoneError
from verify.evidence.verdict import Verdict
from verify.suite.reread import reread


def verdict_data(verdict: Verdict, bounding: EnclosingArithmetic[Any, Any, Any], *, promised: bool) -> Data:
    """Return a verdict as data, and whether it is promised.

    Args:
        verdict: of cases that ran on the device.
        bounding: the arithmetic that bounds every kernel of its format.
        promised: whether it must hold whatever a certificate says.

    Raises:
        NotDoneError: nothing was shown either way.

    """
    if verdict.holds is None:
        raise NotDoneError(f"not shown: {verdict.reason}")
    data: dict[str, Any] = {"verdict": compact(verdict), "promised": promised, "certified": None}
    case = verdict.counterexample
    if verdict.holds is False and case is not None:
        data["certified"] = certified_again(case.construction, bounding)
    return data


def compact(verdict: Verdict) -> Data:
    """Return the verdict's JSON without the versions, which the summary has once."""
    return verdict.to_json() | {"versions": {}}


def certified_again(expression: str, bounding: EnclosingArithmetic[Any, Any, Any]) -> bool | None:
    """Return whether all cases of a construction are certified; ``None`` where no certificate is to be had.

    Args:
        expression: as the counterexample of one of our own constructions has it.
        bounding: the arithmetic of the certificate.

    """
    try:
        made = eval(expression, {"__builtins__": {}}, dict(vars(constructions)))  # noqa: S307 # our own repr
    except Exception:  # noqa: BLE001 # it is no expression of ours
        return None
    if not isinstance(made, Construction):
        return None
    try:
        return certify(made, bounding).holds
    except InvalidArgument:
        return None


def judge_verdict(data: Data) -> Judgement:
    """Judge the data of :func:`verdict_data`.

    What is promised must hold. Elsewhere a verdict that is falsified is a finding, such as the end of a sweep, unless a
    certificate covers its case: then the device is not what the certificate assumes, or one of both is wrong.
    """
    verdict = reread(Verdict.from_json(data["verdict"]))
    cases = f"{verdict.cases:,} cases" if verdict.cases != 1 else "1 case"
    said = f"{verdict.method}: {cases}, {_sizes(verdict.parameters)}"
    if verdict.holds is True:
        return Judgement(bool(verdict.cases), f"{said}: holds, margin {_short(verdict)}")
    case = "" if verdict.counterexample is None else f": {verdict.counterexample.sentence()}"
    reason = "" if verdict.reason is None else f": {verdict.reason}"
    why = f"{said}: FALSIFIED{reason}{case}"
    if data["certified"] is True:
        return Judgement(holds=False, sentence=f"although all cases there are certified: {why}")
    if data["promised"] is not False or verdict.holds is not False:
        return Judgement(holds=False, sentence=why)
    return Judgement(None, f"nothing is certified there: {why}")


def _sizes(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in parameters.items() if name != "mask")


def _short(verdict: Verdict) -> str:
    return "none" if verdict.margin is None else f"{float(verdict.margin):.3g}"
