"""The frontier on matrix units: searches, the command, the record, and small rows measured again from scratch."""

from __future__ import annotations

import json
from typing import Any

import pytest

from constructions.validation import InvalidArgument
from docs.figures.frontier_document import on_units
from docs.figures.measured_frontier import Setting, load, settings
from docs.figures.unit_table import unit_table
from tests.shares import drawn
from verify import exhaust
from verify.arithmetic.matrix_unit import MatrixUnitArithmetic
from verify.certificates.floats.arithmetic import RoundedArithmetic
from verify.cli.app import run
from verify.frontier import KERNELS, Frontier, find_frontier
from verify.frontier.falsify import failures
from verify.frontier.family import Family
from verify.frontier.kernels import MACHINES, kernels_of, kernels_on
from verify.frontier.kernels.of_units import ANY_REDUCTION, CHAIN, FULL_REDUCTION
from verify.frontier.scan import Scanner
from verify.matrix_units import GENERATIONS

PAIR = Family("theorem-1", {"context": 2})
MASKED = Family("theorem-1", {"context": 2}, None, {"encoding": "integer", "lift": "mask", "readout": "split"})
COMMAND = ["frontier", "theorem-1", "--context", "2"]


def _search(dtype: str, unit: str = "hopper", **more: Any) -> Frontier:
    options: dict[str, Any] = {"limit": 64, "command": PAIR.command, "setting": PAIR.setting(), **more}
    return find_frontier(PAIR, dtype=dtype, arithmetic="matrix-unit", unit=unit, **options)


@pytest.fixture(scope="module")
def found() -> Frontier:
    """The paper's encoding on Hopper's unit in bf16, from the lower of the edges."""
    return _search("bf16", first=16)


def test_the_edges_meet_in_every_order(found: Frontier) -> None:
    assert found.setting["unit"] == "hopper"
    assert {name: part.up_to for name, part in found.certified.items()} == {FULL_REDUCTION: 19, ANY_REDUCTION: 16}
    assert {word: edge.no_margin and edge.no_margin[0] for word, edge in found.falsified.items()} == {
        "chain": 20,
        "parts": 20,
        "reduced": 17,
    }
    assert found.found
    assert all(found.gap(word) == 0 for word in found.falsified)


def test_the_orders_are_told_and_kept(found: Frontier) -> None:
    assert {word: edge.order for word, edge in found.falsified.items()} == {
        "chain": "one chain",
        "parts": "slice-size 1",
        "reduced": "slice-size 1 reduced",
    }
    record = json.loads(json.dumps(found.to_json()))
    assert Frontier.from_json(record).to_json() == record


def test_the_command_reproduces_the_case(found: Frontier, capsys: pytest.CaptureFixture[str]) -> None:
    for edge in found.falsified.values():
        assert edge.wrong is not None
        words = edge.wrong[1].reproduce.split()
        assert run([*words[1:], "--json"]) == 1
        case = json.loads(capsys.readouterr().out)["counterexample"]
        assert (case["expected"], case["produced"]) == (edge.wrong[1].expected, edge.wrong[1].produced)


@pytest.mark.share(1)
@pytest.mark.parametrize("dtype", ["bf16", "fp16", "tf32"])
@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.heavy)])
def test_nothing_fails_below_the_certified_edge(dtype: str, *, every: bool) -> None:
    """What the certificates exclude is run all the same at a certified size and every target.

    The last order of each kernel is run, which is the farthest from one chain; in the heavy tier every order is.
    """
    machine = MACHINES["matrix-unit"].made(dtype, "hopper")
    assert Scanner(machine.certificate(machine.common)).undecided(PAIR(7)) is None
    for word in kernels_of(machine):
        for name, arithmetic in list(KERNELS[word].orders(machine))[0 if every else -1 :]:
            assert exhaust(PAIR(7), arithmetic).holds, (word, name)


def test_every_unit_and_format_has_its_orders() -> None:
    for unit, generation in GENERATIONS.items():
        for dtype in MACHINES["matrix-unit"].formats[:3]:
            if dtype not in generation.formats:
                with pytest.raises(InvalidArgument, match="dtype"):
                    MACHINES["matrix-unit"].made(dtype, unit)
                continue
            machine = MACHINES["matrix-unit"].made(dtype, unit)
            assert set(kernels_of(machine)) == {"chain", "parts", "factors" if dtype == "tf32" else "reduced"}
            orders = [order for word in kernels_of(machine) for order in KERNELS[word].orders(machine)]
            assert len({order.arithmetic.name for order in orders}) == len(orders) > 10
            assert all(unit in order.arithmetic.name for order in orders)


def test_a_format_by_the_dtype_of_its_numbers() -> None:
    same = _search("bfloat16", first=14, limit=14, kernels=("chain",))
    assert same.setting["dtype"] == "bf16"
    assert not same.found
    assert same.certified[ANY_REDUCTION].up_to == 14


def test_the_command_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    words = (
        "frontier theorem-1 --context 2 --arithmetic matrix-unit --unit ampere --dtype bf16 --order chain --first 19"
    )
    assert run(words.split()) == 0
    shown = capsys.readouterr().out
    assert "ampere: one chain" in shown
    assert "20 (token 17)" in shown
    assert "bf16, chain (one chain): no positive margin at V = 20" in shown
    assert "--arithmetic matrix-unit --dtype bf16 --unit ampere" in shown


