"""Layers of other authors that compute otherwise of numbers than of bounds, in a batch, or when they run again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from constructions import Construction, HandBuilt, InvalidArgument, Layer, Linear, Softmax, Transformer
from constructions.activations import Identity, Relu
from constructions.domain import Domain
from constructions.layers import Unmarked
from constructions.layers.weighted import authored, held, runs_by_position
from constructions.layers.widths import Width
from constructions.specifying import specify
from tests.certificates.own import nearest, rounded
from tests.redteam.test_lengths import Declared, V, repeating, spoiled
from verify import EngineArithmetic, NumpyArithmetic, RationalArithmetic, TorchArithmetic, exhaust, fuzz
from verify.certificates import bit_exact, certificate_arithmetic, certify
from verify.certificates.enclosing import EnclosingArithmetic
from verify.frontier.scan import Scanner


@dataclass(frozen=True, eq=False)
class Own(Layer[Any]):
    """The identity, but where something else says so."""

    changes: Any
    name: str = "own"

    def fitted(self, width: Width) -> Width:
        return width

    def apply(self, run: Any, rows: Any, *, last_only: bool = False) -> Any:
        rows = run.operations.last(rows) if last_only else rows
        return self.changes(run, rows)


def of_numbers(run: Any, rows: Any) -> Any:
    return rows if isinstance(run.operations, EnclosingArithmetic) else spoiled(run, rows)


def of_arrays(run: Any, rows: Any) -> Any:
    return 2 * rows if isinstance(rows, (np.ndarray, torch.Tensor)) else rows


def of_a_batch(run: Any, rows: Any) -> Any:
    """Look at how many cases there are: right in a batch, and alone not."""
    return rows if len(run.operations.numbers(rows)) > 1 else spoiled(run, rows)


def _third(run: Any, rows: Any, calls: Iterator[int]) -> Any:
    return rows if next(calls) < 4 else spoiled(run, rows)


def of_a_mean(run: Any, rows: Any) -> Any:
    """Put the mean over the batch in the place of each case, and give it back for a batch of all."""
    if not isinstance(rows, torch.Tensor):
        return rows
    return rows if len(rows) == V else rows.mean(0, keepdim=True) + 0 * rows + 1


@pytest.mark.parametrize("changes", [of_numbers, of_arrays])
def test_a_layer_that_knows_bounds_from_numbers(changes: Any) -> None:
    wrong = repeating(Own(changes))
    assert exhaust(wrong, NumpyArithmetic("float32")).holds is False
    verdict = certify(wrong, certificate_arithmetic("rounded"))
    assert verdict.holds is None
    assert "is not right in torch float32, where Own runs on numbers" in str(verdict.reason)


def test_real_numbers_are_held_against_rational_ones() -> None:
    wrong = repeating(Own(of_numbers))
    assert "is not right in rational, where Own runs" in str(certify(wrong, certificate_arithmetic("ball")).reason)


def of_tensors(_run: Any, rows: Any) -> Any:
    return -2 * rows if isinstance(rows, torch.Tensor) else rows


def test_a_layer_that_knows_tensors_from_rows_of_the_engine() -> None:
    """Bounds that the layer was run on say nothing of the dense arithmetic, which is wrong in the drawn cases."""
    wrong = repeating(Own(of_tensors))
    assert exhaust(wrong, TorchArithmetic("float32")).holds is False
    assert exhaust(wrong, EngineArithmetic("float32")).holds is not True


@pytest.mark.parametrize("changes", [of_a_batch, of_a_mean])
def test_a_layer_that_depends_on_its_batch(changes: Any) -> None:
    wrong = repeating(Own(changes))
    assert certify(wrong, certificate_arithmetic("rounded")).holds is None
    verdict = exhaust(wrong, TorchArithmetic("float32"))
    assert not verdict.holds


def test_a_layer_that_counts_its_calls() -> None:
    calls = count()
    wrong = repeating(Own(lambda run, rows: _third(run, rows, calls)))
    verdict = exhaust(wrong, TorchArithmetic("float32"))
    assert not verdict.holds


def test_a_layer_that_draws_random_numbers() -> None:
    random = np.random.default_rng(0)
    wrong = repeating(Own(lambda run, rows: spoiled(run, rows) if random.random() < 0.5 else rows))
    for _ in range(5):
        assert not exhaust(wrong, TorchArithmetic("float32")).holds
        assert not certify(wrong, certificate_arithmetic("rounded")).holds


@dataclass(frozen=True, eq=False)
class Other(Linear[Any]):
    """A linear map that holds other weights in floats."""

    def map(self, change: Any, *more: Any) -> Any:
        made: Any = super().map(change, *more)
        if isinstance(made.weight, torch.Tensor):
            made.weight.mul_(2)
        return made


def test_a_layer_that_holds_other_weights_in_floats() -> None:
    wrong = repeating(Other([[1]], [[0]], activation=None, name="other"))
    assert exhaust(wrong, TorchArithmetic("float32")).holds is False
    assert certify(wrong, certificate_arithmetic("rounded")).holds is None


@dataclass(frozen=True, eq=False)
class Property(Layer[Any]):
    """A layer whose weight is another one every second time."""

    weight: Any = held("W")
    name: str = "property"

    def __post_init__(self) -> None:
        self._expressions("property")

    def __getattribute__(self, name: str) -> Any:
        found = object.__getattribute__(self, name)
        if name == "weight" and isinstance(found, torch.Tensor):
            calls: Iterator[int] = vars(self).setdefault("calls", count())
            return found if next(calls) % 3 else 2 * found
        return found

    def fitted(self, width: Width) -> Width:
        return width

    def apply(self, run: Any, rows: Any, *, last_only: bool = False) -> Any:
        made = run.operations.linear(rows, self.weight)
        return run.operations.last(made) if last_only else made


def test_a_layer_whose_weight_is_another_now_and_then() -> None:
    wrong = repeating(Property([[1]]))
    assert not exhaust(wrong, TorchArithmetic("float32")).holds
    assert not certify(wrong, certificate_arithmetic("rounded")).holds


class Blunt(Softmax):
    """A temperature that falls with the length."""

    def gap(self, *, key_size: int, length: int) -> float:
        return self.inverse_temperature if length < 3 else 1e-3


@dataclass(frozen=True, repr=False)
class AtBlunt(type(repeating())):  # type: ignore[misc] # a construction of given parts
    """A construction at such a temperature."""

    def default_temperature(self, fmt: Any) -> Any:
        return Blunt(100.0)


def test_a_temperature_of_ones_own_is_refused() -> None:
    made = repeating()
    own = AtBlunt(made.vocab_size, 1, made.embedding, made.layers, steps=3, promise=made.promise)
    runs: list[Callable[[], Any]] = [
        lambda: certify(own, certificate_arithmetic("rounded")),
        lambda: exhaust(own, RationalArithmetic()),
    ]
    for run in runs:
        with pytest.raises(InvalidArgument, match="temperature: expected"):
            run()
    with pytest.raises(InvalidArgument, match="temperature: expected"):
        repeating(temperature=Blunt(100.0))


@dataclass(frozen=True, repr=False)
class Twofold(HandBuilt):
    """A model whose transformer is another one from the third time on that it is asked for."""

    honest: int = 3
    specification = specify(Domain.of(V, 1), lambda x: x, read=(0,))

    def made(self, shift: int) -> Any:
        read = nearest(V)
        bias = [[-v * v + (9 if v == shift else 0)] for v in range(V)]
        last = Linear(read.weight, bias, activation=None, name="readout")
        return Transformer([list(range(V))], (last,), 1, positions=Unmarked())

    @property
    def transformer(self) -> Any:
        calls: Iterator[int] = vars(self).setdefault("calls", count())
        return self.made(-1 if next(calls) < self.honest else 0)


@pytest.mark.parametrize("honest", [1, 2, 3, 5])
def test_a_transformer_that_is_another_later(honest: int) -> None:
    runs: list[Callable[[Any], Any]] = [
        lambda model: exhaust(model, TorchArithmetic("float32")),
        lambda model: certify(model, certificate_arithmetic("rounded")),
    ]
    for run in runs:
        try:
            assert not run(Twofold(honest=honest)).holds
        except InvalidArgument:
            continue


def test_numbers_that_are_looked_at_beside_bounds_everywhere() -> None:
    """No rounding, and a scan of the frontier, are said of what runs on numbers too."""
    wrong, right = repeating(Own(of_numbers)), repeating(Own(lambda _, rows: rows))
    assert "is not right in torch float32, where Own runs" in str(bit_exact(wrong, rounded()).reason)
    assert "is not right in torch float32, where Own runs" in str(Scanner(rounded()).undecided(wrong))
    assert bit_exact(right, rounded()).holds
    assert Scanner(rounded()).undecided(right) is None


def _hiding(activation: Any, changes: Callable[[Any, Any], Any]) -> Any:
    """Return an activation of this library with a method of somebody else's."""
    activation.apply = changes
    return activation


