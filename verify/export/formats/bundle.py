"""Known answers for whoever tests a kernel: weights, prompts, promised tokens and exact logits, in one folder."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, final

import flint
import numpy as np
import torch
from torch import Tensor

from constructions.construction import Construction
from constructions.formats import Format, get_format
from constructions.temperature import RationalSoftmax, Softmax, Temperatures
from constructions.validation import IntArray, InvalidArgument
from verify.arithmetic.gaps import score_gap
from verify.arithmetic.tensors import TorchArithmetic
from verify.certificates.floats.arithmetic import RoundedArithmetic
from verify.evidence.verdict import margin_to_json
from verify.export.base import Export, ExportFormat, Held, forced, of_weights, read_bytes, read_words
from verify.export.enclosing import enclosed, recorded, unlike
from verify.export.exact_logits import rounded_once, true_logits, true_margins
from verify.export.formats.safetensors_file import read_weights, weights_file
from verify.export.record import ranks_of
from verify.files.atomic import write_atomically
from verify.files.folders import new_folder
from verify.files.strict import canonical, read_canonical
from verify.files.tensors import read_tensors, write_tensors

#: The number of this layout of files; a reader refuses any other.
SCHEMA = 1

MANIFEST = "manifest.json"
WEIGHTS, ARRAYS, EXACT = "weights.safetensors", "cases.safetensors", "cases.json"
#: The arrays of bounds, which are not the same bit for bit on every processor.
_BOUNDS = ("logits_low", "logits_high")


@final
class Bundle(ExportFormat):
    """A folder: weights, cases as arrays, cases as exact numbers, and a manifest with the digest of each file."""

    name: ClassVar[str] = "bundle"
    ending: ClassVar[str] = ""
    holds: ClassVar[str] = "weights, prompts, promised tokens, and logits as exact numbers and as floats"
    verified: ClassVar[str] = "every number is computed again, and the weights run as those of a torch module"

    def temperature(self, construction: Construction, dtype: str) -> Temperatures:
        """Return the temperature given, or an exact ``q`` about as sharp as the default of the number format.

        Logits at an exact ``q`` are rational numbers. The ``q`` of exact arithmetic's own default is no larger than
        margins need, and floats need more: it is the whole number below ``exp(T / sqrt(k))`` for the default ``T`` of
        the format and the largest key size ``k``, unless that is the smaller one.
        """
        exact, held = construction.temperature_for(None), construction.temperature_for(get_format(dtype))
        if construction.temperature is not None or not isinstance(exact, RationalSoftmax):
            return exact
        lowered = construction.transformer.lowered
        sizes = [head.key_size for layer in lowered.attentions for head in layer.heads]
        if not isinstance(held, Softmax) or not sizes:
            return exact
        gap = min(score_gap(held, key_size=size, length=lowered.context_size) for size in sizes)
        return RationalSoftmax(max(exact.q, Fraction(_floor_exp(gap))))

    def write(self, export: Export, path: Path) -> None:
        """Write the folder, whole or not at all.

        Raises:
            InvalidArgument: something is there already.

        """
        files: dict[str, bytes] = {WEIGHTS: weights_file(export, self)}
        said = _cases(export.construction, export.dtype, export.targets, export.user_inputs)
        files |= said.files
        document = {
            "schema": SCHEMA,
            "claim": export.claim,
            "dtype": export.dtype,
            "files": {name: _described(content) for name, content in files.items()},
            **said.words,
        }
        manifest = canonical({**document, "sha256": _sha256(canonical(document).encode())})
        with new_folder(path, "out") as folder:
            for name, content in {**files, MANIFEST: manifest.encode()}.items():
                write_atomically(folder / name, content)

    def read(self, path: Path) -> Held:
        """Return what the folder holds, once its files are those of the manifest."""
        name = f"bundle {path.name}"
        if not path.is_dir():
            raise InvalidArgument(f"{name}: expected a folder but {path} is not one")
        text = read_words(path / MANIFEST, name)
        document = read_canonical(text, name)
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            raise InvalidArgument(f"{name}: expected a manifest of schema {SCHEMA}, the one that this version reads")
        if document.pop("sha256", None) != _sha256(canonical(document).encode()):
            raise InvalidArgument(f"{name}: expected the manifest as it was written but its digest is of another")
        there = {entry.name for entry in path.iterdir()}
        known = {WEIGHTS, ARRAYS, EXACT}
        listed = document.get("files")
        # names are compared, and never opened: a manifest names no file that would be read elsewhere
        if not isinstance(listed, dict) or set(listed) != known or there != {*known, MANIFEST}:
            raise InvalidArgument(f"{name}: expected the files {', '.join(sorted(known))} and {MANIFEST}, and no other")
        files = {each: read_bytes(path / each, name) for each in sorted(known)}
        for each, content in files.items():
            if listed[each] != _described(content):
                raise InvalidArgument(f"{name}: expected {each} as the manifest has it but it was changed")
        record, weights = read_weights(files[WEIGHTS], f"{name}: {WEIGHTS}", self.name)
        read_tensors(files[ARRAYS], f"{name}: {ARRAYS}")
        held = Held(record, _sha256(text.encode()), weights, of_weights(record, weights), (files, document))
        if (record.claim, record.dtype) != (document.get("claim"), document.get("dtype")):
            raise InvalidArgument(f"{name}: expected the claim and the dtype of its weights in the manifest")
        return held

    def recognises(self, path: Path) -> bool:
        """Say whether a path is a folder with a manifest."""
        return (path / MANIFEST).exists()

    def check(self, held: Held, construction: Construction) -> str | None:
        """Compute every case again, and return which file is not as it must be."""
        files, document = held.more
        targets, inputs = held.record.cases(construction)
        again = _cases(construction, held.record.dtype, targets, inputs)
        if files[EXACT] != again.files[EXACT]:
            return f"other numbers in {EXACT}"
        other = _other_arrays(files[ARRAYS], again, get_format(held.record.dtype))
        if other is not None:
            return other
        said = {key: document.get(key) for key in again.words}
        return None if said == again.words and set(document) == _KEYS | set(again.words) else f"others in {MANIFEST}"


_KEYS = {"schema", "claim", "dtype", "files"}


def _floor_exp(value: float) -> int:
    """Return the whole number below ``exp(value)``, the same on every processor, as that of ``math.exp`` is not.

    Digits are added until the ball lies between two whole numbers, which it does as no ``exp`` of a float but that of 0
    is rational.
    """
    precision = 64
    while True:
        with flint.ctx.workprec(precision):
            found = flint.arb(value).exp().floor().unique_fmpz()
        if found is not None:
            return int(found)
        precision *= 2


@dataclass(frozen=True)
class _Said:
    """The files of the cases, what the manifest says of them, and the bounds found here: cases x ... x 2."""

    files: dict[str, bytes]
    words: dict[str, Any]
    bounds: np.ndarray[Any, Any]


def _other_arrays(content: bytes, again: _Said, fmt: Format) -> str | None:
    """Return which array is not as it must be: bit for bit, but for the bounds, which :func:`unlike` compares."""
    held, _ = read_tensors(content, ARRAYS)
    found, _ = read_tensors(again.files[ARRAYS], ARRAYS)
    exact = [{name: part for name, part in each.items() if name not in _BOUNDS} for each in (held, found)]
    if write_tensors(exact[0], {}) != write_tensors(exact[1], {}) or list(held) != list(found):
        return f"other numbers in {ARRAYS}"
    bounds = [held[name] for name in _BOUNDS]
    if any(part.dtype != torch.float64 or part.shape != found[_BOUNDS[0]].shape for part in bounds):
        return f"bounds of another kind in {ARRAYS}"
    narrow, wide = unlike(torch.stack(bounds, dim=-1).numpy(), again.bounds, fmt)
    for which, word in ((narrow, "narrower"), (wide, "wider")):
        if which.any():
            return f"bounds {word} than certified in {ARRAYS} at {np.argwhere(which)[0].tolist()}"
    return None


def _cases(construction: Construction, dtype: str, targets: IntArray, user_inputs: IntArray) -> _Said:
    tokens = forced(construction, targets, user_inputs)
    places = _places(construction)
    low, high, numbers = true_logits(construction, targets, tokens, places)
    promised = construction.response(targets, user_inputs)
    margins = true_margins(construction, promised, low, high)
    prompts = construction.virtual_tokens(targets)
    kernel = RoundedArithmetic.of(dtype)
    bounds = enclosed(construction, kernel, targets, tokens)[:, places]
    with_room = recorded(bounds, kernel.fmt)
    floats, undecided = rounded_once(low, high, dtype)
    tensors: dict[str, Tensor] = {
        "virtual_tokens": TorchArithmetic(dtype).prompt(prompts),
        "tokens": torch.from_numpy(tokens),
        "places": torch.tensor(places, dtype=torch.int64),
        "targets": torch.from_numpy(targets),
        "user_inputs": torch.from_numpy(user_inputs),
        "logits": torch.from_numpy(floats).to(getattr(torch, dtype)),
        **{name: torch.from_numpy(with_room[..., end].copy()) for end, name in enumerate(_BOUNDS)},
    }
    if construction.reading.gives_tokens:
        tensors["promised"] = torch.from_numpy(np.asarray(promised, dtype=np.int64))
    exact = [
        {
            "rank": rank,
            "target": targets[case].tolist(),
            "user_input": user_inputs[case].tolist(),
            "virtual_tokens": [[_text(value) for value in row] for row in prompts[case].to_fractions()],
            "promised": [value if isinstance(value, int) else _text(value) for value in promised[case].tolist()],
            **_shown("logits", low[case], high[case]),
            "margins": [_text(value) for value in margins[case]],
        }
        for case, rank in enumerate(ranks_of(construction, targets))
    ]
    words = {
        "numbers": numbers,
        "temperature": construction.temperature_for(get_format(dtype)).sentence,
        "margin": _text(min(value for row in margins for value in row)),
        "cases": str(len(targets)),
        "undecided_roundings": str(undecided),
        "bounds": kernel.assumptions(),
    }
    return _Said({ARRAYS: write_tensors(tensors, {}), EXACT: canonical(exact).encode()}, words, bounds)


def _places(construction: Construction) -> list[int]:
    """Return the positions at which the response is read, virtual ones counted."""
    layout = construction.layout
    if layout.read is not None:
        return [layout.virtual + place for place in layout.read]
    return [layout.virtual + layout.user - 1 + step for step in range(layout.response)]


def _shown(name: str, low: Any, high: Any) -> dict[str, Any]:
    if low is high or low == high:
        return {name: [[_text(value) for value in row] for row in low]}
    return {
        f"{name}_above": [[_text(value) for value in row] for row in low],
        f"{name}_below": [[_text(value) for value in row] for row in high],
    }


def _text(value: Fraction) -> str:
    return str(margin_to_json(Fraction(value)))


def _described(content: bytes) -> dict[str, str]:
    return {"bytes": str(len(content)), "sha256": _sha256(content)}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
