"""Networks that a right certifier must not certify, as an execution contradicts them: found, or built for one rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from constructions import Hardmax, Linear, RationalSoftmax
from tests.certificates.duels import duel
from tests.certificates.emulated import FORMATS, held
from tests.certificates.own import Given, nearest, read_first, rounded
from tests.certificates.random_networks import Affine, Constant, Setting, network, weights, with_bias
from tests.mutation.oracle import violations_and_margin
from verify.certificates import certificate_arithmetic, certify


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


def cancelling(setting: Setting, rng: np.random.Generator) -> Setting:
    """Return the setting with biases that nearly take off what they are added to: products round more than logits."""
    made = points(setting, rng).construction
    readout = made.layers[-1]
    assert isinstance(readout, Linear)
    assert isinstance(made.encoding, Affine)
    rows = weights(rng, made.vocab_size, len(made.embedding), setting.fmt, ("full",))
    shifts = made.encoding.shifts
    sums = [sum(value * shift for value, shift in zip(row, shifts, strict=True)) for row in rows]
    bias = [[Fraction(-held(total / made.encoding.denominator, setting.fmt))] for total in sums]
    last = replace(readout, weight=[[*row, 0] for row in rows], bias=bias)
    return replace(setting, construction=replace(made, layers=(last,)))


def few_floats(setting: Setting, rng: np.random.Generator) -> Setting:
    """Return the setting with one coordinate of a few neighbouring floats, which are tried one by one."""
    made = points(setting, rng).construction
    assert isinstance(made.encoding, Affine)
    bits = FORMATS[setting.fmt][0]
    steps = rng.choice([-1, 1], (len(made.embedding), made.entries)) * (np.arange(made.entries) == 0)
    shifts = rng.integers(2 ** (bits - 1) + 9, 2**bits - 9, len(made.embedding))
    rows = tuple(tuple(int(value) for value in row) for row in steps)
    encoding = Affine(rows, tuple(int(shift) for shift in shifts), 2 ** (bits - 1))
    return replace(setting, construction=replace(made, encoding=encoding), points=4096)


def free_embedding(setting: Setting, rng: np.random.Generator) -> Setting:
    """Return the setting at two steps, for every embedding up to a bound."""
    made = points(setting, rng).construction
    made = replace(made, users=0, steps=2, promise=Constant((int(rng.integers(0, made.vocab_size)),) * 2))
    readout = made.layers[-1]
    assert isinstance(readout, Linear)
    kinds = ("integers", "full", "cancelling")
    made = replace(
        made,
        layers=(replace(readout, weight=weights(rng, made.vocab_size, len(made.embedding) + 2, setting.fmt, kinds)),),
    )
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
        activation=None,
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
    # rounded once, by a chain of fused multiply-adds in bfloat16, it IS 290
    once = _fixed([[0], [17]], [290, Fraction(1, 2**40)], [17])
    yield Wrong("rounded once", Setting(once, "bfloat16", "fused", 4096))
    # a product of 25 bits and a little less: a float64 forgets how little, and float32 then rounds to even, up
    chain = Linear([[2**12 + 1, 0]], [[-Fraction(1, 2**60)]], activation=None, name="chain")
    below = (2**12 + 1) * (2**12 + 3) - 1
    almost = _fixed([[1], [0]], [-below, 0], [2**12 + 3], layers=(chain,))
    yield Wrong("a sum that the checker's own rounding moves", Setting(almost, "float32", "fused", 4096))
    product = _fixed([[2**12 + 1], [0]], [-Fraction(1, 2**60), below], [2**12 + 3])
    yield Wrong("a logit that the checker's own rounding moves", Setting(product, "float32", "fused", 4096))
    # both logits are 1, exactly; the sum of their differences loses 2^-14 where the checker's floats have 64 bits
    lost = Fraction(1, 2**14)
    tie = _fixed([[2**51, -(2**51)], [lost, 0]], [1, 1 - lost], [1, 1])
    yield Wrong("a tie that the checker's own rounding breaks", Setting(tie, "float64", "either", 4096))
    # with an embedding of 1/2 token 1 leads by what 2^23 + 1/2 + 1/2 rounds away
    free = Given(
        2,
        1,
        [[0, 0], [0, 0]],
        (Linear([[1, 1, 0, 0]] * 2, [[2**23 - 1], [2**23]], activation=None, name="readout"),),
        steps=2,
        encoding=Affine(((0,), (0,)), (0, 0), 1),
        promise=Constant((1, 1)),
    )
    yield Wrong("an embedding off the grid of its bound", Setting(free, "float32", "either", 4096, Fraction(1)))
    # the first product of a chain from a bias of 0 rounds, and what it loses is all that is left
    first = _fixed([[129, -1], [0, 0]], [0, Fraction(1, 2)], [129, 129**2 - 1])
    yield Wrong("a chain from a bias of 0", Setting(first, "bfloat16", "fused", 4096))
    # x is one of three neighbours; at the middle one alone round(w x) is no more than round(w x - 15/2048)
    near = Linear(
        [[Fraction(133, 128), 0]] * 2 + [[0, 0]], [[0], [-Fraction(15, 2048)], [-100]], activation=None, name="readout"
    )
    middle = Given(3, 1, [[0] * 3], (near,), encoding=Affine(((1,),), (139,), 128), promise=Constant((0,)))
    yield Wrong("a tie between the ends", Setting(middle, "bfloat16", "fused", 4096))
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


_ULP = Fraction(1, 2**52)


def wrong_balls() -> Iterator[tuple[str, Given]]:
    """Yield networks that fail in real arithmetic, by less than float64 tells."""
    # 1 + 0.51 ulp against 1 + 0.3 ulp + 0.3 ulp: float64 makes it 1 + 1 ulp against 1
    yield "two thirds of a unit", _fixed([[0], [_ULP * 3 / 10]], [1 + _ULP * 51 / 100, 1 + _ULP * 3 / 10], [1])
    smallest = Fraction(1, 2**1074)
    ends = [[smallest * 26 / 10, 0], [smallest * 14 / 10, smallest * 14 / 10]]
    yield "numbers near the smallest", _fixed(ends, [0, 0], [1, 1])


def certified_wrong_balls() -> list[str]:
    """Return which of the networks that fail in real arithmetic are certified in balls."""
    arithmetic = certificate_arithmetic("ball")
    return [f"certified: {name}" for name, made in wrong_balls() if certify(made, arithmetic).holds is not None]


def leaks() -> list[str]:
    """Return what is certified although a second entry leaks into the first, at many tokens; and margins too large."""
    vocab, scale, found = 18, 64, []
    for leak in (0, 1, 2, 3, -1, -2, -3):
        encoding = Affine(((scale, leak),), (0,), 1)
        made = Given(vocab, 2, [[0] * vocab], (read_first(1, 1), nearest(vocab, scale)), encoding=encoding)
        # (x - 64 w)^2 - (x - 64 v)^2 at w = v + 1 and w = v - 1, where there is such a token
        worst = (vocab - 1) * abs(leak)
        margin = scale**2 - 2 * scale * worst
        for arithmetic in (rounded(), rounded("float64"), certificate_arithmetic("ball")):
            verdict = certify(made, arithmetic)
            if (verdict.holds is True) is not (margin > 0):
                found.append(f"{verdict.holds} in {arithmetic.name} with a margin of {margin}")
            if verdict.holds and not float(verdict.margin or 0) <= margin:
                found.append(f"a margin of {verdict.margin} in {arithmetic.name} where it is {margin}")
    return found


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
    denominator = made.encoding.denominator
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
            if rng.random() < 0.5 and denominator == 1:
                key[:, :embedded] = 1
                made = replace(made, embedding=[[1] * made.vocab_size] * embedded)
            heads.append(replace(head, query=query.tolist(), key=key.tolist()))
        layers[0] = replace(attention, heads=tuple(heads))
    readout = layers[-1]
    assert isinstance(readout, Linear)
    exact = readout.weight * scale.numerator / scale.denominator
    layers[-1] = replace(readout, weight=exact)
    return replace(made, promise=promise, temperature=temperature, layers=tuple(layers))
