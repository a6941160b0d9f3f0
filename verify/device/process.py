"""One step in a process of its own: its tasks one by one, each kept when it is done.

``python -m verify.device.process MODULE:CLASS DEVICE PRESET FILE`` writes the record of the step to the file, after
every task anew. A device that faults ends the process that uses it, and every use of it in that process.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from verify.device.base import NO_CUDA, AbsentError, Data, Judgement, NotDoneError, Setting, Step, Task
from verify.device.sources import loaded_modules

#: The states of a task: its promise holds, or does not; a finding; the device lacks it; it could not be done here; it
#: raised.
STATES = ("held", "refuted", "noted", "absent", "not done", "raised")

_OF_HOLDS: Mapping[bool | None, str] = {True: "held", False: "refuted", None: "noted"}


def state_of(judgement: Judgement) -> str:
    """Return the state of a task whose data were judged.

    Raises:
        TypeError: neither true, false nor nothing: such a judgement says nothing.

    """
    if judgement.holds is not None and not isinstance(judgement.holds, bool):
        raise TypeError(f"a step judged {judgement.holds!r} (type {type(judgement.holds).__name__})")
    return _OF_HOLDS[judgement.holds]


def run_task(step: Step, task: Task) -> dict[str, Any]:
    """Run a task, and return its record; whatever it raises is part of that."""
    started = time.perf_counter()
    data: Data | None = None
    try:
        found = task.run()
        data = json.loads(json.dumps(found, allow_nan=False))  # as it comes back from the file, or refused
        judgement = step.judge(data)
        state, said = state_of(judgement), judgement.sentence
    except AbsentError as error:
        state, said = "absent", str(error)
    except NotDoneError as error:
        state, said = "not done", str(error)
    except Exception as error:  # noqa: BLE001 # whatever it is, the other tasks go on
        state, said, data = "raised", f"{type(error).__name__}: {error}", None
    taken = round(time.perf_counter() - started, 3)
    return {"name": task.name, "state": state, "said": one_line(said), "seconds": taken, "data": data}


#: The longest reason that a record keeps; torch's own may have pages.
_LONGEST_REASON = 400


def one_line(text: str) -> str:
    """Return a text of any length as one line that is not too long."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_REASON else line[: _LONGEST_REASON - 3] + "..."


def run_step(step: Step, setting: Setting, path: Path) -> None:
    """Run the tasks of a step and keep them in a file."""
    record: dict[str, Any] = {"step": step.name, "finished": False, "skipped": None, "raised": None, "tasks": []}

    def keep() -> None:
        record["modules"] = loaded_modules()
        part = path.with_suffix(".part")  # the process may be ended at any moment
        part.write_text(json.dumps(record, allow_nan=False), encoding="utf-8")
        part.replace(path)

    keep()
    if step.needs_cuda and not setting.cuda:
        record["skipped"] = f"not done: {NO_CUDA}"
    else:
        try:
            for task in step.tasks(setting):
                record["tasks"].append(run_task(step, task))
                keep()
        except Exception as error:  # noqa: BLE001 # the tasks that it yielded stay
            record["raised"] = one_line(f"{type(error).__name__}: {error}")
    record["finished"] = True
    keep()


def main(words: list[str]) -> None:
    """Run a step by its place, see the module."""
    where, device, preset, file = words
    module, _, name = where.partition(":")
    step: Step = getattr(import_module(module), name)()
    run_step(step, Setting(device, preset), Path(file))


if __name__ == "__main__":
    main(sys.argv[1:])
