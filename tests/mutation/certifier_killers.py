"""What contradicts a wrong certifier: oracles that share no code with it, and networks that it must not certify.

Every killer returns what it found, and nothing for the certifier as it is. Killers are aimed: at one rule, in a format
in which its errors are large, so that each takes about a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from constructions import Hardmax, Softmax
from tests.certificates.emulated import FORMATS, Array, to_format
from tests.certificates.kernels import DrawnKernel
from tests.certificates.own import rounded
from verify.certificates.floats.arithmetic import RoundedArithmetic, RoundedWeight
from verify.certificates.floats.boxes import Box

Killer = Callable[[], list[str]]


@dataclass(frozen=True)
class Method:
    """A killer, and the column of the table that it belongs to."""

    column: str
    run: Killer


# sums -----------------------------------------------------------------------------------------------------------------


def _grid(low: Array, high: Array, fmt: str, axes: tuple[int, ...]) -> Array:
    """Return an exponent that all floats between two bounds are multiples of: of known ones, or of every float."""
    bits, least = FORMATS[fmt]
    grids = np.empty(low.shape, dtype=np.int64)
    for place in np.ndindex(low.shape):
        value = Fraction(float(low[place]))
        if low[place] != high[place]:
            grids[place] = least - bits + 1
        elif not value:
            grids[place] = 1 << 20
        else:
            odd = value.numerator & -value.numerator
            grids[place] = odd.bit_length() - value.denominator.bit_length()
    return np.asarray(grids.min(axis=axes))


def box(low: Array, high: Array, arithmetic: RoundedArithmetic) -> Box:
    """Return the box of floats between two bounds."""
    fmt = arithmetic.fmt.name
    wide = np.longdouble if fmt == "float64" else np.float64
    return Box(low.astype(wide), high.astype(wide), _grid(low, high, fmt, (0, 1)))


def weight(values: Array, arithmetic: RoundedArithmetic) -> RoundedWeight:
    """Return a weight of numbers that the format holds."""
    fmt = arithmetic.fmt.name
    wide = np.longdouble if fmt == "float64" else np.float64
    return RoundedWeight(values.astype(wide), _grid(values, values, fmt, ()), exact=True)


def floats(rng: np.random.Generator, shape: tuple[int, ...], fmt: str, kind: str) -> Array:
    """Return numbers of a format."""
    bits, least = FORMATS[fmt]
    signs = rng.choice([-1.0, 1.0], shape)
    whole = rng.integers(2 ** (bits - 1), 2**bits, shape).astype(float)
    values = {
        "full": signs * np.ldexp(whole, 1 - bits),
        "mixed": signs * np.ldexp(whole, 1 - bits - rng.integers(0, bits + 3, shape)),
        "integers": rng.integers(-9, 10, shape).astype(float),
        "cancelling": signs * (1 + rng.integers(-3, 4, shape) * 2.0 ** (1 - bits)),
        "tiny": signs * np.ldexp(rng.integers(1, 2**bits, shape).astype(float), least // 2 - 3 * bits // 2),
        "large first": signs
        * np.ldexp(whole, 1 - bits - (np.arange(shape[-1]) > 0) * (bits + rng.integers(-1, 5, shape))),
    }[kind]
    return to_format(values, fmt)


KINDS = ("full", "mixed", "integers", "cancelling", "tiny", "large first")


def outside(low: Array, high: Array, values: Array) -> Array:
    """Return where a value is not between bounds; where they are infinite it may be anything."""
    return ~((low <= values) & (values <= high)) & ~(np.isinf(low) & np.isinf(high))


def _linear_samples(rng: np.random.Generator, fmt: str, terms: tuple[int, ...]) -> Iterator[tuple[Any, ...]]:
    for kind in KINDS:
        for count in terms:
            x = floats(rng, (64, 1, count), fmt, kind)
            w = floats(rng, (6, count), fmt, kind if rng.random() < 0.6 else "full")
            b = floats(rng, (6, 1), fmt, kind if rng.random() < 0.6 else "full")
            b = b * (rng.random((6, 1)) < 0.6)
            if count > 1 and rng.random() < 0.4:  # the leading terms cancel
                w[:, 1] = -w[:, 0]
                x[..., 1] = x[..., 0]
            width = np.abs(x) * 2.0 ** (1 - FORMATS[fmt][0]) * rng.integers(0, 2) * rng.integers(0, 4)
            yield x, w, b, to_format(x - width, fmt), to_format(x + width, fmt)


def sums(*formats: str, products: Any = "either", terms: tuple[int, ...] = (1, 2, 3, 5), rounds: int = 3) -> Killer:
    """Return the oracle of sums: what drawn kernels compute from members lies in the box."""

    def run() -> list[str]:
        rng = np.random.default_rng(11)
        for fmt in formats * rounds:
            arithmetic = rounded(fmt, products)
            for x, w, b, low, high in _linear_samples(rng, fmt, terms):
                for bias in (None, b):
                    shift = None if bias is None else weight(bias, arithmetic)
                    bounds = arithmetic.linear(box(low, high, arithmetic), weight(w, arithmetic), shift)
                    for _ in range(6):
                        kernel = DrawnKernel(fmt, rng, products)
                        values = kernel.linear(x, w, None if bias is None else bias[:, 0])
                        wrong = outside(bounds.low, bounds.high, values)
                        if wrong.any():
                            at = tuple(int(part[0]) for part in np.nonzero(wrong))
                            ends = [float(np.broadcast_to(end, values.shape)[at]) for end in (bounds.low, bounds.high)]
                            where = f"x = {x[at[:2]]}, w = {w[at[2]]}, b = {b[at[2]]}"
                            return [f"{fmt}: {values[at]} is not between {ends}: {where}"]
        return []

    return run


# attention ------------------------------------------------------------------------------------------------------------


def attention(*formats: str, hardmax: bool = False, kinds: tuple[str, ...] = (), rounds: int = 12) -> Killer:
    """Return the oracle of attention: the weights of drawn kernels lie in the box, and so do their mixes."""

    def run() -> list[str]:
        rng = np.random.default_rng(12)
        for at in range(rounds):
            fmt = formats[at % len(formats)]
            arithmetic = rounded(fmt)
            kind = str(rng.choice(kinds or ("integers", "dyadic", "full", "one", "far", "steps")))
            keys = int(rng.choice([2, 3, 5, 12, 40]))
            scores = _scores(rng, (400, 1, keys), fmt, kind)
            visible = np.ones((1, keys), dtype=bool)
            if rng.random() < 0.3 and keys > 2:
                visible[0, -1] = False
            choices = [0.3, 1.0, 3.0, 5.0, float(np.exp(rng.uniform(-2, 4))), 11.0]
            temperature: Any = Hardmax() if hardmax else Softmax(float(rng.choice(choices)))
            point = box(scores, scores, arithmetic)
            bounds = arithmetic.attention(point, visible, temperature, key_size=1)
            for _ in range(12):
                kernel = DrawnKernel(fmt, rng)
                values = kernel.attention(scores, visible, temperature, 1)
                wrong = outside(bounds.low, bounds.high, values)
                wrong |= (np.ldexp(values, -np.maximum(bounds.grid, -1100)) % 1 != 0) & np.isfinite(bounds.low)
                if wrong.any():
                    cell = tuple(int(part[0]) for part in np.nonzero(wrong))
                    ends = [float(np.broadcast_to(end, values.shape)[cell]) for end in (bounds.low, bounds.high)]
                    return [f"{fmt}, {temperature}: {values[cell]} is not between {ends}: scores {scores[cell[0]]}"]
        return []

    return run


def _scores(rng: np.random.Generator, shape: tuple[int, ...], fmt: str, kind: str) -> Array:
    bits, least = FORMATS[fmt]
    values = {
        "integers": rng.integers(-3, 4, shape).astype(float),
        "dyadic": rng.integers(-64, 65, shape) / 16,
        "full": floats(rng, shape, fmt, "full"),
        "one": (np.arange(shape[-1]) == 0).astype(float) * np.ones(shape),
        # below the largest by as much as makes the others vanish beside it, or nearly so
        "far": -1.0 * (np.arange(shape[-1]) > 0) * np.log(2) * (bits + rng.uniform(-3, 3, shape)),
        "steps": -1.0 * (np.arange(shape[-1]) > 0) * np.log(2) * (bits - least) * rng.uniform(0.5, 1.2, shape),
    }[kind]
    return to_format(np.asarray(values, dtype=float), fmt)


def by_name() -> Mapping[str, Method]:
    """Return every killer; made when asked, as the modules under test must be those of the mutant."""
    from tests.mutation import certifier_activations as activations
    from tests.mutation import certifier_bands as bands
    from tests.mutation import certifier_factors as factored
    from tests.mutation import certifier_layers as layers
    from tests.mutation import certifier_liars as liars
    from tests.mutation import certifier_networks as nets
    from tests.mutation import certifier_operations as single
    from tests.mutation import certifier_primitives as primitives
    from tests.mutation import certifier_relations as relations
    from tests.mutation import certifier_settled as aimed
    from tests.mutation import certifier_shared as shared
    from tests.mutation import certifier_shared_liars as sharing_liars
    from tests.mutation import certifier_symbols as symbolic
    from tests.mutation import certifier_symmetry as symmetry
    from tests.mutation import certifier_uncertain as bounds
    from tests.mutation import certifier_units as units
    from tests.mutation import certifier_unknown as unknown

    networks, sixteen = nets.networks, ("bfloat16", "float16")
    columns: Mapping[str, Mapping[str, Killer]] = {
        "primitives": {
            "primitives": primitives.primitives,
            "assumptions": primitives.assumptions,
            "exp": primitives.exponentials,
        },
        "operations": {
            "sums, 16 bits": sums(*sixteen),
            "sums, float32": sums("float32"),
            "sums, float64": sums("float64"),
            "sums, fused": sums("bfloat16", "float32", products="fused"),
            "sums, separate": sums("bfloat16", "float32", products="separate"),
            "units, cut": units.unit_sums([("hopper", "float32")], kinds=["truncated"], rounds=12),
            "units, raised": units.unit_sums([("hopper", "float32")], kinds=["raised"], rounds=20, sizes=[8, 9]),
            "units, subnormal": units.unit_sums(
                [("cdna2", "float16"), ("hopper", "float32")], kinds=["tiny", "raised"], rounds=8
            ),
            "units, tied": units.unit_sums([("hopper", "bfloat16")], kinds=["tied"], rounds=8, sizes=[2, 3, 5]),
            "units, ties": units.unit_ties([("hopper", "bfloat16"), ("ampere", "float32")], rounds=8),
            "units, reduced": units.unit_sums(
                [("hopper", "bfloat16"), ("cdna3", "float16")], full=[False], rounds=6, sizes=[1, 2, 3, 5]
            ),
            "units, full": units.unit_sums([("volta", "float16"), ("cdna3", "float32")], full=[True], rounds=6),
            "units, margins": units.unit_margins([("turing", "float16"), ("hopper", "bfloat16")], rounds=40),
            "units, around": units.around_units,
            "sums, reversed": sums("bfloat16", "float32", products="reversed"),
            "sums, tensor cores": single.tensor_cores,
            "sums, truncated": aimed.truncated,
            "sums, subnormal": single.products,
            "tokens, floats": relations.floats_of_tokens("bfloat16"),
            "tokens, balls": relations.balls_of_tokens(),
            "lines, floats": relations.floats_along_lines("bfloat16"),
            "lines, balls": relations.balls_along_lines(),
            "symbols": symbolic.symbols,
            **factored.killers(),
            "norms, floats": symbolic.scaled("bfloat16", "float32"),
            "operations": single.operations(*FORMATS),
            "absorption": single.absorption,
            "double rounding": primitives.double_rounding,
            "many keys": single.many_keys,
            "grids of weights": aimed.grids_of_weights,
            "sparse, dense": aimed.sparse_dense,
            "sparse, kept": aimed.sparse_kept,
            "sums of few terms": shared.few_terms,
            "few entries": shared.of_few(
                shared.places_of_few, sums(*sixteen, terms=(1, 2), rounds=8), sums("float32", terms=(1, 2))
            ),
            "few entries, units": shared.of_few(
                units.unit_sums([("hopper", "float32"), ("hopper", "bfloat16")], rounds=3, sizes=[1, 2])
            ),
            **bands.killers(),
            "quotients": single.quotients,
            "exactness": single.exactness,
            "overflow": single.overflows,
            "attention, 16 bits": attention(*sixteen, rounds=24),
            "attention, float32": attention("float32"),
            "attention, float64": attention("float64"),
            "scores between bounds": bounds.attended_boxes(hard=False),
            "hardmax between bounds": bounds.attended_boxes(hard=True),
            "hardmax": attention("bfloat16", "float32", hardmax=True),
            "norms, 16 bits": layers.norms(*sixteen),
            "norms, float32": layers.norms("float32"),
            "norms, float64": layers.norms("float64"),
            "norms, torch": layers.torch_norms(*FORMATS),
            "norms, stagnating": layers.stagnating,
            "affine maps": layers.affine_maps(*FORMATS),
            "products of rows": layers.products_of_rows(*FORMATS),
            "layers, not finite": layers.not_finite,
            "activations": activations.pointwise(*FORMATS, rounds=2),
            "score biases": activations.score_biases(*FORMATS),
            "hidden shifts": activations.hidden_shifts,
            "sparse, layers": activations.sparse_layers,
        },
        "networks": {
            "networks, cancelling": networks("bfloat16", change=nets.cancelling, settings=80),
            "networks, cancelling, fused": networks("bfloat16", products="fused", change=nets.cancelling, settings=80),
            "networks, cancelling, separate": networks(
                "bfloat16", products="separate", change=nets.cancelling, settings=80
            ),
            "networks, cancelling, reversed": networks(
                "bfloat16", products="reversed", change=nets.cancelling, settings=80
            ),
            "networks, few floats": networks("bfloat16", change=nets.few_floats, settings=60),
            "leaks": nets.leaks,
            "networks, bfloat16": networks("bfloat16"),
            "networks, bfloat16, points": networks("bfloat16", change=nets.points, settings=80),
            "networks, float16, points": networks("float16", change=nets.points, settings=80),
            "networks, float32, points": networks("float32", change=nets.points, settings=80),
            "networks, float64, points": networks("float64", change=nets.points, settings=80),
            "networks, fused": networks("bfloat16", products="fused", change=nets.points, settings=80),
            "networks, separate": networks("bfloat16", products="separate", change=nets.points, settings=80),
            "networks, boxes": networks("bfloat16", change=nets.free, settings=80),
            "networks, linear": networks("bfloat16", "linear", change=nets.points, settings=60),
            "networks, attention": networks("bfloat16", "attention", settings=60),
            "networks, deep": networks("float16", "deep", settings=40),
            "networks, free embedding": networks("float32", change=nets.free_embedding, settings=30),
            "wrong in floats": bounds.wrong_in_floats,
            "built networks": nets.certified_wrong(),
        },
        "balls": {
            "columns": bounds.columns,
            "balls that share": shared.balls,
            "margins of balls": aimed.margins_of_balls,
            "soft balls": bounds.attended_balls(hard=False),
            "hard balls": bounds.attended_balls(hard=True),
            "built networks, balls": nets.certified_wrong_balls,
            "balls, readout": nets.balls(settings=60),
            "balls, linear": nets.balls("linear", settings=60),
            "balls, hardmax": nets.balls("hardmax"),
            "balls, softmax": nets.balls("softmax"),
            "balls, tiny": nets.balls(scale=Fraction(1, 2**1073)),
        },
        "constructions": {
            "liars": liars.refused(),
            "liars, balls": liars.refused(ball=True),
            "sharing, liars": sharing_liars.refused,
            "sharing, margins": shared.agreeing("bfloat16", "float32"),
            "sharing, covering": shared.covering,
            "sharing, apart": shared.unshared,
            "symmetry, weights": symmetry.weights,
            "symmetry, commuting": symmetry.commuting,
            "symmetry, code": symmetry.code,
            "symmetry, parts": symmetry.parts,
            "right ones": liars.accepted,
            "covering": unknown.covering,
            "unknown tokens": unknown.unknown(),
            "int64": unknown.overflow,
            "many entries": unknown.many_entries,
            "nothing rounds": unknown.exact(),
        },
    }
    return {name: Method(column, run) for column, killers in columns.items() for name, run in killers.items()}
