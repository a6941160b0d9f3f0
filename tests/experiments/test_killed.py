"""A run that was killed at a random instant gives, when it goes on, bit for bit what an uninterrupted one gives."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.experiments.small import run_small  # after the libraries that may not be there

pytestmark = pytest.mark.extras

#: What differs from run to run: the clock.
CLOCK = ("made", "seconds")


@pytest.fixture(scope="module")
def server() -> Any:
    """Processes that are forked from one that has imported everything, and has computed nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.experiments.small", "peft", "transformers.models.gpt2.modeling_gpt2"])
    warm = context.Process(target=int)
    warm.start()
    warm.join()
    return context


def started(server: Any, out: Path) -> Any:
    process = server.Process(target=run_small, args=(str(out),))
    process.start()
    return process


def results(out: Path) -> dict[str, Any]:
    """Every file by its name: weights as bytes, lines without the time of the last, the result without its clock."""
    found: dict[str, Any] = {}
    for path in sorted(out.rglob("*")):
        if path.suffix == ".safetensors":
            found[path.name] = path.read_bytes()
        elif path.suffix == ".jsonl":
            found[path.name] = path.read_text(encoding="utf-8").splitlines()[:-1]
        elif path.suffix == ".json":
            read = json.loads(path.read_text(encoding="utf-8"))
            found[path.name] = {name: value for name, value in read.items() if name not in CLOCK}
    return found


@pytest.fixture(scope="module")
def whole(server: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], float]:
    """The results of an uninterrupted run, and the seconds that it took."""
    out = tmp_path_factory.mktemp("whole")
    process, begun = started(server, out), time.monotonic()
    process.join()
    assert process.exitcode == 0
    found = results(out)
    assert {"pretrained.safetensors", "prefix.safetensors", "rank-one.safetensors", "result.json"} <= set(found)
    return found, time.monotonic() - begun


def check_kills(server: Any, whole: tuple[dict[str, Any], float], folder: Path, kills: int) -> None:
    """Kill runs at random instants, so many times in all, and let each go on to its end."""
    wanted, seconds = whole
    draw, hit, runs = random.Random(kills), 0, 0
    while hit < kills:
        out = folder / str(runs)
        process = started(server, out)
        process.join(draw.uniform(0, seconds / 2))
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
            hit += 1
        process.join()
        if process.exitcode == 0:  # it came to its end before, or between the question and the kill
            assert results(out) == wanted
            runs += 1
    out = folder / str(runs)
    process = started(server, out)
    process.join()
    assert process.exitcode == 0
    assert results(out) == wanted


def test_two_kills(server: Any, whole: tuple[dict[str, Any], float], tmp_path: Path) -> None:
    check_kills(server, whole, tmp_path, 2)


@pytest.mark.heavy
def test_twenty_kills(server: Any, whole: tuple[dict[str, Any], float], tmp_path: Path) -> None:
    check_kills(server, whole, tmp_path, 20)
