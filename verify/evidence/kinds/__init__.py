"""The kinds of evidence, one file each; a verdict's ``method`` is the name of its kind."""

from __future__ import annotations

from constructions.registry import Registry
from constructions.validation import check_choice
from verify.evidence.kinds.base import CaseFamily as CaseFamily
from verify.evidence.kinds.base import Covers as Covers
from verify.evidence.kinds.base import Drawn as Drawn
from verify.evidence.kinds.base import Evidence as Evidence
from verify.evidence.kinds.base import Strength as Strength
from verify.evidence.kinds.certified import Certified
from verify.evidence.kinds.evaluated import Evaluated
from verify.evidence.kinds.exhausted import Exhausted
from verify.evidence.kinds.exported import Exported
from verify.evidence.kinds.fuzzed import Fuzzed
from verify.evidence.kinds.paired import PAIRED as PAIRED
from verify.evidence.kinds.proved import Proved
from verify.evidence.kinds.swept import Swept

PROVED, CERTIFIED, EXHAUSTED = Proved(), Certified(), Exhausted()
SWEPT, FUZZED, EVALUATED, EXPORTED = Swept(), Fuzzed(), Evaluated(), Exported()

#: Every kind by its name, the strongest first. A new kind is registered here.
KINDS: Registry[Evidence] = Registry(
    "evidence",
    (PROVED, CERTIFIED, EXHAUSTED, SWEPT, PAIRED, FUZZED, EVALUATED, EXPORTED),
    name=lambda kind: kind.name,
    order=lambda kind: kind.strength,
)


def kind_of(method: str) -> Evidence:
    """Return the kind of evidence of a verdict's ``method``.

    Example:
        >>> kind_of("exhausted").strength > kind_of("fuzzed").strength
        True

    Raises:
        InvalidArgument: there is no such kind.

    """
    return KINDS[check_choice("method", method, tuple(KINDS))]
