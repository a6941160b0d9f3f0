"""The verdicts of a page: read, held against each other, and each called by its state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from constructions.validation import InvalidArgument
from proofs import CLAIMS
from verify.evidence.fingerprint import package_sha256
from verify.evidence.kinds import kind_of
from verify.evidence.verdict import Verdict
from verify.report.page.found import Found
from verify.suite.reread import reread
from verify.suite.strongest import arithmetic_family, strongest_json

_EXPECTED = "expected the output of prefixproof verify --json"


@dataclass(frozen=True)
class State:
    """What a page calls a verdict, always with its sign and its word, never by a colour alone.

    Attributes:
        word: in words.
        sign: a character before it.
        name: its class in the style sheet.

    """

    word: str
    sign: str
    name: str


@dataclass(frozen=True)
class Age(State):
    """What a page calls evidence by the sources that it is of.

    Attributes:
        current: whether they are those at hand.

    """

    current: bool = False


HOLDS = State("holds", "✓", "holds")
FALSE = State("false", "✗", "false")
NOT_SHOWN = State("not shown", "○", "not-shown")
#: Evidence of other sources than these: it says what was, not what is.
STALE = Age("stale", "◷", "stale")
CURRENT = Age("current", "✓", "holds", current=True)
BROKEN = Age("broken", "✗", "false")


@dataclass(frozen=True)
class Told:
    """A verdict on the page.

    Attributes:
        found: its record, as it was read.
        verdict: the same, checked.
        place: which one of the document it is, from 0 on.

    """

    found: Found
    verdict: Verdict
    place: int

    @property
    def state(self) -> State:
        """Its state on the page: it holds on positive evidence alone, with a margin where its kind measures one."""
        if self.verdict.holds is False:
            return FALSE
        measured = self.verdict.margin is not None or not _has_margin(self.verdict)
        return HOLDS if self.verdict.holds is True and measured else NOT_SHOWN


def _has_margin(verdict: Verdict) -> bool:
    """Say whether a verdict that holds must have a margin; an identity that is checked exactly has none."""
    claim = CLAIMS.get(verdict.claim)
    identity = claim is not None and claim.construction is None
    return kind_of(verdict.method).measures_margin and not (identity and arithmetic_family(verdict) == "rational")


def told(record: Found, place: int = 0) -> Told:
    """Return a verdict of its record.

    Raises:
        InvalidArgument: it is not a verdict, or claims more than its evidence.

    """
    try:
        verdict = Verdict.from_json(record.value)
        same = verdict.to_json() == {**record.value}
    except (InvalidArgument, TypeError, ValueError, ArithmeticError) as error:
        raise InvalidArgument(f"{record.file}: expected a verdict at {record.at} but {error}") from None
    if not all(isinstance(text, str) for text in (verdict.claim, verdict.arithmetic, verdict.device)):
        raise InvalidArgument(
            f"{record.file}: expected a verdict at {record.at} but claim, arithmetic or device is no text"
        )
    if not same:
        raise InvalidArgument(f"{record.file}: expected a verdict as it is written at {record.at} but it was changed")
    found = Told(record, verdict, place)
    if verdict.holds is True and found.state is not HOLDS:
        raise InvalidArgument(f"{record.file}: expected a margin at {record.at} but its verdict holds without one")
    return found


def told_all(document: Found) -> list[Told]:
    """Return all verdicts of the main job's document.

    Raises:
        InvalidArgument: it is another document, one of its verdicts claims more than its evidence, or its summary does
            not follow from its verdicts.

    """
    held = document.value
    if not isinstance(held, dict) or not isinstance(held.get("verdicts"), list) or "strongest" not in held:
        raise InvalidArgument(f"{document.file}: {_EXPECTED}, with verdicts and the strongest of them")
    if not held["verdicts"]:
        raise InvalidArgument(f"{document.file}: {_EXPECTED} but it has no verdict")
    for name in ("made", "sources"):
        if not isinstance(held.get(name, ""), str):
            raise InvalidArgument(f"{document.file}: {_EXPECTED} but {name} is not a text")
    found = [told(record, place) for place, record in enumerate(document["verdicts"])]
    if strongest_json(item.verdict for item in found) != held["strongest"]:
        raise InvalidArgument(f"{document.file}: {_EXPECTED} but its strongest verdicts are not those of its verdicts")
    return found


def reread_all(document: Found) -> Found:
    """Return the main job's document with "not shown" in the place of proofs that are none of this package.

    Raises:
        InvalidArgument: as of :func:`told_all`.

    """
    read = [item.verdict for item in told_all(document)]
    found = [reread(verdict) for verdict in read]
    if found == read:
        return document
    held = {**document.value, "verdicts": [verdict.to_json() for verdict in found], "strongest": strongest_json(found)}
    return Found(document.file, document.at, held)


def age_of(document: Found) -> Age:
    """Return whether the verdicts are of the sources at hand; a document that does not say so is stale."""
    return CURRENT if document.value.get("sources") == package_sha256() else STALE


def worst(states: Sequence[State]) -> State:
    """Return the state of several verdicts together: false if one is, and shown if all are and there is one."""
    if FALSE in states:
        return FALSE
    return HOLDS if states and set(states) == {HOLDS} else NOT_SHOWN


def by_claim(verdicts: Sequence[Told]) -> dict[str, list[Told]]:
    """Return the verdicts of each claim."""
    found: dict[str, Any] = {}
    for item in verdicts:
        found.setdefault(item.verdict.claim, []).append(item)
    return found