@pytest.mark.parametrize(
    ("words", "mention"),
    [
        ("--arithmetic matrix-unit --dtype float64", "dtype"),
        ("--arithmetic matrix-unit --unit volta --dtype bf16", "dtype on volta"),
        ("--arithmetic matrix-unit --unit fermi --dtype bf16", "unit"),
        ("--arithmetic matrix-unit --dtype bf16 --bias linear", "option with --arithmetic matrix-unit"),
        ("--arithmetic matrix-unit --dtype bf16 --order fma", "order"),
        ("--arithmetic matrix-unit --dtype bf16 --order factors", "order: expected tf32 with factors but got bf16"),
        ("--arithmetic numpy", "arithmetic"),
        ("--dtype bfloat16 --unit hopper", "unit: expected none with torch"),
        ("--dtype bfloat16 --order chain", "option with --arithmetic torch"),
    ],
)
def test_bad_input(words: str, mention: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*COMMAND, "--limit", "3", *words.split()]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert mention in captured.err


def test_the_kernels_of_a_machine() -> None:
    assert kernels_on("torch") == ("linear", "separate", "fma")
    assert kernels_on("matrix-unit") == ("chain", "parts", "reduced", "factors")


def _measured() -> dict[str, tuple[Setting, Frontier]]:
    record = load()
    return {setting.name: (setting, record[setting.name]) for setting in settings() if setting.unit is not None}


def test_every_setting_of_every_unit_is_measured() -> None:
    assert len(_measured()) > 100
    table = unit_table(on_units([part for _, part in _measured().values()])[1])
    assert all(unit in table for unit in GENERATIONS)


def test_the_measured_edges_meet_on_units() -> None:
    """Nothing lies between them, but for the paper's encoding in tf32."""
    for name, (setting, part) in _measured().items():
        assert part.falsified[CHAIN.word].order == "one chain", name
        for word, edge in part.falsified.items():
            gap = part.gap(word)
            assert edge.no_margin is not None, (name, word)
            assert gap is not None, (name, word)
            assert gap >= 0, (name, word)
            if setting.dtype != "tf32" or "encoding" in setting.family.options:
                assert gap == 0, (name, word)


#: Rows that take less than a second each, from where nothing of them is left out but what is certified.
QUICK = ("encoding integer, from", "readout centred")


def _again(setting: Setting, part: Frontier, words: tuple[str, ...]) -> None:
    """Certify the last certified V and not the next, and find the failure, without the search."""
    machine = MACHINES["matrix-unit"].made(setting.dtype, setting.unit)
    for products, certified in part.certified.items():
        scanner = Scanner(machine.certificate(products))
        assert scanner.undecided(setting.family(certified.up_to)) is None
        assert scanner.undecided(setting.family(certified.up_to + 1)) == certified.undecided
    for word in words:
        edge = part.falsified[word]
        (arithmetic,) = [order for name, order in KERNELS[word].orders(machine) if name == edge.order]
        assert edge.no_margin is not None
        for vocab_size in range(edge.first, edge.no_margin[0]):
            assert failures(setting.family(vocab_size), arithmetic).no_margin is None
        case = failures(setting.family(edge.no_margin[0]), arithmetic).no_margin
        assert case is not None
        assert (case.expected, case.produced, case.margin) == (
            edge.no_margin[1].expected,
            edge.no_margin[1].produced,
            edge.no_margin[1].margin,
        )


@pytest.mark.parametrize("row", [QUICK[1], pytest.param(QUICK[0], marks=pytest.mark.heavy)])
def test_small_rows_again_from_scratch(row: str) -> None:
    (quick,) = [pair for name, pair in _measured().items() if name.startswith("bf16, unit ampere,") and row in name]
    _again(*quick, (CHAIN.word,))


@pytest.mark.parametrize(
    ("unit", "every"),
    [
        pytest.param("hopper", False, marks=pytest.mark.heavy),
        *(pytest.param(unit, True, marks=pytest.mark.long) for unit in GENERATIONS),
    ],
)
def test_rows_again_from_scratch(unit: str, *, every: bool) -> None:
    """Every row of every unit, in every kernel, but for the wide vocabularies, whose sizes take seconds each.

    In the heavy tier two rows of one unit.
    """
    rows = [
        (setting, part)
        for setting, part in _measured().values()
        if setting.unit == unit and not any(word in setting.name for word in ("banded", "hat"))
    ]
    assert len(rows) >= 6
    for setting, part in rows if every else drawn(rows, 2):
        _again(setting, part, tuple(part.falsified))


@pytest.mark.long
def test_a_whole_search_again() -> None:
    for setting, part in _measured().values():
        if setting.unit == "hopper" and any(word in setting.name for word in QUICK) and setting.dtype != "tf32":
            assert setting.found().to_json() | {"seconds": 0, "versions": {}} == part.to_json() | {
                "seconds": 0,
                "versions": {},
            }


def test_a_factor_that_is_known_loses_nothing_beside_one_that_is_not() -> None:
    """In tf32 the first token of the mask lift is a tiny number in one cell; it must not blur the other cells."""
    assert Scanner(RoundedArithmetic.of("tf32", unit="hopper")).undecided(MASKED(46)) is None


@pytest.mark.heavy
def test_tf32_ends_where_its_integers_do() -> None:
    """2^11 + 1 = 2049 is where the format itself ends, and one beyond it the exact unit fails."""
    scanner = Scanner(RoundedArithmetic.of("tf32", unit="hopper"))
    assert scanner.undecided(MASKED(2049)) is None
    assert scanner.undecided(MASKED(2050)) is not None
    assert failures(MASKED(2050), MatrixUnitArithmetic("tf32", "hopper")).no_margin is not None
