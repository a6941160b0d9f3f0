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

import numpy as np

from tests.certificates.emulated import FORMATS, Array, held, spacing
from tests.certificates.kernels import DrawnKernel, Network, margins
from tests.certificates.own import Given
from tests.certificates.random_networks import FAMILIES, Entries, Setting, network, with_bias
from tests.certificates.units import UNITS, UnitKernel
from verify.certificates.floats.rounding.matrix_unit import ANY_UNIT, NO_UNIT

#: Targets that are evaluated at once: all of a space, each several times, or drawn ones, which then climb.
AT_ONCE = 64
#: The furthest that the certified edge may be from the true one, in quarters of a unit: beyond it nothing is learned.
_FURTHEST = 2**10


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
            # the bound itself, or a half or a quarter of it, which is where sums round to even
            drawn = np.where(ends, np.copysign(most / self.rng.choice([1, 2, 4], embedding.shape), drawn), drawn)
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
            kernel = drawn_kernel(setting, np.random.default_rng(seed))
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


def drawn_kernel(setting: Setting, rng: np.random.Generator) -> DrawnKernel:
    """Draw a kernel that a setting's certificate is about."""
    if setting.unit == NO_UNIT:
        return DrawnKernel(setting.fmt, rng, setting.products)
    return UnitKernel(setting.fmt, rng, generation=setting.generation, full=setting.full_reduction)


Draw = Callable[[np.random.Generator], Setting]


def any_setting(rng: np.random.Generator) -> Setting:
    """Draw a setting of any family, format and kernel."""
    fmt = str(rng.choice(list(FORMATS)))
    family = str(rng.choice(FAMILIES))
    return network(rng, fmt, family, str(rng.choice(["either", "either", "separate", "fused"])))


def on_a_unit(rng: np.random.Generator) -> Setting:
    """Draw a setting that runs on a matrix unit, certified for it or for any that has the format."""
    generation, fmt = UNITS[int(rng.integers(len(UNITS)))]
    made = network(rng, fmt, str(rng.choice(FAMILIES)), "either")
    unit = generation if rng.random() < 0.7 else ANY_UNIT
    return replace(made, unit=unit, generation=generation, full_reduction=bool(rng.random() < 0.5))


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
