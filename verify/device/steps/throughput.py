"""How many sequences a second are verified on the device, beside plain decoding in the same run."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, final

import numpy as np

from constructions import ResidualGeneration, UnconditionalGeneration
from constructions.formats import get_format
from constructions.validation import IntArray, InvalidArgument
from verify.arithmetic import get_arithmetic
from verify.device.base import Data, Judgement, NotDoneError, Setting, Step, Task
from verify.extras import needed
from verify.running.cases import Runner

#: The format of all of them, and the bytes of a number.
_DTYPE, _BYTES = "float32", 4

#: Takes targets; returns how many of them did not come out as they should.
Engine = Callable[[IntArray], int]


@dataclass(frozen=True)
class _Amount:
    """How much is measured.

    Attributes:
        sizes: V and N.
        batches: sequences that run together.
        seconds: for each engine and batch, at least; and at least three rounds.
        matrix: rows of the matrices whose product is measured.
        copied: numbers that are copied.

    """

    sizes: Sequence[tuple[int, int]]
    batches: Sequence[int]
    seconds: float
    matrix: int
    copied: int


@final
class Throughput(Step):
    """Sequences a second, every token and margin checked, and how near to its roofline the dominating operation is."""

    name = "throughput"
    summary = "verified sequences a second, against a plain loop and Hugging Face's generate, and the roofline"
    seconds: ClassVar = {"full": 150.0, "tiny": 90.0}
    amounts: ClassVar[Mapping[str, _Amount]] = MappingProxyType(
        {
            "full": _Amount(((94, 20), (10, 6), (4, 8)), (1024, 4096, 16384), 0.4, 8192, 2**28),
            "tiny": _Amount(((4, 4),), (8,), 0.01, 128, 2**16),
        }
    )

    def tasks(self, setting: Setting) -> Iterator[Task]:
        """Yield the device's own rates, and for each size the engines, their ratios and what dominates."""
        amount, device = self.amounts[setting.preset], setting.device
        rates: dict[str, float] = {}
        yield Task("measured rates", lambda: _rates(rates, amount, device))
        for size in amount.sizes:
            fastest: dict[str, tuple[float, int]] = {}
            shown = f"V = {size[0]}, N = {size[1]}"
            for name in ENGINES:
                yield Task(f"{shown}: {name}", _measured(name, size, amount, device, fastest))
            yield Task(f"{shown}: ratios", _ratios(fastest))
            yield Task(f"{shown}: roofline", _roofline(size, fastest, rates, device))

    def judge(self, data: Data) -> Judgement:
        """Every sequence must be right; how fast they are is a finding."""
        if not data:
            raise ValueError("nothing was measured")
        if "batches" not in data:
            return Judgement(None, ", ".join(f"{name} {_short(value)}" for name, value in data.items()))
        best = max(data["batches"].values(), key=lambda row: float(row["sequences a second"]))
        quartiles = ", ".join(f"{each:,.0f}" for each in best["quartiles"])
        return Judgement(
            data["sequences"] > 0 and data["wrong"] == 0,
            f"{best['sequences a second']:,.0f} sequences a second (quartiles {quartiles}; {best['rounds']} rounds);"
            f" {data['wrong']} of {data['sequences']} sequences wrong",
        )


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _rates(rates: dict[str, float], amount: _Amount, device: str) -> Data:
    from verify.arithmetic.emulated import matmul_precision  # noqa: PLC0415 # torch takes seconds to import
    from verify.device.roofline import measured_rates  # noqa: PLC0415 # the same

    with matmul_precision("highest"):
        found = asdict(measured_rates(_DTYPE, device, size=amount.matrix, count=amount.copied))
    rates.update(found)
    return found


def _verified(kernel: str) -> Callable[[tuple[int, int], str], Engine]:
    """Return the engine that treats a batch as ``exhaust`` does: it checks every token and every margin."""

    def make(size: tuple[int, int], device: str) -> Engine:
        construction = UnconditionalGeneration(*size)
        runner = Runner(construction, get_arithmetic(kernel, dtype=_DTYPE, device=device))

        def run(targets: IntArray) -> int:
            outcome = runner.run(targets, np.zeros((len(targets), 0), dtype=np.int64))
            return int(outcome.failures().any(axis=1).sum())

        return run

    return make


