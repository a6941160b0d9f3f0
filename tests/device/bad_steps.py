"""Steps that go wrong in every way that a step can."""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from verify.device.base import AbsentError, Data, Judgement, NotDoneError, Setting, Step, Task


class _Step(Step):
    seconds: ClassVar = {"full": 60.0, "tiny": 60.0}
    summary = "a step of the tests"

    def judge(self, data: Data) -> Judgement:
        holds: Any = data["holds"]
        return Judgement(holds, f"it says {holds}")


def _holds() -> Data:
    return {"holds": True}


class Good(_Step):
    name = "good"

    def tasks(self, setting: Setting) -> Iterator[Task]:
        yield Task("fine", _holds)
        yield Task("a finding", lambda: {"holds": None})

        def absent() -> Data:
            raise AbsentError("no such kernel")

        yield Task("no kernel", absent)


class Refuted(_Step):
    name = "refuted"

    def tasks(self, setting: Setting) -> Iterator[Task]:
        yield Task("wrong", lambda: {"holds": False})
        yield Task("fine", _holds)


class Raises(_Step):
    name = "raises"

    def tasks(self, setting: Setting) -> Iterator[Task]:
        def broken() -> Data:
            raise ZeroDivisionError("by\nnothing")

        yield Task("fine", _holds)
        yield Task("broken", broken)
        yield Task("fine again", _holds)


class RaisesBetween(_Step):
    name = "raises-between"

    def tasks(self, setting: Setting) -> Iterator[Task]:
        yield Task("fine", _holds)
        raise RuntimeError("no more tasks")


class Hangs(_Step):
    name = "hangs"
    seconds: ClassVar = {"full": 2.0, "tiny": 2.0}

    def tasks(self, setting: Setting) -> Iterator[Task]:
        yield Task("fine", _holds)

        def forever() -> Data:
            time.sleep(3600)
            return {}

        yield Task("for ever", forever)


class Dies(_Step):
    name = "dies"

    def tasks(self, setting: Setting) -> Iterator[Task]:
        yield Task("fine", _holds)
        sys.stderr.write("a fault of the device\n")
        sys.stderr.flush()

        def killed() -> Data:
            os.kill(os.getpid(), signal.SIGKILL)
            return {}

        yield Task("killed", killed)


class Ends(_Step):
    """Leaves in the middle as if all were well."""

    name = "ends"

    def tasks(self, setting: Setting) -> Iterator[Task]:
        yield Task("fine", _holds)
        yield Task("gone", lambda: os._exit(0))


class Nonsense(_Step):
    name = "nonsense"

    def tasks(self, setting: Setting) -> Iterator[Task]:
        yield Task("no number", lambda: {"holds": True, "margin": math.nan})
        yield Task("no JSON", lambda: {"holds": True, "it": object()})
        yield Task("no answer", lambda: {"holds": "yes"})
        yield Task("one", lambda: {"holds": 1})
        yield Task("nothing", dict)


class Scribbles(_Step):
    """Writes something else where its record belongs."""

    name = "scribbles"

    def tasks(self, setting: Setting) -> Iterator[Task]:
        yield Task("fine", _holds)
        Path(sys.argv[4]).write_text('{"step": "scribbles", "tasks": 3}', encoding="utf-8")
        os._exit(0)


class Twice(_Step):
    name = "twice"

    def tasks(self, setting: Setting) -> Iterator[Task]:
        yield Task("fine", _holds)
        yield Task("fine", _holds)


class Needs(_Step):
    name = "needs"
    needs_cuda = True

    def tasks(self, setting: Setting) -> Iterator[Task]:
        yield Task("fine", _holds)


class NotHere(_Step):
    name = "not-here"

    def tasks(self, setting: Setting) -> Iterator[Task]:
        def missing() -> Data:
            raise NotDoneError("transformers is not installed")

        yield Task("library", missing)


class Nothing(_Step):
    name = "nothing"

    def tasks(self, setting: Setting) -> Iterator[Task]:
        yield from ()


class OnlyAbsent(_Step):
    name = "only-absent"

    def tasks(self, setting: Setting) -> Iterator[Task]:
        def absent() -> Data:
            raise AbsentError("no such kernel")

        yield Task("no kernel", absent)
