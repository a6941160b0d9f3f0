"""``python -m tests.docs.rewrite [PAGE...]`` puts what commands and examples print now into the pages."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path

from tests.docs.pages import ROOT, rerun


def main(paths: list[str]) -> None:
    """Rewrite the pages named, or all; look at the difference before you commit it."""
    pages = [Path(path).resolve() for path in paths] or [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for page in pages:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            text = rerun(page)
        if text != page.read_text(encoding="utf-8"):
            page.write_text(text, encoding="utf-8")
            sys.stdout.write(f"rewritten: {page.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
