"""The findings of a search for the frontier so far, to and from JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from constructions.validation import InvalidArgument
from verify.evidence.verdict import Counterexample, decimal, margin_from_json, margin_to_json
from verify.frontier.falsify import Failures


@dataclass
class Certified:
    """The vocabulary sizes certified for one way of rounding products.

    Attributes:
        first: the smallest V that was looked at.
        up_to: every V from ``first`` up to here is certified; ``first - 1`` before the first.
        undecided: the undecided part of the next V, or why that one is refused; ``None`` where the search ended at
            its limit.
        done: whether the search ended.

    """

    first: int
    up_to: int
    undecided: str | None = None
    done: bool = False


@dataclass
class Falsified:
    """The runs on a real kernel, above the certified sizes.

    Attributes:
        first: the smallest V that ran; every smaller one is certified, and nothing can fail there.
        products: how the kernel rounds products: ``separate``, ``fused``, or ``either`` where it does both. The edge is
            compared with the certificate of that name.
        checked: every V from ``first`` up to here ran with every token.
        no_margin: the first V at which a token has no positive margin, and the case.
        wrong: the first V at which another token is produced, and the case.
        refused: why the next V cannot be run.
        done: whether the search ended.
        order: in which order of operations a token first had no positive margin, where the kernel runs in several.

    """

    first: int
    checked: int
    products: str
    no_margin: tuple[int, Counterexample] | None = None
    wrong: tuple[int, Counterexample] | None = None
    refused: str | None = None
    done: bool = False
    order: str = ""

    def add(self, vocab_size: int, order: str, found: Failures) -> None:
        """Add the failures of a run at a vocabulary size; those found before are kept."""
        if found.no_margin is not None and self.no_margin is None:
            self.no_margin, self.order = (vocab_size, found.no_margin), order
        if found.wrong is not None and self.wrong is None:
            self.wrong = (vocab_size, found.wrong)


@dataclass
class Frontier:
    """The certified and the falsified edge of a family of constructions in a format.

    Attributes:
        setting: the family and the machine, as JSON values: claim, sizes, options, temperature, format; on a matrix
            unit also its generation.
        limit: the largest V that the search may look at.
        values: the most evenly spaced values of the format, or of reduced products where the kernel reduces them.
        certified: for each way of rounding products.
        falsified: for each kernel.
        seconds: wall time, of all runs together.
        versions: of the libraries.

    Example:
        >>> edges = {"separate": Certified(first=1, up_to=17, done=True)}
        >>> frontier = Frontier({"claim": "theorem-1"}, limit=64, values=257, certified=edges)
        >>> frontier.found  # no kernel was run yet
        False
        >>> Frontier.from_json(frontier.to_json()) == frontier
        True

    """

    setting: Mapping[str, Any]
    limit: int
    values: int
    certified: dict[str, Certified] = field(default_factory=dict)
    falsified: dict[str, Falsified] = field(default_factory=dict)
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def found(self) -> bool:
        """Whether every kernel has both edges: a V that is not certified, and one that fails."""
        return bool(self.falsified) and all(
            edge.no_margin is not None
            and edge.products in self.certified
            and self.certified[edge.products].undecided is not None
            for edge in self.falsified.values()
        )

    def gap(self, kernel: str) -> float | None:
        """Return how far the edges are apart: ``(F - 1 - C)/C`` with ``F`` falsified and everything to C certified.

        A negative gap means that the kernel rounds otherwise than its certificate assumes.
        """
        edge = self.falsified.get(kernel)
        certified = None if edge is None else self.certified.get(edge.products)
        if edge is None or edge.no_margin is None or certified is None or certified.up_to < 1:
            return None
        return (edge.no_margin[0] - 1 - certified.up_to) / certified.up_to

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "setting": dict(self.setting),
            "limit": self.limit,
            "values": self.values,
            "certified": {name: asdict(part) for name, part in self.certified.items()},
            "falsified": {name: _falsified_to_json(part) for name, part in self.falsified.items()},
            "seconds": self.seconds,
            "versions": dict(self.versions),
        }

    @classmethod
    def from_json(cls, record: Any) -> Frontier:
        """Return the frontier that :meth:`to_json` wrote.

        Raises:
            InvalidArgument: not such a record.

        """
        try:
            if set(record) != {item.name for item in fields(cls)}:
                raise InvalidArgument("frontier: expected the JSON of a frontier")
            whole = (int(record["limit"]), int(record["values"]))
            certified = {name: Certified(**part) for name, part in record["certified"].items()}
            falsified = {name: _falsified_from_json(part) for name, part in record["falsified"].items()}
            setting, versions = dict(record["setting"]), dict(record["versions"])
            return cls(setting, *whole, certified, falsified, float(record["seconds"]), versions)
        except (TypeError, ValueError, KeyError, AttributeError, ZeroDivisionError) as error:
            raise InvalidArgument(f"frontier: expected the JSON of a frontier but {error}") from None


def _falsified_to_json(part: Falsified) -> dict[str, Any]:
    record = asdict(part)
    if not part.order:
        del record["order"]  # nor have files of kernels with one
    for name in ("no_margin", "wrong"):
        found = record[name]
        if found is not None:
            size, case = found
            if case["batch"] is None:
                del case["batch"]  # files of before have none
            record[name] = {"vocab_size": size} | case
            record[name] |= {"rank": decimal(case["rank"]), "margin": margin_to_json(case["margin"])}
    return record


def _falsified_from_json(record: Mapping[str, Any]) -> Falsified:
    values = dict(record)
    for name in ("no_margin", "wrong"):
        if values[name] is not None:
            case = dict(values[name])
            size = int(case.pop("vocab_size"))
            case |= {"rank": int(case["rank"]), "margin": margin_from_json(case["margin"])}
            values[name] = (size, Counterexample(**case))
    return Falsified(**values)
