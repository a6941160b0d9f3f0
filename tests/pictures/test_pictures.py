"""Every picture of the package: all that is drawn lies within its axes and the figure, and no text covers another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from constructions.formats import FORMATS
from docs.figures.frontier_document import draw
from docs.figures.measured_frontier import load
from tests.pictures.drawn import complaints
from verify.arithmetic import torch_arithmetic
from verify.cli.app import run
from verify.experiments.pictures import draw_arrows, draw_attention_panels, draw_course, draw_grid, draw_spread
from verify.frontier.picture import draw_frontiers
from verify.frontier.record import Certified, Falsified, Frontier
from verify.prefixes import draw_case
from verify.prefixes.picture import draw_attention
from verify.report.page.drawing import draw_prefix, draw_readout

pytest.importorskip("matplotlib")

ROOT = Path(__file__).parents[2]


def _long_prefix(path: Path, rows: int = 2, prefix: int = 1) -> None:
    """Draw one row of content behind a prefix, or many rows."""
    case = draw_case(0, 1498, fmt=FORMATS["float32"])
    content = [list(case.content[index % len(case.content)]) for index in range(rows)]
    before = [list(case.prefix[index % len(case.prefix)]) for index in range(prefix)]
    draw_attention(path, case.layer, content, before, torch_arithmetic("float32", "cpu"))


def _frontier(**changes: Any) -> Frontier:
    record: dict[str, Any] = {
        "setting": {"claim": "theorem-1", "context": 2, "temperature": "default", "dtype": "bfloat16"},
        "limit": 8,
        "values": 257,
        "certified": {"separate": Certified(1, 0, "token 0")},
        "falsified": {"separate": Falsified(1, 8, "separate")},
    }
    return Frontier(**(record | changes))


def _weights(positions: int, virtual: int = 0) -> np.ndarray[Any, Any]:
    """Return causal attention behind a prefix: equal weights on what is seen."""
    seen = np.tril(np.ones((positions, positions + virtual)), virtual)
    return np.asarray(seen / seen.sum(axis=1, keepdims=True))


#: Of an experiment with two phases of two tasks each, over two seeds.
_RESULT: dict[str, Any] = {
    "experiment": "sorting",
    "seeds": [0, 1],
    "course": {
        phase: {"steps": [0, 50, 100], "tasks": {"ascending": [[0, 40, 90], [0, 50, 95]], "descending": [[0] * 3] * 2}}
        for phase in ("pretraining", "a prefix for descending")
    },
}


DRAWN: dict[str, Callable[[Path], Any]] = {
    "the readout of the README": draw_readout,
    "the readout of one token": lambda path: draw_readout(path, vocab_size=1),
    "the readout of 94 tokens": lambda path: draw_readout(path, vocab_size=94),
    "attention of the README": draw_prefix,
    "attention on one position, behind a long prefix": lambda path: _long_prefix(path, rows=1, prefix=9),
    "attention on many positions": lambda path: _long_prefix(path, rows=40, prefix=2),
    "the frontier of the README": draw,
    "the frontier of one setting": lambda path: draw_frontiers(path, list(load().values())[:1]),
    "the frontier of float64": lambda path: draw_frontiers(path, [*load().values()][-1:]),
    "the frontier, all settings": lambda path: draw_frontiers(path, list(load().values()), note="of all settings"),
    "the frontier of nothing certified": lambda path: draw_frontiers(path, [_frontier()]),
    "the frontier of one token": lambda path: draw_frontiers(
        path, [_frontier(certified={"separate": Certified(1, 1, None)})]
    ),
    "the frontier of no kernel yet": lambda path: draw_frontiers(path, [_frontier(falsified={})]),
    "the command frontier": lambda path: run(
        f"frontier theorem-1 --context 2 --dtype bfloat16 --bias separate --first 16 --picture {path}".split()
    ),
    "attention of experiments": lambda path: draw_attention_panels(
        path.with_suffix(".png"), [("no prefix", _weights(9), 0), ("a prefix", _weights(9, 3), 3)], length=5
    ),
    "the course of an experiment": lambda path: draw_course(path.with_suffix(".png"), _RESULT),
    "heads by task": lambda path: draw_grid(
        path.with_suffix(".png"),
        [[_weights(6), _weights(6)], [_weights(6), _weights(6)]],
        ["ascending", "descending"],
        ["1", "2"],
    ),
    "activations with arrows": lambda path: draw_arrows(
        path.with_suffix(".png"),
        _weights(8)[:, :2],
        {"ascending": _weights(8)[:, 1:3] + 1, "descending": _weights(8)[:, :2] - 1},
        axes_are="principal component",
        title="activations",
    ),
    "spread by length": lambda path: draw_spread(
        path.with_suffix(".png"),
        {"moved": ([1, 4, 16], [0.1, 0.5, 0.9]), "kept": ([1, 4, 16], [0.9, 0.5, 0.1])},
        ("length", "share"),
    ),
    "the command attention": lambda path: run(["attention", "--drawn", "0:3", "--picture", str(path)]),
}


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that are saved."""
    from matplotlib.figure import Figure

    saved: list[Any] = []
    save = Figure.savefig

    def also_keep(figure: Any, *arguments: Any, **options: Any) -> None:
        saved.append(figure)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", also_keep)
    return saved


