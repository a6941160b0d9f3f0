"""Evidence that is empty, cut off, of another run, or edited afterwards: none of it may say that a claim holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np

from constructions import ConditionalGeneration, Construction, InvalidArgument, UnconditionalGeneration
from tests.mutation.canaries import EXACT
from tests.mutation.mutated import Mutated, with_matrix, without_relu
from verify import NumpyArithmetic, Verdict, exhaust, fuzz, sweep
from verify.evidence.checkpoint import sealed
from verify.evidence.enumeration import Tally
from verify.running.cases import Runner

RIGHT = UnconditionalGeneration(3, 3)


def _says(run: Callable[[], object]) -> bool | None:
    """Return what a verdict says, ``None`` for one that is refused."""
    try:
        made = run()
    except InvalidArgument:
        return None
    assert isinstance(made, Verdict)
    return made.holds


def _edited(verdict: Verdict, **changes: Any) -> Callable[[], Verdict]:
    record = json.loads(json.dumps(verdict.to_json()))
    return lambda: Verdict.from_json({**record, **changes})


def _falsified() -> Verdict:
    return exhaust(
        Mutated(RIGHT, "no bias", with_matrix("select.bias", lambda rows: [[0 * x for x in r] for r in rows])), EXACT
    )


def _from_the_checkpoint_of(other: Construction, construction: Construction, folder: Path) -> Callable[[], Verdict]:
    """Return the run of a construction that goes on from where another one was, half way."""
    path = folder / "checkpoint.json"

    def stop(done: int, _: int) -> None:
        if done >= 64:
            raise KeyboardInterrupt

    def run() -> Verdict:
        try:
            exhaust(other, EXACT, checkpoint=path, progress=stop)
        except KeyboardInterrupt:
            assert path.exists()
        return exhaust(construction, EXACT, checkpoint=path)

    return run


def edited() -> Mapping[str, Callable[[], Verdict]]:
    """Return verdicts whose JSON was edited into saying that a claim holds."""
    cut_off, wrong = exhaust(RIGHT, EXACT, limit=5), _falsified()
    none = fuzz(st.nothing(), EXACT, claim="theorem-1")
    return {
        "false made true": _edited(wrong, holds=True),
        "false made true, its counterexample removed": _edited(wrong, holds=True, counterexample=None),
        "false made true, no counterexample, no margin": _edited(wrong, holds=True, counterexample=None, margin=None),
        "false made true, no counterexample, margin 1": _edited(wrong, holds=True, counterexample=None, margin="1"),
        "cut off made true": _edited(cut_off, holds=True),
        "cut off made true, its reason removed": _edited(cut_off, holds=True, reason=None),
        "cut off made true, its space forgotten": _edited(cut_off, holds=True, space=None),
        "nothing drawn made true": _edited(none, holds=True),
        "true with NaN for a margin": _edited(exhaust(RIGHT, EXACT), margin="nan"),
        "true with a word for a margin": _edited(exhaust(RIGHT, EXACT), margin="large"),
        "true with no case": _edited(exhaust(RIGHT, EXACT), cases="0"),
        "true of a space that was counted wrongly": _edited(exhaust(RIGHT, EXACT), space="81"),
        "true by a method that does not exist": _edited(exhaust(RIGHT, EXACT), method="believed"),
        "the word true for true": _edited(cut_off, holds="true"),
    }


def forged(folder: Path) -> Iterator[tuple[str, Callable[[], bool | None]]]:
    """Yield a name, and what the evidence says: never True.

    Args:
        folder: for checkpoints.

    """
    for name, run in edited().items():
        yield f"edited: {name}", partial(_says, run)
    yield "empty: no case was drawn", lambda: _says(lambda: fuzz(st.nothing(), EXACT, claim="theorem-1"))
    yield "empty: a batch of no cases", _of_an_empty_batch
    yield "empty: a sweep that is refused at once", lambda: _says(_refused_at_once)
    for limit in (1, 5, 26):
        yield (
            f"cut off after {limit} of 27 cases",
            partial(_says, partial(exhaust, RIGHT, EXACT, limit=limit)),
        )
    right = UnconditionalGeneration(3, 4)
    others: Mapping[str, tuple[Construction, Construction]] = {
        "of other weights": (
            Mutated(right, "it"),
            Mutated(right, "it", with_matrix("readout.bias", lambda rows: rows[::-1])),
        ),
        "of weights without a ReLU": (Mutated(right, "it"), Mutated(right, "it", without_relu("select"))),
        "of other virtual tokens": (Mutated(right, "it"), Mutated(right, "it", prompt_change=_late)),
        "of another mask": (right, UnconditionalGeneration(3, 4, mask="none")),
        "of another temperature": (right, UnconditionalGeneration(3, 4, temperature=1)),
        "of another construction": (right, ConditionalGeneration(4)),
    }
    for number, (name, (first, second)) in enumerate(others.items()):
        path = folder / str(number)
        path.mkdir()
        run = _from_the_checkpoint_of(first, second, path)
        yield f"a checkpoint {name}", partial(_says, run)
    for name, edit in CHECKPOINTS.items():
        path = folder / f"{name}.json"
        yield f"a checkpoint {name}", partial(_says, partial(_edited_checkpoint, path, edit))


def _counted(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "cases": "81"}


def _sealed_again(record: dict[str, Any]) -> dict[str, Any]:
    """Count all cases, with a digest that fits."""
    record = {name: part for name, part in _counted(record).items() if name != "sha256"}
    made: dict[str, Any] = json.loads(sealed(record))
    return made


CHECKPOINTS: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "whose count was edited": _counted,
    "whose count was edited, with a digest that fits": _sealed_again,
    "whose digest was taken off": lambda record: {name: part for name, part in record.items() if name != "sha256"},
    "of other sources": lambda record: {**record, "key": {**record["key"], "sources": "another"}},
}


def _edited_checkpoint(path: Path, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> Verdict:
    """Go on from an edited checkpoint of a construction that is right at first, and wrong for most targets."""
    wrong = Mutated(UnconditionalGeneration(3, 4), "it", prompt_change=_wrong_from_the_second_case)
    exhaust(wrong, EXACT, checkpoint=path, limit=1)
    path.write_text(json.dumps(edit(json.loads(path.read_text(encoding="utf-8")))), encoding="utf-8")
    return exhaust(wrong, EXACT, checkpoint=path)


def _wrong_from_the_second_case(ratios: Any) -> Any:
    """Encode every target as token 0 everywhere."""
    return replace(ratios, numerators=0 * ratios.numerators)


def _late(ratios: Any) -> Any:
    """Change the virtual tokens of targets that start with token 0, which the first half of a run is about."""
    early = ratios.numerators[..., :1] == 0
    return replace(ratios, numerators=np.where(early, ratios.numerators + 1, ratios.numerators))


def _of_an_empty_batch() -> bool | None:
    outcome = Runner(RIGHT, NumpyArithmetic()).run(np.zeros((0, 3), dtype=np.int64), np.zeros((0, 0), dtype=np.int64))
    tally = Tally()
    tally.add(outcome)
    assert tally.cases == 0
    return _says(
        lambda: Verdict(
            claim="theorem-1",
            parameters={},
            method="evaluated",
            arithmetic="numpy float64",
            device="cpu",
            holds=True,
            cases=tally.cases,
            margin=outcome.smallest_margin(),
        )
    )


def _refused_at_once() -> Verdict:
    def build(_: int) -> Construction:
        return Mutated(RIGHT, "it", with_matrix("embedding", lambda rows: [[x + 10**400 for x in r] for r in rows]))

    return sweep(build, NumpyArithmetic(), max_vocab_size=3, claim="theorem-1")
