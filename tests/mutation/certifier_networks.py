"""Networks that a right certifier must not certify, as an execution contradicts them: found, or built for one rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from constructions import Hardmax, Linear, RationalSoftmax
from tests.certificates.duels import Affine, Constant, Setting, duel, network, weights, with_bias
from tests.certificates.own import Given
from tests.mutation.oracle import violations_and_margin
from verify.certificates import certificate_arithmetic, certify

_BIT = Fraction(1, 2)


def networks(
    fmt: str,
    family: str = "readout",
    products: Any = "either",
    *,
    settings: int = 40,
    kernels: int = 40,
    seed: int = 1,
    change: Callable[[Setting, np.random.Generator], Setting] | None = None,
) -> Callable[[], list[str]]:
    """Return the fuzzer, aimed: random networks of one family and format at the edge of what is certified."""

    def draw(rng: np.random.Generator) -> Setting:
        setting = network(rng, fmt, family, products)
        return setting if change is None else change(setting, rng)

    def run() -> list[str]:
        return duel(settings, kernels, seed=seed, draw=draw, stop=True).contradicted

    return run


def points(setting: Setting, rng: np.random.Generator) -> Setting:
    """Return the setting with a prompt that is the same for every target: all that is left is rounding."""
    made = setting.construction
    assert isinstance(made.encoding, Affine)
    rows = tuple((0,) * len(row) for row in made.encoding.rows)
    promise = Constant(tuple(int(token) for token in rng.integers(0, made.vocab_size, made.steps)))
    made = replace(made, encoding=replace(made.encoding, rows=rows), promise=promise)
    return replace(setting, construction=made)


def free(setting: Setting, rng: np.random.Generator) -> Setting:
    """Return the setting with more floats in its boxes than are tried one by one."""
    return replace(setting, points=1)


def free_embedding(setting: Setting, rng: np.random.Generator) -> Setting:
    """Return the setting at two steps, for every embedding up to a bound."""
    made = points(setting, rng).construction
    made = replace(made, users=0, steps=2, promise=Constant((int(rng.integers(0, made.vocab_size)),) * 2))
    readout = made.layers[-1]
    assert isinstance(readout, Linear)
    width = len(made.embedding) + 2 - (1 if len(made.layers) == 1 else 0)
    kinds = ("integers", "full", "cancelling")
    made = replace(
        made,
        layers=(replace(readout, weight=weights(rng, made.vocab_size, len(made.embedding) + 2, setting.fmt, kinds)),),
    )
    assert width
    return replace(setting, construction=made, any_embedding=Fraction(int(rng.integers(1, 9)), 2))


# built for one rule ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wrong:
    """A network that fails on some kernel within the assumptions.

    Attributes:
        name: what makes it fail.
        setting: the network, the format and the kernel.

    """

    name: str
    setting: Setting


def _fixed(
    rows: Any, bias: Any, values: list[Fraction | int], *, promise: int = 0, layers: tuple[Any, ...] = (), **more: Any
) -> Given:
    """Return a network whose prompt is always the same numbers."""
    exact = [Fraction(value) for value in values]
    denominator = int(np.lcm.reduce([value.denominator for value in exact]))
    shifts = tuple(int(value * denominator) for value in exact)
    encoding = Affine(((0,),) * len(exact), shifts, denominator)
    readout = Linear(
        [[*row, *[0] * (1 if not layers else 0)] for row in rows],
        [[value] for value in bias],
        relu=False,
        name="readout",
    )
    vocab = len(rows)
    return Given(
        vocab,
        1,
        [[0] * vocab] * len(exact),
        (*layers, readout),
        encoding=encoding,
        promise=Constant((promise,)),
        **more,
    )


def wrong() -> Iterator[Wrong]:
    """Yield the networks."""
    # 17 * 17 + 2^-40 is 289 in float32, and 288 in bfloat16 then; rounded once it would be 290
    twice = _fixed([[17], [0]], [Fraction(1, 2**40), 288], [17])
    yield Wrong("rounded twice", Setting(twice, "bfloat16", "fused", 4096))
    # a product of 25 bits and a little less: a float64 forgets how little, and float32 then rounds to even, up
    odd = 2**12 + 1
    almost = _fixed([[odd, -1], [odd, -1]], [0, 0], [odd, Fraction(1, 2**60)])
    lower = 2**24 + 2**13
    almost = with_bias(
        replace(almost, layers=(Linear([[odd, -1, 0], [0, 0, 0]], [[0], [lower]], relu=False, name="readout"),)),
        [Fraction(0), Fraction(lower)],
    )
    yield Wrong("a sum that the checker's own rounding moves", Setting(almost, "float32", "either", 4096))
    # products below the normal range lose what their sum rests on
    bits = Fraction(1, 2**75)
    tiny = _fixed([[3 * bits, 3 * bits], [0, 0]], [0, Fraction(5, 2**149)], [bits / 2, bits / 2])
    yield Wrong("products that underflow", Setting(tiny, "float32", "separate", 4096))


def certified_wrong(*names: str) -> Callable[[], list[str]]:
    """Return the killer: which of the networks that fail are certified."""

    def run() -> list[str]:
        chosen = [each for each in wrong() if not names or each.name in names]
        return [f"certified: {each.name}" for each in chosen if each.setting.certified(each.setting.construction)]

    return run


# real numbers ---------------------------------------------------------------------------------------------------------


def balls(
    kind: str = "readout", *, settings: int = 30, seed: int = 3, scale: Fraction = Fraction(1)
) -> Callable[[], list[str]]:
    """Return the fuzzer of ball certificates: at an exact tie, and past it by little, nothing may be certified."""

    def run() -> list[str]:
        rng = np.random.default_rng(seed)
        arithmetic = certificate_arithmetic("ball")
        for _ in range(settings):
            made = _exact_network(rng, kind, scale)
            temperature = made.temperature
            assert isinstance(temperature, (Hardmax, RationalSoftmax))
            assert isinstance(made.promise, Constant)
            own = made.promise.tokens[0]
            bias = [row[0] for row in made.transformer.lowered.matrices()["readout.bias"].to_fractions()]
            large = bias.copy()
            large[own] += 10**12
            _, margin = violations_and_margin(with_bias(made, large), temperature)
            assert margin is not None
            large[own] -= margin
            for past in (Fraction(0), -abs(large[own]) * Fraction(1, 2**60) - scale / 2**60, scale / 2**30):
                moved = large.copy()
                moved[own] += past
                verdict = certify(with_bias(made, moved), arithmetic)
                if past <= 0 and verdict.holds is not None:
                    return [f"certified at a margin of {past}: {with_bias(made, moved)!r}, weights {made.layers}"]
                if verdict.margin is not None and not float(verdict.margin) <= max(past, Fraction(1, 2**1070)):
                    return [f"a margin of {verdict.margin} where it is {past}: {with_bias(made, moved)!r}"]
        return []

    return run


def _exact_network(rng: np.random.Generator, kind: str, scale: Fraction) -> Given:
    """Draw a network that rationals compute: hardmax, or softmax at whole scores."""
    family = {"readout": "readout", "linear": "linear"}.get(kind, "attention")
    while True:
        setting = network(rng, "bfloat16", family, "either")
        made = setting.construction
        if made.steps == 1 and made.entries <= 4:
            break
    promise = Constant((int(rng.integers(0, made.vocab_size)),))
    assert isinstance(made.encoding, Affine)
    temperature: Any = Hardmax()
    layers = list(made.layers)
    if family == "attention" and kind == "softmax":
        temperature = RationalSoftmax(Fraction(int(rng.integers(1, 30)), int(rng.integers(1, 30))))
        attention: Any = layers[0]
        embedded = len(made.embedding)
        heads = []
        for head in attention.heads:
            rows, columns = head.query.shape
            query = rng.integers(-2, 3, (rows, columns))
            key = rng.integers(-2, 3, (rows, columns))
            query[:, :embedded] = key[:, :embedded] = 0  # scores of positions alone are whole
            if rng.random() < 0.5 and made.encoding.denominator == 1:
                key[:, :embedded] = 1
                made = replace(made, embedding=[[1] * made.vocab_size] * embedded)
            heads.append(replace(head, query=query.tolist(), key=key.tolist()))
        layers[0] = replace(attention, heads=tuple(heads))
    readout = layers[-1]
    assert isinstance(readout, Linear)
    exact = readout.weight * scale.numerator / scale.denominator
    layers[-1] = replace(readout, weight=exact)
    return replace(made, promise=promise, temperature=temperature, layers=tuple(layers))
