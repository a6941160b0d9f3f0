"""A backend: any program, in any language, that is asked and answers in lines of JSON."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Self, cast, final, get_args

import numpy as np

from constructions.specification import Specification
from constructions.validation import IntArray, check_choice, reject
from verify.backends.base import Backend, Prepared
from verify.backends.callables import CallableBackend, Gives
from verify.numbers import shortened

#: Whole numbers up to this are floats, and JSON writes a float that is whole without a point.
_EXACT_IN_FLOAT = 2**53


class ProgramFailed(Exception):
    """A program ended, was late, or answered anything but its line of JSON."""


@final
class ProgramBackend(Backend):
    """Any program that reads a question in each line of its input, and writes the answer in a line of its output.

    A question is one JSON object::

        {"id": 3, "virtual": [[[0.5, 0.25]]], "tokens": [[0, 2]]}

    ``virtual`` holds the virtual tokens, cases x virtual x embedding size, ``null`` where there are none; ``tokens``
    the user's tokens and, for logits, those that were fed back, cases x length. Numbers are float64, written so that
    they read back the same. The answer repeats the ``id``, with logits or tokens as :class:`~verify.CallableBackend`
    takes them::

        {"id": 3, "logits": [[0.1, 0.7, 0.2]]}

    The program is started at the first question, without a shell, and must write each line out at once. One that ends,
    is late, or answers anything else is stopped and never asked again: a run in which that happens never holds, and
    every later one on this backend is refused. What it writes to its standard error is told with the failure.

    Example:
        A program that says the last token of its input again, held against that promise::

            >>> import sys, verify
            >>> from constructions import Domain, specify
            >>> from verify.backends import ProgramBackend
            >>> program = '''
            ... import json, sys
            ... for line in sys.stdin:
            ...     asked = json.loads(line)
            ...     said = [[tokens[-1]] for tokens in asked["tokens"]]
            ...     print(json.dumps({"id": asked["id"], "tokens": said}), flush=True)
            ... '''
            >>> promise = specify(Domain.of(3, 2), lambda x: x[:, -1:])
            >>> command = [sys.executable, "-c", program]
            >>> with ProgramBackend(command, timeout=60, gives="tokens", name="echo") as backend:
            ...     verify.exhaust(promise, backend).holds
            True

    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        timeout: float,
        gives: Gives = "logits",
        name: str | None = None,
        device: str = "unknown",
    ) -> None:
        """Take a program; it is started when it is first asked.

        Args:
            command: the program and its arguments.
            timeout: seconds that one answer may take, the start of the program included.
            gives: ``logits``, or ``tokens``, of which no margins are known.
            name: what verdicts call it, by default the program's file name.
            device: where it runs, as verdicts say.

        Raises:
            InvalidArgument: no command, or a timeout that is no positive number of seconds.

        """
        if isinstance(command, str) or not isinstance(command, Sequence) or not command:
            reject("command", "the words of a command, such as ['./kernel', '--fast']", command)
        for word in command:
            if not isinstance(word, str) or not word or "\0" in word:
                reject("command", "words that are not empty", word)
        if (
            isinstance(timeout, bool)
            or not isinstance(timeout, (int, float))
            or not 0 < timeout < threading.TIMEOUT_MAX
        ):
            reject("timeout", f"seconds, above 0 and below {threading.TIMEOUT_MAX:.0f}", timeout)
        self.command, self.timeout = tuple(command), float(timeout)
        self.gives = cast("Gives", check_choice("gives", gives, get_args(Gives)))
        self.name = f"program {Path(command[0]).name if name is None else name}"
        self.device, self.gives_logits = device, gives == "logits"
        self._given_name = name
        self._talk: _Talk | None = None
        self._failed: str | None = None

    def prepare(self, specification: Specification) -> Prepared:
        """Return the program with a specification; it is one program for all of them."""
        asked = CallableBackend(self._ask, gives=self.gives, device=self.device)
        asked.name = self.name
        return asked.prepare(specification)

    def close(self) -> None:
        """Stop the program, if it runs; it is started again when it is asked again, unless it failed."""
        if self._talk is not None:
            self._talk.stop()
            self._talk = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def code(self) -> tuple[object, ...]:
        """Return the command, and digests of those of its words that are files."""
        first, *others = self.command
        files = [path for path in (Path(word) for word in (shutil.which(first) or first, *others)) if _is_file(path)]
        return (self.command, self.gives, tuple(hashlib.sha256(path.read_bytes()).hexdigest() for path in files))

    def assumptions(self) -> str:
        """Return that nothing is known of it but what it gave."""
        known = "" if self.gives_logits else "; it gives tokens alone, so that margins are not known"
        return f"a program: what it computes is not inspected{known}"

    def arguments(self) -> tuple[str, ...]:
        """Return the expression that makes it."""
        options = f", timeout={self.timeout!r}"
        options += "" if self.gives_logits else ", gives='tokens'"
        options += "" if self._given_name is None else f", name={self._given_name!r}"
        return (f"backend=verify.backends.ProgramBackend({list(self.command)!r}{options})",)

    def _ask(self, virtual: np.ndarray[Any, Any] | None, tokens: IntArray) -> np.ndarray[Any, Any]:
        if self._failed is not None:
            raise ProgramFailed(f"it failed before and is not asked again: {self._failed}")
        try:
            if self._talk is None:
                self._talk = _Talk(self.command)
            question = {"virtual": None if virtual is None else virtual.tolist(), "tokens": tokens.tolist()}
            return _answer(self._talk.ask(question, self.timeout), self.gives)
        except BaseException as error:
            # an interrupted question would be answered in the place of the next one
            self._failed = str(error) or type(error).__name__
            self.close()
            raise


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a word of a script's length is no name of a file
        return False


