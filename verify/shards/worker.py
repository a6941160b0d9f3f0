"""A worker: makes the run again from its recipe, shows that it is the same, and runs shards of it."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from verify.shards.works.base import Work

#: Variables that tell libraries how many threads to start, read when they are imported.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

#: One shard at a time: workers of a cluster may have several threads, and what is made ready may not be shared.
_alone = threading.Lock()
#: The run that this process has made ready, by its recipe.
_held: dict[str, Work] = {}


def one_thread() -> None:
    """Let libraries use one thread: as many workers run as the machine is to use."""
    for name in _THREADS:
        os.environ[name] = "1"
    torch = sys.modules.get("torch")  # where it is not there yet, the variables tell it
    if torch is not None:
        torch.set_num_threads(1)


def run_job(text: str) -> str:
    """Run one shard; the answer tells everything that can go wrong.

    Args:
        text: JSON: ``recipe``, the ``digest`` of the driver's run, ``start`` and ``stop``.

    Returns:
        JSON: what was run with its ``findings`` and ``seconds``; or the worker's own ``key`` where that is another run;
        or what was ``raised``.

    """
    job = json.loads(text)
    with _alone:
        try:
            one_thread()
            return answer(_made(job["recipe"]), job)
        except BaseException as error:  # noqa: BLE001 # whatever it is, the driver tells it
            return json.dumps(raised(error))


def _made(recipe: str) -> Work:
    from verify.shards.recipe import Recipe  # noqa: PLC0415 # after the threads are set

    if recipe not in _held:
        _held.clear()
        _held[recipe] = Recipe(recipe).work()
    return _held[recipe]


def answer(work: Work, job: dict[str, Any]) -> str:
    """Return the answer to a job about a run that is ready."""
    if work.run.digest != job["digest"]:
        return json.dumps({"key": dict(work.run.key)})
    start, stop = job["start"], job["stop"]
    started = time.perf_counter()
    findings = work.shard(start, stop)
    seconds = time.perf_counter() - started
    told = {"digest": work.run.digest, "start": start, "stop": stop, "seconds": seconds}
    return json.dumps({**told, "findings": findings.to_json()}, allow_nan=False)


def raised(error: BaseException) -> dict[str, Any]:
    """Return what was raised as JSON values, as the driver raises it again."""
    from constructions.validation import InvalidArgument  # noqa: PLC0415 # after the threads are set

    own = sys.modules.get("verify.requests.own")  # where it is not there, no module of the user's came by a command
    mistake = None if own is None else own.author_mistake(error)
    if isinstance(error, InvalidArgument) or mistake is not None:
        return {"raised": "refusal", "message": mistake if mistake is not None else str(error)}
    if isinstance(error, MemoryError):
        return {"raised": "memory", "message": str(error)}
    return {"raised": "error", "message": f"{type(error).__name__}: {error}"}
