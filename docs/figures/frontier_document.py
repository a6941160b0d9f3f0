"""The document and the picture of the measured frontier, made from ``proofs/frontier.json`` and the one of units."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from docs.figures.measured_frontier import DATA, load
from docs.figures.unit_table import unit_table
from verify.files.atomic import write_atomically
from verify.frontier.picture import draw_frontiers
from verify.frontier.record import Frontier
from verify.frontier.report import markdown_table

#: The document.
DOCUMENT = DATA.parent / "FRONTIER.md"

_HEAD = """# The frontier: up to which vocabulary a construction is exact in floats

Made by `python -m docs.figures.frontier_document` from `frontier.json` and `frontier-units.json`.
`python -m docs.figures.measured_frontier` measures the settings that are missing from those files. For one setting, run
`prefixproof frontier theorem-1 --context 4 --dtype float32`.

- **Certified up to V**: for every vocabulary size up to V, from 1 or from where the row says, ALL targets are certified
  at once, for any order of summation. *Products* names the assumption on a sum with a bias: the bias is added to the
  rounded sum of the products (`separate`); or the sum is one chain of fused multiply-adds that starts from the bias,
  products in any order, or in a 16-bit format is held in float32 with the bias and rounded once at the end (`fused`);
  or any of these and any other order (`either`). A chain that starts from 0 rounds its first product, and a kernel that
  adds the bias to it last is covered by `either` alone.
- **First V without margin**: the smallest V above the certified ones at which a token, as every entry of the target,
  has no positive margin on the kernel: a tie, which the order of tokens decides, or another token. **First V wrong**:
  where another token is produced. A certificate excludes a failure, so only larger V were run.
- **Gap**: (first V without margin - 1 - certified) / certified.
- **2^p + 1**: the most evenly spaced values that the format holds exactly, in one coordinate.
- Whether `F.linear` rounds products is up to its library and the processor. Its runs start above the sizes certified
  for either way; *products* is the way that was measured here. `FMA (emulated)` is a chain of fused multiply-adds that
  starts from the bias, emulated bit by bit.
- The certificates cover kernels that round every partial sum in the format, and kernels that hold partial sums in
  float32, as torch's do for the 16-bit formats.
- TF32 is emulated: factors rounded to 11 bits, on the CPU. Its certificate allows truncated factors and sums as well,
  and lets a number be rounded in one product up and in another down, where a kernel rounds it once for all tokens and
  to nearest: hence the gap with the paper's encoding, whose numbers k/V have more than 11 bits. A matrix unit's
  certificate leaves the same gap (16, and 52 fails): all of it is lost when factors are read, before any unit adds.
  With the integer encoding, whose numbers TF32 holds, it leaves none: up to V = 2049 = 2^11 + 1, see the last table.
"""

_UNITS = """## On matrix units

The kernels here are matrix units, bit by bit, with torch's operations around them (`--arithmetic matrix-unit`). For one
setting, run `prefixproof frontier theorem-1 --context 4 --arithmetic matrix-unit --unit hopper --dtype bf16`.

- **Certified**: any assignment of products to blocks, any chain or tree of blocks, the bias in it or added last. Sums
  of parts of K stay in float32, or (*parts rounded too*) may be rounded to the format, as torch allows by default.
- **One chain fails at**: the smallest V above the certified ones at which a token, as every entry of the target, has no
  positive margin on the exact unit: K in one ascending chain of blocks, the bias last in float32, one rounding.
- **Another order fails at**: the same over other orders, with the first that fails, in the words of the command line: K
  in slices of 1, 2, 4, 8, 16 or 32, or in two parts, each a chain of its own, summed in float32; in tf32 also factors
  that are truncated, or rounded with ties away from zero. **Rounded parts**: the same parts, each sum rounded.
- **Gap**: of each certificate to the earliest failure in the orders compared with it; the larger of the two.
- Other orders, targets that are not one token, and other user inputs were not run: a gap can be slack of the
  certificate, or an order that fails and was not run.
- **Units** with equal numbers in all columns share a row. Each unit was certified and run by itself. Ampere and Ada
  describe the same blocks in these formats, and so do Hopper and Blackwell.
- tf32 and fp16 hold 2^11 + 1 = 2049 evenly spaced values exactly, bf16 257. Larger sizes of the banded and the hat
  readout take minutes for each V in tf32 and fp16 and were not measured there.
"""


def on_units(frontiers: Sequence[Frontier]) -> tuple[list[Frontier], list[Frontier]]:
    """Return those of torch's kernels on the CPU, and those of matrix units."""
    found: tuple[list[Frontier], list[Frontier]] = ([], [])
    for part in frontiers:
        found["unit" in part.setting].append(part)
    return found


def document(frontiers: Sequence[Frontier]) -> str:
    """Return the document in Markdown."""
    versions = sorted({f"torch {part.versions['torch']}, numpy {part.versions['numpy']}" for part in frontiers})
    torch, units = on_units(frontiers)
    plain = [part for part in torch if "over sqrt(length)" not in str(part.setting["temperature"])]
    blunt = [part for part in torch if "over sqrt(length)" in str(part.setting["temperature"])]
    sections = [
        _HEAD,
        f"Measured with {'; '.join(versions)}, on the CPU.\n",
        "## Attention one-hot up to rounding (the default temperature)\n",
        markdown_table(plain),
        "## Theorem 1 in float32 with T over the square root of the length\n",
        markdown_table(blunt),
        *([_UNITS, unit_table(units)] if units else []),
    ]
    return "\n".join(section for section in sections if section)


def draw(path: Path, data: Path = DATA) -> None:
    """Draw the measurements at the default temperatures."""
    found = list(load(data).values())
    plain = [part for part in found if "over sqrt(length)" not in str(part.setting["temperature"])]
    versions = sorted({part.versions["torch"] for part in plain})
    draw_frontiers(
        path, plain, note=f"measured with torch {', '.join(versions)} on the CPU; data: proofs/frontier*.json"
    )


if __name__ == "__main__":
    write_atomically(DOCUMENT, document(list(load().values())))
