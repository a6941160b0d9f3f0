"""A kind of evidence describes itself: its name, its strength, its sentence and the command that repeats it."""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from constructions.specification import Specification
from constructions.validation import IntArray

if TYPE_CHECKING:
    from verify.evidence.verdict import Verdict


class Covers(IntEnum):
    """Which cases a kind of evidence is about, from the fewest to the most."""

    GIVEN = 0
    DRAWN = 1
    FAMILY = 2
    ALL_CASES = 3
    ALL_SIZES = 4


class Strength(NamedTuple):
    """How much a verdict that holds says: first by the cases it covers, then by whether it is a proof.

    Attributes:
        covers: which cases it is about.
        by_proof: whether it is a proof about them; a run shows what one machine did.

    """

    covers: Covers
    by_proof: bool


class Drawn(NamedTuple):
    """How a picture shows a kind of evidence, always beside its word.

    Attributes:
        dash: of a border, as SVG's ``stroke-dasharray`` takes it; ``none`` is a solid line.
        light: the fill on a light page; black text on it has a contrast of at least 7.
        dark: the fill on a dark page; white text on it has a contrast of at least 7.

    """

    dash: str
    light: str
    dark: str


class Evidence(ABC):
    """A kind of evidence. A new one is a class in a file of its own and a line in ``verify.evidence.kinds.KINDS``.

    Attributes:
        name: the ``method`` of its verdicts.
        strength: verdicts of stronger kinds are told first; a larger value is stronger.
        subcommand: the ``prefixproof`` command that gathers it, ``None`` where there is none.
        shares_assumptions: whether the ``reason`` of a verdict that holds says what it rests on, which is the same for
            many verdicts: a table says it once, below.
        measures_margin: whether every verdict that holds has a margin; a page calls one without it "not shown".
        drawn: how a picture shows it.
        trusts: what a reader of its verdicts must trust, in a sentence.

    """

    name: ClassVar[str]
    strength: ClassVar[Strength]
    subcommand: ClassVar[str | None] = None
    shares_assumptions: ClassVar[bool] = False
    measures_margin: ClassVar[bool] = True
    drawn: ClassVar[Drawn] = Drawn("2 6", "#e8e8e8", "#3a3a3a")
    trusts: ClassVar[str] = "The code that ran, and the machine that it ran on."

    def word(self, verdict: Verdict) -> str:
        """Return what a verdict of this kind that holds is called in a picture."""
        del verdict
        return self.name

    @abstractmethod
    def sentence(self, verdict: Verdict) -> str:
        """Return the kind of evidence of a verdict with its count, in a few words."""

    @property
    def case_family(self) -> CaseFamily | None:
        """This kind where it runs chosen cases of one specification, ``None`` otherwise."""
        return None

    def objection(self, verdict: Verdict) -> str | None:
        """Return what forbids this verdict to hold by this kind of evidence, ``None`` where nothing does.

        The rules that every verdict obeys are in :class:`~verify.evidence.verdict.Verdict`; these are one kind's own.
        """
        return None

    def command(self, built: Mapping[str, str], arithmetic: Sequence[str], *more: str) -> str | None:
        """Return the command line that gathers this evidence again, ``None`` where no command does.

        Args:
            built: the words that build the construction: ``{"claim": ..., "--vocab": ..., ...}``.
            arithmetic: the words that choose the arithmetic, see ``Arithmetic.words``.
            more: further words of this kind, such as a seed; they come between the two.

        """
        if self.subcommand is None:
            return None
        words = ["prefixproof", self.subcommand, built["claim"]]
        for name, value in built.items():
            if name != "claim":
                words += [name, value] if value else [name]
        return shlex.join([*words, *more, *arithmetic])

    def __repr__(self) -> str:
        return self.name


class CaseFamily(Evidence):
    """A kind of evidence that runs chosen cases of one specification: which cases is all that it says.

    The command line has a command for it, and plans a step of its name; see :mod:`verify.evidence.families`.

    Attributes:
        label: what a progress bar calls it.
        help: what the command does, in a line.

    """

    strength: ClassVar[Strength] = Strength(Covers.FAMILY, by_proof=False)
    drawn: ClassVar[Drawn] = Drawn("5 4", "#f3d9ea", "#5a2348")
    label: ClassVar[str]
    help: ClassVar[str]

    @property
    def case_family(self) -> CaseFamily:
        """Itself."""
        return self

    @abstractmethod
    def count(self, specification: Specification) -> int:
        """Return how many cases there are for a specification, at least one.

        Raises:
            InvalidArgument: the family is not one of this specification's.

        """

    @abstractmethod
    def cases(self, specification: Specification, start: int, stop: int) -> tuple[IntArray, IntArray]:
        """Return cases ``start..stop-1`` of the family, the same ones whenever it is asked.

        Returns:
            Targets, int64 of shape ``(stop - start, *targets.shape)``, and user inputs, ``(stop - start, user)``.

        """

    def objection(self, verdict: Verdict) -> str | None:
        """Refuse a run that is not of the whole family; its size is the verdict's ``family``."""
        whole = verdict.parameters.get("family")
        return None if str(verdict.cases) == whole else f"expected the whole family of {whole} for True"
