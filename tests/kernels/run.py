"""Run the tests in which floats run under several choices of kernels: ``python -m tests.kernels.run``.

A setting whose kernels are bit for bit those of an earlier one here is not run: this processor does not have it. The
others run side by side, a process each; one that is alone has all processes for itself.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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


def environments(names: Sequence[str], folder: Path) -> Iterator[tuple[str, dict[str, str] | str]]:
    """Yield each setting's environment, or the reason why it does not run."""
    seen: dict[str, str] = {}
    for name in names:
        made = environment(SETTINGS[name], folder)
        if made is None:
            yield name, "not run: no C compiler, or not Linux"
        elif (same := seen.setdefault(fingerprint_in(made), name)) != name:
            yield name, f"not run: the same kernels as {same}"
        else:
            yield name, made


def run(made: Mapping[str, str], words: Sequence[str]) -> tuple[str, bool]:
    """Run the tests in an environment, with these words for pytest; return what came of it and whether that is well."""
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
    parser.add_argument("-n", type=int, default=2, metavar="COUNT", help="how many processes of pytest run at a time")
    given = parser.parse_args()
    unknown = sorted(set(given.names) - set(SETTINGS))
    if unknown:
        parser.error(f"expected settings of {', '.join(SETTINGS)} but got {', '.join(unknown)}")
    names = FEW if given.few else tuple(given.names) or tuple(SETTINGS)
    files = FLOATS if given.few else (*FLOATS, *MORE)
    paths = [path for path in files if (ROOT / path).exists()]
    well = True
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(max(1, given.n)) as side_by_side:
        found = dict(environments(names, Path(folder)))
        to_run = {name: made for name, made in found.items() if not isinstance(made, str)}
        words = ["-n", str(given.n if len(to_run) == 1 else 0), *paths]
        runs = {name: side_by_side.submit(run, made, words) for name, made in to_run.items()}
        for name, made in found.items():
            result, good = (made, True) if isinstance(made, str) else runs[name].result()
            well &= good
            sys.stdout.write(f"{name}: {result}\n")
            sys.stdout.flush()
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
