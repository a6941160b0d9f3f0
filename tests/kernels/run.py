"""Run the tests in which floats run under several choices of kernels: ``python -m tests.kernels.run``.

A setting whose kernels are bit for bit those of an earlier one here is not run: this processor does not have it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.kernels.settings import FEW, SETTINGS, environment, fingerprint_in

#: Where floats run on real kernels, and what is asserted of them must hold on every one.
FLOATS = (
    "tests/certificates",
    "tests/constructions/test_head_temperature.py",
    "tests/constructions/test_scaled_thresholds.py",
    "tests/constructions/test_temperature.py",
    "tests/evidence",
    "tests/forward",
    "tests/limits/test_attention_identities.py",
    "tests/limits/test_counterexamples.py",
    "tests/limits/test_finder.py",
    "tests/mutation/test_float_faults.py",
    "tests/notebook",
)
#: The same behind a command, at the edges that are measured for long, or beside much that is exact.
MORE = (
    "tests/benchmarks",
    "tests/cli/test_cli_evidence.py",
    "tests/cli/test_cli_text.py",
    "tests/constructions/test_free_embedding.py",
    "tests/frontier",
    "tests/limits/test_cli_limits.py",
    "tests/limits/test_reachability.py",
    "tests/mutation/test_oracle.py",
    "tests/redteam",
    "tests/test_readme.py",
)
ROOT = Path(__file__).parents[2]


def run(name: str, folder: Path, seen: dict[str, str], words: list[str]) -> tuple[str, bool]:
    """Run one setting, with these words for pytest; return what came of it and whether that is well."""
    made = environment(SETTINGS[name], folder)
    if made is None:
        return "not run: no C compiler, or not Linux", True
    same = seen.setdefault(fingerprint_in(made), name)
    if same != name:
        return f"not run: the same kernels as {same}", True
    started = time.perf_counter()
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-rf", *words]
    done = subprocess.run(command, cwd=ROOT, env=made, capture_output=True, text=True, check=False)
    last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr.strip()
    if done.returncode:
        sys.stdout.write(done.stdout + done.stderr)
    return f"{last.strip('= ')} ({time.perf_counter() - started:.0f} s)", done.returncode == 0


def main() -> int:
    """Run the named settings, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="SETTING", help=f"one of: {', '.join(SETTINGS)}")
    parser.add_argument("--few", action="store_true", help=f"only {' and '.join(FEW)}, and fewer files")
    parser.add_argument("-n", default="2", help="processes of pytest")
    given = parser.parse_args()
    unknown = sorted(set(given.names) - set(SETTINGS))
    if unknown:
        parser.error(f"expected settings of {', '.join(SETTINGS)} but got {', '.join(unknown)}")
    names = FEW if given.few else tuple(given.names) or tuple(SETTINGS)
    files = FLOATS if given.few else (*FLOATS, *MORE)
    words = ["-n", given.n, *(path for path in files if (ROOT / path).exists())]
    seen: dict[str, str] = {}
    well = True
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            result, good = run(name, Path(folder), seen, words)
            well &= good
            sys.stdout.write(f"{name}: {result}\n")
            sys.stdout.flush()
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
