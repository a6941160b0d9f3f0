"""Output to the terminal: text that it can print, one JSON document, errors of one line, and how the program ends.

Exit status: 0, every verdict holds; 1, a claim is falsified or not shown; 2, bad input; 3, anything unexpected, such as
no memory or a closed pipe; 130, interrupted. 2, 3 and 130 come with one line on standard error.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from verify.files.temporaries import remove_temporaries

if TYPE_CHECKING:
    from rich.console import Console

#: Exit statuses beside 0 and 1, which verdicts decide.
BAD_INPUT, UNEXPECTED, INTERRUPTED = 2, 3, 130

#: Errors of a write that name no file: standard output is closed, full, or broken.
_OUTPUT_ERRORS = {errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EBADF, errno.EDQUOT, errno.EFBIG}

#: Width of a table where the terminal does not say; a claim, its evidence and its margin fit.
_WIDTH = 150

#: Shows the cursor, which a progress bar hides, and clears its line.
_RESTORED = b"\x1b[?25h\r\x1b[2K"


class _Line:
    """The line that an interruption prints; a command that can be resumed says how."""

    text = "interrupted"


@contextlib.contextmanager
def when_interrupted(text: str) -> Iterator[None]:
    """Say ``text`` after the word ``interrupted`` if that happens inside."""
    _Line.text = f"interrupted; {text}"
    try:
        yield
    except KeyboardInterrupt:
        raise  # the line stays for whoever tells it
    except BaseException:
        _Line.text = "interrupted"
        raise
    _Line.text = "interrupted"


def prepare() -> None:
    """Set up a process of our own: Ctrl-C ends it at once, and what the terminal cannot print is escaped."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupted)
    if sys.stderr is None:  # closed; print() would turn to standard output
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 # for as long as the process lives
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _interrupted(signum: int, frame: FrameType | None) -> NoReturn:
    """Leave without Python's own shutdown: a KeyboardInterrupt is lost or told twice where libraries catch it."""
    remove_temporaries()
    with contextlib.suppress(OSError):
        if os.isatty(2):
            os.write(2, _RESTORED)
        os.write(2, f"{_Line.text}\n".encode(errors="backslashreplace"))
    os._exit(INTERRUPTED)


def tell_interrupted() -> int:
    """Say that the program was interrupted; return the status."""
    text, _Line.text = _Line.text, "interrupted"
    _to_stderr(text)
    return INTERRUPTED


def finish(status: int) -> int:
    """Flush what was printed, and return the status to exit with: standard output may fail only now."""
    if sys.stdout is None:
        return status if status >= BAD_INPUT else tell("standard output: expected it open but it is closed", UNEXPECTED)
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        _silence(sys.stdout, 1)
        if status < BAD_INPUT:
            return tell(f"standard output: {getattr(error, 'strerror', None) or error}", UNEXPECTED)
    return status


def tell(message: str, status: int, *, as_json: bool = False, cause: BaseException | None = None) -> int:
    """Say what is wrong in one line on standard error, and with ``as_json`` as a document on standard output.

    Args:
        message: what is wrong.
        status: the exit status, which is returned.
        as_json: whether a program reads standard output.
        cause: an exception whose traceback is shown above the line, ``None`` for none.

    """
    line = " ".join(message.split())
    if cause is not None:
        _to_stderr("".join(traceback.format_exception(cause)).rstrip())
    _to_stderr(f"error: {line}")
    if as_json:
        try:
            print_json({"error": line})
        except OSError:
            _silence(sys.stdout, 1)
    return status


def told_as(error: BaseException) -> tuple[str, int]:
    """Return the line for an unexpected exception, and the exit status."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror or error}", BAD_INPUT
    if isinstance(error, OSError) and error.errno in _OUTPUT_ERRORS:
        return f"standard output: {error.strerror}", UNEXPECTED
    said = str(error)
    # torch has an error of its own on each device, all of them RuntimeErrors
    if isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and ("out of memory" in said or "allocate memory" in said)
    ):
        return f"out of memory; choose smaller sizes ({said or type(error).__name__})", UNEXPECTED
    return f"unexpected {type(error).__name__}: {said or 'no message'} (--debug shows where)", UNEXPECTED


def _to_stderr(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)  # noqa: T201 # the command line's own output
    except (OSError, ValueError):
        _silence(sys.stderr, 2)


def _silence(stream: TextIO, descriptor: int) -> None:
    """Discard the rest of a broken stream, so that Python says nothing of it at its end."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if stream.fileno() == descriptor:
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


def console() -> Console:
    """Return a console on standard output that does not fold tables when it is not a terminal."""
    from verify.cli.wide_console import WideConsole  # noqa: PLC0415 # help and refusals do without it

    width = None if sys.stdout is not None and sys.stdout.isatty() else _WIDTH
    return WideConsole(width=width, soft_wrap=False, highlight=False)


def echo(text: str) -> None:
    """Print text on standard output."""
    print(text)  # noqa: T201 # the command line's own output


def show_text(text: str) -> int:
    """Print text on standard output, and return the exit status: 0, or that of an output that fails."""
    try:
        echo(text)
    except (OSError, ValueError) as error:
        return tell(*told_as(error))
    return 0


def print_json(document: Any) -> None:
    """Print one JSON document on standard output, in ASCII where its encoding does not have the characters."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(document, allow_nan=False, indent=2)
    echo(text)