def _answer(found: dict[str, Any], gives: str) -> np.ndarray[Any, Any]:
    """Return the numbers of an answer, floats for logits and integers for tokens; shapes are checked further on."""
    if set(found) != {"id", gives}:
        raise ProgramFailed(f"expected an answer with the keys id and {gives} but got {', '.join(sorted(found))}")
    for value in _flat(found[gives]):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ProgramFailed(f"expected numbers in {gives} but got {shortened(repr(value))}")
        if isinstance(value, int) and abs(value) > _EXACT_IN_FLOAT:
            raise ProgramFailed(f"expected whole numbers in {gives} of at most 2^53 but got {shortened(repr(value))}")
        if gives == "tokens" and not isinstance(value, int):
            raise ProgramFailed(f"expected whole numbers in tokens but got {shortened(repr(value))}")
    try:
        return np.array(found[gives], dtype=np.float64 if gives == "logits" else np.int64)
    except ValueError:
        raise ProgramFailed(f"expected rows of one length in {gives}") from None


def _flat(value: Any) -> Any:
    if isinstance(value, list):
        for part in value:
            yield from _flat(part)
    else:
        yield value


class _Talk:
    """A running program, and the questions it was asked."""

    def __init__(self, command: tuple[str, ...]) -> None:
        """Start it, in a group of processes of its own, so that what it starts is stopped with it."""
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 # it is held as long as the program
        try:
            self._process = subprocess.Popen(  # noqa: S603 # the user's own program, without a shell
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            self._errors.close()
            raise ProgramFailed(f"it cannot be started: {error}") from None
        self._asked = 0
        self._end = weakref.finalize(self, _stop, self._process, self._errors)

    def stop(self) -> None:
        """Stop it."""
        self._end()

    def ask(self, question: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Return the answer to a question.

        Raises:
            ProgramFailed: no answer came in time, or anything but an answer.

        """
        self._asked += 1
        line = json.dumps({"id": self._asked, **question}, allow_nan=False) + "\n"
        came: queue.SimpleQueue[bytes | OSError] = queue.SimpleQueue()
        # a thread, as a program that does not read stops the writing too
        threading.Thread(target=_exchange, args=(self._process, line.encode(), came), daemon=True).start()
        try:
            found = came.get(timeout=seconds)
        except queue.Empty:
            raise ProgramFailed(f"no answer within {seconds:g} seconds{self._said()}") from None
        if isinstance(found, OSError) or not found.endswith(b"\n"):
            status = _status(self._process)
            raise ProgramFailed(f"it ended, {status}, before it had answered{self._said()}")
        try:
            answer = json.loads(found)
        except (ValueError, RecursionError):
            raise ProgramFailed(
                f"expected a line of JSON but got {shortened(repr(found.decode(errors='replace')))}"
            ) from None
        if not isinstance(answer, dict):
            raise ProgramFailed(f"expected a JSON object but got {shortened(repr(answer))}")
        found_id = answer.get("id")
        if type(found_id) is not int or found_id != self._asked:
            raise ProgramFailed(f"expected the answer to question {self._asked} but got id {shortened(repr(found_id))}")
        return answer

    def _said(self) -> str:
        """Return the last line of its standard error, where there is one."""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        return f"; its last words: {shortened(repr(said[-1]))}" if said else ""


def _exchange(process: subprocess.Popen[bytes], line: bytes, came: queue.SimpleQueue[bytes | OSError]) -> None:
    assert process.stdin is not None, "opened as a pipe"
    assert process.stdout is not None, "opened as a pipe"
    try:
        process.stdin.write(line)
        process.stdin.flush()
        came.put(process.stdout.readline())
    except (OSError, ValueError) as error:  # ValueError: it was stopped, and the pipe closed
        came.put(error if isinstance(error, OSError) else OSError(str(error)))


def _status(process: subprocess.Popen[bytes]) -> str:
    """Return how a program ended whose output did."""
    try:
        status = process.wait(timeout=1)  # its output ends a moment before it does; a second changes no verdict
    except subprocess.TimeoutExpired:
        return "or closed its output"
    return f"with status {status}" if status >= 0 else f"by signal {-status}"


def _stop(process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
    """Stop a program and all that it started, and close what is held of it."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        process.kill()
    process.wait()
    for held in (process.stdin, process.stdout):
        if held is not None:
            with contextlib.suppress(OSError):
                held.close()
    errors.close()