@pytest.mark.share(7)
@pytest.mark.parametrize("name", DRAWN)
def test_all_that_is_drawn_lies_within(name: str, tmp_path: Path, figures: list[Any]) -> None:
    DRAWN[name](tmp_path / "picture.svg")
    assert figures
    for figure in figures:
        assert complaints(figure) == []


def test_every_module_that_saves_a_picture_is_tested_here() -> None:
    saving = {
        path.relative_to(ROOT).as_posix()
        for folder in ("constructions", "proofs", "verify", "docs")
        for path in (ROOT / folder).rglob("*.py")
        if "savefig(" in path.read_text(encoding="utf-8")
    }
    assert saving == {
        "verify/report/page/drawing.py",
        "verify/prefixes/picture.py",
        "verify/frontier/picture.py",
        "verify/experiments/pictures.py",
    }


def _bad(fault: str) -> Any:
    """Return a picture with one fault, or without any."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 3))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.2, 0.2, 0.7, 0.7))
    axes.set_xscale("log", base=2)
    axes.barh(0, 15, left=1, height=0.6)
    axes.plot(17, 0, "x")
    axes.text(4, 0, "16")
    axes.set_xlim(1, 64)
    if fault == "the axis begins beyond the bar":
        axes.set_xlim(256, 4096)
    if fault == "a cross beyond the axis":
        axes.plot(65, 0, "x")
    if fault == "a cross at 0 of a logarithmic axis":
        axes.plot(0, 0, "x")
    if fault == "a text cut by the edge":
        figure.text(0.98, 0.5, "cut off")
    if fault == "a number of the axis cut by the edge":
        axes.set_position((0.2, 0.01, 0.7, 0.9))
    if fault == "a text over another":
        axes.text(4.1, 0, "17")
    if fault == "a text over the frame":
        axes.text(63, 0.1, "over the frame")
    return figure


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ("the axis begins beyond the bar", "bar: outside its axes"),
        ("a cross beyond the axis", "line: outside its axes"),
        ("a cross at 0 of a logarithmic axis", "line: "),
        ("a text cut by the edge", "text 'cut off': outside the figure"),
        ("a number of the axis cut by the edge", "outside the figure"),
        ("a text over another", "text '16': covers '17'"),
        ("a text over the frame", "crosses the frame"),
    ],
)
def test_a_bad_picture_is_complained_of(fault: str, complaint: str) -> None:
    assert complaints(_bad("")) == []
    assert any(complaint in found for found in complaints(_bad(fault)))
