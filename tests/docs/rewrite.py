"""``python -m tests.docs.rewrite [PAGE...]`` puts what commands and examples print now into the pages.

The help of all commands is written into ``verify/cli/help.json`` first.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path

from tests.cli.helps import as_written
from tests.docs.pages import ROOT, rerun
from verify.cli.written_help import WRITTEN


def main(paths: list[str]) -> None:
    """Rewrite the pages named, or all; look at the difference before you commit it."""
    WRITTEN.write_text(as_written(), encoding="utf-8")
    pages = [Path(path).resolve() for path in paths] or [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for page in pages:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            text = rerun(page)
        if text != page.read_text(encoding="utf-8"):
            page.write_text(text, encoding="utf-8")
            sys.stdout.write(f"rewritten: {page.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
