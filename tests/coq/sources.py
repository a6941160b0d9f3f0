"""Where the Coq development is, and what its statements are called."""

from __future__ import annotations

import re
from pathlib import Path

PROOFS = Path(__file__).resolve().parents[2] / "proofs"
COQ = PROOFS / "coq"
SOURCES = sorted(line for line in (COQ / "_CoqProject").read_text().splitlines() if line.endswith(".v"))
GOLDEN = sorted((COQ / "golden").glob("*.txt"))


def without_comments(text: str) -> str:
    kept, depth, position = [], 0, 0
    for match in re.finditer(r"\(\*|\*\)", text):
        if depth == 0:
            kept.append(text[position : match.start()])
        depth += 1 if match.group() == "(*" else -1
        position = match.end()
    return "".join(kept) + text[position:]


def theorem_names() -> list[str]:
    return re.findall(r"^Theorem (\w+)", without_comments((COQ / "Theorems.v").read_text()), re.MULTILINE)
