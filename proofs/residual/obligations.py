"""The obligations of both theorems in each architecture, on its own symbolic weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import sympy as sp

from constructions import Stream, Transformer
from constructions.residual import ResidualConditional, ResidualConstruction, ResidualGeneration
from constructions.residual.bounds import COUNTED_BITS
from constructions.residual.symbols import COUNTED
from proofs.decide import Decision
from proofs.obligations import Obligation
from proofs.residual.bounds import bounds
from proofs.residual.distances import distances, nearest
from proofs.residual.embeddings import embeds_a_count, embeds_positions, embeds_tokens
from proofs.residual.gates import gates, steps
from proofs.residual.homogeneity import layers, norms
from proofs.residual.selection import decodes, fetches, masks

_Selects = Callable[[Stream, Transformer], Iterator[Decision]]


@dataclass(frozen=True)
class _Subject:
    """A construction in an architecture, and what is said of it.

    Attributes:
        construction: its sizes play no part, but for rows of zeros that make up a width.
        layers: its layers in words.
        reading: the linear layers that read a norm.
        writing: the linear layers that write to the stream.
        selects: what is embedded, and how it selects.

    """

    construction: ResidualConstruction
    layers: str
    reading: tuple[str, ...]
    writing: tuple[str, ...]
    selects: tuple[_Selects, ...]

    def obligations(self, claim: str) -> Iterator[Obligation]:
        """Yield the obligations of a claim about it."""
        name, made = self.construction.architecture, self.construction

        def subject() -> Transformer:
            return made.transformer

        yield Obligation(
            f"{claim}.{name}-layers",
            f"The layers are those of {name}: norms before everything that reads the stream, uniform attention in the"
            " first block, and no weight but those that the other obligations speak of.",
            r"x \mapsto x + f(\operatorname{norm}(x))",
            partial(layers, self.layers, (*self.reading, *self.writing)),
            subject,
        )
        centred = made.design.norm.kind.centred
        yield Obligation(
            f"{claim}.{name}-norms",
            f"In {name}, whatever reads a norm passes its positive factor, and its mean not at all.",
            r"W f (x - m 1) = f W x, \qquad f > 0",
            lambda transformer: norms(made.stream, self.reading, centred=centred, transformer=transformer),
            subject,
        )
        yield Obligation(
            f"{claim}.{name}-selects",
            f"In {name}, attention fetches the numbers, MLPs leave the one at the place of the row and a 1, times one"
            " positive factor, and the token with that number has the largest logit.",
            r"z = l\, y/V,\quad o = l,\quad \mathrm{logit}_y - \mathrm{logit}_k = l\, (k - y)^2/V^2",
            self._selected,
            subject,
        )

    def _selected(self, transformer: Transformer) -> Iterator[Decision]:
        counted = COUNTED / sp.Integer(2) ** COUNTED_BITS if self.construction.counted else sp.S.Zero
        stream = self.construction.stream
        yield from fetches(stream, counted, transformer)
        for selects in self.selects:
            yield from selects(stream, transformer)
        yield from decodes(stream, transformer)


_FETCH, _READ_OUT = "fetch (a plain head)", "readout (identity)"


def _sequential(norm: str, mlp: str) -> str:
    return f"Residual[{norm}, {_FETCH}]; Residual[{norm}, {mlp}, write select (identity)]; {norm}; {_READ_OUT}"


def _parallel(*mlps: tuple[str, str]) -> str:
    blocks = [
        f"Residual[Sum[Chain[LayerNorm, {f'attention {at}' if at else 'fetch'} (a plain head)],"
        f" Chain[LayerNorm, {first} (gelu), {second} (identity)]]]"
        for at, (first, second) in enumerate(mlps)
    ]
    return f"{'; '.join(blocks)}; LayerNorm; {_READ_OUT}"


_IDLE, _SELECT, _PLACE = (("mlp 0", "write mlp 0"), ("select", "write select"), ("place", "write place"))
_MASKED = (("select", "readout"), ("write select",))
_GATED = (("gate of select", "value of select", "readout"), ("write select",))
_SILU = "Gated[gate of select (silu), value of select (identity)]"


def _subjects(made: Callable[..., ResidualConstruction], *sizes: int, counted: bool) -> tuple[_Subject, ...]:
    in_gpt2, in_opt, in_llama, in_neox = (
        made(*sizes, architecture=name) for name in ("gpt2", "opt", "llama", "gpt-neox")
    )
    told = (embeds_positions, masks) if counted else (embeds_tokens, masks)
    passed = (embeds_a_count, steps) if counted else (embeds_tokens, gates)
    gated = _Subject(in_llama, _sequential("RMSNorm", _SILU), *_GATED, passed)
    if counted:
        far = (embeds_a_count, distances, nearest)
        reading, writing = ("place", *_MASKED[0]), ("write place", *_MASKED[1])
        parallel = _Subject(in_neox, _parallel(_IDLE, _PLACE, _SELECT), reading, writing, far)
    else:
        parallel = _Subject(in_neox, _parallel(_IDLE, _SELECT), *_MASKED, told)
    return (
        _Subject(in_gpt2, _sequential("LayerNorm", "select (gelu with tanh)"), *_MASKED, told),
        _Subject(in_opt, _sequential("LayerNorm", "select (relu)"), *_MASKED, told),
        gated,
        parallel,
    )


def _obligations(claim: str, subjects: tuple[_Subject, ...]) -> tuple[Obligation, ...]:
    first = subjects[0].construction
    shared = Obligation(
        f"{claim}.bounds",
        "The masks and the gains are large enough: ones and zeros bound the length of a row, and so the factor of its"
        " norm; and one number says how far an activation is from its argument and from 0.",
        r"a (1-m)^2 + b m^2 \ge \frac{ab}{a+b}, \qquad \operatorname{act}(x) - x = \operatorname{act}(-x)",
        bounds,
        lambda: first.transformer,
    )
    return (shared, *(obligation for subject in subjects for obligation in subject.obligations(claim)))


GENERATION = "residual-theorem-1"
CONDITIONAL = "residual-theorem-2"
#: At these sizes no width needs zeros to make it up, but for one of them in Theorem 2 for Llama and GPT-NeoX.
GENERATION_OBLIGATIONS = _obligations(GENERATION, _subjects(ResidualGeneration, 1, 1, counted=True))
CONDITIONAL_OBLIGATIONS = _obligations(CONDITIONAL, _subjects(ResidualConditional, 1, counted=False))