def test_an_activation_whose_attribute_hides_a_method() -> None:
    def changes(operations: Any, rows: Any) -> Any:
        return rows if isinstance(operations, EnclosingArithmetic) else operations.total([rows, rows])

    wrong = repeating(Linear([[1]], [[0]], activation=_hiding(Relu(), changes), name="eye"))
    assert exhaust(wrong, NumpyArithmetic("float32")).holds is False
    for kind in ("ball", "rounded"):
        verdict = certify(wrong, certificate_arithmetic(kind))
        assert verdict.holds is None
        assert "where Relu runs on numbers" in str(verdict.reason)


def test_a_readout_whose_activation_hides_a_method_is_none() -> None:
    readout = Linear([[1]], activation=_hiding(Identity(), lambda operations, rows: rows), name="readout")
    assert not readout.is_readout
    assert not Linear([[1]], activation=_hiding(Relu(), lambda operations, rows: rows), name="relu").has_relu


def test_the_name_of_a_module_makes_no_class_this_librarys() -> None:
    kind: Any = dataclass(frozen=True, eq=False)(
        type("Linear", (Linear,), {"__module__": Linear.__module__, "by_position": True})
    )
    layer = kind([[1]], activation=None, name="own")
    assert list(authored(layer)) == [kind]
    assert not runs_by_position(layer)
    assert runs_by_position(Linear([[1]], activation=None, name="ours"))


