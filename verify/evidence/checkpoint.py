"""How far an enumeration is, in a file: what is damaged, edited or of another run is refused.

The digest over the record guards against damage and edits, but not against someone who computes it again, and a
keyed one would guard no better, as the key would lie beside the lock. What meets a forger is what a run does before it
goes on: cases drawn from all those that the file calls done, and the batch of the smallest margin, run again.

How many threads torch uses is not asked: a run may go on with more of them. If that changes numbers, the smallest
margin is not the same again, and the checkpoint is refused for it.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from constructions.construction import Construction
from constructions.specification import Specification
from constructions.validation import InvalidArgument
from verify.evidence.fingerprint import code_sha256, surroundings
from verify.evidence.ranges import tally_ranks
from verify.evidence.tally import Tally
from verify.evidence.verdict import Margin, decimal, margin_from_json, margin_to_json
from verify.files.atomic import write_atomically
from verify.running.batches import Batch, enumerated, spaces, together
from verify.running.cases import Runner, batch_size, declared

#: Cases whose virtual tokens and promised responses are part of the digest of a run.
_SAMPLED = 64
#: Cases of those that a checkpoint calls done that are run again. If one case in ``k`` of them was never right, they
#: all pass with a chance of at most ``(1 - 1/k)^64``.
REPLAYED = 64
#: Bytes of the largest checkpoint: its key holds a few digests, and one ``repr``, which is refused beyond.
_LARGEST = 2**24
#: More cases than any machine runs: at a billion in a second it would have run for 146 years.
_MOST_CASES = 2**62


def run_sha256(construction: Specification) -> str:
    """Return a digest of what is run: never resume from another run's checkpoint.

    Every exact weight, where there are ReLUs, the mask, and, for :data:`_SAMPLED` cases drawn with a fixed seed, the
    virtual tokens and the promised response.
    """
    weights = construction.transformer.lowered.sha256 if isinstance(construction, Construction) else "none"
    digest = hashlib.sha256(weights.encode())
    digest.update(repr(declared(construction)).encode())
    targets, inputs = (space.sample(_SAMPLED, seed=0) for space in spaces(construction))
    ratios, response = construction.prompts(targets), construction.response(targets, inputs)
    for numbers in ([] if ratios is None else [ratios.numerators]) + [inputs, response]:
        # Python integers, as objects, have no bytes of their own
        digest.update(repr(numbers.tolist()).encode() if numbers.dtype == object else numbers.tobytes())
    digest.update(hex(1 if ratios is None else ratios.denominator).encode())
    return digest.hexdigest()


def run_key(runner: Runner) -> Mapping[str, Any]:
    """Return what a checkpoint is of, as JSON values."""
    construction, backend = runner.construction, runner.backend
    return {
        "construction": repr(construction),
        "run": run_sha256(construction),
        "code": code_sha256(construction, *backend.looked_at(), whole=backend.code()),
        "arithmetic": backend.name,
        "made by": ", ".join(backend.arguments()),
        "device": backend.device,
        **backend.key(construction),
        **surroundings(),
    }


def changed_since(construction: Specification, sha256: str) -> str | None:
    """Return in words that :func:`run_sha256` is another now than it was, ``None`` where it is the same.

    A run in shards asks for it before all else. Code that changes with the first call is the same from then on, and no
    case that is asked again would show it.
    """
    try:
        same = run_sha256(construction) == sha256
    except InvalidArgument as error:
        return f"encode or answer, asked again: {error}"
    return None if same else "encode or answer is no function: drawn cases are others than before the run"


def sealed(record: Mapping[str, Any]) -> str:
    """Return a record as JSON with its digest in it."""
    return json.dumps({**record, "sha256": _sha256(record)}, indent=1)


def _sha256(record: Mapping[str, Any]) -> str:
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def unsealed(path: Path, names: set[str]) -> dict[str, Any]:
    """Return the record of a file that :func:`sealed` wrote.

    Args:
        path: the file.
        names: the keys that the record must have.

    Raises:
        InvalidArgument: no such file, or one that is damaged or was edited.

    """
    if not path.is_file():
        _refuse(path, "it is no regular file")
    if path.stat().st_size > _LARGEST:
        _refuse(path, f"it is larger than {_LARGEST} bytes")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        _refuse(path, str(error))
    if not isinstance(record, dict) or set(record) != names | {"sha256"}:
        _refuse(path, f"it has not the keys {', '.join(sorted(names | {'sha256'}))}")
    digest = record.pop("sha256")
    try:
        fits = _sha256(record) == digest
    except (ValueError, RecursionError):
        fits = False
    if not fits:
        _refuse(path, "it was damaged or edited: its digest is another")
    return record


def _refuse(path: Path, why: str) -> NoReturn:
    raise InvalidArgument(f"checkpoint: expected a checkpoint file but {path} is not: {' '.join(why.split())}")


@dataclass(frozen=True)
class Resumed:
    """The part of a run that was taken over.

    Attributes:
        cases: how many were done.
        saved: when, in UTC.
        replayed: how many of them were run again.

    """

    cases: int
    saved: str
    replayed: int

    def to_json(self) -> Mapping[str, Any]:
        """Return JSON values."""
        return {"cases": decimal(self.cases), "saved": self.saved, "replayed": self.replayed}


class Checkpoint:
    """The file of one run."""

    def __init__(self, path: Path, runner: Runner) -> None:
        """Take the file of a run; it need not be there."""
        self.path, self.runner = path, runner
        self.key = run_key(runner)

    def keep(self, tally: Tally) -> None:
        """Write how far the run is."""
        closest = None
        if tally.closest is not None:
            _, batch, place = tally.closest
            closest = {"batch": batch.name, "place": place}
        record = {
            "key": self.key,
            "cases": decimal(tally.cases),
            "margin": margin_to_json(tally.margin),
            "closest": closest,
            "saved": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        write_atomically(self.path, sealed(record))

    def remove(self) -> None:
        """Remove the file of a run that is finished."""
        self.path.unlink(missing_ok=True)

    def resume(self, space: int) -> tuple[Tally, Resumed | None]:
        """Return how far the run was, after running some of its cases again.

        Args:
            space: how many cases there are.

        Raises:
            InvalidArgument: the file is damaged or was edited, belongs to another run, or is not true of this one.

        """
        if not self.path.exists():
            return Tally(), None
        record = unsealed(self.path, {"key", "cases", "margin", "closest", "saved"})
        self._check_key(record["key"])
        cases = self._cases(record["cases"], space)
        margin = self._margin(record["margin"])
        if not isinstance(record["saved"], str) or not re.fullmatch(r"[0-9T:+-]{19,32}", record["saved"]):
            _refuse(self.path, f"saved is no time: {record['saved']!r}")
        tally = Tally(cases, margin)
        if margin is not None:
            tally.closest = self._closest(record["closest"], cases, margin)
        replayed = self._replay(tally, seed=int(_sha256(record)[:16], 16))
        return tally, Resumed(cases, record["saved"], replayed)

    def _check_key(self, held: Any) -> None:
        if not isinstance(held, dict):
            _refuse(self.path, "its key is no object")
        if held == self.key:
            return
        mine, theirs = self.key, held
        if any(mine[name] != theirs.get(name) for name in ("construction", "arithmetic")):
            raise InvalidArgument(
                f"checkpoint: expected one of {mine['construction']} in {mine['arithmetic']} but {self.path} is of"
                f" {theirs.get('construction')} in {theirs.get('arithmetic')}"
            )
        names = sorted(name for name in {*mine, *theirs} if mine.get(name) != theirs.get(name))
        raise InvalidArgument(
            f"checkpoint: expected one of this very run but {self.path} differs in {', '.join(names)}; remove it to"
            " start afresh"
        )

    def _cases(self, value: Any, space: int) -> int:
        if not isinstance(value, str) or not re.fullmatch(r"[1-9][0-9]*", value) or len(value) > len(str(_MOST_CASES)):
            _refuse(self.path, f"cases is no count: {str(value)[:20]!r}")
        cases = int(value)
        if cases > min(space, _MOST_CASES):
            _refuse(self.path, f"it has {value} cases of {decimal(space)}")
        return cases

    def _margin(self, value: Any) -> Margin | None:
        try:
            margin = margin_from_json(value)
        except (TypeError, ValueError, ZeroDivisionError) as error:
            _refuse(self.path, str(error))
        if margin is None:
            if self.runner.has_margins:
                _refuse(self.path, "it has no margin")
            return None
        exact = self.runner.backend.exact
        if isinstance(margin, Fraction) is not exact or not margin > 0 or margin == math.inf:
            _refuse(self.path, f"no margin of a run in {self.runner.backend.name} is {value!r}")
        return margin if exact else float(margin)

    def _closest(self, value: Any, cases: int, margin: Margin) -> tuple[Runner, Batch, int]:
        """Run the batch of the smallest margin again; its place and its margin must be those of the file."""
        match = re.fullmatch(r"([0-9]{1,40})\.\.([0-9]{1,40})", value["batch"]) if _is_place(value) else None
        if match is None:
            _refuse(self.path, f"closest is no place in a batch: {value!r}")
        start, last = int(match[1]), int(match[2])
        largest = max(batch_size(self.runner.construction), 1)
        if not start <= last < cases or last - start >= largest or value["place"] > last - start:
            _refuse(self.path, f"closest is no place in a batch that was done: {value!r}")
        found = tally_ranks(self.runner, start, last + 1, size=last + 1 - start)
        if found.failure is not None or found.margin != margin or found.closest != start + value["place"]:
            given = found.margin if found.failure is None else f"a failure in case {found.failure}"
            raise InvalidArgument(
                f"checkpoint: expected a smallest margin of {margin} in cases {value['batch']} as {self.path} has it,"
                f" but they give {given} when run again; remove it to start afresh"
            )
        return self.runner, enumerated(self.runner.construction, start, last + 1), value["place"]

    def _replay(self, tally: Tally, *, seed: int) -> int:
        """Run cases drawn from those done again; return how many."""
        construction, draw = self.runner.construction, random.Random(seed)  # noqa: S311 # no secret
        count = min(REPLAYED, tally.cases)
        numbers = sorted(draw.sample(range(tally.cases), count))
        size = batch_size(construction)
        for start in range(0, len(numbers), size):
            batch = together([enumerated(construction, number, number + 1) for number in numbers[start : start + size]])
            outcome = self.runner.run(batch.targets, batch.inputs)
            failed = outcome.failures().any(axis=1)
            if self.runner.backend.exact and tally.margin is not None:
                failed |= outcome.margins.min(axis=1) < tally.margin
            if failed.any():
                number = numbers[start + int(np.argmax(failed))]
                raise InvalidArgument(
                    f"checkpoint: expected case {number} to be right as {self.path} has it, but it is not when run"
                    " again; remove it to start afresh"
                )
            tally.witnesses.add(self.runner, batch, outcome)
        return len(numbers)


def _is_place(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == {"batch", "place"}
        and isinstance(value["batch"], str)
        and type(value["place"]) is int
        and value["place"] >= 0
    )
