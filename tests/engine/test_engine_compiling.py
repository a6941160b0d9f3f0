"""The compiler of kernels: prices that are kept, failures that are told, kernels that agree with the eager program."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from constructions import UnconditionalGeneration
from tests.engine.compilers import Free
from verify import EngineArithmetic, bind_construction, exhaust
from verify.engine import compiling, in_c, patience, ranks, written
from verify.engine.compiling import Compiler, cache_folder
from verify.engine.patience import at_most
from verify.engine.ranks import EngineRanks

CONSTRUCTION = UnconditionalGeneration(4, 3)


def _costing(cost: float) -> type[Counted]:
    class Costing(Counted):
        """One of a price."""

        asked = 0

    Costing.cost = cost
    return Costing


class Counted(Compiler):
    """A compiler that asks for its price, and compiles nothing."""

    asked = 0
    cost = 0.0

    def price(self, part: Any, sizes: tuple[int, int]) -> float:
        return self.cost

    def compiled(self, part: Any, arguments: Any, sizes: tuple[int, int], *, saved: float) -> Any:
        type(self).asked += 1
        return part.module


class Hasty(Free):
    """One that has little time."""

    def patience(self, saved: float) -> float | None:
        return 0.1


def _made(folder: Path, kind: type[Compiler], rest: int | None = None) -> EngineRanks:
    model = bind_construction(CONSTRUCTION, EngineArithmetic("float32"))
    return EngineRanks(CONSTRUCTION, model, rest=rest, compiler=kind(folder))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four prefixes of sixteen cases, so that there is a kernel."""
    monkeypatch.setattr("verify.engine.blocks.cache_bytes", lambda: 4 * 3 * 16)


def test_it_compiles_where_the_rest_of_the_run_takes_longer_than_that(tmp_path: Path) -> None:
    for cost, asked in ((0.0, 1), (1e9, 0)):
        kind = _costing(cost)
        made = _made(tmp_path, kind)
        assert made(0, 64) == _made(tmp_path, Counted)(0, 64)
        assert kind.asked == asked
        assert ("compiled by torch" in made.account(), "not compiled" in made.account()) == (asked == 1, asked == 0)
    kind = _costing(60.0)  # for a case that takes less than a minute
    assert _made(tmp_path, kind, rest=1)(0, 1) is not None
    assert kind.asked == 0


def test_prices_are_those_of_earlier_compiles(tmp_path: Path) -> None:
    compiler = Compiler(tmp_path / "engine")
    part = _made(tmp_path, Counted)._fast.program.kernel
    assert compiler.price(part, (4, 16)) == compiling._first_price("C", part.operations)
    compiler._paid(compiling._digest(part, (4, 16)), 8.0, part.operations)
    assert compiler.price(part, (4, 16)) == 8.0
    assert compiler.price(part, (8, 16)) == 8.0  # another program of as many operations
    compiler._paid(compiling._digest(part, (4, 16)), 0.5, part.operations)  # now it lies in the cache
    assert compiler.price(part, (4, 16)) == 0.5
    assert compiler.price(part, (8, 16)) == 8.0
    for text in ("", "[]", '{"a": 1}', '{"a": {"first": "x", "seconds": 1, "operations": 1}}'):
        (tmp_path / "engine" / "prices.json").write_text(text)
        assert compiler.price(part, (4, 16)) == compiling._first_price("C", part.operations)


@pytest.mark.parametrize(("way", "seconds", "operations"), [("C", 16.0, 3585), ("torch", 60.0, 1329)])
def test_the_first_price_is_what_was_measured_at_its_size(way: str, seconds: float, operations: int) -> None:
    assert compiling._first_price(way, operations) == seconds
    assert compiling._first_price(way, operations * 2) == seconds * 4
    assert compiling._first_price(way, 1) == 0.5


def test_a_folder_that_cannot_be_written_is_no_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    compiler = Compiler(tmp_path / "file" / "engine")
    part = _made(tmp_path, Counted)._fast.program.kernel
    compiler._paid("x", 1.0, 1)
    assert compiler.price(part, (4, 16)) == compiling._first_price("C", part.operations)


def test_the_folder_of_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/prefixproof/engine")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder().parts[-3:] == (".cache", "prefixproof", "engine")


def test_a_run_goes_on_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no C++\n  compiler")

    monkeypatch.setattr(torch, "compile", broken)
    monkeypatch.setattr(compiling, "Written", broken)
    monkeypatch.setattr(ranks, "Compiler", lambda: Free(tmp_path))
    verdict = exhaust(CONSTRUCTION, EngineArithmetic("float32"))
    assert verdict.holds
    assert "not compiled, as the compiler failed: no C++ compiler" in str(verdict.assumptions)


def test_a_kernel_that_flushes_subnormal_numbers_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot")
    try:
        assert not compiling._keeps_subnormals()
        monkeypatch.setattr(torch, "compile", lambda module, **_: module)
        monkeypatch.setattr(compiling, "WRITABLE", frozenset())
        made = _made(tmp_path, Free)
        assert made(0, 64) is not None
        assert made.kernel is None
        assert compiling._keeps_subnormals()
    finally:
        torch.set_flush_denormal(False)


@pytest.mark.skipif(shutil.which("cc") is None, reason="it is compiled by a C compiler")
def test_a_kernel_that_gives_other_numbers_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda module, **_: module)
    for wrong, by in (({}, "a C compiler"), ({"sub": "{0} - {1} * 0.75"}, "torch")):
        monkeypatch.setattr(written, "IN_C", {**in_c.IN_C, **wrong})
        made = _made(tmp_path, Free)
        found = made(0, 64)
        assert f"compiled by {by}" in made.account()
        assert found == _made(tmp_path, Counted)(0, 64)


