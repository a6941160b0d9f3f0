"""Margins of certificates over a grid of sizes, formats, codings and kernels, to compare before and after a change.

``python -m tests.benchmarks.certified_margins write FILE`` certifies every case and writes its verdict and margin, as
an exact number in hexadecimal. ``... compare BEFORE AFTER`` prints every case that differs, and a line of counts; its
status is 1 if a verdict is lost, or holds where it did not.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from constructions import Construction, InvalidArgument
from proofs import CLAIMS
from verify.certificates import certificate_arithmetic, certify

_FORMATS = ("float16", "bfloat16", "float32", "float64")
_CODINGS = tuple(
    itertools.product(("paper", "integer", "dyadic"), ("add", "mask"), ("paper", "centred", "split", "hat", "banded"))
)
_KERNELS: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("float32", {"products": "reversed"}),
    ("float32", {"products": "fused"}),
    ("float32", {"products": "separate"}),
    ("bfloat16", {"products": "reversed"}),
    ("float32", {"tf32": True}),
    ("float32", {"exp": "ex2"}),
    ("float16", {"exp": "ex2"}),
    ("bfloat16", {"unit": "any"}),
    ("bfloat16", {"unit": "any", "full_reduction": True}),
    ("float16", {"unit": "any"}),
    ("float32", {"unit": "any"}),
)

Case = tuple[str, str, dict[str, Any], str, str, Mapping[str, Any]]


def _made(claim: str, sizes: Mapping[str, Any], options: Mapping[str, Any]) -> Construction:
    return CLAIMS[claim].build(sizes, options)


def cases() -> Iterator[tuple[str, Any, Any, dict[str, Any]]]:
    """Yield a name, what makes a construction and an arithmetic, and options of ``certify``."""
    one = [(1, 1), (1, 3), (2, 1), (2, 6), (3, 4), (8, 5), (16, 12), (31, 9), (47, 33), (94, 20)]
    two = [1, 2, 3, 8, 17, 33, 40]
    sizes = [("theorem-1", {"vocab_size": v, "context_size": n}) for v, n in one]
    sizes += [("theorem-2", {"vocab_size": v}) for v in two]
    others: list[tuple[str, dict[str, Any]]] = [
        *(("longer-responses", {"vocab_size": v, "response_size": n}) for v, n in ((2, 3), (5, 2), (9, 4), (14, 3))),
        *(("longer-inputs", {"vocab_size": v, "input_size": n}) for v, n in ((2, 2), (3, 2), (4, 2), (2, 3))),
        *(
            ("digits", {"vocab_size": v, "context_size": n, "digits": d})
            for v, n, d in ((9, 4, 2), (27, 6, 3), (94, 20, 2), (50, 8, 2))
        ),
    ]
    for (claim, size), fmt in itertools.product([*sizes, *others], _FORMATS):
        yield f"{claim} {size} {fmt}", (claim, size, {}), (fmt, {}), {}
    middle = [("theorem-1", {"vocab_size": 24, "context_size": 16}), ("theorem-2", {"vocab_size": 24})]
    middle += [("theorem-1", {"vocab_size": 64, "context_size": 32})]
    for (claim, size), coding, fmt in itertools.product(middle, _CODINGS, _FORMATS):
        options = dict(zip(("encoding", "lift", "readout"), coding, strict=True))
        yield f"{claim} {size} {coding} {fmt}", (claim, size, options), (fmt, {}), {}
    for (claim, size), (fmt, kernel) in itertools.product([*middle, *others, *sizes[3:9]], _KERNELS):
        yield f"{claim} {size} {fmt} {dict(kernel)}", (claim, size, {}), (fmt, kernel), {}
    for (claim, size), fmt in itertools.product([*middle, *sizes[3:8]], _FORMATS):
        yield f"{claim} {size} {fmt} no mask", (claim, size, {"mask": "none"}), (fmt, {}), {}
        if claim == "theorem-1":
            bound = {"any_embedding": Fraction(3, 2)}
            yield f"{claim} {size} {fmt} any embedding", (claim, size, {}), (fmt, {}), bound
            given = [
                [(row + column) % 3 for column in range(size["vocab_size"])] for row in range(size["context_size"])
            ]
            yield f"{claim} {size} {fmt} embedding", (claim, size, {"embedding": given}), (fmt, {}), {}
    for (claim, size), architecture in itertools.product(
        (
            ("residual-theorem-1", {"vocab_size": 12, "context_size": 6}),
            ("residual-theorem-2", {"vocab_size": 6}),
        ),
        ("gpt2", "opt", "llama"),
    ):
        options = {"architecture": architecture}
        yield f"{claim} {size} {architecture}", (claim, size, options), ("float32", {}), {}
    balls = [
        ("theorem-1", {"vocab_size": v, "context_size": n}) for v, n in ((2, 6), (8, 5), (31, 9), (47, 33), (94, 20))
    ]
    balls += [("theorem-2", {"vocab_size": v}) for v in (3, 17, 40)]
    for claim, size in [*balls, *others]:
        yield f"{claim} {size} ball", (claim, size, {}), None, {}


def write(path: Path) -> None:
    """Certify every case, and write what was found."""
    found: dict[str, Any] = {}
    for name, (claim, size, options), numbers, given in cases():
        try:
            arithmetic = (
                certificate_arithmetic("ball")
                if numbers is None
                else certificate_arithmetic("rounded", numbers[0], **numbers[1])
            )
            verdict = certify(_made(claim, size, options), arithmetic, **given)
        except InvalidArgument as error:
            found[name] = {"refused": str(error)}
            continue
        margin = None if verdict.margin is None else float(verdict.margin).hex()
        found[name] = {"holds": verdict.holds, "margin": margin, "cases": verdict.cases, "reason": verdict.reason}
    path.write_text(json.dumps(found, indent=0))


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[list[str], bool]:
    """Return the lines that tell what differs, and whether every verdict is the same."""
    lines, counts, same = [], dict.fromkeys(("equal", "smaller", "larger", "other"), 0), before.keys() == after.keys()
    for name in sorted(before.keys() & after.keys()):
        old, new = before[name], after[name]
        if old.get("refused") != new.get("refused") or old.get("holds") != new.get("holds"):
            same = False
            kind = "other"
        elif old.get("margin") == new.get("margin"):
            kind = "equal"
        else:
            ends = [float.fromhex(each["margin"]) for each in (old, new)]
            kind = "smaller" if ends[1] < ends[0] else "larger" if ends[1] > ends[0] else "other"
            lines.append(f"{kind} {name}: {ends[0]:.17g} -> {ends[1]:.17g}, {ends[1] / ends[0] - 1:+.3g}")
        if kind == "other":
            lines.append(f"{kind} {name}: {old} -> {new}")
        counts[kind] += 1
    return [*lines, ", ".join(f"{count} {kind}" for kind, count in counts.items())], same


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(Path(sys.argv[2]))
    else:
        told, agree = compare(*(json.loads(Path(name).read_text()) for name in sys.argv[2:4]))
        sys.stdout.write("\n".join(told) + "\n")
        sys.exit(0 if agree else 1)
