"""A checkpoint is refused where code, versions or settings that decide have changed since it was written."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from constructions import (
    Construction,
    Domain,
    InvalidArgument,
    Layout,
    Linear,
    RationalSoftmax,
    Ratios,
    TargetSpace,
    Transformer,
    UnconditionalGeneration,
    specify,
)
from constructions.validation import IntArray
from tests.redteam.checkpoints import EXACT, RIGHT, begin, refused
from tests.redteam.test_functions import Echo, Stateful, _as_promised, _encoded, _moved, _next
from verify import ModuleBackend, exhaust, get_arithmetic, to_torch
from verify.evidence import fingerprint as fingerprints

#: What the promise of :class:`FirstToken` is made of, as any script has globals.
ANSWER: Callable[[IntArray], IntArray] = lambda targets: targets[:, :1]  # noqa: E731 # to be exchanged
TABLE = {"shift": np.arange(3)}


@dataclass(frozen=True, repr=False)
class FirstToken(Construction):
    """Says the first of the three numbers of its target; any of its promises may be exchanged."""

    vocab_size: int
    hidden: Any = field(default=None, compare=False, kw_only=True)
    layout = Layout(virtual=1, user=0, response=1)

    @property
    def targets(self) -> TargetSpace:
        return TargetSpace(self.vocab_size, (3,))

    def encode(self, targets: IntArray) -> Ratios:
        return Ratios(targets[:, None, :], 1)

    def answer(self, targets: IntArray, user_inputs: IntArray) -> IntArray:
        return ANSWER(targets) + 0 * TABLE["shift"][:1]

    @cached_property
    def transformer(self) -> Transformer:
        V = self.vocab_size
        weight, bias = [[2 * v, 0, 0, 0] for v in range(V)], [[-v * v] for v in range(V)]
        return Transformer([[0] * V] * 3, (Linear(weight, bias, activation=None, name="readout"),), context_size=1)


def test_a_promise_that_changed_where_no_sample_looks_is_of_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.json"
    begin(FirstToken(8), path)

    def other(targets: IntArray) -> IntArray:
        return np.where((targets == [0, 0, 5]).all(axis=1, keepdims=True), 7, targets[:, :1])

    monkeypatch.setattr(sys.modules[__name__], "ANSWER", other)
    assert "differs in code" in refused(FirstToken(8), path)
    verdict = exhaust(FirstToken(8), EXACT)
    assert verdict.holds is False
    assert verdict.counterexample is not None
    assert verdict.counterexample.target == [0, 0, 5]


def _one(targets: IntArray) -> IntArray:
    return targets[:, :1]


def _nested(number: int) -> Callable[[IntArray], IntArray]:
    def outer(targets: IntArray) -> IntArray:
        def inner(value: int = number) -> int:
            return 0 * value

        return targets[:, :1] + inner()

    return outer


def _closure(number: int) -> Callable[[IntArray], IntArray]:
    return lambda targets: targets[:, :1] + 0 * number


@dataclass(frozen=True)
class Quiet:
    """Shows nothing of what it holds."""

    held: Any

    def __repr__(self) -> str:
        return "Quiet()"


@dataclass(frozen=True)
class Loaded:
    """Keeps what it read beside its fields, as one does that opens a file."""

    name: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "read", ANSWER)


CHANGES: dict[str, tuple[Any, Any]] = {
    "code": (_one, lambda targets: targets[:, 0:1]),
    "a constant": (lambda targets: targets[:, :1] + 5 - 5, lambda targets: targets[:, :1] + 6 - 6),
    "a default of a nested function": (_nested(1), _nested(2)),
    "a closure": (_closure(1), _closure(2)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_code_is_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = tmp_path / "run.json"
    for place, function in enumerate(CHANGES[name]):
        monkeypatch.setattr(sys.modules[__name__], "ANSWER", function)
        if place == 0:
            begin(FirstToken(8), path)
            assert exhaust(FirstToken(8), EXACT, limit=1, checkpoint=path).cases == 129  # nothing changed so far
        else:
            assert "differs in code" in refused(FirstToken(8), path)


def test_a_changed_global_a_hidden_field_and_a_method_are_other_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.json"
    begin(FirstToken(8, hidden=Quiet(_closure(3))), path)
    assert exhaust(FirstToken(8, hidden=Quiet(_closure(3))), EXACT, limit=1, checkpoint=path).cases == 129
    assert "differs in code" in refused(FirstToken(8, hidden=Quiet(_closure(4))), path)
    with monkeypatch.context() as patch:
        patch.setitem(TABLE, "shift", np.arange(1, 4) - 1 + np.array([0, 1, 0]))
        assert "differs in code" in refused(FirstToken(8, hidden=Quiet(_closure(3))), path)
    with monkeypatch.context() as patch:
        patch.setattr(FirstToken, "default_temperature", lambda self, fmt: RationalSoftmax(Fraction(3 if fmt else 2)))
        assert "differs in" in refused(FirstToken(8, hidden=Quiet(_closure(3))), path)
    assert exhaust(FirstToken(8, hidden=Quiet(_closure(3))), EXACT, limit=1, checkpoint=path).cases == 130


def test_what_a_field_keeps_beside_its_own_fields_is_part_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dataclass in a field was looked at by its fields alone."""
    path = tmp_path / "run.json"
    before, after = Loaded("one file"), Loaded("one file")
    object.__setattr__(after, "read", _closure(1))
    begin(FirstToken(8, hidden=before), path)
    assert exhaust(FirstToken(8, hidden=Loaded("one file")), EXACT, limit=1, checkpoint=path).cases == 129
    assert "differs in code" in refused(FirstToken(8, hidden=after), path)


