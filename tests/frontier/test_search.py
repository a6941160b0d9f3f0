"""The two edges, how they are found, and what a search must not say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from constructions import ConditionalGeneration, Construction, LongerResponses, UnconditionalGeneration
from constructions.temperature import Softmax
from constructions.validation import InvalidArgument
from verify import exhaust
from verify.arithmetic.tensors import Bias, TorchArithmetic
from verify.certificates import certificate_arithmetic, certify
from verify.cli.app import run
from verify.evidence.checkpoint import sealed
from verify.frontier import Frontier, find_frontier
from verify.frontier.falsify import failures
from verify.frontier.family import Family
from verify.frontier.product_rounding import products_of
from verify.frontier.scan import Scanner

PAIR = Family("theorem-1", {"context": 2})


def _search(dtype: str, **more: Any) -> Frontier:
    options: dict[str, Any] = {"limit": 64, "command": PAIR.command, "setting": PAIR.setting(), **more}
    return find_frontier(PAIR, dtype=dtype, **options)


@pytest.fixture(scope="module")
def half() -> dict[str, Frontier]:
    """The frontier of both 16-bit formats, all kernels."""
    return {"bfloat16": _search("bfloat16", first=10), "float16": _search("float16", first=36)}


#: Format and kernel -> certified up to, first V without a margin and its token, first V wrong and its token. Torch's
#: own kernel is not among them, as its results are those of one library: only what holds of any is asserted below.
EDGES = {
    ("bfloat16", "separate"): (16, (17, 16), (17, 16)),
    ("bfloat16", "fma"): (19, (20, 17), (20, 17)),
    ("float16", "separate"): (37, (38, 34), (38, 36)),
    ("float16", "fma"): (42, (43, 37), (47, 46)),
}
# These two kernels are elementwise operations of IEEE 754, one rounding each, and attention absorbs what leaks: the
# same numbers on every machine.


@pytest.mark.parametrize(("dtype", "kernel"), EDGES)
def test_the_edges_of_16_bit_formats(half: dict[str, Frontier], dtype: str, kernel: str) -> None:
    certified, no_margin, wrong = EDGES[dtype, kernel]
    edge = half[dtype].falsified[kernel]
    assert half[dtype].certified[edge.products].up_to == certified
    assert edge.no_margin is not None
    assert edge.wrong is not None
    assert (edge.no_margin[0], edge.no_margin[1].expected) == no_margin
    assert (edge.wrong[0], edge.wrong[1].expected) == wrong
    assert edge.no_margin[0] - certified <= 2  # the edges meet
    assert half[dtype].gap(kernel) == 0


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_tie_is_told_from_a_wrong_token(half: dict[str, Frontier], dtype: str) -> None:
    for edge in half[dtype].falsified.values():
        assert edge.no_margin is not None
        assert edge.wrong is not None
        assert edge.wrong[1].produced != edge.wrong[1].expected
        assert edge.no_margin[0] <= edge.wrong[0]
        assert edge.no_margin[1].margin is not None
        assert not edge.no_margin[1].margin > 0
    tied = half["float16"].falsified["fma"].no_margin
    assert tied is not None
    assert (tied[1].produced, tied[1].margin) == (tied[1].expected, 0)  # it won by the order of the tokens alone


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_nothing_fails_below_the_certified_edge(half: dict[str, Frontier], dtype: str) -> None:
    """What the certificates exclude is run here all the same: every V, every token, every kernel that they cover."""
    covered: dict[str, tuple[Bias, ...]] = {"either": get_args(Bias), "separate": ("separate",), "fused": ("fma",)}
    for products, kernels in covered.items():
        certified = half[dtype].certified[products]
        for vocab_size in range(certified.first, certified.up_to + 1):
            for kernel in kernels:
                found = failures(PAIR(vocab_size), TorchArithmetic(dtype, bias=kernel))
                assert found.no_margin is None, (products, kernel, vocab_size)


def test_every_target_at_the_certified_edge(half: dict[str, Frontier]) -> None:
    verdict = exhaust(PAIR(half["bfloat16"].certified["either"].up_to), TorchArithmetic("bfloat16"))
    assert verdict.holds
    assert verdict.cases == 16**2


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_runs_of_torchs_own_kernel_do_not_rely_on_how_it_rounds(half: dict[str, Frontier], dtype: str) -> None:
    edge = half[dtype].falsified["linear"]
    assert edge.first == half[dtype].certified["either"].up_to + 1
    assert edge.products in {"separate", "fused", "either"}
    assert products_of("separate", TorchArithmetic(dtype).fmt) == "separate"
    assert products_of("fma", TorchArithmetic(dtype).fmt) == "fused"


@pytest.mark.parametrize("kernel", ["separate", "fma"])
def test_the_command_reproduces_the_case(
    half: dict[str, Frontier], kernel: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = half["float16"].falsified[kernel].wrong
    assert found is not None
    words = found[1].reproduce.split()
    assert words[0] == "prefixproof"
    assert run([*words[1:], "--json"]) == 1
    case = json.loads(capsys.readouterr().out)["counterexample"]
    assert (case["expected"], case["produced"]) == (found[1].expected, found[1].produced)


SETTINGS: list[Construction] = [
    *(UnconditionalGeneration(size, 3, temperature=Softmax(9.0, "length")) for size in (2, 22, 40)),
    *(ConditionalGeneration(size) for size in (4, 17)),
    LongerResponses(3, 2),
]


@pytest.mark.heavy
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_scan_decides_as_a_certificate_does(dtype: str) -> None:
    arithmetic = certificate_arithmetic("rounded", dtype)
    scanner = Scanner(arithmetic)  # type: ignore[arg-type] # rounded, as it says
    decided = [(scanner.undecided(item) is None, certify(item, arithmetic).holds is True) for item in SETTINGS]
    assert all(scanned == proved for scanned, proved in decided)
    assert {scanned for scanned, _ in decided} == {True, False}


def test_a_scan_that_may_not_look_at_enough_cells_decides_nothing() -> None:
    scanner = Scanner(certificate_arithmetic("rounded", "float32"), budget=3)  # type: ignore[arg-type] # as above
    assert "more cells than the budget" in str(scanner.undecided(PAIR(4)))


def test_a_format_that_cannot_hold_the_weights_ends_the_search() -> None:
    family = Family("theorem-1", {"context": 2}, None, {"encoding": "integer"})
    found = find_frontier(family, dtype="float16", limit=400, first=300, kernels=("separate",))
    edge = found.falsified["separate"]
    assert found.certified["either"].up_to == 299
    assert edge.no_margin is not None or edge.refused is not None


def test_a_limit_below_the_edge_leaves_the_edge_open() -> None:
    found = _search("bfloat16", first=9, limit=10, kernels=("separate",))
    assert not found.found
    assert found.certified["either"].undecided is None
    assert found.certified["either"].up_to == 10
    assert found.gap("separate") is None


def test_an_interrupted_search_goes_on(tmp_path: Path) -> None:
    checkpoint = tmp_path / "state.json"
    runs = 0
    while True:
        # stops after every V
        found = _search("bfloat16", first=15, kernels=("separate",), checkpoint=checkpoint, seconds=1e-9)
        runs += 1
        if not checkpoint.exists():
            break
    assert runs > 3  # 15, 16 and 17 certified or not, for any products and for these; then 17 is run
    whole = _search("bfloat16", first=15, kernels=("separate",))
    assert found.to_json() | {"seconds": 0} == whole.to_json() | {"seconds": 0}


def test_a_checkpoint_of_another_search_is_refused(tmp_path: Path) -> None:
    checkpoint = tmp_path / "state.json"
    _search("bfloat16", checkpoint=checkpoint, seconds=1e-9)
    with pytest.raises(InvalidArgument, match="checkpoint: expected one of this search"):
        _search("float16", checkpoint=checkpoint)
    record = json.loads(checkpoint.read_text(encoding="utf-8"))
    record["frontier"]["versions"]["torch"] = "0"
    checkpoint.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(InvalidArgument, match="damaged or edited"):
        _search("bfloat16", checkpoint=checkpoint)
    del record["sha256"]
    checkpoint.write_text(sealed(record), encoding="utf-8")
    with pytest.raises(InvalidArgument, match="of the same versions"):
        _search("bfloat16", checkpoint=checkpoint)
    record["frontier"]["certified"] = 3
    checkpoint.write_text(sealed(record), encoding="utf-8")
    with pytest.raises(InvalidArgument, match="expected the JSON of a frontier"):
        _search("bfloat16", checkpoint=checkpoint)
    checkpoint.write_text("[]", encoding="utf-8")
    with pytest.raises(InvalidArgument, match="expected a checkpoint file"):
        _search("bfloat16", checkpoint=checkpoint)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float8"}, "dtype"),
        ({"limit": 0}, "limit"),
        ({"first": 0}, "first"),
        ({"first": 9, "limit": 8}, "limit"),
        ({"kernels": ()}, "kernels: expected at least one"),
        ({"kernels": ("both",)}, "kernels"),
        ({"dtype": "float64", "kernels": ("fma",), "limit": 2}, "bias: expected linear or separate in float64"),
    ],
)
def test_bad_input(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        _search(**{"dtype": "bfloat16", "first": 1, **options})


def test_a_kernel_that_does_not_round_as_assumed_shows(half: dict[str, Frontier]) -> None:
    """A record in which a kernel fails below what is certified has a negative gap."""
    found = Frontier.from_json(half["bfloat16"].to_json())
    found.certified["separate"].up_to = 30
    gap = found.gap("separate")
    assert gap is not None
    assert gap < 0


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("products", "kernel", "certified", "no_margin", "wrong"),
    [("separate", "separate", 2552, 2553, (2562, 2391)), ("fused", "fma", 2928, 2929, None)],
)
def test_the_edges_of_float32(
    products: str, kernel: Any, certified: int, no_margin: int, wrong: tuple[int, int] | None
) -> None:
    family = Family("theorem-1", {"context": 4})
    scanner = Scanner(certificate_arithmetic("rounded", "float32", products=products))  # type: ignore[arg-type] # as above
    assert scanner.undecided(family(certified)) is None
    assert scanner.undecided(family(certified + 1)) is not None
    arithmetic = TorchArithmetic("float32", bias=kernel)
    assert failures(family(certified), arithmetic).no_margin is None
    assert no_margin == certified + 1
    assert failures(family(no_margin), arithmetic).no_margin is not None
    if wrong is not None:
        assert failures(family(wrong[0] - 1), arithmetic).wrong is None
        case = failures(family(wrong[0]), arithmetic).wrong
        assert case is not None
        assert case.expected == wrong[1]


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("temperature", "context", "certified", "failing"), [(50.0, 32, 56, 57), (50.0, 64, 2, 3), (50.0, 16, 1923, 1924)]
)
def test_the_edges_of_float32_where_attention_leaks(
    temperature: float, context: int, certified: int, failing: int
) -> None:
    family = Family("theorem-1", {"context": context}, Softmax(temperature, "length"))
    scanner = Scanner(certificate_arithmetic("rounded", "float32"))  # type: ignore[arg-type] # as above
    assert scanner.undecided(family(certified)) is None
    # real numbers fail at the first two; at the last the softmax and the sums of the library at hand decide where,
    # within the 3 per cent which the document leaves between its edges
    sizes = range(failing, failing + failing * 3 // 100 + 1)
    found = (failures(family(size), TorchArithmetic("float32", bias="separate")).no_margin for size in sizes)
    first = next(case for case in found if case is not None)
    assert first.margin is not None
    assert np.isfinite(float(first.margin))
