"""Small random networks at the edge of what is certified, and attacks on them: no evaluation may contradict.

A setting is a network, a format and a kernel's products. The bias of one token is moved, in steps of a quarter of a
unit in the last place of the logits, to the last step at which the certificate still holds; so that an execution has
nothing but what the certificate took off for rounding, 0 to 30 units, to go wrong in.

``python -m tests.certificates.duels SETTINGS KERNELS SEED`` runs it by itself, three times as fast as in the tests,
which check the shapes of arrays in every call.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np

from constructions import Attention, Head, InvalidArgument, Linear, Ratios
from constructions.temperature import Hardmax, RationalSoftmax, Softmax
from tests.certificates.emulated import FORMATS, Array, held, spacing
from tests.certificates.kernels import DrawnKernel, Network, margins
from tests.certificates.own import Given, rounded
from verify.certificates import certify

#: Targets that are evaluated at once: all of a space, each several times, or drawn ones, which then climb.
AT_ONCE = 64
#: The furthest that the certified edge may be from the true one, in quarters of a unit: beyond it nothing is learned.
_FURTHEST = 2**10
FAMILIES = ("readout", "linear", "attention", "deep")


@dataclass(frozen=True)
class Setting:
    """A network that is certified, and how."""

    construction: Given
    fmt: str
    products: Any
    points: int
    any_embedding: Fraction | None = None

    def certified(self, construction: Given) -> bool:
        """Return whether the certificate holds with these weights."""
        return self.margin(construction) is not None

    def margin(self, construction: Given) -> float | None:
        """Return the smallest margin that is certified with these weights; ``None`` where none is."""
        try:
            verdict = certify(
                construction,
                rounded(self.fmt, self.products),
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
            f"{self.fmt}, products {self.products}, points {self.points}, embedding {self.any_embedding}; V ="
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
                relu=bool(rng.random() < 0.7),
                name=f"linear {at}",
            )
        )
        width = out
    layers.append(Linear(weights(rng, vocab, width, fmt), weights(rng, vocab, 1, fmt), relu=False, name="readout"))
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


# running --------------------------------------------------------------------------------------------------------------


@dataclass
class Runs:
    """A setting's numbers, ready to be evaluated."""

    setting: Setting
    network: Network
    rng: np.random.Generator
    targets: Array
    users: Array

    @classmethod
    def of(cls, setting: Setting, rng: np.random.Generator) -> Runs:
        """Return all targets with drawn user inputs, or as many drawn ones."""
        made = setting.construction
        space = made.vocab_size**made.entries
        if space <= 2 * AT_ONCE:
            every = list(product(range(made.vocab_size), repeat=made.entries))
            targets = np.array(every * -(-AT_ONCE // space), dtype=np.int64)
        else:
            targets = rng.integers(0, made.vocab_size, (AT_ONCE, made.entries))
            targets[0], targets[1] = 0, made.vocab_size - 1
        users = rng.integers(0, made.vocab_size, (len(targets), made.users))
        return cls(setting, Network.of(made, setting.fmt), rng, targets, users)

    def hidden(self, kernel: DrawnKernel, targets: Array, users: Array, step: int) -> Array:
        """Return the readout's input at a step, after the promised tokens."""
        made, embedding = self.setting.construction, self.network.embedding
        if self.setting.any_embedding is not None:
            most = float(self.setting.any_embedding)
            drawn: Array = np.asarray(self.rng.uniform(-most, most, embedding.shape))
            ends = self.rng.random(embedding.shape) < 0.5
            drawn = np.where(ends, np.copysign(most, drawn), drawn)
            embedding = np.vectorize(lambda value: held(Fraction(float(value)), self.setting.fmt))(drawn)
        fed = np.asarray(made.answer(targets, users))[:, :step]
        tokens = np.concatenate([users, fed], axis=1)
        prompts = self.network.prompts(made, targets)
        return kernel.hidden(self.network, prompts, embedding[tokens], made.layout.context_size)

    def margins(self, kernel: DrawnKernel, targets: Array, users: Array, step: int) -> Array:
        """Return the margins of one evaluation for each target: the logits of one step on one kernel."""
        with np.errstate(all="ignore"):
            logits = kernel.logits(self.network, self.hidden(kernel, targets, users, step))
            expected = np.asarray(self.setting.construction.answer(targets, users))[:, step]
            return margins(logits, expected)


def _plain(setting: Setting, rng: np.random.Generator) -> DrawnKernel:
    """Return a kernel of float64 that rounds little: where the true edge is."""
    kernel = DrawnKernel("float64", rng, "separate")
    kernel.exp_off, kernel.order, kernel.early, kernel.gap_format = 0, "sequential", False, None
    return kernel


def at_its_edge(setting: Setting, rng: np.random.Generator) -> tuple[Setting, int] | None:
    """Return the setting at the last bias that is certified, and how many quarters of a unit it is from the true edge.

    ``None`` where the promise cannot be kept whatever the bias, or nothing near is certified.
    """
    made = setting.construction
    runs = Runs.of(setting, rng)
    with np.errstate(all="ignore"):
        found = _logits_of_all_steps(runs, _plain(setting, rng))
    if found is None:
        return None
    logits, expected, largest = found
    own = int(expected[0]) if (expected == expected[0]).all() else 1
    bias = [row[0] for row in made.transformer.lowered.matrices()["readout.bias"].to_fractions()]
    others = np.delete(logits, own, axis=1).max(axis=1)
    gaps = others - logits[:, own]
    if (expected == expected[0]).all():
        true, direction = gaps.max(), 1
    else:  # two tokens, by an entry: what token 1 must gain at least, and at most
        least, most = gaps[expected == 1].max(), gaps[expected == 0].min()
        if not least < most:
            return None
        true, direction = (least, 1) if rng.random() < 0.5 else (most, -1)
    unit = Fraction(float(spacing(np.asarray(largest), setting.fmt))) / 4
    if not np.isfinite(true) or not np.isfinite(largest) or not largest:
        return None

    def moved(steps: int) -> Given:
        shift = (round(Fraction(float(true)) / unit) + direction * steps) * unit
        changed = list(bias)
        changed[own] += shift
        return with_bias(made, changed)

    least, most = -4, 8
    while not setting.certified(moved(most)):
        least, most = most, 2 * most
        if most > _FURTHEST:
            return None
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if setting.certified(moved(middle)) else (middle, most)
    return replace(setting, construction=moved(most)), most


def _logits_of_all_steps(runs: Runs, kernel: DrawnKernel) -> tuple[Array, Array, float] | None:
    made = runs.setting.construction
    logits, expected, largest = [], [], 0.0
    for step in range(made.steps):
        hidden = runs.hidden(kernel, runs.targets, runs.users, step)
        logits.append(kernel.logits(runs.network, hidden))
        expected.append(np.asarray(made.answer(runs.targets, runs.users))[:, step])
        readout = runs.network.layers[-1]
        assert readout.weight is not None
        largest = max(largest, float((np.abs(hidden[:, 0]) @ np.abs(readout.weight).T).max()))
    found = np.concatenate(logits), np.concatenate(expected), largest
    if any((token != expected[0][0]).any() for token in expected) and not isinstance(made.promise, Entries):
        return None  # one bias cannot keep a promise that changes from step to step
    return found


# attacks --------------------------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """What was tried.

    Attributes:
        counts: settings by format, family and products; evaluations, which are the logits of one target at one step on
            one kernel.
        contradicted: settings that are certified and fail, with all that is needed to see it again.
        distances: for each certified setting how far the edge is from the true one, in units in the last place.
        closest: for each the smallest margin seen, in the same units.

    """

    counts: Counter[str] = field(default_factory=Counter)
    contradicted: list[str] = field(default_factory=list)
    distances: list[float] = field(default_factory=list)


def attack(setting: Setting, rng: np.random.Generator, kernels: int, tally: Tally) -> bool:
    """Evaluate a certified setting on drawn kernels; return whether none contradicts it."""
    runs = Runs.of(setting, rng)
    made = setting.construction
    least = setting.margin(made) or 0.0
    climbing = made.vocab_size**made.entries > 2 * AT_ONCE
    targets = runs.targets
    for _ in range(kernels):
        seed = int(rng.integers(2**63))
        for step in range(made.steps):
            kernel = DrawnKernel(setting.fmt, np.random.default_rng(seed), setting.products)
            found = runs.margins(kernel, targets, runs.users, step)
            tally.counts["evaluations"] += len(found)
            # a difference of float64 logits is rounded, which never carries it below a float64 that it is not below
            if not ((found > 0) & (found >= least)).all():
                worst = int(np.argmin(np.where(np.isnan(found), -np.inf, found)))
                tally.contradicted.append(
                    f"target {targets[worst].tolist()}, user input {runs.users[worst].tolist()}, step {step}, kernel"
                    f" seed {seed} ({kernel.order}, inner {kernel.inner}), margin"
                    f" {found[worst]} where {least} is certified: {setting}"
                )
                return False
        if climbing:  # the better half stays, and its members change in one entry each
            ranks = np.argsort(found)
            half = targets[ranks[: len(ranks) // 2]]
            changed = half.copy()
            places = rng.integers(0, made.entries, len(half))
            changed[np.arange(len(half)), places] = rng.integers(0, made.vocab_size, len(half))
            targets = np.concatenate([half, changed])
    return True


Draw = Callable[[np.random.Generator], Setting]


def any_setting(rng: np.random.Generator) -> Setting:
    """Draw a setting of any family, format and kernel."""
    fmt = str(rng.choice(list(FORMATS)))
    family = str(rng.choice(FAMILIES))
    return network(rng, fmt, family, str(rng.choice(["either", "either", "separate", "fused"])))


def duel(settings: int, kernels: int, *, seed: int, draw: Draw = any_setting, stop: bool = False) -> Tally:
    """Attack so many certified settings.

    Args:
        settings: how many certified settings.
        kernels: how many kernels each is evaluated on.
        seed: of everything.
        draw: draws a network.
        stop: at the first contradiction.

    """
    rng, tally = np.random.default_rng(seed), Tally()
    while tally.counts["certified"] < settings:
        tally.counts["drawn"] += 1
        setting = draw(rng)
        found = at_its_edge(setting, rng)
        if found is None:
            continue
        edge, distance = found
        tally.counts["certified"] += 1
        tally.counts[edge.fmt] += 1
        tally.counts[f"products {edge.products}"] += 1
        tally.distances.append(distance / 4)
        attack(edge, rng, kernels, tally)
        if stop and tally.contradicted:
            break
    return tally


def main(settings: int, kernels: int, seed: int) -> None:
    """Print a tally as JSON."""
    tally = duel(settings, kernels, seed=seed)
    json.dump(vars(tally), sys.stdout)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
