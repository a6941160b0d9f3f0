"""Small random networks for a certificate: their weights on mixed grids, their prompts affine in the target."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from constructions import Attention, Head, InvalidArgument, Linear, Ratios
from constructions.activations import RELU
from constructions.temperature import Hardmax, RationalSoftmax, Softmax
from tests.certificates.emulated import FORMATS
from tests.certificates.own import Given
from verify.certificates import RoundedArithmetic, certify
from verify.certificates.floats.rounding.matrix_unit import NO_UNIT

FAMILIES = ("readout", "linear", "attention", "deep")


@dataclass(frozen=True)
class Setting:
    """A network that is certified, and how.

    Attributes:
        unit: of the certificate, ``none`` for kernels without one.
        generation: of the unit that runs.
        full_reduction: of both.

    """

    construction: Given
    fmt: str
    products: Any
    points: int
    any_embedding: Fraction | None = None
    unit: str = NO_UNIT
    generation: str = NO_UNIT
    full_reduction: bool = False

    def certified(self, construction: Given) -> bool:
        """Return whether the certificate holds with these weights."""
        return self.margin(construction) is not None

    def margin(self, construction: Given) -> float | None:
        """Return the smallest margin that is certified with these weights; ``None`` where none is."""
        try:
            verdict = certify(
                construction,
                RoundedArithmetic.of(
                    self.fmt, products=self.products, unit=self.unit, full_reduction=self.full_reduction
                ),
                points=self.points,
                budget=10_000,
                any_embedding=self.any_embedding,
            )
        except InvalidArgument:
            return None
        return float(verdict.margin or 0) if verdict.holds is True else None

    def __str__(self) -> str:
        """Return everything that is needed to build it again."""
        made = self.construction
        exact = made.transformer.lowered
        matrices = {name: [[str(value) for value in row] for row in m.to_fractions()] for name, m in _named(exact)}
        return (
            f"{self.fmt}, products {self.products}, unit {self.unit} on {self.generation}, full reduction"
            f" {self.full_reduction}, points {self.points}, embedding {self.any_embedding}; V ="
            f" {made.vocab_size}, entries {made.entries}, users {made.users}, steps {made.steps}, mask {made.mask},"
            f" temperature {made.temperature}, {made.encoding}, {made.promise}, weights {matrices}"
        )


def _named(exact: Any) -> Any:
    return exact.matrices().items()


@dataclass(frozen=True)
class Affine:
    """An encoding: every coordinate an integer combination of the entries, over one denominator."""

    rows: tuple[tuple[int, ...], ...]
    shifts: tuple[int, ...]
    denominator: int

    def __call__(self, targets: Any) -> Ratios:
        columns = []
        for row, shift in zip(self.rows, self.shifts, strict=True):
            total = targets[:, 0] * row[0] + shift
            for entry in range(1, len(row)):
                if row[entry]:
                    total = total + targets[:, entry] * row[entry]
            columns.append(total)
        return Ratios(np.stack(columns, axis=-1)[:, None, :], self.denominator)


@dataclass(frozen=True)
class Constant:
    """The promise of the same tokens for every target."""

    tokens: tuple[int, ...]

    def __call__(self, targets: Any, users: Any) -> Any:
        return np.tile(np.array(self.tokens, dtype=np.int64), (len(targets), 1))


@dataclass(frozen=True)
class Entries:
    """The promise of the target's first entries."""

    steps: int

    def __call__(self, targets: Any, users: Any) -> Any:
        return targets[:, : self.steps]


# weights --------------------------------------------------------------------------------------------------------------

KINDS = ("integers", "dyadic", "thirds", "powers", "full", "huge", "tiny", "cancelling")


