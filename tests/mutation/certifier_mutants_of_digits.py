"""Mutants of the margins of large readouts whose logits are sums over digits."""

from __future__ import annotations

from tests.mutation.certifier_mutant import Mutant, of

_digits = of("margins by digits", "verify.certificates.floats.additive")

DIGITS: tuple[Mutant, ...] = (
    _digits(
        "tokens of the same digits are told apart",
        "biases is None or not _distinct(classes)",
        "biases is None",
        "digits, all pairs",
    ),
    _digits(
        "any bias is a sum", "return found if (total == bias).all() else None", "return found", "digits, all pairs"
    ),
    _digits(
        "the best digit",
        "least = np.minimum.reduce([one.least for one in compared])",
        "least = np.maximum.reduce([one.least for one in compared])",
        "digits, all pairs",
    ),
    _digits(
        "the largest difference",
        "gaps = np.minimum(slope * ends[0], slope * ends[1])",
        "gaps = np.maximum(slope * ends[0], slope * ends[1])",
        "digits, all pairs",
    ),
    _digits(
        "no bias",
        ".sum(axis=2) + (part.bias[label][:, None] - part.bias[None])",
        ".sum(axis=2)",
        "digits, all pairs",
    ),
    _digits(
        "the own logit is near",
        "own_error = np.where(own <= exact, near, far)",
        "own_error = near",
        argument=(
            "No class has a smaller magnitude than the largest, so that there are far tokens where the own one is far;"
            " with its own classes, the bound of these is below 0 for every factor: nothing is certain there."
        ),
        proof="digits, all pairs",
    ),
    _digits(
        "every token is near",
        "margins = np.where(most <= exact, margins, np.minimum(margins, others))",
        "margins = 1 * margins",
        "digits, all pairs",
    ),
    _digits(
        "far logits do not round",
        "factor in enumerate(_FACTORS)\n    ]\n    others = np.maximum.reduce(weighed) - far - own_error",
        "factor in enumerate(_FACTORS)\n    ]\n    others = np.maximum.reduce(weighed) - own_error",
        "digits, all pairs",
    ),
    _digits(
        "far tokens are as far as can be",
        "+ factor * from_here for at",
        "+ factor * most for at",
        "digits, all pairs",
    ),
    _digits(
        "the bias is on every grid",
        ".min(initial=EVERYTHING)), int(bias.grid.min()))",
        ".min(initial=EVERYTHING)), EVERYTHING)",
        "digits, all pairs",
    ),
    _digits(
        "inputs are on every grid",
        "(weight.grids + grid[weight.columns]).min(",
        "weight.grids.min(",
        "digits, all pairs",
    ),
    _digits("the smallest sizes", "sizes.max(axis=1),", "sizes.min(axis=1),", "digits, all pairs"),
    _digits(
        "columns that all tokens read alike have no size",
        "            return ()\n        start += size",
        "            pass\n        start += size",
        "digits, all pairs",
    ),
    _digits(
        "rows of other numbers are one class",
        "= weight.columns[inside] + 1, weight.numbers[inside]",
        "= weight.columns[inside] + 1, 1",
        "digits, all pairs",
    ),
    _digits(
        "equal boxes of other classes are one",
        "own[:, None].astype(low.dtype)], axis=1)",
        "own[:1, None].astype(low.dtype) + 0 * low[:, :1]], axis=1)",
        "digits, undecided",
    ),
    _digits(
        "exact beyond the format",
        "power_of_two(arithmetic.fmt.precision + on, weight.dtype) * (1 - 4 * share)",
        "power_of_two(arithmetic.fmt.precision + 3 + on, weight.dtype) * (1 - 4 * share)",
        argument=(
            "It parts near tokens from far ones, and may be anything: the errors of both are those of the rule of sums."
        ),
        proof="digits, all pairs",
    ),
)