def test_a_module_of_a_construction_is_known_by_what_decides(tmp_path: Path) -> None:
    """Every module has a name of its own, and symbols of this process."""
    path = tmp_path / "run.json"

    def module(temperature: float) -> ModuleBackend:
        return ModuleBackend(to_torch(UnconditionalGeneration(4, 4, temperature=temperature)).eval())

    made = UnconditionalGeneration(4, 4)
    assert exhaust(made, module(60.0), limit=100, checkpoint=path).holds is None
    with pytest.raises(InvalidArgument, match="differs in code"):
        exhaust(made, module(61.0), checkpoint=path)
    assert exhaust(made, module(60.0), checkpoint=path).holds is True


@pytest.mark.parametrize(
    "make", [np.vectorize, lambda code: SimpleNamespace(code=code), defaultdict], ids=["numpy", "namespace", "default"]
)
def test_a_function_in_something_that_has_no_pickle_is_part_of_the_run(tmp_path: Path, make: Any) -> None:
    """What cannot be pickled was looked at by its class alone."""
    path = tmp_path / "run.json"
    begin(FirstToken(8, hidden=Quiet(make(lambda: 1))), path)
    assert exhaust(FirstToken(8, hidden=Quiet(make(lambda: 1))), EXACT, limit=1, checkpoint=path).cases == 129
    assert "differs in code" in refused(FirstToken(8, hidden=Quiet(make(lambda: 2))), path)


class _Last(torch.nn.Module):
    """Gives the last token again, but of one input; what it is called with is no parameter."""

    def __init__(self, but: Any) -> None:
        super().__init__()
        self.but, self.inside = but, torch.nn.Identity()
        self.owner = [self]  # as one does that hides a module from torch

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        wrong = (tokens == torch.as_tensor(self.but)).all(dim=1)
        return self.inside(torch.eye(4)[torch.where(wrong, 3 - tokens[:, -1], tokens[:, -1])])  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", [tuple, list, torch.tensor])