def weights(rng: np.random.Generator, rows: int, columns: int, fmt: str, kinds: tuple[str, ...] = KINDS) -> Any:
    """Return a matrix on one of several grids, with zeros."""
    bits = FORMATS[fmt][0]
    kind = str(rng.choice(kinds))
    whole = rng.integers(-9, 10, (rows, columns))
    full = rng.integers(2 ** (bits - 1), 2**bits, (rows, columns)) * rng.choice([-1, 1], (rows, columns))
    shift = int(rng.integers(-3, 3))

    def value(row: int, column: int) -> Fraction:
        small, large = int(whole[row, column]), int(full[row, column])
        close = Fraction(large, 2 ** (bits - 1))
        drawn: dict[str, Fraction] = {
            "integers": Fraction(small),
            "dyadic": Fraction(small, 8),
            "thirds": Fraction(small, 3),
            "powers": Fraction(2) ** (small // 2) * (1 if small % 2 else -1),
            "full": close * Fraction(2) ** shift,
            "huge": close * 2 ** (bits // 2),
            "tiny": close / 2 ** (bits // 2),
            # 1, and a little more or less, of either sign: sums lose their leading bits
            "cancelling": (-1) ** column * (1 + Fraction(small, 2 ** (bits - 2))),
        }
        return drawn[kind]

    kept = rng.random((rows, columns)) < 0.8
    if not kept.any():
        kept[0, 0] = True
    return [
        [value(row, column) if kept[row, column] else Fraction(0) for column in range(columns)] for row in range(rows)
    ]


def _attention(rng: np.random.Generator, width: int, out: int, fmt: str, name: str) -> Attention:
    mild = ("integers", "dyadic", "thirds", "powers")
    heads = []
    for at in range(int(rng.integers(1, 3))):
        keys = int(rng.integers(1, 3))
        query, key = (weights(rng, keys, width, fmt, mild) for _ in range(2))
        query = [[value / 4 for value in row] for row in query]
        heads.append(Head(f"head {at}", query, key, weights(rng, out, width, fmt)))
    return Attention(tuple(heads), name=name)


def network(rng: np.random.Generator, fmt: str, family: str, products: Any) -> Setting:
    """Draw a network of a family, with a readout whose biases are still to be set."""
    vocab, entries = int(rng.integers(2, 4)), int(rng.choice([1, 2, 2, 3, 4, 8]))
    users = int(rng.random() < 0.3) if family in {"attention", "deep"} else 0
    steps = int(rng.integers(1, 3)) if family in {"attention", "deep"} else 1
    own = bool(rng.random() < 0.4 and steps <= entries)
    if own:  # the cells of an entry fix all that is packed into one number with it
        vocab, entries = 2, min(entries, 4)
    embedded = int(rng.integers(1, 5))
    context = 1 + users + steps - 1
    width = embedded + context
    layers: list[Any] = []
    bits = FORMATS[fmt][0]
    for at in range({"readout": 0, "linear": 0, "attention": 1, "deep": int(rng.integers(1, 3))}[family]):
        out = int(rng.integers(1, 4))
        layers.append(_attention(rng, width, out, fmt, f"attention {at}"))
        width = out
    for at in range({"readout": 0, "linear": int(rng.integers(1, 3)), "attention": 0, "deep": 1}[family]):
        out = int(rng.integers(1, 5))
        layers.append(
            Linear(
                weights(rng, out, width, fmt),
                weights(rng, out, 1, fmt),
                activation=RELU if rng.random() < 0.7 else None,
                name=f"linear {at}",
            )
        )
        width = out
    layers.append(Linear(weights(rng, vocab, width, fmt), weights(rng, vocab, 1, fmt), activation=None, name="readout"))
    dense = rng.random() < 0.5
    denominator = int(rng.choice([1, 3, 8, 2 ** (bits - 2), 10**3]))
    largest = max(1, denominator // max(1, entries))
    rows = rng.integers(-largest, largest + 1, (embedded, entries)) * (
        rng.random((embedded, entries)) < (0.9 if dense else 0.4)
    )
    encoding = Affine(
        tuple(tuple(int(value) for value in row) for row in rows),
        tuple(int(value) for value in rng.integers(-2 * denominator, 2 * denominator + 1, embedded)),
        denominator,
    )
    temperature: Any = Hardmax()
    kind = rng.random()
    if kind < 0.6:
        temperature = Softmax(float(np.exp(rng.uniform(-2, 3.5))))
    elif kind < 0.85:
        temperature = RationalSoftmax(Fraction(int(rng.integers(2, 10**4)), int(rng.integers(1, 3))))
    promise: Any = Entries(steps) if own else Constant(tuple(int(token) for token in rng.integers(0, vocab, steps)))
    construction = Given(
        vocab, entries, weights(rng, embedded, vocab, fmt), tuple(layers), users=users, steps=steps,
        encoding=encoding, promise=promise, temperature=temperature,
        mask="none" if rng.random() < 0.3 else "causal",
    )  # fmt: skip
    any_embedding = Fraction(int(rng.integers(1, 5)), 2) if steps > 1 and not users and rng.random() < 0.3 else None
    return Setting(construction, fmt, products, int(rng.choice([1, 2**9])), any_embedding)


def with_bias(construction: Given, bias: list[Fraction]) -> Given:
    """Return the construction with another bias of its readout."""
    readout = construction.layers[-1]
    assert isinstance(readout, Linear)
    return replace(construction, layers=(*construction.layers[:-1], replace(readout, bias=[[value] for value in bias])))