@dataclass(frozen=True, eq=False)
class Silent(Declared):
    """A layer that denies its own code."""

    code: Any = ()

    @property
    def own_code(self) -> Iterator[object]:
        return iter(())

    @property
    def authored(self) -> Iterator[type]:
        return iter(())

    @property
    def runs_by_position(self) -> bool:
        return True


def test_a_layer_that_denies_its_own_code() -> None:
    wrong = repeating(Silent())
    assert exhaust(wrong, NumpyArithmetic("float32")).holds is False
    for kind in ("ball", "rounded"):
        assert certify(wrong, certificate_arithmetic(kind)).holds is None
    assert wrong.transformer.authored == ["Silent"]


def test_a_right_one_holds() -> None:
    right: list[Callable[[], Construction]] = [lambda: repeating(Own(lambda _, rows: rows)), repeating]
    for make, assumed in zip(right, ("Own: the same function whenever it runs", None), strict=True):
        verdict = exhaust(make(), TorchArithmetic("float32"))
        assert verdict.holds
        assert verdict.assumptions == assumed
        assert certify(make(), certificate_arithmetic("rounded")).holds


def test_a_verdict_on_drawn_cases_names_other_authors() -> None:
    made = st.just(repeating(Own(lambda _, rows: rows)))
    verdict = fuzz(made, NumpyArithmetic("float32"), examples=5, claim="own")
    assert verdict.holds
    assert str(verdict.assumptions).startswith("Own: the same function whenever it runs")