def _plain(size: tuple[int, int], device: str) -> Engine:
    import torch  # noqa: PLC0415 # torch takes seconds to import

    from verify.arithmetic.emulated import matmul_precision  # noqa: PLC0415 # the same
    from verify.device.loops import PlainLoop  # noqa: PLC0415 # the same

    construction = UnconditionalGeneration(*size)
    loop = PlainLoop(construction, _DTYPE, device)

    def run(targets: IntArray) -> int:
        rows = construction.virtual_tokens(targets).to_float(get_format(_DTYPE))[:, 0]
        with matmul_precision("highest"):
            made = loop.run(torch.from_numpy(rows.copy()).to(device, torch.float32))
        return int((made.cpu().numpy() != targets).any(axis=1).sum())

    return run


def _huggingface(size: tuple[int, int], device: str) -> Engine:
    import torch  # noqa: PLC0415 # torch takes seconds to import

    try:
        transformers = needed("transformers", "throughput")
        from verify.huggingface import to_huggingface  # noqa: PLC0415 # the same

        construction = ResidualGeneration(*size)
        model = to_huggingface(construction, dtype=_DTYPE).to(device)
    except InvalidArgument as error:
        raise NotDoneError(str(error)) from None
    ends = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    config = transformers.GenerationConfig(max_new_tokens=size[1], do_sample=False, use_cache=True, **ends)

    def run(targets: IntArray) -> int:
        rows = construction.virtual_tokens(targets).to_float(get_format(_DTYPE))
        embedded = torch.from_numpy(rows.copy()).to(device, torch.float32)
        mask = torch.ones(embedded.shape[:2], dtype=torch.long, device=device)
        with torch.no_grad():
            made = model.generate(inputs_embeds=embedded, attention_mask=mask, generation_config=config)
        return int((made.cpu().numpy() != targets).any(axis=1).sum())

    return run


#: The engines by name; each encodes the virtual tokens and compares its answers with the targets.
ENGINES: Mapping[str, Callable[[tuple[int, int], str], Engine]] = MappingProxyType(
    {
        "verified, dense": _verified("torch"),
        "verified, structured": _verified("structured"),
        "plain loop": _plain,
        "Hugging Face generate": _huggingface,
    }
)


def _measured(
    name: str, size: tuple[int, int], amount: _Amount, device: str, fastest: dict[str, tuple[float, int]]
) -> Callable[[], Data]:
    def run() -> Data:
        from verify.device.roofline import seconds_of  # noqa: PLC0415 # torch takes seconds to import

        engine, rows, wrong, sequences = ENGINES[name](size, device), {}, 0, 0
        rates: dict[int, float] = {}
        for batch in amount.batches:
            targets = UnconditionalGeneration(*size).targets.sample(batch, seed=batch)
            wrong, sequences = wrong + engine(targets), sequences + batch  # the first round warms up
            taken: list[float] = []
            while len(taken) < 3 or sum(taken) < amount.seconds:
                taken.append(seconds_of(partial(engine, targets), device))
            low, _, high = statistics.quantiles(taken, n=4)
            rates[batch] = batch / statistics.median(taken)
            rows[str(batch)] = {
                "rounds": len(taken),
                "sequences a second": rates[batch],
                "quartiles": [batch / high, batch / low],
                "fastest": batch / min(taken),
                "slowest": batch / max(taken),
            }
        best = max(rates, key=lambda batch: rates[batch])
        fastest[name] = rates[best], best
        return {"batches": rows, "wrong": wrong, "sequences": sequences}

    return run


def _ratios(fastest: Mapping[str, tuple[float, int]]) -> Callable[[], Data]:
    def run() -> Data:
        others = [name for name in ENGINES if name in fastest and not name.startswith("verified")]
        ours = [name for name in ENGINES if name in fastest and name.startswith("verified")]
        if not others or not ours:
            raise NotDoneError("nothing was measured that could be compared")
        return {f"{one} over {other}": fastest[one][0] / fastest[other][0] for one in ours for other in others}

    return run


def _roofline(
    size: tuple[int, int], fastest: Mapping[str, tuple[float, int]], rates: Mapping[str, float], device: str
) -> Callable[[], Data]:
    def run() -> Data:
        from verify.device.roofline import Rates, dominating  # noqa: PLC0415 # torch takes seconds to import

        name = "verified, dense"
        if name not in fastest or not rates:
            raise NotDoneError("the rates, or the engine, were not measured")
        batch = fastest[name][1]
        engine = ENGINES[name](size, device)
        targets = UnconditionalGeneration(*size).targets.sample(batch, seed=batch)
        engine(targets)
        found = dominating(lambda: engine(targets), device, _BYTES, Rates(**rates))
        return {"engine": name, "batch": batch, **found}

    return run