def test_a_number_of_a_module_that_is_no_parameter_is_part_of_the_run(tmp_path: Path, kind: Any) -> None:
    """Of a torch module, the class, the parameters and the buffers alone were looked at."""
    path, promise = tmp_path / "run.json", specify(Domain.of(4, 5), lambda x: x[:, -1:])

    def module(*but: int) -> ModuleBackend:
        return ModuleBackend(_Last(kind(but)).eval())

    right, wrong = module(9, 9, 9, 9, 9), module(0, 0, 0, 0, 1)
    assert exhaust(promise, right, limit=512, checkpoint=path).holds is None
    for text in (None, "hook"):
        if text is not None:  # right, too, but of another run
            wrong = module(9, 9, 9, 9, 9)
            next(wrong.module.children()).register_forward_hook(lambda *_: None)
        with pytest.raises(InvalidArgument, match="differs in code"):
            exhaust(promise, wrong, checkpoint=path)
    assert exhaust(promise, module(9, 9, 9, 9, 9), checkpoint=path).holds is True


@pytest.mark.parametrize("name", ["numpy", "python", "prefixproof", "sources"])
def test_other_versions_and_sources_are_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = tmp_path / "run.json"
    begin(RIGHT, path)
    before = fingerprints.surroundings()
    assert len(before["sources"]) == 64
    monkeypatch.setattr("verify.evidence.checkpoint.surroundings", lambda: {**before, name: "another"})
    assert f"differs in {name}" in refused(RIGHT, path)


def test_the_mask_the_temperature_and_the_kernels_are_part_of_the_run(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    begin(RIGHT, path)
    for other in (
        UnconditionalGeneration(4, 4, mask="none"),
        UnconditionalGeneration(4, 4, temperature=RationalSoftmax(Fraction(40))),
        UnconditionalGeneration(4, 4, lift="mask"),
    ):
        refused(other, path)
    torch = tmp_path / "torch.json"
    begin(RIGHT, torch, get_arithmetic("torch", dtype="float32"))
    for kind in ("structured", "numpy"):
        refused(RIGHT, torch, get_arithmetic(kind, dtype="float32"))
    refused(RIGHT, torch, get_arithmetic("torch", dtype="float32", tf32=True))


def test_a_checkpoint_is_gone_on_from_in_another_process(tmp_path: Path) -> None:
    """A digest of code must not depend on where objects lie, nor on the seed of Python's hashes."""
    script = tmp_path / "own.py"
    script.write_text(
        "import sys\n"
        "from dataclasses import dataclass\n"
        "from pathlib import Path\n"
        "from types import SimpleNamespace\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "import numpy as np\n"
        "from constructions import UnconditionalGeneration\n"
        "from verify import RationalArithmetic, exhaust\n"
        "NAMES = {'some', 'names', 'in', 'a', 'set'}\n"
        "KEPT = SimpleNamespace(names=NAMES)\n"
        "@dataclass(frozen=True, repr=False)\n"
        "class Own(UnconditionalGeneration):\n"
        "    def answer(self, targets, user_inputs):\n"
        "        if 'x' in {'a', 'b', 'c'} or 'x' in KEPT.names or {}.get(np.int64(1)):\n"
        "            return targets * 0\n"
        "        return targets\n"
        "verdict = exhaust(Own(3, 3), RationalArithmetic(), limit=20, checkpoint=Path(sys.argv[1]))\n"
        "print(verdict.cases, verdict.holds)\n"
    )
    words = [sys.executable, str(script), str(tmp_path / "run.json"), str(Path(__file__).parents[2])]
    shown = [
        subprocess.run(words, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed})
        for seed in ("1", "2")
    ]
    assert [run.stdout.strip() for run in shown] == ["20 None", "27 True"]


@pytest.mark.parametrize("calls", range(1, 10))
def test_a_function_that_changes_after_some_calls_never_holds(calls: int, tmp_path: Path) -> None:
    """The first call of all is made for the key, and no case of the run."""
    for changing in (
        Echo(5, asked=Stateful(calls, _as_promised, _next)),
        Echo(5, encoded=Stateful(calls, _encoded, _moved)),
    ):
        assert exhaust(changing, EXACT, checkpoint=tmp_path / "run").holds is not True
        (tmp_path / "run").unlink(missing_ok=True)
    assert exhaust(Echo(5), EXACT, checkpoint=tmp_path / "run").holds is True
