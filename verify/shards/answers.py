"""What a worker's answer says: its findings, or why there are none."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from constructions.validation import InvalidArgument
from verify.shards.executors.base import WorkerError
from verify.shards.findings import Findings

if TYPE_CHECKING:
    from verify.shards.records import Shard
    from verify.shards.works.base import Work


def read(text: str, work: Work, shard: Shard) -> tuple[Findings, float]:
    """Return the findings of a worker's answer and its seconds.

    Raises:
        InvalidArgument: the worker runs something else, or refused it.
        MemoryError: it had too little memory.
        WorkerError: it answers for other units, or wrongly, or raised something unexpected.

    """
    try:
        told: dict[str, Any] = json.loads(text)
        other = {str(name): held for name, held in dict(told["key"]).items()} if "key" in told else None
        raised = (str(told["raised"]), str(told["message"])) if "raised" in told else None
        if other is None and raised is None:
            ran, seconds = (told["digest"], told["start"], told["stop"]), float(told["seconds"])
            findings = Findings.from_json(told["findings"])
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, RecursionError) as error:
        raise WorkerError(f"a worker's answer cannot be read: {type(error).__name__}: {error}") from error
    if other is not None:
        _refuse_other(other, work)
    if raised is not None:
        _raise(*raised, shard)
    if ran != (work.run.digest, shard.start, shard.stop):
        raise WorkerError(f"a worker answered for other units: {ran[1]} up to {ran[2]}, of run {str(ran[0])[:8]}")
    objection = work.objection(findings, shard.start, shard.stop)
    if objection is None and findings.shard not in {None, (shard.start, shard.stop)}:
        objection = f"it names shard {findings.shard}"
    if objection is None and not 0 <= seconds < math.inf:
        objection = f"it took {seconds} seconds"
    if objection is not None:
        raise WorkerError(f"a worker answered wrongly for units {shard.start}..{shard.stop - 1}: {objection}")
    return findings, seconds


def _refuse_other(key: Mapping[str, Any], work: Work) -> NoReturn:
    mine = work.run.key
    names = sorted(name for name in {*mine, *key} if mine.get(name) != key.get(name)) or ["how many units there are"]
    raise InvalidArgument(f"worker: expected the same run as the driver's but one differs in {', '.join(names)}")


def _raise(kind: str, message: str, shard: Shard) -> NoReturn:
    if kind == "refusal":
        raise InvalidArgument(message)
    if kind == "memory":
        raise MemoryError(message)
    raise WorkerError(f"in units {shard.start}..{shard.stop - 1}, {message}")