def test_a_compiler_has_the_time_that_it_would_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends then, with the programs that it started, and torch's is not asked; the price is known from then on."""
    slow = tmp_path / "slow"
    slow.write_text(f'#!/bin/sh\ncase "$*" in *-dM*) ;; *) (sleep 1; touch {tmp_path}/went-on) & wait;; esac\n')
    slow.chmod(0o700)
    monkeypatch.setenv("CC", str(slow))
    monkeypatch.setattr(torch, "compile", None)
    made = _made(tmp_path / "engine", Hasty)
    assert made(0, 64) == _made(tmp_path, Counted)(0, 64)
    assert "not compiled, as the compiler failed: no kernel in 0.1 s, which the rest of the run takes" in made.account()
    part = made._fast.program.kernel
    sizes = made._prefixes_at_once(), made.blocks.inner
    assert Compiler(tmp_path / "engine").price(part, sizes) >= 2 * 0.1
    assert Compiler(tmp_path).patience(7.5) == 7.5
    time.sleep(1.2)
    assert not (tmp_path / "went-on").exists()


def _hanging(module: Any, **_: Any) -> Any:
    def kernel(*_: Any) -> Any:
        while True:
            try:
                time.sleep(60)
            except Exception:  # noqa: BLE001 # as code does that has another way to go on
                continue

    return kernel


def test_a_compiler_of_torch_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", _hanging)
    monkeypatch.setattr(compiling, "WRITABLE", frozenset())
    monkeypatch.setattr(ranks, "Compiler", lambda: Hasty(tmp_path))
    verdict = exhaust(CONSTRUCTION, EngineArithmetic("float32"))
    assert verdict.holds
    assert "not compiled, as the compiler failed: no kernel in 0.1 s, which the rest of the run takes" in str(
        verdict.assumptions
    )
    (paid,) = json.loads((tmp_path / "prices.json").read_text()).values()
    assert paid["seconds"] >= 2 * 0.1


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="nobody says who started a program")
def test_the_programs_that_it_started_end_with_it(tmp_path: Path) -> None:
    script = f"(sleep 1; touch {tmp_path}/went-on) & wait"
    with pytest.raises(TimeoutError):
        at_most(0.2, lambda: subprocess.run(["sh", "-c", script], check=True))
    time.sleep(1.2)
    assert list(tmp_path.iterdir()) == []


def test_torch_compiles_only_where_it_can_be_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", _hanging)
    monkeypatch.setattr(compiling, "WRITABLE", frozenset())
    made = _made(tmp_path, Hasty)
    thread = threading.Thread(target=made, args=(0, 64))
    thread.start()
    thread.join(60)
    assert made.compiler.failed == "torch's compiler runs in the main thread alone, where it can be ended"


def test_an_alarm_that_was_set_before_goes_off(monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _: rung.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(TimeoutError):
            at_most(None, lambda: at_most(0.05, lambda: time.sleep(60)))
        assert rung == []
        time.sleep(0.3)
        assert rung == [signal.SIGALRM]
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(TimeoutError):  # it could have gone off inside, and does at once
            at_most(0.2, lambda: time.sleep(60))
        time.sleep(0.05)
        assert rung == [signal.SIGALRM] * 2
        assert at_most(1e200, lambda: 5) == 5
        for none in (0.0, float("nan")):
            with pytest.raises(TimeoutError):
                at_most(none, rung.clear)
        assert len(rung) == 2
        assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_an_alarm_at_the_very_end_ends_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may ring at any step, the first and the last included: it is either in time or not at all."""
    monkeypatch.setattr(patience, "_programs", set)
    before = signal.getsignal(signal.SIGALRM)
    ended = 0
    for place in range(3000):
        try:
            at_most((1 + place % 60) * 1e-6, lambda: None)
        except TimeoutError:
            ended += 1
    assert ended > 0
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_a_handler_that_python_could_not_set_again_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert patience.can_end()
    monkeypatch.setattr(signal, "getsignal", lambda _: None)
    assert not patience.can_end()


def test_numbers_are_the_same_only_where_they_are_equal() -> None:
    one = torch.tensor([1.0, torch.nan, torch.inf])
    assert compiling._same(one, one.clone())
    for other in ([1.0, torch.nan, -torch.inf], [1 + 2**-23, torch.nan, torch.inf], [1.0, 2.0, torch.inf], [1.0]):
        assert not compiling._same(one, torch.tensor(other))


@pytest.mark.heavy
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles with a C++ compiler")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kernels_compiled_by_torch(dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "WRITABLE", frozenset())
    _compiled("compiled by torch", UnconditionalGeneration(5, 4), dtype, tmp_path)


@pytest.mark.skipif(shutil.which("cc") is None, reason="it is compiled by a C compiler")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kernels_in_c(dtype: str, tmp_path: Path) -> None:
    _compiled("compiled by a C compiler", UnconditionalGeneration(5, 4), dtype, tmp_path)


def _compiled(words: str, construction: UnconditionalGeneration, dtype: str, folder: Path) -> None:
    """Compiled, every margin of the kernel is the eager one: nothing in it is rounded otherwise."""
    model = bind_construction(construction, EngineArithmetic(dtype))
    free = Free(folder)
    made = EngineRanks(construction, model, compiler=free)
    found = made(0, 625)
    assert free.failed is None
    assert made.kernel is not None
    assert words in made.account()
    assert json.loads((folder / "prices.json").read_text())
    eager = EngineRanks(construction, model, compiler=Counted(folder))
    eager._tried = True
    assert eager(0, 625) == found, (eager.account(), made.account())
    for start, stop in ((0, 1), (17, 401), (624, 625)):
        assert made(start, stop) == eager(start, stop)
